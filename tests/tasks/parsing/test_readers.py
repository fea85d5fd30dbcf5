"""Constituents of a dependency treebank."""

from __future__ import annotations

import pytest

from bert4keras.data import DataFileError
from bert4keras.tasks.parsing import read_treebank, word_constituents

pytestmark = pytest.mark.spread
# id, form, part of speech, head, SpaceAfter
SENTENCE = [
    ("1", "The", "DET", 2, ""),
    ("2", "cat", "NOUN", 4, ""),
    ("3-4", "didn't", "_", None, ""),
    ("3", "did", "AUX", 4, ""),
    ("4", "n't", "PART", 0, ""),
    ("4.1", "empty", "VERB", None, ""),
    ("5", "see", "VERB", 4, "SpaceAfter=No"),
    ("6", ",", "PUNCT", 5, ""),
    ("7", "us", "PRON", 5, "SpaceAfter=No"),
    ("8", ".", "PUNCT", 4, ""),
]


def line(i, form, part, head, misc):
    cells = [i, form, "_", part, "_", "_", "_" if head is None else str(head), "_", "_"]
    return "\t".join([*cells, misc or "_"])


def write(path, rows):
    path.write_text("# text = x\n" + "\n".join(rows) + "\n\n", encoding="utf-8")
    return path


def test_subtrees_of_neighbours_without_punctuation(tmp_path):
    path = write(tmp_path / "a.conllu", [line(*row) for row in SENTENCE])
    ((text, gold),) = read_treebank(path)
    assert text == "The cat didn't see, us."
    assert [text[a:b] for a, b in gold.words] == ["The", "cat", "did", "n't", "see", "us"]
    assert gold.spans == [(0, 6), (0, 2), (4, 6)]


def test_a_subtree_with_a_gap_is_no_constituent(tmp_path):
    rows = [("1", "a", "X", 3, ""), ("2", "b", "X", 0, ""), ("3", "c", "X", 2, "")]
    ((_, gold),) = read_treebank(write(tmp_path / "a.conllu", [line(*row) for row in rows]))
    assert gold.spans == [(0, 3)]  # "a c" is none


def test_a_broken_line_is_named(tmp_path):
    path = write(tmp_path / "a.conllu", ["1\ta\tb"])
    with pytest.raises(DataFileError, match=r"a\.conllu.*2.*3 columns, CoNLL-U has 10"):
        read_treebank(path)
    path = write(tmp_path / "b.conllu", [line("1", "a", "X", "?", "")])
    with pytest.raises(DataFileError, match=r"the head '\?' is no number"):
        read_treebank(path)
    path = write(tmp_path / "c.conllu", [line("1", "a", "X", 7, "")])
    with pytest.raises(DataFileError, match="the head '7' is no word"):
        read_treebank(path)


def test_words_are_constituents_of_characters():
    text, gold = word_constituents(["2001年", "新年", "的", "GPT-4"])
    assert text == "2001年新年的GPT-4"
    assert [text[a:b] for a, b in gold.words] == ["2001", "年", "新", "年", "的", "GPT", "-", "4"]
    assert gold.spans == [(0, 2), (2, 4), (5, 8)]
