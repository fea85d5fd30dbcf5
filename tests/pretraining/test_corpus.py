"""Files of every kind give their documents; what is no text gives one clear error."""

from __future__ import annotations

import gzip
import json
import lzma

import pytest

from bert4keras.data import DataFileError, text_blocks
from bert4keras.pretraining import PretrainingCorpus
from bert4keras.pretraining.corpus import LONGEST_TEXT, divided

pytestmark = pytest.mark.spread


def test_every_kind_of_file(tmp_path):
    (tmp_path / "a.txt").write_text("one\ntwo\n\n \nthree\r\n\r\nfour", encoding="utf-8")
    rows = "".join(json.dumps({"text": t}) + "\n" for t in ("five", "", "six\u2028six"))
    (tmp_path / "b.jsonl.gz").write_bytes(gzip.compress(rows.encode()))
    (tmp_path / "c.csv.xz").write_bytes(lzma.compress(b'id,text\n1,"seven,\n\n7"\n2,eight\n'))
    (tmp_path / "d.tsv").write_text('text\tid\nni"ne\t1\n', encoding="utf-8")
    (tmp_path / ".hidden").write_bytes(b"\0")
    wanted = ["one\ntwo", "three", "four", "five", "six\u2028six", "seven,\n\n7", "eight", 'ni"ne']
    corpus = PretrainingCorpus(tmp_path)
    assert [text.strip() for text in corpus.texts()] == wanted
    lines = PretrainingCorpus(tmp_path / "a.txt", documents="lines")
    assert [text.strip() for text in lines.texts()] == ["one", "two", "three", "four"]
    assert len(list(PretrainingCorpus(tmp_path / "a.txt", documents="files").texts())) == 1
    assert corpus.fingerprint()[0] == ["a.txt", 24]


def test_parquet(tmp_path):
    pyarrow = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    parquet.write_table(pyarrow.table({"body": ["one", None, "two"]}), tmp_path / "a.parquet")
    assert list(PretrainingCorpus(tmp_path, text_column="body").texts()) == ["one", "two"]
    with pytest.raises(DataFileError, match=r"a\.parquet cannot be read: no column 'text': body"):
        list(PretrainingCorpus(tmp_path).texts())
    (tmp_path / "a.parquet").write_bytes(b"PAR1")
    with pytest.raises(DataFileError, match=r"a\.parquet cannot be read: "):
        list(PretrainingCorpus(tmp_path).texts())


def test_order_and_held_out_texts(tmp_path):
    for name in "abc":
        text = "\n".join(f"{name}{n}" for n in range(300))
        (tmp_path / name).write_text(text, encoding="utf-8")
    corpus = PretrainingCorpus(tmp_path, "lines", held_out=0.2)
    plain, first = list(corpus.texts()), list(corpus.texts("1", buffer=60))
    assert sorted(first) == sorted(plain) != first
    assert first == list(corpus.texts("1", buffer=60)) != list(corpus.texts("2", buffer=60))
    assert {text[0] for text in first[:40]} == {*"abc"}  # several files at the same time
    held = list(PretrainingCorpus(tmp_path, "lines", held_out=0.2, part="held_out").texts())
    assert len(plain) + len(held) == 900
    assert not {*plain} & {*held}
    assert 100 < len(held) < 260


def test_a_text_longer_than_memory_comes_in_pieces(tmp_path):
    text = "word " * (LONGEST_TEXT // 2)
    (tmp_path / "a.txt").write_text(text, encoding="utf-8")
    for documents in ("paragraphs", "lines", "files"):
        pieces = list(PretrainingCorpus(tmp_path / "a.txt", documents).texts())
        assert "".join(pieces) == text
        assert len(pieces) == 3
        assert all(piece.endswith("word ") for piece in pieces)
    assert [len(piece) for piece in divided("x" * (LONGEST_TEXT + 1))] == [LONGEST_TEXT, 1]


def test_all_parts_of_a_document_are_held_out_or_none(tmp_path, monkeypatch):
    """Long paragraphs, which are divided before their end is known; short ones between them."""
    monkeypatch.setattr(text_blocks, "_BLOCK", LONGEST_TEXT)
    texts = []
    for n in range(24):
        long = " ".join(f"long{n}-{k}" for k in range(LONGEST_TEXT // 3))
        texts += [long, f"short{n}- a b"]
    (tmp_path / "a.txt").write_text("\n\n".join(texts), encoding="utf-8")
    found = {
        part: list(PretrainingCorpus(tmp_path, held_out=0.4, part=part).texts())
        for part in ("train", "held_out")
    }
    names = {part: {text.split("-")[0] for text in texts} for part, texts in found.items()}
    assert names["train"] & names["held_out"] == set()
    assert len(names["train"] | names["held_out"]) == 48
    assert sum(name.startswith("long") for name in names["held_out"]) > 3
    assert sum(name.startswith("short") for name in names["held_out"]) > 3
    assert sum(map(len, found["held_out"])) > 3 * LONGEST_TEXT
    assert {type(text) for text in found["train"]} == {str}


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.bin", b"\x00\x01", "line 1: a NUL character: this is no text"),
        ("a.txt", b"ok\n\xff", "line 2: byte 0xff is not UTF-8"),
        ("a.jsonl", b'{"text": "x"}\n{"body": "x"}', "line 2: no text under the key 'text': body"),
        ("a.jsonl", b"[1]", "line 1: an array; a corpus has one JSON object in each line"),
        ("a.csv", b"id\n1\n", "line 1: no column 'text' in the header: id"),
        ("a.csv", b"id,text\n1\n", "line 2: 1 cells, but the header has 2"),
        ("a.csv", b'text\n"x', r"line 2: unexpected end of data \(fields are quoted\)"),
    ],
)
def test_bad_files(tmp_path, name, content, message):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DataFileError, match=message):
        list(PretrainingCorpus(tmp_path / name).texts())


def test_errors(tmp_path, monkeypatch):
    with pytest.raises(ValueError, match="documents must be one of paragraphs, lines, files"):
        PretrainingCorpus(tmp_path, "pages")
    with pytest.raises(ValueError, match="held_out must lie between 0 and 1, not 1"):
        PretrainingCorpus(tmp_path, held_out=1)
    with pytest.raises(ValueError, match=r"the corpus has no files: .* was given"):
        PretrainingCorpus(tmp_path)
    with pytest.raises(DataFileError, match="no such file or directory"):
        PretrainingCorpus(tmp_path / "absent")
    monkeypatch.setattr("bert4keras.pretraining.corpus._MAX_LINE", 3)
    (tmp_path / "a.jsonl").write_text("12345", encoding="utf-8")
    with pytest.raises(DataFileError, match="line 1: longer than 3 characters"):
        list(PretrainingCorpus(tmp_path).texts())
    (tmp_path / "a.jsonl").rename(tmp_path / "a.parquet")
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(ModuleNotFoundError, match="need pyarrow: pip install pyarrow"):
        list(PretrainingCorpus(tmp_path).texts())
