"""Random access to the lines of a text file that does not fit into memory."""

from __future__ import annotations

import builtins
import codecs
import os
import threading
from collections.abc import Iterator, Sequence
from typing import IO

import numpy as np

from .text_files import DataFileError

_BLOCK = 1 << 22  # bytes read at a time while indexing


def open(
    name: str | os.PathLike,
    mode: str = "r",
    encoding: str | None = "utf-8",
    errors: str = "strict",
    indexable: bool = False,
) -> IO | LineFile:
    """Open a file, by default in UTF-8; or as a sequence of its lines.

    A byte order mark of UTF-8 is removed if the file is opened only for reading.

    Args:
        name, mode, encoding, errors: as for the built-in function.
        indexable: return a `LineFile`; only for reading text.
    """
    if not indexable:
        if "b" in mode:
            return builtins.open(name, mode)
        if mode in ("r", "rt") and encoding and _is_utf8(encoding):
            encoding = "utf-8-sig"
        return builtins.open(name, mode, encoding=encoding, errors=errors)
    if mode not in ("r", "rt"):
        raise ValueError(f"indexable=True needs mode 'r' or 'rt', not {mode!r}.")
    return LineFile(name, encoding or "utf-8", errors)


class LineFile(Sequence):
    """Lines of a text file as a sequence: `len`, index, slice, iteration.

    Lines end with "\\n" and keep their ending (also "\\r\\n"). Only their offsets are in memory, 8
    bytes per line, which are computed at first use. Threads can share it; it can be pickled for
    other processes.

    Args:
        name: a regular file. A byte order mark of UTF-8 is not part of its first line.
        encoding: an encoding in which a newline is the single byte 10 (not UTF-16 or UTF-32).
        errors: as for `open`.

    Raises:
        DataFileError: not a regular file; or, when it is read, a line in another encoding.
    """

    def __init__(self, name: str | os.PathLike, encoding: str = "utf-8", errors: str = "strict"):
        encoding = "utf-8" if _is_utf8(encoding) else encoding
        if os.path.exists(name) and not os.path.isfile(name):  # reading a pipe may never end
            raise DataFileError.at(name, None, "it is not a regular file")
        if "\n".encode(encoding) != b"\n":
            raise ValueError(
                f"Lines of a file in {encoding} cannot be indexed. Convert it to UTF-8."
            )
        self.name, self.encoding, self.errors = os.fspath(name), encoding, errors
        self._file = builtins.open(name, "rb")  # noqa: SIM115 - closed by close()
        self._lock = threading.Lock()
        self._starts: np.ndarray | None = None  # offsets of the lines, then the size of the file

    def __len__(self) -> int:
        return len(self._offsets) - 1

    def __getitem__(self, key: int | slice) -> str | list[str]:
        if isinstance(key, slice):
            return [self[i] for i in range(*key.indices(len(self)))]
        size = len(self)
        if not -size <= key < size:
            raise IndexError(f"There is no line {key} in {self.name}, which has {size} lines.")
        start, end = (int(offset) for offset in self._offsets[key % size : key % size + 2])
        with self._lock:
            self._file.seek(start)
            line = self._file.read(end - start)
        return self._decode(line, key % size)

    def __iter__(self) -> Iterator[str]:
        with builtins.open(self.name, "rb") as file:  # a separate handle: loops may be nested
            for number, line in enumerate(file):
                yield self._decode(line, number)

    def close(self) -> None:
        """Close the file; its lines can no longer be read."""
        self._file.close()

    def __enter__(self) -> LineFile:
        return self

    def __exit__(self, *exception) -> None:
        self.close()

    def __del__(self) -> None:
        if "_file" in self.__dict__:  # nobody else closes the copies in other processes
            self._file.close()

    def __getstate__(self) -> dict:
        return {"name": self.name, "encoding": self.encoding, "errors": self.errors}

    def __setstate__(self, state: dict) -> None:
        self.__init__(**state)

    @property
    def _offsets(self) -> np.ndarray:
        with self._lock:
            if self._starts is None:
                self._starts = _line_offsets(self._file)
            return self._starts

    def _decode(self, line: bytes, number: int) -> str:
        if number == 0 and self.encoding == "utf-8":
            line = line.removeprefix(codecs.BOM_UTF8)
        try:
            return line.decode(self.encoding, self.errors)
        except UnicodeDecodeError as error:
            raise DataFileError.at(self.name, number + 1, error) from None


def _is_utf8(encoding: str) -> bool:
    return codecs.lookup(encoding).name in ("utf-8", "utf-8-sig")


def _line_offsets(file: IO[bytes]) -> np.ndarray:
    file.seek(0)
    parts, position = [np.zeros(1, "int64")], 0
    while block := file.read(_BLOCK):
        ends = np.flatnonzero(np.frombuffer(block, "uint8") == 10)
        parts.append(ends + (position + 1))
        position += len(block)
    if parts[-1].size == 0 or parts[-1][-1] != position:
        parts.append(np.array([position]))  # the last line has no ending
    offsets = np.concatenate(parts)
    return offsets if position else offsets[:1]
