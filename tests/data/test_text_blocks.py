"""Blocks of a text file are the file, and an error names the line."""

from __future__ import annotations

import gzip
import lzma
import re

import pytest

from bert4keras.data import DataFileError, text_blocks
from bert4keras.data.text_blocks import read_blocks

pytestmark = pytest.mark.spread


@pytest.mark.parametrize("size", [1, 3, 7, 1 << 20])
@pytest.mark.parametrize("text", ["", "a", "一二\n三\n", "\n\n一", "x" * 30 + "\n" + "é" * 20])
@pytest.mark.parametrize("suffix", [".txt", ".gz", ".xz"])
def test_blocks_are_the_file(tmp_path, monkeypatch, size, text, suffix):
    monkeypatch.setattr(text_blocks, "_BLOCK", size)
    path, raw = tmp_path / f"a{suffix}", b"\xef\xbb\xbf" + text.encode()
    path.write_bytes({".gz": gzip.compress, ".xz": lzma.compress, ".txt": bytes}[suffix](raw))
    read = []
    blocks = list(read_blocks(path, on_bytes=read.append))
    assert "".join(blocks) == text
    assert sum(read) == path.stat().st_size or suffix == ".xz"
    assert all(block.endswith("\n") or len(block) > size for block in blocks[:-1])


def test_large_file_is_not_read_at_once(tmp_path, monkeypatch):
    monkeypatch.setattr(text_blocks, "_BLOCK", 100)
    path = tmp_path / "a.txt"
    path.write_text("一二三\n" * 1000, encoding="utf-8")
    blocks = list(read_blocks(path))
    assert len(blocks) > 90
    assert max(map(len, blocks)) < 120
    assert "".join(blocks) == "一二三\n" * 1000


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        (b"a\n" * 70 + b"\xff\n", "line 71: byte 0xff is not UTF-8"),
        ("a\n一".encode()[:-1], "line 2: byte 0xe4 is not UTF-8"),
        (b"a\nb\0\n", "line 2: a NUL character: this is no text"),
        ("中文".encode("utf-16"), "line 1: byte 0xff is not UTF-8"),
    ],
)
@pytest.mark.parametrize("size", [16, 1 << 20])
def test_what_is_no_text(tmp_path, monkeypatch, raw, message, size):
    monkeypatch.setattr(text_blocks, "_BLOCK", size)
    path = tmp_path / "a.txt"
    path.write_bytes(raw)
    with pytest.raises(DataFileError, match=re.escape(f"{path}, {message}")):
        list(read_blocks(path))


def test_what_cannot_be_read(tmp_path):
    with pytest.raises(DataFileError, match="it is not a regular file"):
        list(read_blocks(tmp_path))
    with pytest.raises(DataFileError, match="No such file"):
        list(read_blocks(tmp_path / "b.txt"))
    (tmp_path / "a.gz").write_bytes(b"no gzip")
    with pytest.raises(DataFileError, match=r"a\.gz cannot be read: Not a gzipped file"):
        list(read_blocks(tmp_path / "a.gz"))
    (tmp_path / "a.txt").write_bytes(b"a")
    with pytest.raises(DataFileError, match="unknown encoding: klingon"):
        list(read_blocks(tmp_path / "a.txt", "klingon"))
