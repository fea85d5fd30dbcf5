"""Heads of relation extraction: CasRel and GPLinker.

Legend: B batch, T length, D width, P relations.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from ..._checks import check_places
from ..._scores import is_masked, lowest
from ..._serialization import function_of, serializable
from ...layers.masking import ReadsPadding, first_shape
from ...layers.normalization import ConditionalLayerNormalization
from ..span_matrix import check_offsets, span
from ..tagging.global_pointer import EfficientGlobalPointer, GlobalPointer
from .triples import Triple, decode_linker, half_pointers

ROWS = 32  # subjects asked for at once


@serializable
class GPLinker(ReadsPadding, keras.layers.Layer):
    """Triples by three `GlobalPointer`: entities, links of first tokens, links of last tokens.

    A triple (s, p, o) is where s is a subject, o an object, their first tokens are linked by p and
    so are their last tokens: all four scores above 0. Links have no direction along the text, so
    their matrices are neither rotated nor triangular.

    Args:
        relations: P.
        head_size: of each pointer.
        efficient: make the links by `EfficientGlobalPointer`, for many relations.
        pad_token_id: token id that counts as padding; None: what the Keras mask of the vectors
            says; -1: no token is padding.

    Call arguments:
        inputs: x (B, T, D), or a pair of it and the token ids (B, T).

    Returns:
        (B, 2 + 2 P, T, T): heads in the order of `linker_pairs`, which makes the labels.

    Source: https://kexue.fm/archives/8888.
    """

    def __init__(
        self,
        relations: int,
        head_size: int = 64,
        efficient: bool = False,
        pad_token_id: int | None = None,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.relations = relations
        self.head_size = head_size
        self.efficient = efficient
        self.pad_token_id = pad_token_id
        shared = {"head_size": head_size, "pad_token_id": pad_token_id, "dtype": self.dtype_policy}
        link = EfficientGlobalPointer if efficient else GlobalPointer
        free = {"use_rotary": False, "tril": False, **shared}
        self.entities = GlobalPointer(2, name="entities", **shared)
        self.head_links = link(relations, name="head_links", **free)
        self.tail_links = link(relations, name="tail_links", **free)

    def build(self, input_shape):
        for pointer in (self.entities, self.head_links, self.tail_links):
            pointer.build(input_shape)

    def call(self, inputs, mask=None):
        pointers = (self.entities, self.head_links, self.tail_links)
        return ops.concatenate([pointer(inputs, mask=mask) for pointer in pointers], axis=1)

    # ZLPR over all heads; labels (B, 2 + 2 P, T, T), or (B, 2 + 2 P, n, 2) of `sparse_pairs`.
    loss = staticmethod(GlobalPointer.loss)
    sparse_loss = staticmethod(GlobalPointer.sparse_loss)

    @staticmethod
    def decode(
        scores: Any,
        offsets: Any = None,
        relations: Any = None,
        threshold: float = 0.0,
        max_entities: int = 64,
    ) -> list:
        """Triples of each text; arguments as of `tasks.relations.decode_linker`."""
        scores = ops.convert_to_numpy(scores)
        return decode_linker(scores, offsets, relations, threshold, max_entities)

    def compute_output_shape(self, input_shape):
        batch, length = first_shape(input_shape)[:2]
        return (batch, 2 + 2 * self.relations, length, length)

    def compute_output_spec(self, inputs, mask=None):
        shape = self.compute_output_shape(self.split(inputs)[0].shape)
        return keras.KerasTensor(shape, dtype=self.entities.scores_dtype)

    def get_config(self):
        return {
            **super().get_config(),
            "relations": self.relations,
            "head_size": self.head_size,
            "efficient": self.efficient,
            "pad_token_id": self.pad_token_id,
        }


@serializable
class CasRel(ReadsPadding, keras.layers.Layer):
    """Triples in two steps: the subjects, and for a given subject its objects by relation.

    Start and end of a subject are marked with probabilities `sigmoid(x W + b)^2`; those of its
    objects with `sigmoid(y V + c)^4`, y being x under a conditional layer normalization, whose
    condition is the vectors of the subject's first and last token. The powers make the start of
    training sparse, as the labels are. Training takes one subject of the text at random; text and
    subject are inputs of the model, and labels are made by `tasks.relations.casrel_labels`.

    Args:
        relations: P.
        pad_token_id: token id that counts as padding; None: what the Keras mask of the vectors
            says; -1: no token is padding.

    Call arguments:
        inputs: `[x, token_ids, subject]`: (B, T, D), (B, T), and (B, 2), first and last token;
            or `[x, subject]`.

    Returns:
        (B, T, 2 + 2 P): log-odds of start and end of a subject, and for each relation of start and
        end of an object. Those of padding are far below 0, but finite.

    Sources: Wei et al., A Novel Cascade Binary Tagging Framework, 2020 (arXiv:1909.03227);
    condition and powers: https://kexue.fm/archives/7161.
    """

    others = 1  # the subject

    def __init__(self, relations: int, pad_token_id: int | None = None, **kwargs):
        super().__init__(**kwargs)
        self.relations = relations
        self.pad_token_id = pad_token_id
        dtype = self.dtype_policy
        self.subjects = keras.layers.Dense(2, dtype=dtype, name="subjects")
        self.norm = ConditionalLayerNormalization(dtype=dtype, name="norm")
        self.objects = keras.layers.Dense(2 * relations, dtype=dtype, name="objects")

    def build(self, input_shape):
        shape = first_shape(input_shape)
        self.subjects.build(shape)
        self.norm.build([shape, (shape[0], 2 * shape[-1])])
        self.objects.build(shape)

    def call(self, inputs, mask=None):
        x, _, (subject,) = self.split(inputs)
        ends = check_places(ops.cast(subject, "int32"), x, self.name)[:, :, None]
        ends = ops.take_along_axis(x, ends, axis=1)
        condition = ops.reshape(ends, (-1, 2 * x.shape[-1]))
        subjects = _log_odds(self.subjects(x), 2)
        objects = _log_odds(self.objects(self.norm([x, condition])), 4)
        scores = ops.concatenate([subjects, objects], axis=-1)
        real = self.real_tokens(inputs, mask)[:, :, None]
        return ops.where(real, scores, lowest(scores.dtype))

    @staticmethod
    @function_of("CasRel")
    def loss(y_true: Any, scores: Any) -> Any:
        """Binary cross-entropies, of start and end on average, of all relations in sum.

        Args:
            y_true: (B, T, 2 + 2 P), 0 or 1; below 0: ignored, as padding is.
            scores: (B, T, 2 + 2 P).

        Returns:
            (B,), per token.
        """
        s = ops.cast(scores, "float32")
        y = ops.cast(y_true, "float32")
        counted = ops.logical_and(y >= 0, ~is_masked(s))
        s = ops.where(counted, s, 0)
        losses = ops.where(counted, ops.softplus(s) - y * s, 0)
        tokens = ops.sum(ops.cast(ops.any(counted, axis=-1), "float32"), axis=1)
        return ops.sum(losses, axis=(1, 2)) / 2 / ops.maximum(tokens, 1)

    def decode(
        self,
        x: Any,
        token_ids: np.ndarray,
        offsets: Any = None,
        relations: Sequence | None = None,
        start: float = 0.6,
        end: float = 0.5,
        mask: Any = None,
    ) -> list[list[Triple]]:
        """Triples of each text: the head is asked for subjects, then for the objects of each.

        Args:
            x: (B, T, D), what the encoder gives for the texts.
            token_ids: (B, T).
            offsets: as in `tasks.span_matrix.decode_spans`.
            relations: P names; None: the number of the relation.
            start, end: probabilities above which something starts or ends.
            mask: bool (B, T), True on tokens that are no padding; needed where the head has no
                `pad_token_id`, since an array carries no Keras mask.

        Raises:
            ValueError: neither `pad_token_id` nor a mask.
        """
        x, token_ids = ops.convert_to_numpy(x), np.asarray(token_ids)
        check_offsets(offsets, *token_ids.shape)
        if self.pad_token_id is None and mask is None:
            raise ValueError(
                f"{self.name} was made without pad_token_id, and arrays carry no Keras mask: pass "
                "mask=(token_ids != bert.config.pad_token_id)."
            )
        mask = np.ones(token_ids.shape, bool) if mask is None else np.asarray(mask, bool)
        first_scores = self.ask(x, token_ids, mask, [(row, 0, 0) for row in range(len(x))])

        def place(row: int, first: int, last: int) -> tuple[int, int] | None:
            return span(first, last, None if offsets is None else offsets[row])

        found = self.find(
            x, token_ids, mask, [scores[:, :2] for scores in first_scores],
            lambda *where: place(*where) is not None, start, end
        )  # fmt: skip
        names = range(self.relations) if relations is None else relations
        results = []
        for row, triples in enumerate(found):
            moved = set()
            for ((a, b), p, (c, d)), _ in triples:
                moved.add(Triple(place(row, a, b - 1), names[p], place(row, c, d - 1)))
            results.append(sorted(moved))
        return results

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
        """Triples of tokens of each text, and the lowest of the four log-odds of each.

        Args:
            x, token_ids, mask, start, end: as of `decode`.
            subjects: scores (T, 2) of start and end of a subject, of each text.
            allowed: function (text, first, last): whether these tokens may be an entity.

        Returns:
            Triples with the number of the relation.
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
        """Scores (T, 2 + 2 P) for each (text, first, last), in batches of one size."""
        for some in (subjects[i : i + ROWS] for i in range(0, len(subjects), ROWS)):
            rows = np.array(some + [(0, 0, 0)] * (ROWS - len(some)))
            texts = rows[:, 0]
            inputs = [x[texts], token_ids[texts], rows[:, 1:].astype("int32")]
            inputs = [ops.convert_to_tensor(array) for array in inputs]
            scores = self(inputs, mask=ops.convert_to_tensor(mask[texts]), training=False)
            yield from ops.convert_to_numpy(ops.cast(scores, "float32"))[: len(some)]

    def compute_output_shape(self, input_shape):
        return (*first_shape(input_shape)[:2], 2 + 2 * self.relations)

    def compute_output_spec(self, inputs, mask=None):
        dtype = "float32" if self.compute_dtype == "float16" else self.compute_dtype
        return keras.KerasTensor(self.compute_output_shape(inputs[0].shape), dtype=dtype)

    def get_config(self):
        return {
            **super().get_config(),
            "relations": self.relations,
            "pad_token_id": self.pad_token_id,
        }


def _log_odds(scores: Any, power: int) -> Any:
    """Log-odds of `sigmoid(s) ** power`, exact for large s: 1 - p^n = (1 - p)(1 + p + ...)."""
    if keras.backend.standardize_dtype(scores.dtype) == "float16":
        scores = ops.cast(scores, "float32")  # the powers of a large score are beyond a half
    p = ops.sigmoid(scores)
    total = 1
    for _ in range(power - 1):  # Horner's way: on TensorFlow p ** 0 has no gradient at p = 0
        total = total * p + 1
    rest = ops.log_sigmoid(-scores) + ops.log(total)
    return power * ops.log_sigmoid(scores) - rest
