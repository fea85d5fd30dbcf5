"""Heads that transformers puts on an encoder, described by the families that have them."""

from __future__ import annotations

import dataclasses

from ..checkpoints import TRANSPOSE, WeightMap


@dataclasses.dataclass(frozen=True)
class TaskHead:
    """Layers from an encoder's vectors to scores, and the names of their tensors.

    Attributes:
        output: prefix of the tensors of the last dense layer.
        pooling: vectors that the head reads: "pooler" (the encoder's pooled first token), "first",
            "last", "mean", or "tokens" (every token).
        dense: prefix of the tensors of a dense layer before the last one; None: no such layer.
        activation: activation of that layer: a name, or ":" and a config key.
        norm: prefix of the tensors of a norm after that layer; None: no norm.
        dense_bias, output_bias: True if the layer has a bias; or ":" and a config key.
    """

    output: str
    pooling: str = "tokens"
    dense: str | None = None
    activation: str = "linear"
    norm: str | None = None
    dense_bias: bool | str = True
    output_bias: bool = True

    def rows(self) -> tuple[WeightMap, ...]:
        """Return the rows that map the weights of the head to tensors."""
        rows = _dense_rows("Classifier", self.output)
        if self.dense:
            rows += _dense_rows("Classifier-Dense", self.dense)
        if self.norm:
            rows += (
                WeightMap("Classifier-Norm/gamma", f"{self.norm}.weight"),
                WeightMap("Classifier-Norm/beta", f"{self.norm}.bias"),
            )
        return rows


def _dense_rows(weight: str, tensor: str) -> tuple[WeightMap, ...]:
    kernel = WeightMap(f"{weight}/kernel", f"{tensor}.weight", TRANSPOSE)
    return (kernel, WeightMap(f"{weight}/bias", f"{tensor}.bias"))


@dataclasses.dataclass(frozen=True)
class TaskHeads:
    """Heads of a family's classes in transformers, passed to `register_model`.

    Source: the modeling files of transformers.

    Attributes:
        sequence: head of its `...ForSequenceClassification`.
        token: head of its `...ForTokenClassification`.
        question: head of its `...ForQuestionAnswering`.
    """

    sequence: TaskHead
    token: TaskHead = TaskHead("classifier")
    question: TaskHead = TaskHead("qa_outputs")
