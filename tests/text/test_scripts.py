"""The commands that find words and terms in files."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("find_words", reason="the scripts are not part of this tree")

import find_terms
import find_words
from bert4keras.text import WordList
from helpers.planted_words import PLANTED, planted_texts

pytestmark = pytest.mark.spread

SCRIPTS = Path(find_words.__file__).parent
OPTIONS = ["--min-count", "20", "--min-pmi", "2"]


@pytest.fixture
def corpus(tmp_path) -> str:
    path = tmp_path / "corpus.txt"
    path.write_text("\n".join(planted_texts()), encoding="utf-8")
    return str(path)


def test_a_table_of_words(corpus, capsys):
    assert find_words.main([corpus, *OPTIONS]) == 0
    header, *lines = capsys.readouterr().out.splitlines()
    assert header == "text\tcount\tpmi"
    assert {line.split("\t")[0] for line in lines} == set(PLANTED)
    assert {line.split("\t")[1] for line in lines} == {"100"}
    assert find_words.main([corpus, *OPTIONS, "--limit", "1"]) == 0
    assert len(capsys.readouterr().out.splitlines()) == 2


def test_a_dictionary(corpus, tmp_path):
    output = tmp_path / "words.txt"
    options = ["--format", "jieba", "--min-length", "1", "--output", str(output), "--quiet"]
    assert find_words.main([corpus, *OPTIONS, *options]) == 0
    assert WordList.load(output).cut("蝴蝶天") == ["蝴蝶", "天"]


def test_terms_as_json(corpus, tmp_path, capsys):
    general = tmp_path / "general.txt"
    general.write_text("天地玄黄蝴蝶\n" * 100, encoding="utf-8")
    options = ["--domain", corpus, "--general", str(general), *OPTIONS, "--format", "jsonl"]
    assert find_terms.main(options) == 0
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert {row["text"] for row in rows} == set(PLANTED) - {"蝴蝶"}
    assert rows[0]["general_pmi"] is None  # minus infinity
    assert find_terms.main([*options, "--seeds", "无"]) == 0
    assert "Nothing was found" in capsys.readouterr().err


def test_errors_are_one_line(tmp_path, capsys):
    assert find_words.main([str(tmp_path / "none.txt")]) == 1
    assert "No such file" in capsys.readouterr().err
    (tmp_path / "a.txt").write_bytes("中文".encode("gb18030"))
    assert find_words.main([str(tmp_path / "a.txt")]) == 1
    error = capsys.readouterr().err
    assert error.startswith("error: ")
    assert "a.txt, line 1: byte 0xd6 is not UTF-8" in error
    assert find_words.main([str(tmp_path / "a.txt"), "--order", "9"]) == 1
    assert "order is 9" in capsys.readouterr().err
    assert find_words.main([str(tmp_path / "a.txt"), "--encoding", "gb18030"]) == 0
    assert "Nothing was found" in capsys.readouterr().err


@pytest.mark.script
def test_it_runs_as_a_program(corpus):
    command = [
        sys.executable,
        str(SCRIPTS / "find_words.py"),
        corpus,
        *OPTIONS,
        "--format",
        "jieba",
    ]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert set(done.stdout.splitlines()) == {f"{word} 100" for word in PLANTED}
