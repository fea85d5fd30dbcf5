"""Strategy of heads that score tags: training labels and entities, one tag per token or word."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from ..._types import Tensor
from ...losses import SparseCategoricalCrossentropy
from ..alignment import merge_windows
from ..labelled_span import LabelledSpan
from .chain_decoding import to_numpy
from .marginals import EntityMarginals
from .schemes import decode_tags, encode_tags
from .sequence_labelling import SequenceLabelling
from .tag_chain import global_chain
from .tokens import ScoredEntity, TextTokens


class TagAnswers:
    """Training labels and answers of a head that scores tags.

    A text has U tagging units: its tokens, or its words.

    Args:
        tags: the C tags, in the order of their ids.
        scheme: scheme of the tags.
        head: a CRF or an MEMM; None: a softmax, which takes the best tag of each unit on its own.
    """

    nested = False

    def __init__(self, tags: Sequence[str], scheme: str, head: SequenceLabelling | None):
        self.tags, self.scheme, self.head = list(tags), scheme, head
        self.marginals = EntityMarginals(self.tags)
        self._ids = {tag: i for i, tag in reversed(list(enumerate(self.tags)))}
        self._matrix: np.ndarray | None = None

    @property
    def loss(self) -> Callable[[Tensor, Tensor], Tensor]:
        """Loss of the head; of a softmax, cross-entropy that ignores labels below 0."""
        return SparseCategoricalCrossentropy(True) if self.head is None else self.head.loss

    def read_weights(self) -> None:
        """Copy the head's transitions, once for many texts."""
        if self.head is not None:
            self._matrix = to_numpy(self.head.transition_matrix()).astype("float64")

    def stored(self) -> dict[str, np.ndarray]:
        """Return the transitions of the head, if it has any, for an export."""
        self.read_weights()
        return {} if self._matrix is None else {"transitions": self._matrix}

    def condense(self, output: np.ndarray) -> np.ndarray:
        """Return what is kept of a window's output (T, C): all of it."""
        return output

    def label(
        self, tokens: TextTokens, entities: Sequence[LabelledSpan], window: int
    ) -> np.ndarray:
        """Return the tag ids of a window's tokens, int32 (T,).

        -1 ("no label") is given to tokens that are not tagged, and to the part of an entity that
        the border of the window cuts off; another window contains the whole entity.

        Args:
            tokens: the text.
            entities: in units.
            window: index of the window.
        """
        start, end = tokens.windows[window]
        labels = np.full(end, -1, "int32")
        tags = encode_tags(entities, len(tokens.spans), self.scheme)
        for place, tag in zip(tokens.places, tags, strict=True):
            if place < end:
                labels[place] = self._ids.get(tag, -1)
        for entity in entities:
            first, last = tokens.tokens_of(entity.start, entity.end)
            if first < start <= last or first < end <= last:
                labels[first : last + 1] = -1
        row = np.full(tokens.sizes[window], -1, "int32")
        begin = tokens.begins[window]
        row[begin : begin + end - start] = labels[start:]
        return row

    def answers(self, outputs: Sequence[np.ndarray], tokens: TextTokens) -> list[ScoredEntity]:
        """Return the entities, in units, with their probabilities, in the order of the text."""
        if not tokens.spans:
            return []
        if self._matrix is None:
            self.read_weights()
        rows = [row[begin:] for row, begin in zip(outputs, tokens.begins, strict=True)]
        scores = merge_windows(rows, tokens.windows)[tokens.places]
        head = self.head
        path = scores.argmax(axis=1) if head is None else head.best_labels(scores, self._matrix)
        entities = decode_tags([self.tags[i] for i in path])
        if not entities:
            return []
        chain = global_chain(scores) if head is None else head.tag_chain(scores, self._matrix)
        return list(zip(entities, self.marginals(chain, entities), strict=True))
