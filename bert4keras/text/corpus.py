"""A corpus of any size, kept as the codes of its units in a temporary file."""

from __future__ import annotations

import itertools
import os
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TypeAlias

import numpy as np
from tqdm import tqdm

from ..data.text_blocks import read_blocks
from .units import BREAK, UnitVocabulary

Corpus: TypeAlias = "str | os.PathLike | Iterable[str | os.PathLike]"
_BLOCK = 1 << 20  # characters that are encoded at a time


class CodedCorpus:
    """Codes of the units of a corpus, 4 bytes each, in a temporary file.

    The corpus itself is read once, so it may be a generator. Each text and each line ends with a
    break: no n-gram spans two of them. Only a block of about a million characters is in memory at a
    time; a longer line is divided.

    Args:
        corpus: path of a text file (also `*.xz`, `*.gz`), or an iterable of texts (str) and of
            files (`pathlib.Path`).
        vocabulary: list of units, to which new ones are added.
        encoding: encoding of the files; None means UTF-8.
        progress: show a bar; None: only on a terminal.
        name: name of the corpus, for messages.

    Attributes:
        counts: (V,) how often each unit of the vocabulary occurs; 0 for the break.
        total: number of units.

    Raises:
        DataFileError: a file cannot be read.
        TypeError: something that is neither a text nor a file.
        ValueError: the corpus has no unit.
    """

    def __init__(
        self,
        corpus: Corpus,
        vocabulary: UnitVocabulary,
        encoding: str | None = None,
        progress: bool | None = None,
        name: str = "corpus",
    ):
        self._hidden = None if progress is None else not progress  # None: tqdm asks the terminal
        self._sizes, self._counts = [], np.zeros(1, "int64")
        self._file = tempfile.TemporaryFile()  # noqa: SIM115 - closed by close()
        try:
            for block in self._read(corpus, encoding, name):
                codes = vocabulary.encode(block + "\n")
                codes.tofile(self._file)
                self._sizes.append(len(codes))
                counts = np.bincount(codes, minlength=len(vocabulary.names))
                counts[: len(self._counts)] += self._counts
                self._counts = counts
            self._counts[BREAK] = 0
            self.total = int(self._counts.sum())
            if not self.total:
                found = "has no letter in its texts" if self._sizes else "has no text"
                raise ValueError(
                    f"The {name} {found}. Give the path of a file, or an iterable of texts (str) "
                    "and files (pathlib.Path); a generator can be read only once."
                )
            self._file.flush()
        except BaseException:
            self.close()
            raise

    @property
    def counts(self) -> np.ndarray:
        return self._counts

    def blocks(self, values: np.ndarray, about: str) -> Iterator[np.ndarray]:
        """Yield the codes of one block after another, each mapped through an array.

        Args:
            values: (V,), the values that replace the codes of the vocabulary.
            about: description of the progress bar.
        """
        ends = list(itertools.accumulate(self._sizes))
        codes = np.memmap(self._file, "int32", "r", shape=(ends[-1],))
        pairs = list(zip([0, *ends], ends, strict=False))
        for start, end in tqdm(pairs, about, disable=self._hidden, leave=False, unit="block"):
            yield values[codes[start:end]]

    def close(self) -> None:
        """Remove the temporary file."""
        self._file.close()

    def __enter__(self) -> CodedCorpus:
        return self

    def __exit__(self, *exception) -> None:
        self.close()

    def _read(self, corpus: Corpus, encoding: str | None, name: str) -> Iterator[str]:
        """Yield the corpus in blocks of about the same size."""
        if isinstance(corpus, (str, os.PathLike)):
            corpus = [Path(corpus)]
        elif isinstance(corpus, bytes) or not isinstance(corpus, Iterable):
            raise TypeError(
                f"The {name} is {_shown(corpus)}. It must be the path of a file, or an iterable of "
                "texts (str) and files (pathlib.Path)."
            )
        waiting, size = [], 0
        with tqdm(
            None,
            f"reading the {name}",
            unit="B",
            unit_scale=True,
            disable=self._hidden,
            leave=False,
        ) as bar:
            for place, item in enumerate(corpus):
                if isinstance(item, os.PathLike):
                    yield from read_blocks(item, encoding, bar.update)
                    continue
                if not isinstance(item, str):
                    raise TypeError(
                        f"Item {place} of the {name} is {_shown(item)}, neither a text (str) nor a "
                        "file (pathlib.Path)."
                    )
                waiting.append(item)
                size += len(item)
                if size >= _BLOCK:
                    bar.update(size)
                    yield from _divided("\n".join(waiting))
                    waiting, size = [], 0
            if waiting:
                yield from _divided("\n".join(waiting))


def _divided(text: str) -> Iterator[str]:
    """Yield a text in blocks that end with a line where possible."""
    start = 0
    while len(text) - start > 2 * _BLOCK:
        end = text.rfind("\n", start, start + _BLOCK) + 1 or start + _BLOCK
        yield text[start:end]
        start = end
    yield text[start:]


def _shown(value: object) -> str:
    return f"{type(value).__name__} {value!r:.40}"
