"""Heads of relation extraction: CasRel and GPLinker.

Symbols: B batch, T tokens, D width, P relations.
"""

from __future__ import annotations

from collections.abc import Sequence

import keras
import numpy as np
from keras import ops

from ..._checks import check_places
from ..._scores import is_masked, lowest
from ..._serialization import function_of, serializable
from ..._types import Tensor
from ...layers.masking import ReadsPadding, first_shape
from ...layers.normalization import ConditionalLayerNormalization
from ..pooling import tokens_at
from ..span_matrix import Offsets, check_offsets, span
from ..tagging.global_pointer import EfficientGlobalPointer, GlobalPointer
from .finding import FindsTriples
from .triples import Triple, decode_linker


@serializable
class GPLinker(ReadsPadding, keras.layers.Layer):
    """Score triples with three `GlobalPointer`: entities, links of first and of last tokens.

    (s, p, o) is predicted if four scores are above 0: s is a subject, o is an object, p links their
    first tokens, and p links their last tokens. A link may go left or right, so its matrices are
    neither rotated nor triangular.

    Args:
        relations: number of relations, P.
        head_size: `head_size` of each pointer.
        efficient: use `EfficientGlobalPointer` for the links, for many relations.
        pad_token_id: token id of padding; None: use the Keras mask of x; -1: no padding.

    Call arguments:
        inputs: x (B, T, D), or the pair x and token ids (B, T).

    Returns:
        (B, 2 + 2 P, T, T), in the order of `linker_pairs`, which makes the labels.

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

    # ZLPR; labels (B, 2 + 2 P, T, T), or (B, 2 + 2 P, n, 2) from `sparse_pairs`.
    loss = staticmethod(GlobalPointer.loss)
    sparse_loss = staticmethod(GlobalPointer.sparse_loss)

    @staticmethod
    def decode(
        scores: Tensor,
        offsets: Sequence[Offsets] | None = None,
        relations: Sequence[str] | None = None,
        threshold: float = 0.0,
        max_entities: int = 64,
    ) -> list[list[Triple]]:
        """Find the triples of each text; arguments as of `decode_linker` in `triples`."""
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
class CasRel(FindsTriples, ReadsPadding, keras.layers.Layer):
    """Score triples in two steps: first the subjects, then the objects of a given subject.

    The start and the end of a subject have the probabilities `sigmoid(x W + b)^2`, those of its
    objects `sigmoid(y V + c)^4` for each relation. y is x after a conditional layer normalization,
    whose condition is the vectors of the subject's first and last token. Because of the powers,
    probabilities start low, as sparse labels need. Training uses one random subject per text; text
    and subject are inputs of the model, and `casrel_labels` in `triples` makes the labels.

    Args:
        relations: number of relations, P.
        pad_token_id: token id of padding; None: use the Keras mask of x; -1: no padding.

    Call arguments:
        inputs: `[x, token_ids, subject]`: (B, T, D), (B, T), and (B, 2), the subject's first and
            last token; or `[x, subject]`.

    Returns:
        (B, T, 2 + 2 P): log-odds of start and end of a subject, then, for each relation, of start
        and end of an object. Those of padding are finite, but far below 0.

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
        self.norm.build((shape, (shape[0], 2 * shape[-1])))
        self.objects.build(shape)

    def call(self, inputs, mask=None):
        x, _, (subject,) = self.split(inputs)
        ends = tokens_at(x, check_places(ops.cast(subject, "int32"), x, self.name))
        condition = ops.reshape(ends, (-1, 2 * x.shape[-1]))
        subjects = _log_odds_of_power(self.subjects(x), 2)
        objects = _log_odds_of_power(self.objects(self.norm([x, condition])), 4)
        scores = ops.concatenate([subjects, objects], axis=-1)
        real = self.real_tokens(inputs, mask)[:, :, None]
        return ops.where(real, scores, lowest(scores.dtype))

    @staticmethod
    @function_of("CasRel")
    def loss(y_true: Tensor, scores: Tensor) -> Tensor:
        """Compute binary cross-entropy: mean of start and end, summed over relations.

        Args:
            y_true: (B, T, 2 + 2 P), 0 or 1; below 0 is ignored, and so is padding.
            scores: (B, T, 2 + 2 P).

        Returns:
            (B,), the mean over the tokens of each text.
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
        x: Tensor,
        token_ids: np.ndarray,
        offsets: Sequence[Offsets] | None = None,
        relations: Sequence[str] | None = None,
        start: float = 0.6,
        end: float = 0.5,
        mask: np.ndarray | None = None,
    ) -> list[list[Triple]]:
        """Find the triples of each text: first all subjects, then the objects of each.

        Args:
            x: (B, T, D), output of the encoder.
            token_ids: (B, T).
            offsets: as of `tasks.span_matrix.decode_spans`.
            relations: P names; None: use the index of the relation.
            start, end: minimum probabilities of the start and the end of an entity.
            mask: bool (B, T), False for padding; required if the head has no `pad_token_id`,
                because an array carries no Keras mask.

        Raises:
            ValueError: neither `pad_token_id` nor `mask`.
        """
        x, token_ids = ops.convert_to_numpy(x), np.asarray(token_ids)
        check_offsets(offsets, *token_ids.shape)
        if self.pad_token_id is None and mask is None:
            raise ValueError(
                f"{self.name} has no pad_token_id, and arrays carry no Keras mask. Pass "
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

    def scores_of(self, inputs: Sequence[np.ndarray], mask: np.ndarray) -> np.ndarray:
        tensors = [ops.convert_to_tensor(array) for array in inputs]
        scores = self(tensors, mask=ops.convert_to_tensor(mask), training=False)
        return ops.convert_to_numpy(ops.cast(scores, "float32"))

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


def _log_odds_of_power(scores: Tensor, power: int) -> Tensor:
    """Return the log-odds of p^n for p = sigmoid(s) and n = power, exact for large s.

    log(p^n / (1 - p^n)), with 1 - p^n = (1 - p)(1 + p + ... + p^(n-1)), so no difference of nearly
    equal numbers is taken.
    """
    if keras.backend.standardize_dtype(scores.dtype) == "float16":
        scores = ops.cast(scores, "float32")  # float16 would overflow
    p = ops.sigmoid(scores)
    total = 1
    for _ in range(power - 1):  # Horner's method: on TensorFlow p ** 0 has no gradient at 0
        total = total * p + 1
    rest = ops.log_sigmoid(-scores) + ops.log(total)
    return power * ops.log_sigmoid(scores) - rest
