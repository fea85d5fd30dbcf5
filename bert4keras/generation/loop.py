"""The search for answers, in two functions that the backend compiles: begin and advance.

Only this module of the folder differs between backends: each compiles functions in its own way.
"""

from __future__ import annotations

import copy
import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from .._checks import unchecked_ids
from .._compat import openvino_function
from .._types import Tensor
from ..models import Backbone, Transformer
from .processors import History, Processor
from .recording import RecordedStep
from .strategies import EndToken, Strategy


class Search:
    """One strategy on one model, for prompts of one number of columns.

    Args:
        model: a `Backbone` with a language-model head.
        strategy: see `strategies`.
        processors: applied in this order to the logits.
        ending: the token that ends an answer.
        columns: P, number of columns of the prompts.
    """

    def __init__(
        self,
        model: Backbone,
        strategy: Strategy,
        processors: Sequence[Processor],
        ending: EndToken,
        columns: int,
    ):
        self.transformer = _with_logits(model.transformer)
        self.strategy, self.processors = strategy, tuple(processors)
        self.ending, self.columns = ending, columns
        self.step: Callable = functools.partial(self.transformer.step, last_only=True)
        if keras.backend.backend() == "torch":
            self.step = RecordedStep(self.step, model)
        self.begin = compiled(self._begin, model)
        self.advance = compiled(self._advance, model)

    def _begin(self, inputs: Mapping[str, Tensor], limit: Tensor) -> dict[str, Any]:
        """Run the model over the prompts; return the state before the first new token."""
        batch, length = inputs["token_ids"].shape
        cache = self.transformer.empty_cache(batch, length)
        rows = ops.arange(self.columns, dtype="int32")
        with unchecked_ids():
            logits, cache = self.transformer.step(inputs, rows, cache, last_only=True)
        state = {"inputs": dict(inputs), "logits": logits[:, 0], "cache": cache}
        if self.strategy.width > 1:
            state = keras.tree.map_structure(self._tiled, state)
        state["tokens"] = state["inputs"].pop("token_ids")
        state["strategy"] = self.strategy.start(batch, length, limit)
        count = batch * self.strategy.width
        state["processors"] = [processor.start(count) for processor in self.processors]
        state["step"] = ops.zeros((), "int32")
        state["broken"] = ops.zeros((count,), "bool")
        return state

    def _tiled(self, x: Tensor) -> Tensor:
        return ops.repeat(x, self.strategy.width, axis=0)

    def _advance(self, state: dict[str, Any], until: Tensor) -> dict[str, Any]:
        """Choose tokens until there are `until` new ones, or all answers are final."""
        if isinstance(self.step, RecordedStep):
            self.step.check_weights()
        # Everything that the loop reads is in its state: on OpenVINO a body has no other tensors.
        state = {**state, "until": until}

        def unpack(flat):
            return keras.tree.pack_sequence_as(state, list(flat))

        def going(*flat):
            now = unpack(flat)
            over = self.strategy.finished(now["strategy"], now["step"])
            return ops.logical_and(now["step"] < now["until"], ops.logical_not(over))

        def body(*flat):
            return tuple(keras.tree.flatten(self._next(unpack(flat))))

        with unchecked_ids():
            state = unpack(ops.while_loop(going, body, tuple(keras.tree.flatten(state))))
        del state["until"]
        return state

    def _next(self, state: dict[str, Any]) -> dict[str, Any]:
        """Choose one token per row, write it, and compute the logits of the one after it."""
        inputs = state["inputs"]
        index = state["step"] + self.columns
        history = History(state["tokens"], inputs["padding_mask"], index, state["step"])
        logits = ops.cast(state["logits"], "float32")
        broken = ops.logical_not(ops.all(logits < float("inf"), axis=-1))
        memory = state["processors"]
        for processor, remembered in zip(self.processors, memory, strict=True):
            logits = processor(logits, remembered, history)
        chosen, parents, searched = self.strategy.choose(
            logits, state["strategy"], history, self.ending
        )
        tokens, cache = state["tokens"], state["cache"]
        if parents is not None:
            tokens, cache, memory = keras.tree.map_structure(
                lambda x: ops.take(x, parents, axis=0), (tokens, cache, memory)
            )
        tokens = ops.slice_update(tokens, (0, index), chosen[:, None])
        memory = [p.advance(m, chosen) for p, m in zip(self.processors, memory, strict=True)]
        named = {**inputs, "token_ids": tokens}
        row = ops.reshape(index, (1,))
        logits, cache = self.step(named, row, cache)
        return {
            **state,
            "logits": ops.cast(logits[:, 0], state["logits"].dtype),
            "cache": cache,
            "tokens": tokens,
            "strategy": searched,
            "processors": memory,
            "step": state["step"] + 1,
            "broken": ops.logical_or(state["broken"], broken),
        }


def check_logits(state: Mapping[str, Any], width: int) -> None:
    """Raise if a token was chosen by logits that were NaN or +infinity.

    Args:
        state: of a `Search`.
        width: number of rows per prompt.

    Raises:
        ValueError: naming the prompt.
    """
    broken = arrays(state["broken"])
    if broken.any():
        raise ValueError(
            f"the logits of prompt {int(broken.argmax()) // width} contain NaN or infinity, so no "
            "token can be chosen: the model's weights are not finite, or float16 overflowed."
        )


def _with_logits(transformer: Transformer) -> Transformer:
    """Return the same assembler with a head that gives logits, whatever its activation is."""
    twin = copy.copy(transformer)
    name = twin.full_name("MLM-Activation")
    twin.layers = {**transformer.layers, name: keras.layers.Activation("linear", dtype="float32")}
    return twin


def compiled(function: Callable, model: keras.Model) -> Callable:
    """Compile a function, once per shapes of its arguments; weights are read at every call."""
    backend = keras.backend.backend()
    if backend == "jax":
        import jax

        @jax.jit
        def run(values, *arguments):
            with keras.StatelessScope(list(zip(model.variables, values, strict=True))):
                return function(*arguments)

        return lambda *arguments: run([v.value for v in model.variables], *arguments)
    if backend == "tensorflow":
        import tensorflow as tf

        # A new object for each search: TensorFlow identifies functions by their code, and would
        # warn that one function is traced again and again.
        own = functools.partial(function)
        return tf.function(own, jit_compile=True, autograph=False)
    if backend == "torch":
        import torch

        return torch.no_grad()(function)
    return openvino_function(function, model)


def arrays(tree: Any) -> Any:
    """Convert a structure of tensors to numpy arrays."""
    return keras.tree.map_structure(lambda x: np.asarray(ops.convert_to_numpy(x)), tree)
