"""The scripts that find words and terms, on what is shipped and on a file in an empty folder."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from helpers.planted_words import PLANTED, planted_texts

ROOT = Path(__file__).parents[2]


def run(script: str, directory: Path | None, *arguments) -> str:
    """Return the output of a script, copied into a folder if there is one."""
    path = ROOT / "examples" / script
    if directory is not None:
        path = shutil.copy(path, directory)
    paths = os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])
    done = subprocess.run(
        [sys.executable, str(path), *map(str, arguments)],
        cwd=directory,
        env={**os.environ, "PYTHONPATH": paths},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout


@pytest.fixture
def corpus(tmp_path) -> Path:
    path = tmp_path / "corpus.txt"
    path.write_text("\n".join(planted_texts()), encoding="utf-8")
    return path


@pytest.mark.script
def test_words_of_the_shipped_texts():
    found = run("basic_new_words.py", None)
    f1, baseline = re.search(
        r"^test: f1 (0\.\d+), single characters (0\.\d+)$", found, re.M
    ).groups()
    assert float(baseline) < 0.42
    assert 0.54 < float(f1) < 0.65
    assert "老师 / 特别 / " in found


@pytest.mark.script
def test_words_of_a_file(corpus, tmp_path):
    options = ["--corpus", corpus, "--min-count", 20, "--min-pmi", 0, 2, 2, 2, "--text", "蝴蝶天"]
    found = run("basic_new_words.py", tmp_path, *options, "--save", "words.txt")
    assert "蝴蝶 / 天" in found
    assert "test:" not in found
    saved = (tmp_path / "words.txt").read_text(encoding="utf-8")
    assert {f"{word} 100" for word in PLANTED} <= set(saved.splitlines())


@pytest.mark.script
def test_terms_of_the_shipped_texts():
    found = run("basic_domain_terms.py", None)
    assert found.startswith("12 terms;")
    assert {"绿茶", "乌龙茶", "揉捻"} <= set(re.findall(r"^\w+", found, re.M))


@pytest.mark.script
def test_terms_of_files(corpus, tmp_path):
    general = tmp_path / "general.txt"
    general.write_text("天地玄黄蝴蝶\n" * 100, encoding="utf-8")
    options = ["--domain", corpus, "--general", general, "--min-count", 20]
    found = run("basic_domain_terms.py", tmp_path, *options)
    assert set(re.findall(r"^(\w+)  100", found, re.M)) == set(PLANTED) - {"蝴蝶"}
