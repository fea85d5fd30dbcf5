"""A graph in another engine in place of a `keras.Model`."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from .._types import Tensor

if TYPE_CHECKING:
    import keras

Run = Callable[[Sequence[np.ndarray]], list[np.ndarray]]
_Arrays = np.ndarray | Sequence[np.ndarray] | Mapping[str, np.ndarray]


@dataclasses.dataclass(frozen=True)
class TensorSpec:
    """An input or output of a model.

    Attributes:
        name: its name in the graph.
        shape: its sizes, batch included; None where the size varies.
        dtype: name of its dtype.
    """

    name: str
    shape: tuple[int | None, ...]
    dtype: str

    @classmethod
    def of(cls, tensor: keras.KerasTensor) -> TensorSpec:
        """Describe a tensor of Keras."""
        return cls(str(tensor.name), tuple(tensor.shape), str(tensor.dtype))

    def to_json(self) -> dict[str, Any]:
        """Return the arguments as JSON values."""
        return {"name": self.name, "shape": list(self.shape), "dtype": self.dtype}

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> TensorSpec:
        """Return the specification that `to_json` wrote."""
        return cls(str(values["name"]), tuple(values["shape"]), str(values["dtype"]))


@dataclasses.dataclass(frozen=True)
class Signature:
    """Inputs and outputs of a model.

    Attributes:
        inputs: the inputs in their order.
        outputs: the outputs in their order.
        keys: names of the outputs if the model returns a dict; (None,) if it returns one tensor;
            () if it returns a list.
    """

    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    keys: tuple[str | None, ...] = (None,)

    @classmethod
    def of(cls, model: keras.Model) -> Signature:
        """Describe a functional `keras.Model`."""
        inputs, output = tuple(map(TensorSpec.of, model.inputs)), model.output
        if isinstance(output, Mapping):  # Keras sorts the keys of a dict, and so do we
            keys = tuple(sorted(output))
            return cls(inputs, tuple(TensorSpec.of(output[key]) for key in keys), keys)
        if isinstance(output, (list, tuple)):
            return cls(inputs, tuple(map(TensorSpec.of, output)), ())
        return cls(inputs, (TensorSpec.of(output),))

    def structured(self, outputs: Sequence[Any]) -> Any:
        """Return a list of outputs as the model returns them."""
        if self.keys == (None,):
            return outputs[0]
        return dict(zip(self.keys, outputs, strict=True)) if self.keys else list(outputs)

    def to_json(self) -> dict[str, Any]:
        """Return the arguments as JSON values."""
        return {
            "inputs": [spec.to_json() for spec in self.inputs],
            "outputs": [spec.to_json() for spec in self.outputs],
            "keys": list(self.keys),
        }

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Signature:
        """Return the signature that `to_json` wrote."""
        inputs, outputs = (values[key] for key in ("inputs", "outputs"))
        return cls(
            tuple(map(TensorSpec.from_json, inputs)),
            tuple(map(TensorSpec.from_json, outputs)),
            tuple(values["keys"]),
        )


def as_inputs(model: keras.Model, tensors: Sequence[Tensor]) -> Any:
    """Return tensors of the inputs in the structure of the model: a list, or the only one."""
    return list(tensors) if isinstance(model.input, (list, tuple)) else tensors[0]


class ExportedModel:
    """A graph that runs in another engine, with what tasks ask of a `keras.Model`.

    Args:
        signature: its inputs and outputs.
        run: function that runs it: arrays of the inputs, in their order -> arrays of the outputs.
        facts: what the task asked of the model's layers when it was exported, by name: JSON values
            and arrays.
        parts: further graphs that the task runs, by name.
        name: its name.

    Attributes:
        inputs, outputs: lists of `TensorSpec`.
        input, output: the same, in the structure of the model.
        layers: empty; layers are not exported.
    """

    layers: Sequence[Any] = ()

    def __init__(
        self,
        signature: Signature,
        run: Run,
        facts: Mapping[str, Any],
        parts: Mapping[str, ExportedModel] | None = None,
        name: str = "exported",
    ):
        self.signature, self.run, self.facts, self.name = signature, run, facts, name
        self.parts = dict(parts or {})
        self.inputs, self.outputs = list(signature.inputs), list(signature.outputs)
        self.input: Any = self.inputs if len(self.inputs) > 1 else self.inputs[0]
        self.output: Any = signature.structured(self.outputs)

    def predict_on_batch(self, x: _Arrays) -> Any:
        """Run the graph on a batch.

        Args:
            x: an array, a list of arrays in the order of the inputs, or a dict by their names.

        Returns:
            Arrays, in the structure of the model.
        """
        if isinstance(x, Mapping):
            x = [x[spec.name] for spec in self.inputs]
        arrays = x if isinstance(x, (list, tuple)) else [x]
        given = zip(arrays, self.inputs, strict=True)
        return self.signature.structured(
            self.run([np.asarray(array, spec.dtype) for array, spec in given])
        )

    def __getattr__(self, name: str) -> Any:
        raise AttributeError(
            f"an exported model has no {name!r}: it answers, and is not trained or changed. Load "
            "the task that it was made of."
        )
