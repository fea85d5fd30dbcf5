"""Base of the assembler: layers that are created and shared by name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import keras

from .._types import Shape, Tensor
from ..config import TransformerConfig
from ..masks.base import input_layer_name
from ..positions import LayerSpec


class Assembler:
    """Creator of layers by name, for one model.

    Args:
        config: of the model.
        prefix: put before every layer name.
        layers: layers by name to reuse.
    """

    def __init__(
        self,
        config: TransformerConfig,
        prefix: str = "",
        layers: Mapping[str, keras.layers.Layer] | None = None,
    ):
        self.config = config
        self.prefix = prefix
        self.layers = dict(layers or {})

    @property
    def initializer(self) -> keras.initializers.Initializer:
        """A fresh initializer of the weights (BERT's truncated normal)."""
        return keras.initializers.TruncatedNormal(stddev=self.config.initializer_range)

    def apply(
        self,
        inputs: Any,
        layer: type[keras.layers.Layer],
        name: str,
        arguments: Mapping[str, Any] | None = None,
        **options: Any,
    ) -> Any:
        """Call the layer of this name on `inputs`, creating it on first use.

        Args:
            inputs: a tensor, or a list or dict of them.
            layer: class of the layer.
            name: its name; using a name twice shares the weights.
            arguments: keyword arguments of the call.
            **options: arguments of the constructor.

        Returns:
            The output of the layer.
        """
        name = self.full_name(name)
        if name not in self.layers:
            self.layers[name] = layer(name=name, **options)
        return self.layers[name](inputs, **(arguments or {}))

    def apply_spec(self, inputs: Any, spec: LayerSpec, **options: Any) -> Any:
        """Call the layer that `spec` describes, see `apply`; `options` are added to its own."""
        return self.apply(inputs, spec.layer, spec.name, **spec.options, **options)

    def full_name(self, name: str) -> str:
        """Name of a layer in the model."""
        return f"{self.prefix}{name}"

    def input(self, name: str, shape: Shape = (None,), dtype: str = "int32") -> Tensor:
        """Symbolic input (B, *shape)."""
        return keras.Input(shape, dtype=dtype, name=self.full_name(input_layer_name(name)))
