"""What regularising techniques are: value objects that say what one batch's loss is."""

from __future__ import annotations

import dataclasses
from typing import Any, ClassVar

import keras
from keras import ops

from .._serialization import Configurable


class Technique(Configurable):
    """One way to regularise training, given to `RegularizedModel`.

    Attributes:
        role: techniques of one role exclude each other. "objective" decides what the loss of a
            batch is as a function of the looked-up vectors, "adversarial", "penalty" and
            "consistency" add to it.
        active: False for a technique which its own numbers switch off.
        one_output: whether the model must have a single output, of class probabilities or scores.
        own_loss: whether the loss must be the compiled one alone, not one made inside the model.
    """

    role: ClassVar[str]
    one_output: ClassVar[bool] = False
    own_loss: ClassVar[bool] = False

    @property
    def active(self) -> bool:
        return True

    def require(self, **bounds: float) -> None:
        """Refuse numbers below a bound, or that are none."""
        for name, bound in bounds.items():
            value = getattr(self, name)
            number = isinstance(value, (int, float)) and not isinstance(value, bool)
            if not (number and value >= bound):
                given = f"{type(self).__name__}({name}={value!r})"
                raise ValueError(f"{given}: must be a number of at least {bound}.")


@dataclasses.dataclass(frozen=True)
class Objective(Technique):
    """The loss of one batch: here the model's own, which subclasses change.

    A training step calls `prepare_batch` once, and in each forward pass `change_output` after every
    layer and `loss` at the end.
    """

    role: ClassVar[str] = "objective"

    def prepare_batch(self, step: Any) -> None:
        """Change `step.inputs`, `step.labels`, `step.weights`, before anything runs."""

    def change_output(self, step: Any, layer: Any, output: Any) -> Any:
        """What the model goes on with in place of what a layer returned."""
        return output

    def loss(self, step: Any, outputs: Any) -> Any:
        """The loss, a scalar, given the model's outputs."""
        return step.model_loss(step.labels, outputs, step.weights)

    def metric_outputs(self, outputs: Any) -> Any:
        """The outputs that metrics see: one row per row of the batch that came in."""
        return outputs


def on_tensors(function: Any, structure: Any) -> Any:
    """A function on each tensor of a structure, which may be None or have None in it."""
    return keras.tree.map_structure(lambda x: None if x is None else function(x), structure)


def global_norm(tensors: list[Any]) -> Any:
    """The Euclidean norm of all numbers of some tensors together, a float32 scalar."""
    return ops.sqrt(sum(ops.sum(ops.square(ops.cast(x, "float32"))) for x in tensors))


def rescaled(tensors: list[Any], norm: float) -> list[Any]:
    """Tensors brought to a joint norm; zeros where they have none (all zero, or not finite)."""
    tensors = [ops.cast(tensor, "float32") for tensor in tensors]
    # By the largest first, so that no square underflows.
    largest = ops.max(ops.stack([ops.max(ops.abs(tensor)) for tensor in tensors]))
    usable = ops.logical_and(largest > 0, ops.isfinite(largest))
    largest = ops.where(usable, largest, 1.0)
    tensors = [ops.where(usable, tensor / largest, 0.0) for tensor in tensors]
    factor = norm / ops.maximum(global_norm(tensors), 1e-30)
    return [tensor * factor for tensor in tensors]
