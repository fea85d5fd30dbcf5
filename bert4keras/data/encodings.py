"""Encoding of a text file, and characters that are seldom meant."""

from __future__ import annotations

import codecs
import collections
import gzip
import lzma
import os
import unicodedata
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

_OPEN: dict[str, Callable[..., Any]] = {".gz": gzip.open, ".xz": lzma.open}
_BOMS = {
    codecs.BOM_UTF8: "utf-8",
    codecs.BOM_UTF32_LE: "utf-32",
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}
_WIDTHS = ("F", "H")  # East Asian widths of compatibility forms: full and half


class FileEncoding(NamedTuple):
    """Result of `inspect_encoding`.

    Attributes:
        encoding: "utf-8", "utf-16", "utf-32", "gb18030", or "" if it is none of them.
        has_mark: the file begins with a byte order mark.
        bad_lines: numbers of the first lines, from 1, that are not UTF-8; at most 10.
        characters: number of characters of each kind: "control characters", "replacement
            characters" (written by a program that could not decode something), "invisible
            characters" (of zero width) and "full-width letters and digits".
        first_lines: line of the first of each kind.
    """

    encoding: str
    has_mark: bool
    bad_lines: tuple[int, ...]
    characters: dict[str, int]
    first_lines: dict[str, int]


def inspect_encoding(path: str | os.PathLike) -> FileEncoding:
    """Find the encoding of a text file, and count characters that are seldom meant.

    Args:
        path: a file, possibly `*.gz` or `*.xz`. It is read line by line.

    Raises:
        OSError: it cannot be read.
    """
    with _OPEN.get(Path(path).suffix.lower(), open)(path, "rb") as file:
        head = file.read(4)
    mark = next((name for bom, name in _BOMS.items() if head.startswith(bom)), None)
    if mark not in (None, "utf-8"):
        return FileEncoding(mark or "", True, (), {}, {})
    bad: list[int] = []
    counts: collections.Counter = collections.Counter()
    firsts: dict[str, int] = {}
    chinese = True
    with _OPEN.get(Path(path).suffix.lower(), open)(path, "rb") as file:
        for number, line in enumerate(file, 1):
            try:
                text = line.decode("utf-8")
            except UnicodeDecodeError:
                bad.append(number)
                chinese = chinese and _decodes(line, "gb18030")
                continue
            for kind, count in _strange(text.removeprefix("\ufeff")).items():
                counts[kind] += count
                firsts.setdefault(kind, number)
    encoding = "utf-8" if not bad else "gb18030" if chinese else ""
    return FileEncoding(encoding, mark is not None, tuple(bad[:10]), dict(counts), firsts)


def _strange(text: str) -> collections.Counter:
    """Count the characters of a line by kind."""
    counts: collections.Counter = collections.Counter()
    if text.isascii() and text.rstrip("\r\n").isprintable():
        return counts
    for char in text:
        category = unicodedata.category(char)
        if category == "Cc" and char not in "\t\r\n":
            counts["control characters"] += 1
        elif char == "\ufffd":
            counts["replacement characters"] += 1
        elif category == "Cf":
            counts["invisible characters"] += 1
        elif category[0] in "LN" and unicodedata.east_asian_width(char) in _WIDTHS:
            counts["full-width letters and digits"] += 1
    return counts


def _decodes(raw: bytes, encoding: str) -> bool:
    try:
        raw.decode(encoding)
    except UnicodeDecodeError:
        return False
    return True
