"""Reading data files strictly: what cannot be read for sure is refused by file and line.

The readers here take a whole file into memory; `LineFile` reads one that does not fit.
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

MAX_UNPACKED = 1 << 29  # bytes that a packed file may unpack to

# UTF-32 before UTF-16, whose mark its own begins with.
_MARKS = {
    codecs.BOM_UTF8: "utf-8",
    codecs.BOM_UTF32_LE: "utf-32",
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}
_OPENERS = {".xz": lzma.open, ".gz": gzip.open}
_PACKED = {b"\xfd7zXZ": "xz", b"\x1f\x8b": "gzip", b"PK\x03\x04": "zip", b"BZh": "bzip2"}

# The words that names of columns are made of.
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
    """A data file that cannot be read: the message names the file, the line and the reason."""

    @classmethod
    def at(cls, path: str | os.PathLike, line: int | None, reason: object) -> DataFileError:
        """The error of a line, counted from 1, or with None of the file as a whole."""
        place = " cannot be read" if line is None else f", line {line}"
        return cls(f"{os.fspath(path)}{place}: {reason}")


def read_text(path: str | os.PathLike, encoding: str | None = None) -> str:
    """A text file, `*.xz` and `*.gz` too, whose lines end at "\\n" alone.

    Byte order marks, also those of files that were joined, are taken off; "\\r\\n" becomes "\\n",
    and so does "\\r" where there is no "\\n". Other characters that some programs take for the end
    of a line ("\\u2028", "\\x85", a lone "\\r") stay in their line: split at "\\n" only.

    Args:
        path: a regular file.
        encoding: UTF-8 if None. A byte order mark counts for more.

    Raises:
        DataFileError: no such file, or one in another encoding, packed, or not text; names the
            line.
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
    """The lines of a text file without their ends; as `read_text`."""
    return read_text(path, encoding).removesuffix("\n").split("\n")


def parse_json_text(text: str, path: str | os.PathLike, line: int = 1) -> Any:
    """The value of a JSON text; what `json.loads` would take in silence is refused, too.

    Args:
        text: that begins in `line` of `path`.

    Raises:
        DataFileError: it is no JSON, has a key twice in one object, a number that is none (NaN,
            1e999), half of a surrogate pair, or too many brackets within one another.
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
        reason = "no JSON that can be read: too many brackets within one another"
        raise DataFileError.at(path, line, reason) from None
    except UnicodeEncodeError:
        raise DataFileError.at(path, line, "half of a surrogate pair in a text") from None
    except ValueError as error:
        raise DataFileError.at(path, line, f"no JSON that can be read: {error}") from None
    return value


def read_json_rows(
    path: str | os.PathLike, encoding: str | None = None
) -> list[tuple[str, dict[str, Any]]]:
    """The objects of a file of JSON lines, or of one array, and where each stands.

    Returns:
        Pairs of "FILE, line 3" (of an array "FILE, row 3") and the object.

    Raises:
        DataFileError: as `read_text` and `parse_json_text`, or a row that is no object.
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
    """The cells of a table and the number of the line in which each row ends; no empty rows.

    `*.csv` has commas, and fields in quotation marks that may hold commas, newlines and doubled
    marks. In any other file tabs part the cells, and quotation marks are characters as others,
    unless a field can only have been quoted by a program (`"so ""called"" soup"`), or every
    field of the file is quoted: then all are read like those of `*.csv`.

    Raises:
        DataFileError: as `read_text`, or quotation marks that do not match.
    """
    text = read_text(path, encoding)
    comma = ".csv" in Path(path).suffixes
    rows = [(n, line.split("\t")) for n, line in enumerate(text.split("\n"), 1) if line.strip()]
    if not comma and not _is_quoted(cell for _, row in rows for cell in row):
        return rows
    # csv.reader ends a row at a lone "\r" outside of quotation marks, where `read_text` does not.
    reader = csv.reader(
        io.StringIO(text, newline="\n"), delimiter="," if comma else "\t", strict=True
    )
    try:
        return [(reader.line_num, row) for row in reader if any(cell.strip() for cell in row)]
    except csv.Error as error:
        raise DataFileError.at(path, reader.line_num, f"{error} (fields are quoted)") from None


def is_header(cells: Iterable[str]) -> bool:
    """Tell whether a row of a table names its columns: each is made of usual words for that.

    "sentence1", "text_a", "gold label", "#2 ID" and "标签" are such names.
    """
    names = [re.sub(r"[\W\d_]+", " ", cell.lower()).split() for cell in cells]
    nouns = [set(name) - _HEADER_ADJECTIVES for name in names]
    return bool(nouns) and all(some and some <= _HEADER_WORDS for some in nouns)


def _read_bytes(path: str | os.PathLike) -> bytes:
    path = Path(path)
    try:
        if path.exists() and not path.is_file():
            raise DataFileError.at(path, None, "it is no regular file")
        if opener := _OPENERS.get(path.suffix.lower()):
            with opener(path) as file:
                raw = file.read(MAX_UNPACKED + 1)  # no more is unpacked than this
            if len(raw) > MAX_UNPACKED:
                reason = f"it unpacks to more than {MAX_UNPACKED} bytes; unpack and cut it"
                raise DataFileError.at(path, None, reason)
            return raw
        return path.read_bytes()
    except (OSError, EOFError, lzma.LZMAError, zlib.error) as error:
        raise DataFileError.at(path, None, error) from None


def _not_decoded(raw: bytes, error: UnicodeDecodeError) -> str:
    """Why bytes are no text, and what may help."""
    packed = next((name for mark, name in _PACKED.items() if raw.startswith(mark)), None)
    if packed:
        return (
            f"this is no text but a file of {packed}; unpack it (only *.xz and *.gz are read "
            "packed, by these endings)"
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
    """Tell whether a program quoted the fields: one can be nothing else, or all are quoted."""
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
