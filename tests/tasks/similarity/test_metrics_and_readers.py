"""Scores of rankings by hand; files of pairs."""

from __future__ import annotations

import gzip
import json
import lzma
import math

import pytest

from bert4keras.data import DataFileError
from bert4keras.tasks.similarity import ScoredPair, pair_scores, ranking_scores, read_scored_pairs

pytestmark = pytest.mark.spread


def test_rankings_by_hand():
    found = ranking_scores([[1, 0, 1], [0, 0, 1], [0, 0]])
    ideal = 1 + 1 / math.log2(3)
    assert found == {
        "map": pytest.approx(((1 + 2 / 3) / 2 + 1 / 3) / 2),
        "mrr@10": pytest.approx((1 + 1 / 3) / 2),
        "ndcg@10": pytest.approx(((1 + 1 / 2) / ideal + 1 / 2) / 2),
        "accuracy@1": pytest.approx(1 / 2),
    }
    graded = ranking_scores([[1, 3]])
    assert graded["ndcg@10"] == pytest.approx((1 + 3 / math.log2(3)) / (3 + 1 / math.log2(3)))
    assert ranking_scores([[0, 1]], k=1)["mrr@1"] == 0
    missing = ranking_scores([[1, 0]], missing=[1])
    assert (missing["map"], missing["ndcg@10"]) == (0.5, pytest.approx(1 / ideal))
    assert set(ranking_scores([[0], []]).values()) == {0.0}
    assert set(ranking_scores([[1, 0]]).values()) == {1.0}  # the best there is


def test_pairs_by_hand():
    found = pair_scores([0.9, 0.6, 0.1, 0.2], [1, 0, 0, 1])
    assert found["accuracy"] == 0.5
    assert found["f1"] == pytest.approx(2 * 1 / (2 + 2))
    assert pair_scores([1, 2, 3], [0.5, 1, 4])["spearman"] == pytest.approx(1)
    assert pair_scores([1, 2], [3, 3]) == {"spearman": 0, "pearson": 0}
    assert pair_scores([0.7], [1]) == {"accuracy": 1, "f1": 1, "spearman": 0}
    assert pair_scores([0.2], [1], threshold=0)["accuracy"] == 1


PAIRS = [ScoredPair(("a cat", "一只猫"), 1.0), ScoredPair(("b", "c"), 0.0)]


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.tsv", "a cat\t一只猫\t1\nb\tc\t0\n"),
        ("a.tsv", "\ufefftext_a\ttext_b\tlabel\r\na cat\t一只猫\t1\r\nb\tc\t0\r\n"),
        ("a.csv", 'score,sentence1,sentence2\n1,"a cat",一只猫\n0,b,c\n'),
        ("glue.tsv", "index\tgenre\tsentence1\tsentence2\tscore\n0\tx\ta cat\t一只猫\t1.0\n"
         "1\tx\tb\tc\t0.0\n"),
        ("a.txt", "first text\tsecond text\tlabel\na cat\t一只猫\t1\nb\tc\t0e0\n"),
        ("a.json", '{"sentence1": "a cat", "sentence2": "一只猫", "label": "1"}\n'
         '{"sentence1": "b", "sentence2": "c", "label": "0"}\n'),
        ("a.jsonl", '[{"query": "a cat", "title": "一只猫", "label": 1},'
         '{"query": "b", "title": "c", "label": 0, "id": 7}]'),
    ],
)  # fmt: skip
def test_formats(tmp_path, name, content):
    for ending, pack in (("", bytes), (".gz", gzip.compress), (".xz", lzma.compress)):
        path = tmp_path / (name + ending)
        path.write_bytes(pack(content.encode()))
        assert read_scored_pairs(path) == PAIRS
    assert PAIRS[0] == (("a cat", "一只猫"), 1.0)  # what tasks take as sample and label


def test_columns_and_encoding(tmp_path):
    path = tmp_path / "sts.tsv"
    path.write_text("x\tx\tx\tx\t3.2\t甲\t乙\n", encoding="gb18030")
    assert read_scored_pairs(path, (5, 6, 4), "gb18030") == [ScoredPair(("甲", "乙"), 3.2)]
    path = tmp_path / "own.tsv"
    path.write_text("label\ttext\ttext\n1\ta\tb\n")
    assert read_scored_pairs(path, (1, 2, 0)) == [ScoredPair(("a", "b"), 1.0)]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.tsv", "", "it has no pairs"),
        ("a.tsv", "text_a\ttext_b\tlabel\n", "it has no pairs"),
        ("a.tsv", "a\tb\t1\nc\td\n", r"a\.tsv, line 2: 2 columns"),
        ("a.tsv", "a\tb\t1\t2\n", "line 1: 4 columns"),
        ("a.tsv", "a\tb\tyes\nc\td\t1\n", "line 1: 'yes' is no number"),
        ("a.tsv", "a\tb\t1\nc\td\t1_0\n", "line 2: '1_0' is no number"),
        ("a.tsv", "a\t \t1\n", "line 1: an empty text"),
        ("a.json", '{"sentence1": "a", "label": 1}', "none of the keys sentence2"),
        ("a.json", '{"sentence1": "a", "sentence2": 3, "label": 1}', "an empty text, or none"),
        ("a.json", '{"sentence1": "a", "sentence2": "b", "label": true}', "True is no number"),
    ],
)
def test_other_files_are_named(tmp_path, name, content, message):
    (tmp_path / name).write_text(content)
    with pytest.raises(DataFileError, match=message):
        read_scored_pairs(tmp_path / name)


def test_numbers_beyond_all_measure(tmp_path):
    rows = [{"text1": "a", "text2": "b", "score": 10**400}]
    (tmp_path / "a.json").write_text(json.dumps(rows))
    with pytest.raises(DataFileError, match="is no number"):
        read_scored_pairs(tmp_path / "a.json")
