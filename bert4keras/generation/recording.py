"""Decoding steps on torch, replayed without the Python code of the layers."""

from __future__ import annotations

import collections
import operator
from collections.abc import Callable, Mapping
from typing import Any

import keras

from .._types import KeyValues, Tensor

_Step = Callable[[Mapping[str, Tensor], Tensor, Mapping[int, KeyValues]], Any]
# Steps before one is recorded: recording takes as long as some fifty recorded steps save.
RECORD_AFTER = 64


class RecordedStep:
    """A decoding step on torch that is recorded after a while, and replayed from then on.

    torch runs one operation after the other, and for one token the code of the layers around them
    takes longer than the operations. A record is the list of operations, one for each set of
    shapes; it refers to the weights themselves, so it sees what training assigns to them. When
    other tensors take their place (`quantize`, `enable_lora`), `check_weights` drops it.

    Args:
        step: called as `step(inputs, query_index, cache)`, see `Transformer.step`.
        model: owner of the weights.
    """

    def __init__(self, step: _Step, model: keras.Model):
        self.step, self.model = step, model
        self.weights: list[Tensor] = []
        self.records: dict[Any, _Step] = {}
        self.calls: collections.Counter[Any] = collections.Counter()

    def __call__(
        self, inputs: Mapping[str, Tensor], query_index: Tensor, cache: Mapping[int, KeyValues]
    ) -> Any:
        shapes = tuple((name, x.shape) for name, x in inputs.items())
        self.calls[shapes] += 1
        if self.calls[shapes] == RECORD_AFTER:
            self.records[shapes] = _traced(self.step, dict(inputs), query_index, dict(cache))
        return self.records.get(shapes, self.step)(inputs, query_index, cache)

    def check_weights(self) -> None:
        """Drop the records if other tensors have taken the place of the model's weights."""
        weights = [variable.value for variable in self.model.variables]
        same = len(weights) == len(self.weights)
        if not (same and all(map(operator.is_, weights, self.weights))):
            self.weights, self.records = weights, {}
            self.calls.clear()


def _traced(step: _Step, *arguments: Any) -> _Step:
    """Return the operations of a step as a function, or the step itself if that is impossible."""
    from torch.fx.experimental.proxy_tensor import make_fx

    # Fake tensors have no values: a layer that reads one, to decide in Python what to do, raises
    # here, while a real value would be replayed for ever.
    trace = make_fx(step, tracing_mode="fake", _allow_non_fake_inputs=True)
    try:
        recorded = trace(*arguments)
    except Exception:  # many kinds of errors, one for each way to read a value
        return step
    recorded.graph.eliminate_dead_code()
    recorded.recompile()
    return recorded
