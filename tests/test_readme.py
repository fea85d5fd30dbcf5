"""The READMEs: their Python runs, both hold the same code, and every path they name exists."""

from __future__ import annotations

import ast
import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest

pytestmark = pytest.mark.spread

ROOT = Path(__file__).resolve().parent.parent
READMES = ("README.md", "README_zh.md")
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\]\(([^)#]+)[^)]*\)")
SCRIPT = re.compile(r"\b(?:scripts|examples)/[\w./]*\w")


def read(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def code(text: str) -> list[tuple[str, str]]:
    """(language, source) of each code block."""
    return BLOCK.findall(text)


def without_comments(block: tuple[str, str]) -> tuple[str, str]:
    language, source = block
    if language == "python":
        return language, ast.unparse(ast.parse(source))
    return language, re.sub(r"\s+# .*", "", source)


def absent_paths(text: str) -> list[str]:
    """Relative links and paths of scripts and examples that do not exist."""
    links = [link for link in LINK.findall(text) if "://" not in link]
    return [name for name in links + SCRIPT.findall(text) if not (ROOT / name).exists()]


# Keras says this of every layer that has no weights to quantize.
@pytest.mark.filterwarnings("ignore:.*does not have a `quantize` method:UserWarning")
def test_python_runs(tmp_path, monkeypatch, capsys):
    import keras

    checkpoint = tmp_path / "bert"
    shutil.copytree(ROOT / "tests" / "fixtures" / "bert_gelu", checkpoint)
    config = json.loads((checkpoint / "config.json").read_text())
    config["num_hidden_layers"] = 1  # the README builds many models; one block keeps this quick
    (checkpoint / "config.json").write_text(json.dumps(config))
    monkeypatch.chdir(tmp_path)
    keras.utils.set_random_seed(0)
    names: dict = {}
    sources = [source for language, source in code(read("README.md")) if language == "python"]
    assert len(sources) >= 6
    for number, source in enumerate(sources, 1):
        exec(compile(source, f"README.md, block {number}", "exec"), names)

    printed = capsys.readouterr().out
    assert "epoch 3: score" in printed
    assert re.search(r"^  loaded +\d+$", printed, re.MULTILINE)
    assert "missing" not in printed
    inputs = [np.array([[2, 5, 6, 3]], "int32"), np.zeros((1, 4), "int32")]
    probabilities = names["model"].predict(inputs, verbose=0)
    assert probabilities.shape == (1, 2)
    np.testing.assert_allclose(probabilities.sum(), 1, atol=1e-5)
    assert [layer.name for layer in names["local"].inputs][2:] == ["Input-Document"]
    # What was saved is a checkpoint of its own that gives the same numbers.
    again = names["build_transformer_model"]("smaller_bert").predict(inputs, verbose=0)
    np.testing.assert_allclose(again, names["bert"].predict(inputs, verbose=0), atol=1e-5)
    # Negative control: other ids give other numbers.
    other = names["bert"].predict([inputs[0][:, ::-1], inputs[1]], verbose=0)
    assert np.abs(again - other).max() > 1e-2


def test_both_languages_have_the_same_code():
    english, chinese = ([without_comments(b) for b in code(read(name))] for name in READMES)
    assert english == chinese


def test_comparison_sees_a_difference():
    assert without_comments(("python", "x = 1  # one")) == without_comments(("python", "x = 1"))
    assert without_comments(("python", "x = 1")) != without_comments(("python", "x = 2"))
    assert without_comments(("bash", "a b  # c")) != without_comments(("bash", "a c"))


@pytest.mark.parametrize("name", [*READMES, "CHANGELOG.md"])
def test_paths_exist(name):
    assert absent_paths(read(name)) == []


def test_absent_paths_are_found():
    text = "[a](LICENSE) [b](nowhere.md) [c](https://example.org) `scripts/nothing` scripts/test."
    assert absent_paths(text) == ["nowhere.md", "scripts/nothing"]


def test_both_languages_have_the_same_structure():
    def outline(text: str) -> list[int]:
        text = BLOCK.sub("", text)
        return [len(marks) for marks in re.findall(r"^(#+) ", text, re.MULTILINE)] + [
            text.count(mark) for mark in ("\n|", "\n- ", "](")
        ]

    assert outline(read("README.md")) == outline(read("README_zh.md"))
