"""The READMEs: their Python runs, both hold the same code, and every path they name exists."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from unittest.mock import Mock

import numpy as np
import pytest

from bert4keras.checkpoints import CheckpointError, fetch
from helpers.pages import BLOCK, alike, blocks, run_block, without_comments

pytestmark = pytest.mark.spread

ROOT = Path(__file__).resolve().parent.parent
READMES = ("README.md", "README_zh.md")
LINK = re.compile(r"\]\(([^)#]+)[^)]*\)")
SCRIPT = re.compile(r"\b(?:scripts|examples)/[\w./]*\w")


def read(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def absent_paths(text: str) -> list[str]:
    """Relative links and paths of scripts and examples that do not exist."""
    links = [link for link in LINK.findall(text) if "://" not in link]
    return [name for name in links + SCRIPT.findall(text) if not (ROOT / name).exists()]


def snippets(text: str) -> list[tuple[str, str]]:
    """Each Python block and what the page says that it prints: the block after it."""
    found = [block for block in blocks(text) if block[0] in ("python", "")]
    assert [language for language, _ in found] == ["python", ""] * (len(found) // 2)
    return [(found[k][1], found[k + 1][1]) for k in range(0, len(found), 2)]


@pytest.fixture
def tiny(tmp_path):
    """A checkpoint of one block, which keeps quick what builds many models."""
    checkpoint = tmp_path / "tiny"
    shutil.copytree(ROOT / "tests" / "fixtures" / "bert_gelu", checkpoint)
    config = json.loads((checkpoint / "config.json").read_text())
    config["num_hidden_layers"] = 1
    (checkpoint / "config.json").write_text(json.dumps(config))
    return checkpoint


@pytest.mark.script
def test_first_answers_of_the_real_checkpoint(tmp_path, monkeypatch):
    """Return the directory that `fetch` has filled before; a test downloads nothing."""
    monkeypatch.chdir(tmp_path)
    for source in ("_from_hub", "_from_package"):
        refuse = Mock(side_effect=CheckpointError("a test downloads nothing"))
        monkeypatch.setattr(f"bert4keras.checkpoints.presets.{source}", refuse)
    try:
        fetch("multilingual-e5-small")
    except CheckpointError:
        pytest.skip("multilingual-e5-small is not in the cache")
    source, promised = snippets(read("README.md"))[0]
    assert run_block(source, "README.md, block 1", {}) == promised


@pytest.mark.filterwarnings("ignore::bert4keras.tokenizers.UnknownTokensWarning")
def test_the_tagger_learns(tmp_path, monkeypatch, minilm_by_name):
    """With the real MiniLM: the second snippet, names that it was not trained on."""
    import keras

    from bert4keras import tasks

    monkeypatch.chdir(tmp_path)
    keras.utils.set_random_seed(0)
    source, promised = snippets(read("README.md"))[1]
    printed = run_block(source, "README.md, block 2", {"tasks": tasks})
    assert alike(printed, promised), printed


# Keras says this of every layer that has no weights to quantize.
@pytest.mark.filterwarnings("ignore:.*does not have a `quantize` method:UserWarning")
@pytest.mark.filterwarnings("ignore::bert4keras.tokenizers.UnknownTokensWarning")
def test_python_runs(tmp_path, monkeypatch, tiny):
    """The whole page, with a tiny model in place of each checkpoint."""
    import keras

    monkeypatch.chdir(tmp_path)
    for name in ("multilingual-e5-small", "minilm-l6"):
        (tmp_path / name).symlink_to(tiny)
    monkeypatch.setattr("bert4keras.checkpoints.fetch", lambda name: tmp_path / name)
    keras.utils.set_random_seed(0)
    names: dict = {}
    pairs = snippets(read("README.md"))
    assert len(pairs) >= 9
    for number, (source, promised) in enumerate(pairs, 1):
        printed = run_block(source, f"README.md, block {number}", names)
        assert number < 3 or printed == promised  # the first two have separate tests
    inputs = [np.array([[2, 5, 6, 3]], "int32"), np.zeros((1, 4), "int32")]
    probabilities = names["model"].predict(inputs, verbose=0)
    assert probabilities.shape == (1, 2)
    np.testing.assert_allclose(probabilities.sum(), 1, atol=1e-5)
    # The saved checkpoint gives the same numbers.
    again = names["build_transformer_model"]("smaller_bert").predict(inputs, verbose=0)
    np.testing.assert_allclose(again, names["smaller"].predict(inputs, verbose=0), atol=1e-5)
    # Negative control: other ids give other numbers.
    other = names["smaller"].predict([inputs[0][:, ::-1], inputs[1]], verbose=0)
    assert np.abs(again - other).max() > 1e-2


def test_outputs_are_compared():
    assert alike("Rome [LOC] 0.98\n", "Rome [LOC] 0.95\n")
    assert not alike("Rome [LOC] 0.98\n", "Rome [LOC] 0.6\n")
    assert not alike("Rome [PER] 0.98\n", "Rome [LOC] 0.98\n")


def test_both_languages_have_the_same_code():
    english, chinese = ([without_comments(b) for b in blocks(read(name))] for name in READMES)
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
