"""A corpus of raw texts: files of any size and number, read as a stream of documents.

Nothing is prepared or indexed, and only a block of each open file is in memory. A document longer
than `LONGEST_TEXT` characters is divided, at the end of a line or word where there is one.
"""

from __future__ import annotations

import csv
import dataclasses
import importlib.util
import itertools
import random
import re
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from ..data import DataFileError, parse_json_text
from ..data.text_blocks import read_blocks

LONGEST_TEXT = 1 << 15  # characters of a text, at most
DOCUMENTS = ("paragraphs", "lines", "files")
_JSON_FILES, _TABLE_FILES, _COMPRESSIONS = (
    (".json", ".jsonl", ".ndjson"),
    (".csv", ".tsv"),
    (".gz", ".xz"),
)
_MAX_LINE = 1 << 26  # characters of a line of JSON or of a row of a table
_OPEN_FILES = 8  # files that are read at the same time
_BLANK_LINE = re.compile(r"\n[ \t\r]*\n")
_HASHED = 2000  # characters that decide whether a text is held out


@dataclasses.dataclass(frozen=True)
class PretrainingCorpus:
    """Documents of text files, JSON lines, tables and parquet files, also compressed ones.

    The suffix of a file says how it is read: `.json`, `.jsonl`, `.ndjson` are JSON lines, `.csv`
    and `.tsv` tables with a header, `.parquet` needs pyarrow, any other is plain text. `.gz` and
    `.xz` may follow, except after `.parquet`.

    Args:
        sources: files, and directories, of which all files are taken, except hidden ones.
        documents: documents of plain text: `"paragraphs"`, which blank lines separate; `"lines"`;
            or `"files"`.
        text_column: key or column of the text in the other kinds.
        encoding: of text, JSON and tables; None means UTF-8.
        held_out: share of the documents that training does not see, chosen by a checksum of the
            text, so that it stays the same when files are added.
        part: `"train"`, or `"held_out"` for these documents.

    Raises:
        ValueError: an option out of its range, or no file.
        DataFileError: a source that does not exist; when it is read, a file that is no text.
    """

    sources: tuple[Path, ...]
    documents: str = "paragraphs"
    text_column: str = "text"
    encoding: str | None = None
    held_out: float = 0.0
    part: str = "train"

    def __post_init__(self) -> None:
        sources = [self.sources] if isinstance(self.sources, (str, Path)) else self.sources
        object.__setattr__(self, "sources", tuple(map(Path, sources)))
        if self.documents not in DOCUMENTS:
            raise ValueError(
                f"documents must be one of {', '.join(DOCUMENTS)}, not {self.documents!r}."
            )
        if not 0 <= self.held_out < 1:
            raise ValueError(f"held_out must lie between 0 and 1, not {self.held_out}.")
        self.files()

    def files(self) -> list[Path]:
        """Return all files, those of a directory sorted by name."""
        found: list[Path] = []
        for source in self.sources:
            if source.is_dir():
                inside = sorted(path for path in source.rglob("*") if path.is_file())
                found += [p for p in inside if not _is_hidden(p.relative_to(source))]
            elif source.exists():
                found.append(source)
            else:
                raise DataFileError.at(source, None, "no such file or directory")
        if not found:
            names = ", ".join(map(str, self.sources)) or "nothing"
            raise ValueError(f"the corpus has no files: {names} was given.")
        return found

    def fingerprint(self) -> list[list[Any]]:
        """Return the name and size of each file, to recognise a corpus."""
        return [[path.name, path.stat().st_size] for path in self.files()]

    def texts(self, seed: str | None = None, buffer: int = 1 << 25) -> Iterator[str]:
        """Yield the documents; none is empty or longer than `LONGEST_TEXT` characters.

        Args:
            seed: order; None: that of the files. Otherwise several files are read at the same time,
                in random order, and documents are shuffled in a buffer.
            buffer: size of the buffer in characters.
        """
        files = self.files()
        if seed is None:
            return self._chosen(itertools.chain.from_iterable(map(self._read, files)))
        generator = random.Random(seed)
        generator.shuffle(files)
        return _shuffled(
            self._chosen(_interleaved(map(self._read, files), generator)), buffer, generator
        )

    def _chosen(self, texts: Iterable[str]) -> Iterator[str]:
        """Yield the texts of this part, divided."""
        wants = self.part == "held_out"
        for text in texts:
            if not text or text.isspace():
                continue
            if self.held_out or wants:
                beginning = getattr(text, "beginning", text)[:_HASHED]
                sum_of = zlib.crc32(beginning.encode("utf-8", "replace"))
                if (sum_of < self.held_out * 2**32) != wants:
                    continue
            if len(text) <= LONGEST_TEXT:
                yield str(text)
            else:
                yield from divided(text)

    def _read(self, path: Path) -> Iterator[str]:
        suffixes = [suffix.lower() for suffix in path.suffixes]
        kind = suffixes[-1] if suffixes else ""
        if kind in _COMPRESSIONS:
            kind = suffixes[-2] if len(suffixes) > 1 else ""
        if kind == ".parquet":
            return _read_parquet(path, self.text_column)
        if kind in _JSON_FILES:
            return _read_json(path, self.text_column, self.encoding)
        if kind in _TABLE_FILES:
            return _read_table(
                path, self.text_column, self.encoding, "," if kind == ".csv" else "\t"
            )
        blocks = read_blocks(path, self.encoding)
        if self.documents == "lines":
            return itertools.chain.from_iterable(block.split("\n") for block in blocks)
        return _documents(blocks, _BLANK_LINE if self.documents == "paragraphs" else None)


class _Part(str):
    """A part of a document, with the beginning of the whole, so that all have the same checksum."""

    beginning: str

    def __new__(cls, text: str, beginning: str) -> _Part:
        part = super().__new__(cls, text)
        part.beginning = beginning
        return part


def divided(text: str) -> Iterator[str]:
    """Divide a long text at the last end of a line, or else blank, that is not too late."""
    start = 0
    while len(text) - start > LONGEST_TEXT:
        stop = start + LONGEST_TEXT
        ends = (text.rfind(mark, start + LONGEST_TEXT // 2, stop) + 1 for mark in "\n ")
        end = next((end for end in ends if end), stop)
        yield text[start:end]
        start = end
    yield text[start:]


def _is_hidden(path: Path) -> bool:
    return any(part.startswith(".") for part in path.parts)


def _documents(blocks: Iterable[str], separator: re.Pattern[str] | None) -> Iterator[str]:
    """Join blocks and split them at a separator; what is too long for a document is divided."""
    rest, beginning = "", ""  # of the document that is being read, once it is divided
    for block in blocks:
        *whole, rest = separator.split(rest + block) if separator else [rest + block]
        if whole:
            yield _Part(whole[0], beginning or whole[0])
            yield from whole[1:]
            beginning = ""
        if len(rest) > LONGEST_TEXT:
            *whole, rest = divided(rest)
            beginning = beginning or whole[0][:_HASHED]
            for part in whole:
                yield _Part(part, beginning)
    yield _Part(rest, beginning or rest)


def _numbered_lines(path: Path, encoding: str | None) -> Iterator[tuple[int, str]]:
    """Yield the whole lines of a file with their numbers, from 1; they keep their ends."""
    number, parts, size = 1, [], 0
    for block in read_blocks(path, encoding):
        for line in re.findall(r"[^\n]*\n|[^\n]+", block):
            parts.append(line)
            size += len(line)
            if size > _MAX_LINE:
                raise DataFileError.at(path, number, f"longer than {_MAX_LINE} characters")
            if line.endswith("\n"):
                yield number, "".join(parts)
                number, parts, size = number + 1, [], 0
    if parts:
        yield number, "".join(parts)


def _read_json(path: Path, column: str, encoding: str | None) -> Iterator[str]:
    for number, line in _numbered_lines(path, encoding):
        if not line.strip():
            continue
        if number == 1 and line.lstrip().startswith("["):
            reason = "an array; a corpus has one JSON object in each line (jq -c '.[]' FILE)"
            raise DataFileError.at(path, 1, reason)
        row = parse_json_text(line, path, number)
        text = row.get(column) if isinstance(row, dict) else None
        if not isinstance(text, str):
            keys = ", ".join(row) if isinstance(row, dict) else f"{row!r:.40}"
            raise DataFileError.at(path, number, f"no text under the key {column!r}: {keys}")
        yield text


def _read_table(path: Path, column: str, encoding: str | None, mark: str) -> Iterator[str]:
    lines = (line for _, line in _numbered_lines(path, encoding))
    reader = csv.reader(lines, delimiter=mark, strict=True)
    if mark != ",":
        reader = csv.reader(lines, delimiter=mark, quoting=csv.QUOTE_NONE)
    try:
        header = next(reader, [])
        if column not in header:
            reason = f"no column {column!r} in the header: {', '.join(header)[:200]}"
            raise DataFileError.at(path, 1, reason)
        place = header.index(column)
        for row in reader:
            if len(row) > place:
                yield row[place]
            elif row:
                reason = f"{len(row)} cells, but the header has {len(header)}"
                raise DataFileError.at(path, reader.line_num, reason)
    except csv.Error as error:
        raise DataFileError.at(path, reader.line_num, f"{error} (fields are quoted)") from None


def _read_parquet(path: Path, column: str) -> Iterator[str]:
    if importlib.util.find_spec("pyarrow") is None:
        raise ModuleNotFoundError(f"{path}: parquet files need pyarrow: pip install pyarrow.")
    import pyarrow
    from pyarrow import parquet

    try:
        file = parquet.ParquetFile(path)
        if column not in file.schema_arrow.names:
            names = ", ".join(file.schema_arrow.names)
            raise DataFileError.at(path, None, f"no column {column!r}: {names[:200]}")
        for batch in file.iter_batches(batch_size=1024, columns=[column]):
            for text in batch.column(0).to_pylist():
                if text is not None and not isinstance(text, str):
                    raise DataFileError.at(
                        path, None, f"column {column!r} is no text: {text!r:.40}"
                    )
                yield text or ""
    except (pyarrow.ArrowException, OSError) as error:
        raise DataFileError.at(path, None, error) from None


def _interleaved(readers: Iterator[Iterator[str]], generator: random.Random) -> Iterator[str]:
    """Read several iterators at the same time, the next text from a random one."""
    active = list(itertools.islice(readers, _OPEN_FILES))
    while active:
        place = generator.randrange(len(active)) if len(active) > 1 else 0
        text = next(active[place], None)
        if text is not None:
            yield text
            continue
        following = next(readers, None)
        if following is None:
            del active[place]
        else:
            active[place] = following


def _shuffled(texts: Iterable[str], limit: int, generator: random.Random) -> Iterator[str]:
    """Shuffle texts in a buffer of a number of characters: random ones leave it when it is full."""
    buffer: list[str] = []
    size = 0
    for text in texts:
        buffer.append(text)
        size += len(text)
        while size > limit:
            place = generator.randrange(len(buffer))
            buffer[place], buffer[-1] = buffer[-1], buffer[place]
            size -= len(buffer[-1])
            yield buffer.pop()
    generator.shuffle(buffer)
    yield from buffer
