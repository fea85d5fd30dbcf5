"""Strict reading of data files: errors name file and line, nothing is guessed or skipped.

These readers load a whole file into memory; `LineFile` reads one that does not fit.
"""

from __future__ import annotations

import codecs
import collections
import csv
import gzip
import io
import json
import lzma
import math
import os
import re
import zlib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

MAX_UNPACKED = 1 << 29  # largest size of the content of a compressed file, in bytes

# UTF-32 before UTF-16: its mark begins with that of UTF-16.
_MARKS = {
    codecs.BOM_UTF8: "utf-8",
    codecs.BOM_UTF32_LE: "utf-32",
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}
_OPENERS = {".xz": lzma.open, ".gz": gzip.open}
_PACKED = {b"\xfd7zXZ": "xz", b"\x1f\x8b": "gzip", b"PK\x03\x04": "zip", b"BZh": "bzip2"}

# Words that occur in the names of columns.
_HEADER_WORDS = frozenset(
    """
    abstract answer answers body cat category char character class comment content doc
    document duplicate equation file filename first genre guid hypothesis id idx index intent
    keyword keywords label labels name ner number polarity pos premise problem qid
    quality query question rating relatedness review score second sentence sentiment similarity
    source split string summary tag tags target text texts title token tokens topic topics utterance
    word words year
    主题 内容 分数 分类 句子 字 字符 序号 得分 情感 摘要 文本 方程 标注 标签 标题 正文 相似度
    类别 答案 编号 评论 词 问题 题目
    """.split()
)
_HEADER_ADJECTIVES = frozenset("a b coarse fine gold is new no old user".split())


class DataFileError(ValueError):
    """Error in a data file; the message has the file, the line and the reason."""

    @classmethod
    def at(cls, path: str | os.PathLike, line: int | None, reason: object) -> DataFileError:
        """Make the error of a line, counted from 1; of the whole file if `line` is None."""
        place = " cannot be read" if line is None else f", line {line}"
        return cls(f"{os.fspath(path)}{place}: {reason}")

    @property
    def line(self) -> int | None:
        """Number of the line that the message names; None if it is about the whole file."""
        found = re.search(r", line (\d+): ", str(self))
        return int(found[1]) if found else None


def read_text(path: str | os.PathLike, encoding: str | None = None) -> str:
    """Read a text file, also a compressed one (`*.xz`, `*.gz`); its lines end with "\\n".

    Byte order marks are removed, also those inside concatenated files. "\\r\\n" becomes "\\n"; so
    does "\\r" in a file without "\\n". Other characters that some programs treat as ends of lines
    ("\\u2028", "\\x85", a single "\\r") are kept; so split the text only at "\\n". Offsets
    that count "\\r\\n" as two fit what `open(path, encoding="utf-8", newline="").read()` returns.

    Args:
        path: a regular file.
        encoding: None means UTF-8. A byte order mark has priority.

    Raises:
        DataFileError: no such file, another encoding, another compression, or not text.
    """
    raw = _read_bytes(path)
    encoding = next((name for mark, name in _MARKS.items() if raw.startswith(mark)), encoding)
    try:
        text = raw.decode(encoding or "utf-8")
    except LookupError as error:
        raise DataFileError.at(path, None, error) from None
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        raise DataFileError.at(path, line, _not_decoded(raw, error)) from None
    if (place := text.find("\0")) >= 0:
        line = text.count("\n", 0, place) + 1
        raise DataFileError.at(path, line, "a NUL character: this is no text, or UTF-16 or UTF-32")
    text = text.removeprefix("\ufeff").replace("\r\n", "\n")
    if "\n" not in text:
        text = text.replace("\r", "\n")
    return text.replace("\n\ufeff", "\n")


def read_lines(path: str | os.PathLike, encoding: str | None = None) -> list[str]:
    """Read the lines of a text file, without their ends; see `read_text`."""
    return read_text(path, encoding).removesuffix("\n").split("\n")


def parse_json_text(text: str, path: str | os.PathLike, line: int = 1) -> Any:
    """Parse JSON strictly: some texts that `json.loads` accepts are errors.

    Args:
        text: JSON text, which begins in `line` of `path`.
        path: file, for messages.
        line: number of the first line.

    Raises:
        DataFileError: not JSON, a key twice in one object, a number that is not finite (NaN,
            1e999), half of a surrogate pair, or brackets nested too deeply.
    """
    hooks = {"parse_constant": _no_number, "parse_float": _finite}
    try:
        value = json.loads(text, object_pairs_hook=_unique_keys, **hooks)
        if "\\ud" in text or "\\uD" in text:
            json.dumps(value, ensure_ascii=False).encode()
    except json.JSONDecodeError as error:
        reason = f"no JSON: {error.msg} at column {error.colno}"
        raise DataFileError.at(path, line + error.lineno - 1, reason) from None
    except RecursionError:
        reason = "no JSON that can be read: brackets are nested too deeply"
        raise DataFileError.at(path, line, reason) from None
    except UnicodeEncodeError:
        raise DataFileError.at(path, line, "half of a surrogate pair in a text") from None
    except ValueError as error:
        raise DataFileError.at(path, line, f"no JSON that can be read: {error}") from None
    return value


def read_json_rows(
    path: str | os.PathLike, encoding: str | None = None
) -> list[tuple[str, dict[str, Any]]]:
    """Read the objects of a file of JSON lines, or of one JSON array.

    Returns:
        Pairs of the location, "FILE, line 3" (in an array "FILE, row 3"), and the object.

    Raises:
        DataFileError: see `read_text` and `parse_json_text`; or a row is not an object.
    """
    text = read_text(path, encoding)
    if text.lstrip().startswith("["):
        values = parse_json_text(text, path)
        rows = [(f"{os.fspath(path)}, row {n}", row) for n, row in enumerate(values, 1)]
    else:
        rows = [
            (f"{os.fspath(path)}, line {n}", parse_json_text(line, path, n))
            for n, line in enumerate(text.split("\n"), 1)
            if line.strip()
        ]
    for where, row in rows:
        if not isinstance(row, dict):
            raise DataFileError(f"{where}: expected a JSON object, not {str(row)[:60]!r}")
    return rows


def read_table(path: str | os.PathLike, encoding: str | None = None) -> list[tuple[int, list[str]]]:
    """Read the rows of a table, without empty ones.

    Cells of `*.csv` are separated by commas; in quotation marks they may have commas, newlines and
    doubled quotation marks. Cells of any other file are separated by tabs, and quotation marks are
    ordinary characters, unless a program has quoted the cells: one of them can only be explained
    so (`"so ""called"" soup"`), or all are quoted. Then they are read like those of `*.csv`.

    Returns:
        Pairs of the number of the line in which a row ends, and its cells.

    Raises:
        DataFileError: see `read_text`; or quotation marks do not match.
    """
    text = read_text(path, encoding)
    comma = ".csv" in Path(path).suffixes
    rows = [(n, line.split("\t")) for n, line in enumerate(text.split("\n"), 1) if line.strip()]
    if not comma and not _is_quoted(cell for _, row in rows for cell in row):
        return rows
    # Unlike `read_text`, csv.reader ends a row at a single "\r" outside quotation marks.
    reader = csv.reader(
        io.StringIO(text, newline="\n"), delimiter="," if comma else "\t", strict=True
    )
    try:
        return [(reader.line_num, row) for row in reader if any(cell.strip() for cell in row)]
    except csv.Error as error:
        raise DataFileError.at(path, reader.line_num, f"{error} (fields are quoted)") from None


def is_header(cells: Iterable[str]) -> bool:
    """Return whether a row of a table is a header: its cells have only usual words for columns.

    "sentence1", "text_a", "gold label", "#2 ID" and "标签" are such cells.
    """
    names = [re.sub(r"[\W\d_]+", " ", cell.lower()).split() for cell in cells]
    nouns = [set(name) - _HEADER_ADJECTIVES for name in names]
    return bool(nouns) and all(some and some <= _HEADER_WORDS for some in nouns)


def _read_bytes(path: str | os.PathLike) -> bytes:
    path = Path(path)
    try:
        if path.exists() and not path.is_file():
            raise DataFileError.at(path, None, "it is not a regular file")
        if opener := _OPENERS.get(path.suffix.lower()):
            with opener(path) as file:
                raw = file.read(MAX_UNPACKED + 1)  # a small file may unpack to terabytes
            if len(raw) > MAX_UNPACKED:
                reason = f"it unpacks to more than {MAX_UNPACKED} bytes. Unpack and split it"
                raise DataFileError.at(path, None, reason)
            return raw
        return path.read_bytes()
    except (OSError, EOFError, lzma.LZMAError, zlib.error) as error:
        raise DataFileError.at(path, None, error) from None


def _not_decoded(raw: bytes, error: UnicodeDecodeError) -> str:
    """Return why bytes are not text, and what to do."""
    packed = next((name for mark, name in _PACKED.items() if raw.startswith(mark)), None)
    if packed:
        return (
            f"this is no text but a file of {packed}; unpack it (only files named *.xz and *.gz "
            "are unpacked when read)"
        )
    name = error.encoding.upper()
    reason = f"byte 0x{raw[error.start]:02x} is not {name}"
    try:
        raw.decode("gb18030")
        other = "GB18030"
    except UnicodeDecodeError:
        other = "ITS_ENCODING"
    return (
        f"{reason}; give encoding= where the function has it, or convert the file: "
        f"iconv -f {other} -t UTF-8 FILE > NEW_FILE"
    )


def _is_quoted(cells: Iterable[str]) -> bool:
    """Return whether a program quoted the cells: one has doubled quotes, or all are quoted."""
    every = some = False
    for cell in cells:
        quoted = len(cell) > 1 and cell[0] == cell[-1] == '"'
        if quoted and '""' in cell[1:-1] and '"' not in cell[1:-1].replace('""', ""):
            return True
        every, some = quoted and (every or not some), True
    return every


def _unique_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        twice = collections.Counter(key for key, _ in pairs).most_common(1)[0][0]
        raise ValueError(f"the key {twice!r} occurs twice in one object")
    return found


def _no_number(name: str) -> None:
    raise ValueError(f"{name} is no number of JSON")


def _finite(text: str) -> float:
    if not math.isfinite(value := float(text)):
        raise ValueError(f"{text[:20]} is too large for a number")
    return value
