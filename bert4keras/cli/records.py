"""Texts to answer, read one by one from a file or from standard input, in constant memory.

A record that is wrong, such as an empty text or a line that is no JSON, does not end the reading:
it has an error in place of a sample.
"""

from __future__ import annotations

import codecs
import contextlib
import csv
import dataclasses
import gzip
import itertools
import lzma
import os
import re
import sys
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from .errors import Failure

if TYPE_CHECKING:
    from ..tasks import Task

TEXT_FORMATS = ("text", "jsonl", "csv", "tsv")
_SUFFIXES = {".jsonl": "jsonl", ".ndjson": "jsonl", ".json": "jsonl", ".csv": "csv", ".tsv": "tsv"}
_UNPACKERS: dict[str, Callable[..., Any]] = {".gz": gzip.open, ".xz": lzma.open}
_WIDE = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)  # those of UTF-32 begin with one of them
_ESCAPED = re.compile("[\udc80-\udcff]")  # bytes that are not in the encoding


@dataclasses.dataclass(frozen=True)
class Record:
    """One text of the input, or several that belong together.

    Attributes:
        line: number of its line, from 1; of a row over several lines, that of the last.
        sample: as `Task.predict` takes it; None if there is an error.
        id: the value of "id" in a JSON object; None if there is none.
        error: reason why there is no sample; "" if there is one.
    """

    line: int
    sample: Any = None
    id: Any = None
    error: str = ""


@dataclasses.dataclass(frozen=True)
class Source:
    """File or stream of texts, and the way to read it.

    Attributes:
        path: a file, possibly `*.gz` or `*.xz`; "-" for standard input.
        format: one of `TEXT_FORMATS`; None: by the name of the file, else by the first line.
        columns: numbers from 0, names in the header, or JSON keys of the texts of a sample.
        header: the first row of a table is its header; None: if it has usual names.
        encoding: of the file.
    """

    path: str
    format: str | None = None
    columns: tuple[int | str, ...] = ()
    header: bool | None = None
    encoding: str = "utf-8"

    def records(self, task: Task) -> Iterator[Record]:
        """Yield the records for a task.

        Raises:
            Failure: the file cannot be read, or the columns are not found in its header.
        """
        with self._lines() as lines:
            first = next(lines, None)
            if first is None:
                return
            lines = itertools.chain([first], lines)
            kind = self.format or self._kind(first)
            if kind in ("csv", "tsv"):
                values = self._rows(lines, kind)
            elif kind == "jsonl":
                values = self._objects(lines, first)
            else:
                values = enumerate(lines, 1)
            for line, value in values:
                yield _record(task, line, value, self.columns)

    def _kind(self, first: str) -> str:
        name = self.path.lower().removesuffix(".gz").removesuffix(".xz")
        known = _SUFFIXES.get(os.path.splitext(name)[1])
        if known or self.path != "-":
            return known or "text"
        return "jsonl" if re.match(r'\s*\{\s*"', first) else "text"

    @contextlib.contextmanager
    def _lines(self) -> Iterator[Iterator[str]]:
        """Yield the lines without their ends; bytes in another encoding become surrogates."""
        try:
            codec = codecs.lookup(self.encoding)
            if "\n".encode(codec.name) != b"\n":
                raise LookupError(f"{self.encoding}; convert the file to UTF-8")
        except LookupError as error:
            raise Failure(f"encoding that cannot be read line by line: {error}") from None
        try:
            with self._open() as file:
                yield self._decoded(file, codec.name)
        except (EOFError, lzma.LZMAError, zlib.error, gzip.BadGzipFile) as error:
            raise Failure(f"{self.path}: it cannot be unpacked: {error}") from None

    @contextlib.contextmanager
    def _open(self) -> Iterator[IO[bytes]]:
        if self.path == "-":
            yield sys.stdin.buffer
            return
        if os.path.isdir(self.path):
            raise Failure(f"{self.path} is a directory, not a file of texts.")
        opener = _UNPACKERS.get(Path(self.path).suffix.lower(), open)
        with opener(self.path, "rb") as file:
            yield file

    def _decoded(self, file: IO[bytes], encoding: str) -> Iterator[str]:
        for number, line in enumerate(file):
            if number == 0:
                if line.startswith(_WIDE):
                    raise Failure(
                        f"{self.path} is in UTF-16 or UTF-32: iconv -f UTF-16 -t UTF-8 converts it."
                    )
                line = line.removeprefix(codecs.BOM_UTF8)
            text = line.decode(encoding, "surrogateescape")
            yield text.removesuffix("\n").removesuffix("\r")

    def _rows(self, lines: Iterator[str], kind: str) -> Iterator[tuple[int, Any]]:
        """Yield (line, cells by name) of a table; without a header the names are numbers."""
        rows = _table_rows(lines, kind)
        line, cells = next(rows)
        from ..data.text_files import is_header

        named = [column for column in self.columns if isinstance(column, str)]
        names = [cell.strip() for cell in cells] if isinstance(cells, list) else []
        header = self.header
        if header is None:
            header = bool(named) or is_header(names)
        if header:
            if missing := [name for name in named if name not in names]:
                raise Failure(
                    f"{self.path}, line {line}: there is no column {missing[0]!r} in the header: "
                    f"{', '.join(names)}."
                )
        else:
            if named:
                raise Failure(f"the column {named[0]!r} is named, but --no-header is given.")
            rows = itertools.chain([(line, cells)], rows)
        for line, row in rows:
            if not isinstance(row, list):
                yield line, row
                continue
            found: dict[int | str, str] = dict(enumerate(row))
            yield line, found | (dict(zip(names, row, strict=False)) if header else {})

    def _objects(self, lines: Iterator[str], first: str) -> Iterator[tuple[int, Any]]:
        """Yield (line, value) of JSON lines; of one JSON array (row, value)."""
        from ..data import DataFileError, parse_json_text, read_json_rows

        if first.lstrip().startswith("[") and self.path != "-":  # an array is no stream
            for row, (_, value) in enumerate(read_json_rows(self.path, self.encoding), 1):
                yield row, value
            return
        for number, line in enumerate(lines, 1):
            try:
                yield number, parse_json_text(line, self.path, number) if line.strip() else ""
            except DataFileError as error:
                yield number, ValueError(str(error).split(": ", 1)[-1])


def _table_rows(lines: Iterator[str], kind: str) -> Iterator[tuple[int, Any]]:
    """Yield (line, cells) of each row, or (line, error)."""
    if kind == "tsv":
        for number, line in enumerate(lines, 1):
            yield number, line.split("\t")
        return
    reader = csv.reader((line + "\n" for line in lines), strict=True)
    while True:
        try:
            row = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            yield reader.line_num, ValueError(f"no row of a CSV file: {error}")
        else:
            yield reader.line_num, row


def _record(task: Task, line: int, value: Any, columns: Sequence[int | str]) -> Record:
    """Make the record of a text, of an object of JSON, or of the cells of a row."""
    identifier = value.get("id") if isinstance(value, dict) else None
    try:
        if isinstance(value, ValueError):
            raise value
        sample = _sample_of(task, value, columns)
    except ValueError as error:
        return Record(line, None, identifier, str(error))
    return Record(line, sample, identifier)


def _sample_of(task: Task, value: Any, columns: Sequence[int | str] = ()) -> Any:
    """Make a sample for a task out of a text or of named values.

    Raises:
        ValueError: there is no text, or it is empty or not in the encoding.
    """
    from ..tasks.named_samples import named_texts, sample_of

    if isinstance(value, str):
        value, columns = {"text": value}, ("text",)
    if not isinstance(value, Mapping):
        raise ValueError(f"expected a text or a JSON object, not {str(value)[:60]!r}")
    texts = named_texts(value, columns, "--text-column")
    for text in itertools.chain(*(one if isinstance(one, list) else [one] for one in texts)):
        if isinstance(text, str) and (bad := _ESCAPED.search(text)):
            byte = ord(bad[0]) - 0xDC00
            raise ValueError(f"byte 0x{byte:02x} is not in the encoding of the file: --encoding")
    return sample_of(task, texts, value)
