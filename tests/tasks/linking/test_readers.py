"""Readers of knowledge bases, linked texts, AIDA-CoNLL and word vectors; what they refuse."""

from __future__ import annotations

import json
import lzma
import math
from pathlib import Path

import pytest

from bert4keras.data import DataFileError
from bert4keras.tasks.linking import (
    Document,
    KnowledgeBase,
    KnowledgeBaseEntity,
    Link,
    LinkedText,
    Mention,
    read_aida,
    read_knowledge_base,
    read_linked_texts,
    read_word_vectors,
    write_knowledge_base,
)
from bert4keras.tasks.linking.readers import read_conll_documents

pytestmark = pytest.mark.spread
DATA = Path(__file__).resolve().parents[3] / "examples" / "datasets" / "knowledge_base"
SONG = {
    "subject_id": 7,
    "subject": "《北京》",
    "alias": ["北京", "《北京》", " "],
    "data": [
        {"predicate": "摘要", "object": "很长的摘要"},
        {"predicate": "类型", "object": "歌曲"},
    ],
}
CITY = {"subject_id": "8", "subject": "北京市", "alias": ["北京", "京"], "data": []}
TEXT = {
    "text": "他在北京唱《北京》",
    "mention_data": [
        {"mention": "北京", "offset": "2", "kb_id": "8"},
        {"mention": "北京", "offset": 6, "kb_id": "NIL"},
    ],
}
CONLL = """-DOCSTART- -X- O O

SOCCER NN I-NP O
. . O O

Japan NNP I-NP I-LOC
beat VBD I-VP O
New NNP I-NP I-LOC
York NNP I-NP I-LOC

-DOCSTART- -X- O O

Oslo NNP I-NP I-LOC
"""
NEW_YORK = {
    "span": [1, 2, 4],
    "gold": "New_York",
    "cands": [["York", 8, 1, "GPE"], ["New_York", 1, 1, "GPE"]],
}
AIDA = [
    {
        "doc": 1,
        "split": "train",
        "mentions": [
            NEW_YORK,
            {"span": [1, 0, 1], "gold": None, "cands": []},
            {"span": None, "gold": "Japan", "cands": [["Japan", 1, 1, "GPE"]]},
            {"span": [1, 0, 1], "gold": "Japan", "cands": []},
        ],
    },
    {
        "doc": 3,
        "split": "testa",
        "mentions": [{"span": [0, 0, 1], "gold": "Oslo", "cands": [["Oslo", 0, 0, "GPE"]]}],
    },
]


def write(path: Path, *rows, encoding: str = "utf-8") -> Path:
    """A file of JSON objects, or of given lines, compressed if its name says so."""
    lines = [row if isinstance(row, str) else json.dumps(row, ensure_ascii=False) for row in rows]
    content = "\n".join(lines).encode(encoding)
    path.write_bytes(lzma.compress(content) if path.suffix == ".xz" else content)
    return path


def conll(directory: Path) -> Path:
    for split, content in (("train", CONLL), ("testa", CONLL[: CONLL.index("York")])):
        (directory / f"eng.{split}").write_text(content, encoding="utf-8")
    write(directory / "eng.testb.xz", CONLL)
    return directory


def test_the_shipped_data():
    """New names in every split, several entities a name, some of nothing in the base."""
    base = read_knowledge_base(DATA / "kb.jsonl")
    assert len(base) == 184
    texts = {part: read_linked_texts(DATA / f"{part}.jsonl") for part in ("train", "valid", "test")}
    assert [len(part) for part in texts.values()] == [700, 100, 200]
    names = {}
    for part, samples in texts.items():
        links = [(sample.text, link) for sample in samples for link in sample.links]
        names[part] = {text[link.start : link.end] for text, link in links}
        assert 0.08 < sum(link.entity is None for _, link in links) / len(links) < 0.25
        assert {link.entity for _, link in links} - {None} <= {entity.id for entity in base}
        # The names found are all of these, and more: common words.
        found = {(s.text, *m[:2]) for s in samples for m in base.find(s.text)}
        assert {(text, *link[:2]) for text, link in links} <= found
        assert 1.05 < len(found) / len(links) < 1.6
        for text, link in links:
            assert link.entity is None or link.entity in base.candidates(
                text[link.start : link.end]
            )
    assert not names["train"] & (names["valid"] | names["test"])
    assert not names["valid"] & names["test"]
    smaller, dropped = base.without_common_names(texts["train"])
    assert dropped == ["last year", "nobody"]
    assert not smaller.candidates("Nobody")
    assert base.candidates("Nobody")
    assert len(smaller) == len(base)


def test_a_knowledge_base_of_ccks(tmp_path):
    base = read_knowledge_base(write(tmp_path / "kb.json.xz", SONG, "", CITY))
    # The abstract comes last: it may be cut.
    assert list(base) == [
        KnowledgeBaseEntity(
            "7", "《北京》", ("《北京》", "北京"), (("类型", "歌曲"),), "摘要: 很长的摘要"
        ),
        KnowledgeBaseEntity("8", "北京市", ("北京市", "北京", "京")),
    ]
    assert base["7"].text == "《北京》; 类型: 歌曲; 摘要: 很长的摘要"
    assert base["8"].text == "北京市"
    assert base.find("在北京") == [Mention(1, 3, ("7", "8"))]


def test_the_own_format_both_ways(tmp_path):
    base = read_knowledge_base(
        write(
            tmp_path / "kb.jsonl",
            {"id": 7, "name": "Paris", "facts": {"kind": "city"}, "description": "In France."},
            {"id": "x", "name": "Paris", "names": ["Paris", "Paris Hilton"]},
        )
    )
    assert list(base) == [
        KnowledgeBaseEntity("7", "Paris", ("Paris",), (("kind", "city"),), "In France."),
        KnowledgeBaseEntity("x", "Paris", ("Paris", "Paris Hilton")),
    ]
    write_knowledge_base(base, tmp_path / "again.jsonl")
    assert list(read_knowledge_base(tmp_path / "again.jsonl")) == list(base)
    rows = [
        {"text": "In Paris.", "links": [{"start": 3, "end": 8, "entity": 7}], "topic": "France"},
        {"text": "Oh", "links": [{"start": 0, "end": 2, "entity": None}]},
        {"text": "", "links": []},
    ]
    assert read_linked_texts(write(tmp_path / "texts.jsonl", *rows)) == [
        LinkedText(Document("In Paris.", "France"), (Link(3, 8, "7"),)),
        LinkedText("Oh", (Link(0, 2, None),)),
        LinkedText("", ()),
    ]


def test_texts_of_ccks(tmp_path):
    rows = [TEXT, {**TEXT, "mention_data": []}]
    wanted = [(TEXT["text"], (Link(2, 4, "8"), Link(6, 8, None))), (TEXT["text"], ())]
    assert read_linked_texts(write(tmp_path / "train.json", *rows)) == wanted
    path = write(tmp_path / "gb.json", *rows, encoding="gb18030")
    assert read_linked_texts(path, encoding="gb18030") == wanted
    with pytest.raises(DataFileError, match=r"gb\.json, line 1: byte"):
        read_linked_texts(path)


def test_sentences_of_aida(tmp_path):
    path = write(tmp_path / "aida.jsonl.xz", *AIDA)
    texts, base = read_aida(path, conll(tmp_path), "train")
    mention = Mention(
        11, 19, ("York", "New_York"), (math.log(9 / 11), math.log(2 / 11))
    )  # the others have no place, no gold entity or no candidate
    document = Document("Japan beat New York", "SOCCER .", (mention,))
    assert texts == [(document, (Link(11, 19, "New_York"),))]
    assert texts[0].text == document.text
    assert [entity.text for entity in base] == ["Japan", "New York", "Oslo", "York"]


def test_the_first_sentence_has_no_topic_and_documents_are_counted_through(tmp_path):
    write(tmp_path / "aida.jsonl", AIDA[0], {**AIDA[1], "doc": 2})
    ((document, links),), _ = read_aida(tmp_path / "aida.jsonl", conll(tmp_path), "testa")
    assert (document.text, document.topic, links) == ("Oslo", "", (Link(0, 4, "Oslo"),))
    write(tmp_path / "aida.jsonl", {**AIDA[1], "mentions": [NEW_YORK]})
    with pytest.raises(DataFileError, match="line 1: the document has no tokens"):
        read_aida(tmp_path / "aida.jsonl", tmp_path, "testa")  # it ends before that token


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([CITY, "{"], ", line 2: no JSON"),
        ([CITY, "[1]"], ", line 2: expected a JSON object"),
        ([{**SONG, "data": [{"predicate": "p"}]}], ", line 1: no 'object'"),
        ([{"subject_id": 1, "subject": "a"}], ", line 1: no 'alias'"),
        ([{**SONG, "alias": "北京"}], ", line 1: alias must be a list of names, not '北京'"),
        ([{"id": 1, "name": "a", "names": "a"}], ", line 1: names must be a list of strings"),
        ([{"id": 1, "name": 3}], ", line 1: name must be a string, not 3"),
        ([{"id": 1.5, "name": "a"}], ", line 1: id must be a string or an integer, not 1.5"),
        ([{"name": "a"}], ", line 1: no 'id'"),
        ([CITY, CITY], " cannot be read: the entity id '8' occurs twice"),
        ([], " cannot be read: a knowledge base needs at least one"),
    ],
)
def test_a_bad_knowledge_base_is_named(tmp_path, rows, message):
    with pytest.raises(DataFileError, match=rf"bad\.json{message}"):
        read_knowledge_base(write(tmp_path / "bad.json", *rows))


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (["{"], ", line 1: no JSON"),
        ([TEXT, {"text": "a"}], ", line 2: no 'mention_data'"),
        ([TEXT, {**TEXT, "mention_data": [{"mention": "北京"}]}], ", line 2: no 'offset'"),
        ([{**TEXT, "text": "北京"}], ", line 1: '北京' is not at 2 of '北京'"),
        (
            [{"text": "a", "mention_data": [{"mention": "a", "offset": "x", "kb_id": 1}]}],
            ", line 1: ",
        ),
        (
            [{"text": "abc", "mention_data": [{"mention": "c", "offset": -1, "kb_id": 1}]}],
            ", line 1: 'c' is not at -1",
        ),
        (
            [{"text": "abc", "mention_data": [{"mention": "", "offset": 1, "kb_id": 1}]}],
            ", line 1: '' is not at 1",
        ),
        (
            [{"text": "abc", "links": [{"start": 1, "end": 4, "entity": "1"}]}],
            ", line 1: a link from 1 to 4 in a text of 3 characters",
        ),
        ([{"text": 1, "links": []}], ", line 1: text must be a string"),
        ([], " cannot be read: it has no texts"),
        (None, " cannot be read: .*No such file"),
    ],
)
def test_a_bad_file_of_texts_is_named(tmp_path, rows, message):
    path = tmp_path / "bad.json"
    if rows is not None:
        write(path, *rows)
    with pytest.raises(DataFileError, match=rf"bad\.json{message}"):
        read_linked_texts(path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"doc": 9}, ", line 1: there is no document 9 of 5"),
        ({"doc": 0}, ", line 1: there is no document 0 of 5"),
        ({"mentions": [{"gold": "a", "cands": []}]}, ", line 1: no 'span'"),
        (
            {"mentions": [{"span": [5, 0, 1], "gold": "a", "cands": [["a", 1]]}]},
            ", line 1: the document has no tokens",
        ),
        ({"split": "dev"}, " cannot be read: it has no documents of train"),
    ],
)
def test_a_bad_file_of_aida_is_named(tmp_path, change, message):
    path = write(tmp_path / "bad.jsonl", {**AIDA[0], **change})
    with pytest.raises(DataFileError, match=rf"bad\.jsonl{message}"):
        read_aida(path, conll(tmp_path), "train")


def test_bad_conll_files_are_named(tmp_path):
    path = write(tmp_path / "aida.jsonl", *AIDA)
    with pytest.raises(DataFileError, match=r"it has no eng\.train or eng\.train\.xz"):
        read_aida(path, tmp_path, "train")
    (tmp_path / "eng.train").write_text("Oslo NNP\n", encoding="utf-8")
    with pytest.raises(DataFileError, match=r"eng\.train, line 1: .*-DOCSTART-"):
        read_conll_documents(tmp_path, "train")
    (tmp_path / "eng.train").unlink()
    for content in (b"no xz", b"", lzma.compress(b"cut off")[:-4]):
        (tmp_path / "eng.train.xz").write_bytes(content)
        with pytest.raises(DataFileError, match=r"eng\.train\.xz cannot be read"):
            read_conll_documents(tmp_path, "train")


def test_word_vectors(tmp_path):
    path = write(tmp_path / "v.txt.xz", "3 2", "北京 0.5 1", "北京大学 1 2", "rock 3 4", "rock 5 6")
    words, vectors = read_word_vectors(path)
    assert words == ["北京", "北京大学", "rock"]
    assert vectors.tolist() == [[0.5, 1], [1, 2], [3, 4]]
    assert vectors.dtype == "float32"
    path = tmp_path / "v.txt"
    path.write_bytes("\ufeff2 1\n\u2028a 1\r\nb 2\r\n".encode())  # a mark, Windows line ends
    assert read_word_vectors(path)[1].tolist() == [[1], [2]]
    path.write_text("a 1\nb 2\n", encoding="utf-8")  # no line of sizes
    assert read_word_vectors(path)[0] == ["a", "b"]


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (["a 1 2", "b 1"], ", line 2: 1 numbers for 'b'"),
        (["a 1 x"], ", line 1: could not convert"),
        (["a 1 nan"], ", line 1: a number of 'a' is not finite"),
        (["a 1 1e99"], ", line 1: a number of 'a' is not finite"),
        (["2 2", ""], " cannot be read: it has no words"),
        (["a 1 2", "b"], ", line 2: 0 numbers for 'b'"),
    ],
)
def test_bad_word_vectors_are_named(tmp_path, lines, message):
    with pytest.raises(DataFileError, match=rf"bad\.txt{message}"):
        read_word_vectors(write(tmp_path / "bad.txt", *lines))


def test_a_knowledge_base_in_memory():
    with pytest.raises(ValueError, match="needs at least one entity"):
        KnowledgeBase([])
    base = KnowledgeBase([KnowledgeBaseEntity("1", "a", ("a",))])
    assert ("1" in base, "2" in base, len(base)) == (True, False, 1)
    assert repr(base) == "KnowledgeBase(1 entities)"
