"""Triples from the scores of CasRel, in numpy: first all subjects, then the objects of each."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import keras
import numpy as np

from ...export import ExportedModel
from .triples import Triple, half_pointers

_SUBJECTS_PER_BATCH = 32  # subjects per batch of `FindsTriples.ask`


class FindsTriples:
    """Search for triples, of the layer `CasRel` and of an exported extractor."""

    def scores_of(self, inputs: Sequence[np.ndarray], mask: np.ndarray) -> np.ndarray:
        """Return the scores of subjects and objects, float32 (B, T, 2 + 2 P).

        Args:
            inputs: output of the encoder (B, T, D), token ids (B, T), the subject's first and last
                token (B, 2).
            mask: bool (B, T), False for padding.
        """
        raise NotImplementedError

    def find(
        self,
        x: np.ndarray,
        token_ids: np.ndarray,
        mask: np.ndarray,
        subjects: Sequence[np.ndarray],
        allowed: Callable[[int, int, int], bool],
        start: float = 0.6,
        end: float = 0.5,
    ) -> list[list[tuple[Triple, float]]]:
        """Find the triples of each text in tokens, with the lowest of their four log-odds.

        Args:
            x, token_ids, mask, start, end: as of `decode`.
            subjects: for each text the scores (T, 2) of start and end of a subject.
            allowed: function (index of the text, first, last): True if these tokens may be an
                entity.

        Returns:
            Triples with the index of the relation.
        """
        asked = [
            (row, first, last)
            for row, scores in enumerate(subjects)
            for _, first, last in half_pointers(scores[:, None], start, end, row)
            if allowed(row, first, last)
        ]
        found: list[list[tuple[Triple, float]]] = [[] for _ in subjects]
        for (row, a, b), scores in zip(asked, self.ask(x, token_ids, mask, asked), strict=True):
            known = min(subjects[row][a, 0], subjects[row][b, 1])
            objects = scores[:, 2:].reshape(len(scores), -1, 2)
            for p, c, d in half_pointers(objects, start, end, row):
                if allowed(row, c, d):
                    score = min(known, objects[c, p, 0], objects[d, p, 1])
                    found[row].append((Triple((a, b + 1), p, (c, d + 1)), float(score)))
        return found

    def ask(
        self,
        x: np.ndarray,
        token_ids: np.ndarray,
        mask: np.ndarray,
        subjects: Sequence[tuple[int, int, int]],
    ) -> Iterator[np.ndarray]:
        """Yield the scores (T, 2 + 2 P) of each subject (text, first, last)."""
        for some in (
            subjects[i : i + _SUBJECTS_PER_BATCH]
            for i in range(0, len(subjects), _SUBJECTS_PER_BATCH)
        ):
            rows = np.array([*some, *[(0, 0, 0)] * (_SUBJECTS_PER_BATCH - len(some))])
            texts = rows[:, 0]
            inputs = [x[texts], token_ids[texts], rows[:, 1:].astype("int32")]
            yield from self.scores_of(inputs, mask[texts])[: len(some)]


class StoredCasRel(FindsTriples):
    """A `CasRel` without its layer.

    Args:
        model: the exported model; its part "objects" maps the inputs of `scores_of` and the mask
            to scores.
    """

    def __init__(self, model: ExportedModel):
        self.graph = model.parts["objects"]

    def scores_of(self, inputs: Sequence[np.ndarray], mask: np.ndarray) -> np.ndarray:
        return self.graph.predict_on_batch([*inputs, mask])


def casrel_models(reader: keras.Model, layer: keras.layers.Layer) -> dict[str, keras.Model]:
    """Return the models of a `CasRel` for an export: "model", and "objects", of `StoredCasRel`.

    Args:
        reader: model with the encoder's output and the scores of subjects.
        layer: the head.
    """
    vectors = reader.outputs[0]
    x = keras.Input(vectors.shape[1:], dtype=vectors.dtype, name="Vectors")
    token_ids = keras.Input((None,), dtype="int32", name="Token-Ids")
    subject = keras.Input((2,), dtype="int32", name="Subject")
    mask = keras.Input((None,), dtype="bool", name="Mask")
    inputs = [x, token_ids, subject]
    return {"model": reader, "objects": keras.Model([*inputs, mask], layer(inputs, mask=mask))}
