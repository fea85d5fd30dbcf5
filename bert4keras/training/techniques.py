"""Base classes of the regularising techniques: value objects that define the loss of a batch."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, ClassVar

import keras
from keras import ops

from .._serialization import Configurable
from .._types import Tensor

if TYPE_CHECKING:
    from .step import TrainingStep


class Technique(Configurable):
    """A way to regularise training, given to `RegularizedModel`.

    Attributes:
        role: at most one technique of each role can be used. The "objective" defines the loss of a
            batch as a function of the embedding vectors; "adversarial", "penalty" and
            "consistency" each add a term to it.
        active: False for a technique that its own numbers switch off.
        one_output: True if the model must have one output, of class probabilities or scores.
        own_loss: True if the loss must be the one given to `compile`, not one made by a layer.
    """

    role: ClassVar[str]
    one_output: ClassVar[bool] = False
    own_loss: ClassVar[bool] = False

    @property
    def active(self) -> bool:
        """False if the technique's own numbers switch it off."""
        return True

    def require(self, **bounds: float) -> None:
        """Raise a ValueError for an argument that is below its bound or not a number."""
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

    def prepare_batch(self, step: TrainingStep) -> None:
        """Change `step.inputs`, `step.labels` and `step.weights` before the first forward pass.

        What the other methods need is kept as additional attributes of the step, because the
        objective itself is a value without state.
        """

    def change_output(self, step: TrainingStep, layer: keras.layers.Layer, output: Any) -> Any:
        """Return the tensors that replace the output of a layer in a forward pass."""
        return output

    def loss(self, step: TrainingStep, outputs: Any) -> Tensor:
        """Return the loss, a scalar, of the model's outputs."""
        return step.model_loss(step.labels, outputs, step.weights)

    def metric_outputs(self, outputs: Any) -> Any:
        """Return the outputs for the metrics: one row for each row of the original batch."""
        return outputs


def on_tensors(function: Callable[[Tensor], Tensor], structure: Any) -> Any:
    """Apply a function to each tensor of a structure; None stays None."""
    return keras.tree.map_structure(lambda x: None if x is None else function(x), structure)


def global_norm(tensors: list[Tensor]) -> Tensor:
    """Return the Euclidean norm of several tensors as one vector, a float32 scalar."""
    return ops.sqrt(sum(ops.sum(ops.square(ops.cast(x, "float32"))) for x in tensors))


def rescaled(tensors: list[Tensor], norm: float) -> list[Tensor]:
    """Scale tensors to a global norm; zeros if they are all zero or one is not finite."""
    tensors = [ops.cast(tensor, "float32") for tensor in tensors]
    # Divide by the largest number first, so that no square underflows.
    largest = ops.max(ops.stack([ops.max(ops.abs(tensor)) for tensor in tensors]))
    usable = ops.logical_and(largest > 0, ops.isfinite(largest))
    largest = ops.where(usable, largest, 1.0)
    tensors = [ops.where(usable, tensor / largest, 0.0) for tensor in tensors]
    factor = norm / ops.maximum(global_norm(tensors), 1e-30)
    return [tensor * factor for tensor in tensors]
