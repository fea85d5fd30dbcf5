"""Search for texts that are similar to a query."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Sequence
from typing import Protocol

import numpy as np

from .index import VectorIndex


@dataclasses.dataclass(frozen=True)
class Neighbour:
    """A text found by a search.

    Attributes:
        text: the text.
        score: its similarity with the query: a cosine or an inner product.
        position: its position among the texts of the index, from 0.
    """

    text: str
    score: float
    position: int

    def __str__(self) -> str:
        return f"{self.score:.4f}  {self.text}"


class _Encoder(Protocol):
    def predict(
        self,
        samples: Sequence[str],
        batch_size: int = ...,
        progress: bool | None = ...,
        prompt: str | None = ...,
    ) -> np.ndarray: ...


class TextIndex:
    """Texts, their vectors, and the encoder that made them.

    `SentenceEncoder.index` makes one.

    Args:
        encoder: encodes the queries.
        vectors: index of the texts' vectors, with the texts.
        prompt: name of the prompt put before queries.
        text_prompt: name of the prompt put before texts that are added.

    Example:
        >>> index = encoder.index(["The cat sleeps.", "It is raining."])
        >>> index.add(["The sun shines."])
        >>> index.search("The weather is bad.", k=1)
        [Neighbour(text='It is raining.', score=0.61, position=1)]
        >>> index.save("weather.npz")
        >>> again = TextIndex.load("weather.npz", encoder)
    """

    def __init__(
        self,
        encoder: _Encoder,
        vectors: VectorIndex,
        prompt: str | None = None,
        text_prompt: str | None = None,
    ):
        if vectors.texts is None:
            raise ValueError("the index holds vectors without their texts.")
        self.encoder, self.vectors = encoder, vectors
        self.prompt, self.text_prompt = prompt, text_prompt
        self.texts: list[str] = vectors.texts

    def __len__(self) -> int:
        return len(self.texts)

    def __repr__(self) -> str:
        return f"TextIndex({len(self)} texts, {self.vectors.metric})"

    def search(
        self, queries: str | Sequence[str], k: int = 10
    ) -> list[Neighbour] | list[list[Neighbour]]:
        """Return the k texts that are nearest to a query, the nearest first.

        Args:
            queries: a text, or a list of them.
            k: how many; all if there are fewer.

        Returns:
            A list of neighbours, or of a list of queries a list of lists.
        """
        single = isinstance(queries, str)
        asked = [queries] if isinstance(queries, str) else list(queries)
        if not asked:
            return []
        found = self.vectors.search(self.encoder.predict(asked, prompt=self.prompt), k)
        results = [
            [
                Neighbour(self.texts[place], score, place)
                for score, place in zip(scores, places, strict=True)
            ]
            for scores, places in zip(found.scores.tolist(), found.indices.tolist(), strict=True)
        ]
        return results[0] if single else results

    def add(self, texts: Sequence[str], batch_size: int = 64) -> None:
        """Encode and append texts; each call copies what is stored, so add many at a time."""
        texts = list(texts)
        if texts:
            vectors = self.encoder.predict(texts, batch_size, prompt=self.text_prompt)
            self.vectors.add(vectors, texts)

    def save(self, path: str | os.PathLike) -> None:
        """Write texts and vectors to an `.npz` file, replacing an old one atomically.

        The encoder is not in it: that is saved by `SentenceEncoder.save`.
        """
        self.vectors.save(path)

    @classmethod
    def load(
        cls,
        path: str | os.PathLike,
        encoder: _Encoder,
        prompt: str | None = None,
        text_prompt: str | None = None,
    ) -> TextIndex:
        """Read what `save` wrote; nothing is unpickled.

        Args:
            path: the file.
            encoder: the one with which the index was made.
            prompt: name of the prompt put before queries.
            text_prompt: name of the prompt put before texts that are added.

        Raises:
            VectorFileError: another file, or a damaged one.
            ValueError: vectors without texts.
        """
        return cls(encoder, VectorIndex.load(path), prompt, text_prompt)
