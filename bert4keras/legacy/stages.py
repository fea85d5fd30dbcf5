"""The stages of a builder in the form of 0.11, besides the package's own.

The stages of the package are functions of a `Context`. Those of 0.11 are functions of lists of
tensors, and `apply_main_layers(x, index)` is one block. A stage that is called with a `Context` is
the package's own, any other call is the old form. Stages that a subclass overrides in the old form
are bridged when the class is defined.

Legend: B batch, T length, S key length, N heads, D hidden size.
"""

from __future__ import annotations

import dataclasses
import functools
import inspect
from collections.abc import Callable, Sequence
from typing import Any

import keras
from keras import ops

from .._scores import lowest
from .._serialization import serializable
from .._types import Shape, Tensor
from ..masks import Mask
from ..masks.bands import Band
from ..models.context import Collected, Context
from ..models.transformer import Transformer


@serializable
class AttentionBias(keras.layers.Layer):
    """Bias of attention scores, of a mask or bias as `compute_attention_bias` returns them.

    A layer, since a symbolic tensor may not tell whether a `Lambda` returns bool.

    Call arguments:
        x: (T, S), (B, T, S) or (B, N, T, S), bool or float.

    Returns:
        Float with four axes, (B|1, N|1, T, S).
    """

    def build(self, input_shape: Shape) -> None:
        self.built = True

    def call(self, x: Tensor) -> Tensor:
        if keras.backend.standardize_dtype(x.dtype) == "bool":
            x = ops.where(x, 0.0, lowest(self.compute_dtype))
        return ops.reshape(x, self._with_four_axes(ops.shape(x)))

    def compute_output_spec(self, x: Tensor) -> keras.KerasTensor:
        return keras.KerasTensor(self._with_four_axes(x.shape), dtype=self.compute_dtype)

    def _with_four_axes(self, shape: tuple) -> tuple:
        return {2: (1, 1, *shape), 3: (*shape[:1], 1, *shape[1:])}.get(len(shape), shape)


class OldStages(Transformer):
    """Mixin of a `Transformer` whose stages can be called, and overridden, in the form of 0.11."""

    _context: Context | None = None  # of the last pass, which the next stage continues
    _in_forward = False
    _skips_blocks = False

    def __init_subclass__(cls, **options: Any):
        super().__init_subclass__(**options)
        for name, bridge in _BRIDGES.items():
            own = getattr(cls, name)
            old = "context" not in inspect.signature(own).parameters
            if old and own is not getattr(OldStages, name) and not hasattr(own, "is_bridge"):
                setattr(cls, name, bridge(own))

    def forward(self, context: Context) -> Any:
        self._in_forward = True
        try:
            return super().forward(context)
        finally:
            self._in_forward = False

    def prepare(self, context: Context) -> Context:
        self._context = context  # `compute_attention_bias` may ask for the inputs
        context = super().prepare(context)
        bias = self.compute_attention_bias()
        if bias is not None:
            bias = self.apply(bias, AttentionBias, name="Attention-Bias")
            total = bias if context.bias is None else ops.add(context.bias, bias)
            context = dataclasses.replace(context, bias=total)
        self._context = context
        return context

    def compute_attention_bias(self, inputs: object = None) -> Tensor | None:
        """Return a mask or bias of the attention in all blocks, in addition to that of `mask`.

        A subclass may override it. `self.inputs` are the inputs of the model.

        Args:
            inputs: None; kept for old signatures.

        Returns:
            (T, S), (B, T, S) or (B, N, T, S): bool, True where a key is visible, or float, added to
            the scores; or None.
        """
        return None

    def bands(self, strategy: Mask) -> tuple[Band, ...]:
        own = type(self).compute_attention_bias is not OldStages.compute_attention_bias
        return () if own else super().bands(strategy)

    def apply_embeddings(self, inputs: Context | Sequence[Tensor]) -> Tensor:
        """Return the embeddings (B, T, D) of a `Context`, or of the model's inputs as a list."""
        if isinstance(inputs, Context):
            return super().apply_embeddings(inputs)
        context = self._context_of(inputs)
        x = super().apply_embeddings(context)
        return x if self._in_forward else self.mask_padding(x, context)

    def apply_main_layers(self, x: Tensor, index: Context | int) -> Tensor:
        """Apply all blocks, with a `Context`, or the block of an index to x (B, T, D)."""
        if isinstance(index, Context):
            return super().apply_main_layers(x, index)
        return self.apply_block(x, index, self._last_context())

    def apply_block(self, x: Tensor, index: int, context: Context) -> Tensor:
        return x if self._skips_blocks else super().apply_block(x, index, context)

    def apply_final_layers(self, x: Tensor, context: Context | None = None) -> Any:
        """Apply the heads to x (B, T, D); without `context`, the last norm of a GPT-2 too."""
        if context is None:
            context = self._last_context()
            x = x if self._in_forward else self._after_blocks(x, context)
        return super().apply_final_layers(x, context)

    def call(self, inputs: Sequence[Tensor]) -> Any:
        """Return the outputs for other symbolic inputs, a list in the order of the model's."""
        x = self.apply_embeddings(inputs)
        for index in range(self.depth):
            x = self.apply_main_layers(x, index)
        return self.apply_final_layers(x)

    def _last_context(self) -> Context:
        if self._context is None:  # built by the package's own class
            model = self.model
            named = dict(zip(model.input_order, model.inputs, strict=False))
            self.prepare(Context(inputs=named))
        assert self._context is not None
        return self._context

    def _context_of(self, inputs: Any) -> Context:
        """Return the context of a pass over inputs in the order of the model's."""
        last = self._last_context()
        if self._in_forward:
            return last
        # Additional inputs follow those of the Transformer.
        named = dict(zip(last.inputs, keras.tree.flatten(inputs), strict=False))
        if all(tensor is last.inputs[name] for name, tensor in named.items()):
            self._context = dataclasses.replace(last, collected=Collected())
            return self._context
        return self.prepare(Context(inputs=named))

    def _after_blocks(self, x: Tensor, context: Context) -> Tensor:
        """Apply what the family's own stage does after the blocks."""
        self._skips_blocks = True
        try:
            apart = dataclasses.replace(context, collected=Collected([x]))
            return super().apply_main_layers(x, apart)
        finally:
            self._skips_blocks = False


def _bridge(own: Callable, bridged: Callable) -> Callable:
    """Mark a bridge, so that a subclass does not bridge it again."""
    wrapped = functools.wraps(own)(bridged)
    wrapped.is_bridge = True  # type: ignore[attr-defined]
    return wrapped


def _bridge_embeddings(own: Callable) -> Callable:
    def apply_embeddings(self: OldStages, inputs: Any) -> Tensor:
        if isinstance(inputs, Context):
            inputs = list(inputs.inputs.values())
        return own(self, inputs)

    return _bridge(own, apply_embeddings)


def _bridge_main_layers(own: Callable) -> Callable:
    def apply_main_layers(self: OldStages, x: Tensor, index: Any) -> Tensor:
        if not isinstance(index, Context):
            return own(self, x, index)
        for block in range(self.depth):
            x = own(self, x, block)
            index.collected.hidden_states.append(x)
        index.collected.hidden_states[-1] = x = self._after_blocks(x, index)
        return x

    return _bridge(own, apply_main_layers)


def _bridge_final_layers(own: Callable) -> Callable:
    def apply_final_layers(self: OldStages, x: Tensor, context: Any = None) -> Any:
        return own(self, x)

    return _bridge(own, apply_final_layers)


_BRIDGES = {
    "apply_embeddings": _bridge_embeddings,
    "apply_main_layers": _bridge_main_layers,
    "apply_final_layers": _bridge_final_layers,
}
