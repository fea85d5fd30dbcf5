"""Files of texts and pairs: formats, and errors that name file and line."""

from __future__ import annotations

import json
import lzma

import pytest

from bert4keras.data import DataFileError
from bert4keras.tasks.generation import TextPair, read_text_pairs, read_texts

pytestmark = pytest.mark.spread


def test_pairs_of_tables(tmp_path):
    path = tmp_path / "a.tsv"
    path.write_bytes("\ufefftitle\ttext\r\n题\t 文 \r\na\u2028b\tc\r\n".encode())
    assert read_text_pairs(path, (1, 0)) == [("文", "题"), ("c", "a\u2028b")]
    assert read_text_pairs(path)[0] == TextPair(source="题", target="文")
    path.write_bytes("题\t文\n".encode("gb18030"))
    assert read_text_pairs(path, encoding="gb18030") == [("题", "文")]
    with pytest.raises(DataFileError, match=r"a\.tsv, line 1"):
        read_text_pairs(path)
    packed = tmp_path / "a.tsv.xz"
    packed.write_bytes(lzma.compress(b"a\tb\n"))
    assert read_text_pairs(packed) == [("a", "b")]
    (tmp_path / "a.csv").write_text('"a, b",c\n')
    assert read_text_pairs(tmp_path / "a.csv") == [("a, b", "c")]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (
            "a\tb\nalone\n",
            r"a\.tsv, line 2: expected a text in column 0 and its target in column 1",
        ),
        ("a\tb\n \tb\n", "line 2: expected a text"),
        ("title\ttext\n", "has no rows"),
        ("", "has no rows"),
    ],
)
def test_bad_tables(tmp_path, content, message):
    path = tmp_path / "a.tsv"
    path.write_text(content)
    with pytest.raises(DataFileError, match=message):
        read_text_pairs(path)


def test_pairs_of_json(tmp_path):
    path = tmp_path / "a.jsonl"
    for keys in (("content", "title"), ("source", "target"), ("text", "summary")):
        path.write_text(json.dumps(dict(zip(keys, "ab", strict=True))) + "\n")
        assert read_text_pairs(path) == [("a", "b")]
    path.write_text('[{"q": "a", "a": "b"}]')
    assert read_text_pairs(path, keys=("q", "a")) == [("a", "b")]
    with pytest.raises(DataFileError, match=r"a\.jsonl, row 1: which of q, a are source"):
        read_text_pairs(path)
    path.write_text('{"text": "a", "title": "b"}\n{"text": "a", "title": 3}\n')
    with pytest.raises(DataFileError, match="line 2: expected texts under 'text' and 'title'"):
        read_text_pairs(path)


def test_texts(tmp_path):
    path = tmp_path / "a.txt"
    path.write_bytes(b"one\r\n\r\n two \tlabel\r\n")
    assert read_texts(path) == ["one", "two"]
    path.write_text("\n")
    with pytest.raises(DataFileError, match="has no rows"):
        read_texts(path)
