"""Reading of a text file of any size, some lines at a time."""

from __future__ import annotations

import builtins
import codecs
import lzma
import os
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

from .text_files import _OPENERS, DataFileError, _not_decoded

_BLOCK = 1 << 20  # bytes read at a time


def read_blocks(
    path: str | os.PathLike,
    encoding: str | None = None,
    on_bytes: Callable[[int], object] | None = None,
) -> Iterator[str]:
    """Yield the text of a file, also a compressed one (`*.xz`, `*.gz`), in blocks of whole lines.

    A line longer than a block (about a megabyte) is divided. Only two blocks are in memory.

    Args:
        path: a regular file. A byte order mark of UTF-8 is removed.
        encoding: None means UTF-8.
        on_bytes: function that is called with the number of bytes read from the disk for each
            block; for a progress bar.

    Raises:
        DataFileError: no such file, another encoding (with the line), another compression, or not
            text.
    """
    path, rest, done = Path(path), "", 0
    try:
        if path.exists() and not path.is_file():
            raise DataFileError.at(path, None, "it is not a regular file")
        decoder = _Decoder(path, encoding or "utf-8")
        with builtins.open(path, "rb") as raw:
            opener = _OPENERS.get(path.suffix.lower())
            file = opener(raw) if opener else raw
            while block := file.read(_BLOCK):
                head, end, rest = (rest + decoder.decode(block)).rpartition("\n")
                if len(rest) > _BLOCK:
                    head, end, rest = head + end, rest, ""
                if on_bytes is not None:
                    on_bytes(raw.tell() - done)
                    done = raw.tell()
                if end:
                    yield head + end
            rest += decoder.decode(b"", final=True)
    except LookupError as error:
        raise DataFileError.at(path, None, error) from None
    except (OSError, EOFError, lzma.LZMAError, zlib.error) as error:
        raise DataFileError.at(path, None, error) from None
    if rest:
        yield rest


class _Decoder:
    """Decoder of blocks of bytes whose errors name the line."""

    def __init__(self, path: Path, encoding: str):
        self._path, self._line, self._is_first = path, 1, True
        self._decoder = codecs.getincrementaldecoder(encoding)()

    def decode(self, block: bytes, final: bool = False) -> str:
        try:
            text = self._decoder.decode(block, final)
        except UnicodeDecodeError as error:
            line = self._line + error.object.count(b"\n", 0, error.start)
            reason = _not_decoded(error.object, error)
            raise DataFileError.at(self._path, line, reason) from None
        if (place := text.find("\0")) >= 0:
            line = self._line + text.count("\n", 0, place)
            reason = "a NUL character: this is no text, or UTF-16 or UTF-32"
            raise DataFileError.at(self._path, line, reason)
        self._line += text.count("\n")
        if self._is_first and text:
            text, self._is_first = text.removeprefix("\ufeff"), False
        return text
