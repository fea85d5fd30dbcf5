"""Encodings of files, and characters that are seldom meant."""

from __future__ import annotations

import gzip

import pytest

from bert4keras.data.encodings import inspect_encoding

pytestmark = pytest.mark.spread


@pytest.mark.parametrize(
    ("content", "encoding", "has_mark", "bad_lines"),
    [
        ("good\n北京\n".encode(), "utf-8", False, ()),
        ("\ufeff北京\n".encode(), "utf-8", True, ()),
        ("good\n北京\n".encode("gb18030"), "gb18030", False, (2,)),
        ("北京".encode("utf-16"), "utf-16", True, ()),
        ("北京".encode("utf-32"), "utf-32", True, ()),
        (b"good\n\xff\xff\nbad \x81\n", "", False, (2, 3)),
        (b"", "utf-8", False, ()),
    ],
)
def test_encodings(tmp_path, content, encoding, has_mark, bad_lines):
    for name, written in (("a.txt", content), ("a.txt.gz", gzip.compress(content))):
        path = tmp_path / name
        path.write_bytes(written)
        found = inspect_encoding(path)
        assert (found.encoding, found.has_mark, found.bad_lines) == (encoding, has_mark, bad_lines)
        assert not found.characters


def test_strange_characters(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text(
        "plain\t，。「」\r\n\x07\x1b x\nＡ１\u200b\ufffd\nＢ\n", encoding="utf-8", newline=""
    )
    found = inspect_encoding(path)
    assert found.characters == {
        "control characters": 2,
        "full-width letters and digits": 3,
        "invisible characters": 1,
        "replacement characters": 1,
    }
    assert found.first_lines["full-width letters and digits"] == 3
    assert found.first_lines["control characters"] == 2
