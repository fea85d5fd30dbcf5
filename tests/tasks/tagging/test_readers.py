"""Files of entities and words in the forms in which they are met."""

from __future__ import annotations

import json
import lzma
import time

import pytest

from bert4keras.data import DataFileError
from bert4keras.tasks.tagging import read_columns, read_conllu, read_entities, read_segmented

pytestmark = pytest.mark.spread


@pytest.fixture
def read(tmp_path):
    """Reads a content; returns for each text its parts that are entities."""

    def reader(content, name="train.txt", **how):
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        rows = read_entities(path, **how)
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
        ("I\tO\nyou\tPRP\tO\n", "line 2: 3 columns separated by tabs, but line 1 has 2"),
        ("\nI O\nNew York B-LOC\n", "line 3: 3 columns separated by blanks, but line 2 has 2"),
        ("a\tb c O\n", "line 1: 'b c O' is not a tag"),
        ("good text\tbad\nI\tO", "line 1: 'bad' is not a tag"),
        ("I\t\n", "line 1: expected a token and its tag"),
        ("a\tO\n\tO\n", "line 2: expected a token and its tag"),
        ("a\tO\n\nb\tB-X\nc\tI-x\n", "line 4: the type of 'I-x' is written 'X' elsewhere"),
        ("a\tB-X\nb\tI-X\nc\tM-X\n", "line 3: 'I-X' and 'M-X' belong to different schemes"),
        ("a\tB-I\nb\tI-I\n", "line 1: 'B-I' may be"),
        ("a\tO\nb\t0\n", "line 2: '0' is not a tag"),
        ("科0 O\n技1 O\n" * 12 + "院 O\n", "line 25: other tokens are followed by"),
        (
            "科0 O\n技1 O\n" * 12 + "院2 O\n学7 O\n",
            "line 26: other tokens are followed by",
        ),
        ("科2 O\n技3 O\n" * 12, "line 1: other tokens are followed by"),
        (
            "1\tEU\tB-X\n2\tis\tO\n3\tit\tO\n\n1\tNo\tO\n",
            "line 1: the first column has row numbers",
        ),
        ("0 EU B-X\n1 is O\n2 it O\n", "line 1: the first column has row numbers"),
        ("科 O".encode("gbk"), "line 1: byte 0xbf is not UTF-8.*-f GB18030"),
        ("a O\nb\0 O", "line 2: a NUL"),
        ("# only a comment\n", "expected a token|no sentences"),
    ],
)
def test_what_cannot_be_read_is_named(read, content, message):
    with pytest.raises(DataFileError, match=message):
        read(content)


def test_a_scheme_that_is_given(read):
    assert read("a\tB-S\nb\tI-S\n", scheme="BIO") == [("a b", [("a b", "S")])]
    assert read("a\tB-X\nb\tL-X\nc U-X".replace(" ", "\t"), scheme="BILOU")[0][1] == [
        ("a b", "X"),
        ("c", "X"),
    ]
    with pytest.raises(DataFileError, match="line 2: 'I-X' breaks the rules of BIO"):
        read("a\tO\nb\tI-X\n", scheme="BIO")
    assert read("a\tO\nb\tI-X\n", scheme="IOB1")[0][1] == [("b", "X")]
    with pytest.raises(DataFileError, match="line 1: 'S-X' is not a tag of BIO"):
        read("a\tS-X\n", scheme="BIO")


def test_tags_that_break_the_rules_are_counted(read):
    message = "train.txt: 1 of 7 tags, the first in line 3: 'I-X' breaks the rules of BIO"
    with pytest.warns(UserWarning, match=message):
        rows = read("a\tB-X\nb\tO\nc\tI-X\nd\tB-X\n\ne\tB-X")
    assert rows[0][1] == [("a", "X"), ("c", "X"), ("d", "X")]
    read("a\tI-X\nb\tB-X\n\nc\tI-X")  # IOB1 breaks none
    read("a\tB-X\nb\tE-X\n\nc\tS-X")
    with pytest.warns(UserWarning, match="1 of 5 tags, the first in line 2"):
        read("a\tB-X\nb\tM-X\n\nc\tS-X")  # cut off


def test_a_long_sentence_takes_no_time(read):
    started = time.perf_counter()
    with pytest.warns(UserWarning, match="line 1: a sentence of 100000 tokens; an empty line must"):
        ((text, entities),) = read("字 B-X\n" * 100_000)
    assert len(text) == len(entities) == 100_000
    assert time.perf_counter() - started < 20


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ('{"text": "他去", "label": {"L": {"他": [[0, 1]]}}}', "is not '他'"),
        ('{"text": "他去", "entities": [[0, 1.0, "L"]]}', "is not two integers and a string"),
        ('{"text": "他去", "entities": [[false, 1, "L"]]}', "is not two integers and a string"),
        ('{"text": "他去", "entities": [[0, 1, null]]}', "is not two integers and a string"),
        ('{"text": ["他", "去"], "entities": [[0, 1, "L"]]}', "text is not a string"),
        ('{"text": "他去", "text": "去他", "entities": []}', "the key 'text' occurs twice"),
        ('{"text": "\\ud83d", "entities": []}', "half of a surrogate pair"),
    ],
)
def test_wrong_json(read, rows, message):
    for content in (rows, f"[{rows}]", f"\ufeff\n{rows}\r\n"):
        with pytest.raises(DataFileError, match=message):
            read(content)


def test_an_array_of_json(read):
    rows = [{"text": "他去", "entities": [[1, 2, "L"]]}, {"text": "他", "entities": []}]
    wanted = [("他去", [("去", "L")]), ("他", [])]
    assert read(json.dumps(rows)) == read(json.dumps(rows, indent=1)) == wanted
    assert read("\ufeff" + "\r\n".join(map(json.dumps, rows))) == wanted
    assert read("[ O\n{ O\n] B-X") == [("[ { ]", [("]", "X")])]  # columns nevertheless


def test_an_encoding_that_is_given(read):
    content = "北 B-X\n京 I-X\n".encode("gb18030")
    assert read(content, encoding="gb18030") == [("北京", [("北京", "X")])]


COLUMNS = """-DOCSTART- -X- O O

U.N. NNP I-NP I-ORG
official NN I-NP O
Ekeus NNP I-NP I-PER

Paris NNP I-NP I-LOC
London NNP I-NP B-LOC
"""
CLUENER = {"text": "他去北京大学", "label": {"organization": {"北京大学": [[2, 5]]}}}
SHIPPED = {"text": "他去北京大学", "entities": [[2, 6, "organization"]]}
CHARACTERS = (
    "他\tO\n去\tO\n北\tB-organization\n京\tM-organization\n大\tM-organization\n学\tE-organization"
)


@pytest.mark.parametrize("suffix", ["", ".xz"])
@pytest.mark.parametrize(
    "content", [json.dumps(CLUENER), json.dumps(SHIPPED, ensure_ascii=False), CHARACTERS]
)
def test_formats_of_the_same_sentence(tmp_path, content, suffix):
    path = tmp_path / f"train.json{suffix}"
    content = content.encode("utf-8")
    path.write_bytes(lzma.compress(content) if suffix else content)
    (row,) = read_entities(path)
    assert row == ("他去北京大学", [(2, 6, "organization")], None)


def test_words_of_conll(tmp_path):
    (tmp_path / "eng").write_text(COLUMNS, encoding="utf-8")
    first, second = read_entities(tmp_path / "eng")
    assert read_columns(tmp_path / "eng", "IOB1") == [first, second]
    assert first.text == "U.N. official Ekeus"
    assert [first.text[a:b] for a, b in first.words] == ["U.N.", "official", "Ekeus"]
    assert first.entities == [(0, 4, "ORG"), (14, 19, "PER")]
    assert second.entities == [(0, 5, "LOC"), (6, 12, "LOC")]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("他 O\n去 X\n", "line 2: 'X' is not a tag"),
        ("他 O\nB-X\n", "line 2: expected a token and its tag"),
        ('{"text": "他"}', "line 1: .* cannot be read: 'label'"),
        ('\n{"text": "他", "entities": [[0, 2, "P"]]}', "line 2: .*is not within the text"),
        ('{"text": "他", "entities": [[0', "line 1"),
        ('{"text": "ab", "entities": [[0, 1, "P"], [1, 2, "p"]]}', "'p' is also written 'P'"),
        ("\n\n", "has no sentences"),
        ("", "has no sentences"),
    ],
)
def test_a_bad_file_is_named(tmp_path, content, message):
    (tmp_path / "bad").write_text(content, encoding="utf-8")
    with pytest.raises(DataFileError, match=rf"bad.*{message}"):
        read_entities(tmp_path / "bad")


def test_words_between_blanks(tmp_path):
    path = tmp_path / "pku"
    path.write_bytes("\ufeff我  爱\u3000北京\r\n\r\n好\r\n".encode())
    rows = read_segmented(path)
    assert rows == [
        ("我爱北京", [(0, 1, ""), (1, 2, ""), (2, 4, "")], None),
        ("好", [(0, 1, "")], None),
    ]
    path.write_bytes("我  爱  北京\n".encode("gb18030"))
    assert read_segmented(path, encoding="gb18030") == rows[:1]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("我爱北京\n你好\n", "no blanks between words"),
        ("我/r 爱/v 北京/ns\n", "has tags after its words"),
        ("", "has no words"),
    ],
)
def test_texts_without_words(tmp_path, content, message):
    (tmp_path / "a.txt").write_text(content, encoding="utf-8")
    with pytest.raises(DataFileError, match=rf"a\.txt.*{message}"):
        read_segmented(tmp_path / "a.txt")


def conllu(*rows):
    """Lines of ten columns: id, form, UPOS, XPOS, MISC of each."""
    cells = [[a, form, "_", upos, xpos, *["_"] * 4, misc] for a, form, upos, xpos, misc in rows]
    return "".join("\t".join(row) + "\n" for row in cells)


def test_conllu(tmp_path):
    path = tmp_path / "a.conllu"
    rows = conllu(
        ("1-2", "zum", "_", "_", "_"),
        ("1", "zu", "ADP", "APPR", "_"),
        ("2", "dem", "DET", "ART", "_"),
        ("2.1", "x", "X", "X", "_"),
        ("3", "Haus", "NOUN", "NN", "SpaceAfter=No|x"),
        ("4", ".", "PUNCT", "$.", "_"),
    )
    path.write_text(f"# text = zum Haus.\n{rows}\n", encoding="utf-8")
    (row,) = read_conllu(path)
    assert row.text == "zum Haus."
    assert row.entities == [(0, 3, "ADP"), (4, 8, "NOUN"), (8, 9, "PUNCT")]
    assert row.words == [(0, 3), (4, 8), (8, 9)]
    assert [label for _, _, label in read_conllu(path, "XPOS")[0].entities] == ["APPR", "NN", "$."]
    assert {label for _, _, label in read_conllu(path, None)[0].entities} == {""}
    with pytest.raises(ValueError, match="column='LEMMA' must be \"UPOS\""):
        read_conllu(path, "LEMMA")
    for content, message in (
        ("1 a b\n", "line 1: expected ten columns"),
        ("# a\n", "no sentences"),
    ):
        path.write_text(content, encoding="utf-8")
        with pytest.raises(DataFileError, match=message):
            read_conllu(path)
