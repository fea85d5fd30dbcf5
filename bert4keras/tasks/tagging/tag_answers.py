"""Between entities and one tag per unit: labels to train on, and answers from scores of tags."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..alignment import merge_windows
from ..labelled_span import LabelledSpan
from .marginals import EntityMarginals, head_matrix, tag_chain
from .memm import MaximumEntropyMarkovModel
from .schemes import decode_tags, encode_tags
from .sequence_labelling import SequenceLabelling
from .tokens import TextTokens
from .viterbi import viterbi

Scored = tuple[LabelledSpan, float]


class TagAnswers:
    """Labels and answers of a head that scores tags.

    Args:
        tags: the C tags in the order of their ids.
        scheme: theirs.
        head: a CRF or an MEMM; None: a softmax, which takes the best tag of each unit by itself.
    """

    nested = False

    def __init__(self, tags: Sequence[str], scheme: str, head: SequenceLabelling | None):
        self.tags, self.scheme, self.head = list(tags), scheme, head
        self.marginals = EntityMarginals(self.tags)
        self._ids = {tag: i for i, tag in reversed(list(enumerate(self.tags)))}
        self._matrix: np.ndarray | None = None

    def read_weights(self) -> None:
        """Read the head's weights, once for many texts."""
        self._matrix = head_matrix(self.head)

    def condense(self, output: np.ndarray) -> np.ndarray:
        return output

    def label(
        self, tokens: TextTokens, entities: Sequence[LabelledSpan], window: int
    ) -> np.ndarray:
        """Ids of the tags of a window's tokens, int32 (T,).

        -1, which is "no label", for tokens that are no units and for the part of an entity that a
        border of the window cuts; the entity is whole in another window.

        Args:
            tokens: the text.
            entities: in units.
            window: number of the window.
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

    def answers(self, outputs: Sequence[np.ndarray], tokens: TextTokens) -> list[Scored]:
        """Entities in units with their probabilities, in the order of the text."""
        if not tokens.spans:
            return []
        if self._matrix is None:
            self.read_weights()
        rows = [row[begin:] for row, begin in zip(outputs, tokens.begins, strict=True)]
        scores = merge_windows(rows, tokens.windows)[tokens.places]
        path = self._path(scores)
        entities = decode_tags([self.tags[i] for i in path])
        if not entities:
            return []
        chain = tag_chain(scores, self.head, self._matrix)
        return list(zip(entities, self.marginals(chain, entities), strict=True))

    def _path(self, scores: np.ndarray) -> np.ndarray:
        """Ids of the best tags (U,)."""
        if self.head is None:
            return scores.argmax(axis=1)
        if isinstance(self.head, MaximumEntropyMarkovModel):
            # Of the highest probability; what scores highest may be improbable under an MEMM.
            return self.head.decode(scores[None], method="local")[0]
        matrix = self._matrix
        ends = {"start": matrix[-1, :-1], "end": matrix[:-1, -1]}
        return viterbi(scores[None], matrix[:-1, :-1], **ends)[0]
