"""Indexable files."""

from __future__ import annotations

import pickle

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bert4keras.data import line_file
from bert4keras.data import open as open_file

pytestmark = pytest.mark.spread


@given(st.lists(st.sampled_from(["a", "中文", "é\r", "", "😀\u2028x"])), st.booleans())
@settings(deadline=None)
def test_lines_equal_the_bytes(tmp_path_factory, lines, ends):
    path = tmp_path_factory.mktemp("lines") / "text.txt"
    content = "\n".join(lines) + ("\n" if ends and lines else "")
    path.write_bytes(content.encode())
    expected = content.split("\n")
    expected = [line + "\n" for line in expected[:-1]] + ([expected[-1]] if expected[-1] else [])
    with open_file(path, indexable=True) as file:
        assert len(file) == len(expected)
        assert list(file) == expected == [file[i] for i in range(len(file))]
        assert file[::-1] == expected[::-1]
        if expected:
            assert file[-1] == expected[-1]
            assert pickle.loads(pickle.dumps(file))[0] == expected[0]
        with pytest.raises(IndexError, match=r"text\.txt"):
            file[len(expected)]


def test_lines_across_blocks(tmp_path, monkeypatch):
    monkeypatch.setattr(line_file, "_BLOCK", 3)
    (tmp_path / "text.txt").write_bytes(b"ab\nc\n\nlong line\r\nend")
    with open_file(tmp_path / "text.txt", indexable=True) as file:
        assert list(file) == file[:] == ["ab\n", "c\n", "\n", "long line\r\n", "end"]
        assert [(a, b) for a in file for b in file][:2] == [("ab\n", "ab\n"), ("ab\n", "c\n")]
    with pytest.raises(ValueError, match="closed"):
        file[0]


def test_byte_order_mark_and_encodings(tmp_path):
    (tmp_path / "text.txt").write_bytes("\ufeffa\n中".encode())
    with open_file(tmp_path / "text.txt", indexable=True) as file:
        assert file[:] == list(file) == ["a\n", "中"]
    (tmp_path / "text.txt").write_bytes("中\n文".encode("gbk"))
    with open_file(tmp_path / "text.txt", encoding="gbk", indexable=True) as file:
        assert file[1] == "文"
    with open_file(tmp_path / "text.txt", errors="ignore", indexable=True) as file:
        assert file[0] == "\n"


def test_plain_open(tmp_path):
    with open_file(tmp_path / "text.txt", "w") as file:
        file.write("中")
    with open_file(tmp_path / "text.txt", "rb") as file:
        assert file.read() == "中".encode()


@pytest.mark.parametrize(
    ("options", "message"), [({"mode": "w"}, "'w'"), ({"encoding": "utf-16"}, "utf-16")]
)
def test_what_cannot_be_indexed(tmp_path, options, message):
    with pytest.raises(ValueError, match=message):
        open_file(tmp_path / "text.txt", indexable=True, **options)
