"""Masked LM with distillation: the student also learns the last hidden states of a teacher."""

from __future__ import annotations

import types
from pathlib import Path
from typing import Any, ClassVar

import keras
import numpy as np
from keras import ops

from ..._compat import set_keras_mask
from ..._serialization import serializable
from ..._types import Tensor
from ...data.masking import IGNORED
from ...layers.masking import EndsMask
from ...losses import SparseCategoricalCrossentropy
from ...losses.precision import float32_or_wider
from ...models import Backbone, build_transformer_model
from ...models.model_config import ConfigSource
from ...tokenizers.base import TokenizerBase
from ...training import SparseCategoricalAccuracy
from ..rows import TokenRows
from .base import Arrays, check_at_least, named_model, register_objective
from .masked_lm import MaskedLM

_TINY = 1e-12  # least squared length of a vector


@register_objective
class DistilledMaskedLM(MaskedLM):
    """Masked LM, and match what a frozen teacher computes for the same text without masks.

    The loss is that of the masked LM plus `weight` times the mean, over all real tokens, of 1 -
    cosine between the teacher's last hidden state and a linear projection of the student's. The
    student reads the text with masks, the teacher the original one. The projection and the teacher
    are not saved, and the teacher is in no backup: give the same one to continue a training.

    Args:
        tokenizer: with a mask token; of student and teacher.
        weight: of the distance from the teacher.
        teacher: checkpoint directory of the teacher, if `build` is not given one.
        **options: of `MaskedLM`: `rate`, `unit`, `mean_span`.

    Raises:
        ValueError: an argument out of its range, or no mask token; from `build`, no teacher, or one
            that does not fit.

    Source: hidden states of a teacher with a projection: Jiao et al., TinyBERT, 2020
    (arXiv:1909.10351), section 3.1; the cosine: Sanh et al., DistilBERT, 2019 (arXiv:1910.01108).
    """

    name: ClassVar[str] = "distilled-mlm"

    def __init__(
        self,
        tokenizer: TokenizerBase,
        weight: float = 1.0,
        teacher: str | Path | None = None,
        **options: Any,
    ):
        super().__init__(tokenizer, **options)
        check_at_least("weight", weight, 0)
        self.weight, self.teacher = weight, teacher

    def corrupt(
        self, rows: TokenRows, rng: np.random.Generator
    ) -> tuple[Arrays, Arrays | np.ndarray]:
        inputs, targets = self.mask_rows(rows, rng)
        real = np.where(rows.document_ids > 0, 0, IGNORED).astype("int32")
        inputs["original_ids"] = rows.token_ids
        return inputs, {"tokens": targets, "distance": real}

    def build(
        self,
        checkpoint: ConfigSource,
        teacher: str | Path | Backbone | None = None,
        **options: Any,
    ) -> keras.Model:
        """Build student, projection and teacher as one model.

        Args:
            checkpoint, **options: of `build_transformer_model`, for the student.
            teacher: a checkpoint directory, or a `Backbone` without heads that is built with
                `application="packed"`; it is frozen.
        """
        teacher = self._frozen(self.teacher if teacher is None else teacher)
        options = {"application": "packed", "with_mlm": "linear", **options}
        student = build_transformer_model(
            checkpoint, masked_positions=True, last_hidden_state=True, **options
        )
        names = ("token_ids", "document_ids", "masked_positions")
        model = named_model(self.check_vocabulary(student), names)
        scores, states = model.outputs
        original = keras.Input((None,), dtype="int32", name="original_ids")
        width = teacher.output.shape[-1]
        states = keras.layers.Dense(width, name="Distillation-Projection")(states)
        distance = _DistanceToTeacher(teacher, name="Distillation-Distance", dtype="float32")
        found = distance([states, original, model.input["document_ids"]])
        inputs = {**model.input, "original_ids": original}
        return keras.Model(inputs, {"tokens": scores, "distance": found})

    def _frozen(self, teacher: str | Path | Backbone | None) -> Backbone:
        """Return the teacher, loaded if needed, checked and frozen."""
        if teacher is None:
            raise ValueError(
                f"the objective {self.name} needs a teacher: build(config, teacher=DIRECTORY), or "
                "--option teacher=DIRECTORY on the command line."
            )
        if not isinstance(teacher, Backbone):
            teacher = build_transformer_model(teacher, application="packed", name="teacher")
        if "document_ids" not in teacher.input_order or len(teacher.output.shape) != 3:
            raise ValueError(
                f"the teacher {teacher.name} must return hidden states of packed documents: build "
                'it with application="packed" and without heads.'
            )
        if teacher.config.vocab_size < self.vocab_size:
            raise ValueError(
                f"the tokenizer has {self.vocab_size} ids and the teacher only "
                f"{teacher.config.vocab_size} rows of token vectors: use the teacher's tokenizer."
            )
        teacher.trainable = False
        return teacher

    @property
    def loss(self) -> Any:
        tokens = SparseCategoricalCrossentropy(from_logits=True)
        return {"tokens": tokens, "distance": TeacherLoss(self.weight)}

    @property
    def metrics(self) -> Any:
        return {"tokens": [SparseCategoricalAccuracy()]}


def reduce_token_vectors(teacher: Backbone, student: Backbone) -> float:
    """Start a student with its teacher's token vectors, reduced to its width by PCA.

    Even tokens that the texts do not have start with a meaning so. The mean is left out: in a
    softmax over tied vectors it has no effect. Where the student is wider, the other dimensions
    keep their values.

    Args:
        teacher, student: models with the same ids; the student is changed.

    Returns:
        The share of the teacher's variance that the student's vectors keep.

    Raises:
        ValueError: the teacher has fewer rows of token vectors.
    """
    layers = [model.get_layer("Embedding-Token") for model in (teacher, student)]
    given, table = (ops.convert_to_numpy(layer.embeddings) for layer in layers)
    if len(given) < len(table):
        raise ValueError(
            f"the teacher has only {len(given)} rows of token vectors, the student {len(table)}: "
            "use the teacher's tokenizer."
        )
    centered = given[: len(table)].astype("float64")
    centered -= centered.mean(axis=0)
    variances, directions = np.linalg.eigh(centered.T @ centered)  # the largest comes last
    kept = min(table.shape[1], given.shape[1])
    # A copy: what JAX gives is read only.
    table = np.array(table)
    table[:, :kept] = centered @ directions[:, ::-1][:, :kept]
    layers[1].embeddings.assign(table)
    return float(variances[::-1][:kept].sum() / variances.sum())


class _DistanceToTeacher(EndsMask, keras.layers.Layer):
    """1 - cosine between vectors (B, L, D) and the last hidden states of a teacher: (B, L).

    The teacher is no part of the model: it has no weights in it, no gradient and no dropout.

    Args:
        teacher: of packed documents, without heads.

    Call arguments:
        inputs: vectors; token ids (B, L) and document ids (B, L) for the teacher.
    """

    def __init__(self, teacher: Backbone, **kwargs: Any):
        super().__init__(**kwargs)
        self._untracked = types.SimpleNamespace(teacher=teacher)

    def call(self, inputs: list[Tensor]) -> Tensor:
        vectors, token_ids, document_ids = inputs
        teacher, zeros = self._untracked.teacher, ops.zeros_like(token_ids)
        given = {"token_ids": token_ids, "document_ids": document_ids}
        states = teacher([given.get(name, zeros) for name in teacher.input_order], training=False)
        pair = [float32_or_wider(x) for x in (vectors, ops.stop_gradient(states))]
        a, b = (x * ops.rsqrt(ops.maximum(ops.sum(x * x, -1, keepdims=True), _TINY)) for x in pair)
        return 1 - ops.sum(a * b, axis=-1)

    def compute_output_spec(self, inputs):
        return keras.KerasTensor(inputs[1].shape, dtype="float32")


@serializable
class TeacherLoss(keras.losses.Loss):
    """Mean of distances, times a weight, where the target is not below 0."""

    def __init__(self, weight: float = 1.0, name: str = "distance", **kwargs: Any):
        super().__init__(name=name, **kwargs)
        self.weight = weight

    def call(self, y_true: Tensor, y_pred: Tensor) -> Tensor:
        counted = y_true >= 0
        loss = ops.where(counted, self.weight * y_pred, 0.0)
        set_keras_mask(loss, counted)
        return loss

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "weight": self.weight}
