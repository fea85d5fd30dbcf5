"""Columns of tokens and tags in the forms in which they are met, and texts with labels."""

from __future__ import annotations

import importlib
import json
import time
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"


@pytest.fixture
def example(monkeypatch):
    """Imports a module of the examples."""
    monkeypatch.syspath_prepend(str(EXAMPLES))
    return importlib.import_module


@pytest.fixture
def read(example, tmp_path):
    """Reads a content as columns; returns for each text its parts that are entities."""

    def reader(content, name="train.txt", **how):
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        rows = example("entities").read(path, **how)
        for text, entities, words in rows:
            for start, end in words or ():
                assert text[start:end].strip(" ") == text[start:end] != ""
            assert entities == sorted(entities)
        return [(r.text, [(r.text[a:b], label) for a, b, label in r.entities]) for r in rows]

    return reader


NEW_YORK = [("I like New York", [("New York", "LOC")])]
BEIJING = [("他去北京大学", [("北京大学", "ORG")])]


@pytest.mark.parametrize(
    "content",
    [
        "I\tO\nlike\tO\nNew York\tB-LOC\n",
        "\ufeffI\tO\r\nlike\tO\r\nNew York \tB-LOC \r\n",
        "I O\nlike O\nNew B-LOC\nYork I-LOC",
        "I  O\nlike O\nNew   B-LOC\nYork I-LOC \n\n\n",
        "I\tPRP\tO\nlike\tVB\tO\nNew York\tNNP NNP\tB-LOC",
        "-DOCSTART- -X- -X- O\n\nI\tO\nlike\tO\nNew\tB-LOC\nYork\tL-LOC",
        "-DOCSTART-\tO\n\nI\tO\nlike\tO\nNew\tB_LOC\nYork\tE_LOC",
        "token\ttag\nI\tO\nlike\tO\nNew\tLOC-B\nYork\tLOC-I",
        "# id 7\tdomain=en\nI\tO\nlike\tO\nNew\tb-LOC\nYork\ti-LOC",
        "# newdoc\n# text = I like New York\nI O\nlike O\nNew B-LOC\nYork I-LOC",
        '"I"\t"O"\n"like"\t"O"\n"New York"\t"B-LOC"',
    ],
)
def test_words(read, content):
    assert read(content) == NEW_YORK


def test_words_with_commas(read):
    assert read("word,tag\nI,O\nlike,O\nNew York,S-LOC\n,\n", "train.csv") == NEW_YORK
    assert read('a,O\n",",O\nb,B-X\n', "train.csv") == [("a , b", [("b", "X")])]


@pytest.mark.parametrize(
    "content",
    [
        "他 O\n去 O\n北 B-ORG\n京 I-ORG\n大 I-ORG\n学 I-ORG",
        "他\tO\n去\tO\n北\tB-ORG\n京\tM-ORG\n大\tM-ORG\n学\tE-ORG",
        "他0\tO\n去0\tO\n北0\tB-ORG\n京1\tI-ORG\n大2\tI-ORG\n学3\tI-ORG",  # Weibo NER
        "他1 O\n去1 O\n北1 B-ORG\n京2 I-ORG\n大1 I-ORG\n学2 I-ORG",
        "他\tO\n去\tO\n北京\tB-ORG\n大学\tI-ORG",
    ],
)
def test_chinese_is_joined(read, content):
    assert read(content) == BEIJING


@pytest.mark.parametrize(
    ("content", "text", "entity"),
    [
        ("我 O\n爱 O\nNew B-L\nYork I-L\n的 O\n秋 O", "我爱New York的秋", "New York"),
        ("我 O\nC B-X\nS I-X\nO I-X\nL I-X\n2 I-X\n0 I-X\n好 O", "我CSOL20好", "CSOL20"),
        (
            "我们 O\n爱 O\nNew B-L\nYork I-L\n的 O\n秋天 O\n。 O",
            "我们爱New York的秋天。",
            "New York",
        ),
        ("“ O\niPhone B-X\n” O\n好 O", "“iPhone”好", "iPhone"),
        ("a O\nb B-X\nc O", "a b c", "b"),
        ("A0 B-X\nB1 O", "A0 B1", "A0"),  # no position: there is no character of Chinese
        ("第1 B-X\n名 O", "第1名", "第1"),  # nor here, where 名 has none
        ("\u3000\tO\n北\tB-X\n京\tI-X", "\u3000北京", "北京"),
        (" \tO\n北\tB-X\n京\tI-X", " 北京", "北京"),
        ("a\u2028b\tB-X\nc\x85\tO", "a\u2028b c\x85", "a\u2028b"),
        ('"\tO\nYes\tB-X\n"\tO', '" Yes "', "Yes"),
        ("# O\nfun B-X", "# fun", "fun"),
        ("1 B-X\n2 O", "1 2", "1"),
    ],
)
def test_mixed_texts(read, content, text, entity):
    assert [(found, [e for e, _ in marked]) for found, marked in read(content)] == [
        (text, [entity])
    ]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("I\tO\nlike O\n", r"line 2: expected a token and its tag, not \['like O'\]"),
        ("I\tO\nyou\tPRP\tO\n", "line 2: 3 columns parted by tabs, where line 1 has 2"),
        ("\nI O\nNew York B-LOC\n", "line 3: 3 columns parted by blanks, where line 2 has 2"),
        ("a\tb c O\n", "line 1: 'b c O' is not a tag"),
        ("good text\tbad\nI\tO", "line 1: 'bad' is not a tag"),
        ("I\t\n", "line 1: expected a token and its tag"),
        ("a\tO\n\tO\n", "line 2: expected a token and its tag"),
        ("a\tO\n\nb\tB-X\nc\tI-x\n", "line 4: the type of 'I-x' is written 'X' elsewhere"),
        ("a\tB-X\nb\tI-X\nc\tM-X\n", "line 3: 'I-X' and 'M-X' are of different schemes"),
        ("a\tB-I\nb\tI-I\n", "line 1: 'B-I' may be"),
        ("a\tO\nb\t0\n", "line 2: '0' is not a tag"),
        ("科0 O\n技1 O\n" * 12 + "院 O\n", "line 25: tokens seem to have their positions"),
        ("科0 O\n技1 O\n" * 12 + "院2 O\n学7 O\n", "line 26: tokens seem to have their positions"),
        ("科2 O\n技3 O\n" * 12, "line 1: tokens seem to have their positions"),
        (
            "1\tEU\tB-X\n2\tis\tO\n3\tit\tO\n\n1\tNo\tO\n",
            "line 1: the first column has the numbers",
        ),
        ("0 EU B-X\n1 is O\n2 it O\n", "line 1: the first column has the numbers"),
        ("科 O".encode("gbk"), "line 1: byte 0xbf is not UTF-8.*-f GB18030"),
        ("a O\nb\0 O", "line 2: a NUL"),
        ("# only a comment\n", "expected a token|no sentence"),
    ],
)
def test_what_cannot_be_read_is_named(read, content, message):
    with pytest.raises(SystemExit, match=message):
        read(content)


def test_a_scheme_that_is_given(read, capsys):
    assert read("a\tB-S\nb\tI-S\n", scheme="BIO") == [("a b", [("a b", "S")])]
    assert read("a\tB-X\nb\tL-X\nc U-X".replace(" ", "\t"), scheme="BILOU")[0][1] == [
        ("a b", "X"),
        ("c", "X"),
    ]
    with pytest.raises(SystemExit, match="line 2: 'I-X' breaks the rules of BIO"):
        read("a\tO\nb\tI-X\n", scheme="BIO")
    assert read("a\tO\nb\tI-X\n", scheme="IOB1")[0][1] == [("b", "X")]
    with pytest.raises(SystemExit, match="line 1: 'S-X' is not a tag of BIO"):
        read("a\tS-X\n", scheme="BIO")
    assert capsys.readouterr().out == ""


def test_tags_that_break_the_rules_are_counted(read, capsys):
    assert read("a\tB-X\nb\tO\nc\tI-X\nd\tB-X\n\ne\tB-X")[0][1] == [
        ("a", "X"),
        ("c", "X"),
        ("d", "X"),
    ]
    out = capsys.readouterr().out
    assert "train.txt: 1 of 7 tags, the first in line 3:" in out
    assert "'I-X' breaks the rules of BIO" in out
    read("a\tI-X\nb\tB-X\n\nc\tI-X")  # IOB1 breaks none
    read("a\tB-X\nb\tE-X\n\nc\tS-X")
    assert capsys.readouterr().out == ""
    read("a\tB-X\nb\tM-X\n\nc\tS-X")  # cut off
    assert "1 of 5 tags, the first in line 2" in capsys.readouterr().out


def test_a_long_sentence_takes_no_time(read, capsys):
    started = time.perf_counter()
    ((text, entities),) = read("字 B-X\n" * 100_000)
    assert len(text) == len(entities) == 100_000
    expected = "line 1: a sentence of 100000 tokens; empty lines are what ends one"
    assert expected in capsys.readouterr().out
    assert time.perf_counter() - started < 20


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ('{"text": "他去", "label": {"L": {"他": [[0, 1]]}}}', "'他' is not what stands at"),
        ('{"text": "他去", "entities": [[0, 1.0, "L"]]}', "is not two whole numbers and a text"),
        ('{"text": "他去", "entities": [[false, 1, "L"]]}', "is not two whole numbers and a text"),
        ('{"text": "他去", "entities": [[0, 1, null]]}', "is not two whole numbers and a text"),
        ('{"text": ["他", "去"], "entities": [[0, 1, "L"]]}', "text is no string"),
        ('{"text": "他去", "text": "去他", "entities": []}', "the key 'text' occurs twice"),
        ('{"text": "\\ud83d", "entities": []}', "half of a surrogate pair"),
    ],
)
def test_wrong_json(read, rows, message):
    for content in (rows, f"[{rows}]", f"\ufeff\n{rows}\r\n"):
        with pytest.raises(SystemExit, match=message):
            read(content)


def test_an_array_of_json(read):
    rows = [{"text": "他去", "entities": [[1, 2, "L"]]}, {"text": "他", "entities": []}]
    wanted = [("他去", [("去", "L")]), ("他", [])]
    assert read(json.dumps(rows)) == read(json.dumps(rows, indent=1)) == wanted
    assert read("\ufeff" + "\r\n".join(map(json.dumps, rows))) == wanted
    assert read("[ O\n{ O\n] B-X") == [("[ { ]", [("]", "X")])]  # columns nevertheless


@pytest.mark.parametrize(
    ("content", "header", "rows"),
    [
        ("\ufeffgood\t1\nbad\t0\n", None, [("good", 1), ("bad", 0)]),
        ("text\tlabel\r\ngood\t1\r\n", None, [("good", 1)]),
        ("文本\t标签\ngood\t1", None, [("good", 1)]),
        ("spam\teggs\ngood\t1", True, [("good", 1)]),
        ("so\u2028good\x85!\t1", None, [("so\u2028good\x85!", 1)]),
        ('"so ""good"""\t1\nbad\t0', None, [('so "good"', 1), ("bad", 0)]),
    ],
)
def test_texts_with_labels(example, tmp_path, content, header, rows):
    (tmp_path / "a.tsv").write_bytes(content.encode())
    assert example("common").read_tsv(tmp_path / "a.tsv", (0, 1), header=header) == rows


@pytest.mark.parametrize(
    ("content", "how", "message"),
    [
        ("good 1\nbad\t0\n", {}, "line 1: .*too few columns.*a header must have names such as"),
        ("good\tyes\nbad\t0\n", {}, "line 1: .*'yes' is no number.*a header must"),
        ("text\tlabel\nbad\t0\n", {"header": False}, "line 1: .*'label' is no number"),
        ("good\t1\n\t0\n", {}, "line 2: .*an empty text"),
        ("good\t1_000\n", {}, "line 1: .*'1_000' is no number"),
        ("good\t-1\n", {}, "classes are numbers from 0 to 99999"),
        ("good\t100000\n", {}, "classes are numbers from 0"),
        ("good\t" + "9" * 5000, {}, "is no number"),
        ("good\tnan\n", {"number": float}, "'nan' is no number"),
        ("good\t1e999\n", {"number": float}, "'1e999' is not finite"),
        ("good\t1/0\n", {"number": "Fraction"}, "Fraction"),
        ("good\t1e999999999\n", {"number": "Fraction"}, "is no number"),
    ],
)
def test_labels_that_are_none(example, tmp_path, content, how, message):
    if how.get("number") == "Fraction":
        how = {"number": importlib.import_module("fractions").Fraction}
    (tmp_path / "a.tsv").write_text(content, encoding="utf-8")
    with pytest.raises(SystemExit, match=message):
        example("common").read_tsv(tmp_path / "a.tsv", (0, 1), **how)


def test_tables_of_texts(example, tmp_path):
    read, path = example("task_multilabel_classification").read, tmp_path / "a.tsv"
    path.write_bytes("\ufefftitle\ttext\r\na\u2028b\tc\r\n".encode())
    ((title, text),) = read(path)
    assert (title, *text) == ("a\u2028b", "c")
    for content, message in (("a\n", "line 1: expected"), ("", "has no rows")):
        path.write_text(content, encoding="utf-8")
        with pytest.raises(SystemExit, match=message):
            read(path)


def test_problems_and_passages(example, tmp_path):
    path, common = tmp_path / "a.jsonl", example("common")
    path.write_text('\ufeff{"a": 1, "b": 2}\n{"a": 1}\n', encoding="utf-8")
    with pytest.raises(SystemExit, match="line 2: no 'b', or another kind of it, in"):
        common.json_rows(path, "a", "b")
    assert common.json_rows(path, "a") == [(1,), (1,)]
    with pytest.raises(SystemExit, match="line 1: no 'a', or another kind of it, in"):
        common.json_rows(path, "a", kind=str)


def test_labels_in_two_spellings(example, tmp_path):
    path, row = tmp_path / "a.json", {"text": "他去", "entities": [[0, 1, "P"], [1, 2, "p"]]}
    path.write_text(json.dumps(row), encoding="utf-8")
    with pytest.raises(SystemExit, match="the label 'p' is also written 'P'"):
        example("entities").read(path)


def test_texts_without_words(example, tmp_path):
    read, path = example("task_cws_crf").read, tmp_path / "a.txt"
    for content, message in (
        ("我爱北京\n你好\n", "no blanks between words"),
        ("我/r 爱/v 北京/ns\n", "has tags behind its words"),
        ("", "has no words"),
    ):
        path.write_text(content, encoding="utf-8")
        with pytest.raises(SystemExit, match=message):
            read(path)
    path.write_bytes("\ufeff我  爱\u3000北京\r\n".encode())
    assert read(path)[0].text == "我爱北京"
