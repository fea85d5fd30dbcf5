"""The product: a functional Keras model that remembers what it was built from."""

from __future__ import annotations

import dataclasses
from typing import Any

import keras

from .._compat import keras_mask
from .._serialization import QUANTIZED, quantization_config, quantize_as, serializable
from ..checkpoints import Table
from ..layers.embeddings import check_token_ids
from ..masks import valid_tokens
from ..saving import SavedWhole
from .outputs import Outputs
from .registry import get_family
from .transformer import Context, Transformer


@serializable
class Backbone(SavedWhole, keras.Model):
    """A Transformer as a plain functional model.

    Args:
        transformer: the assembler to run.
        **kwargs: of `keras.Model`, such as `name`.

    Attributes:
        transformer: the assembler, with `step` for decoding.
        config: its `TransformerConfig`.
        hidden_states: symbolic outputs of the embeddings and of every block, (B, T, D) each.
    """

    def __init__(self, transformer: Transformer, **kwargs: Any):
        context = Context(inputs=transformer.get_inputs())
        output = transformer.forward(context)
        inputs = [*context.inputs.values(), *transformer.additional_inputs]
        super().__init__(inputs, output, **kwargs)
        self._token_input = list(context.inputs).index("token_ids")
        self.transformer = transformer
        self.config = transformer.config
        self.hidden_states = tuple(context.hidden_states)  # a list would be made into Keras' own

    @property
    def checkpoint_tables(self) -> tuple[Table, ...]:
        """The tables under which this model is saved."""
        return get_family(self.config.model_type).tables

    def compute_mask(self, inputs: Any, previous_mask: Any = None) -> Any:
        """The Keras masks of the outputs, where this model is called as a layer of another."""
        t, token_ids = self.transformer, self.inputs[self._token_input]
        given = inputs[token_ids.name] if isinstance(inputs, dict) else None
        given = keras.tree.flatten(inputs)[self._token_input] if given is None else given
        valid = valid_tokens({"token_ids": given}, self.config.pad_token_id, t.start_token)
        masks = [None if keras_mask(output) is None else valid for output in self.outputs]
        return masks if any(mask is not None for mask in masks) else None

    def predict(self, x: Any, *args: Any, **kwargs: Any) -> Any:
        # A compiled JAX function answers an id out of range with NaN; say it in words instead.
        arrays = x if isinstance(x, (list, tuple)) else [x]
        for symbol, array in zip(self.inputs, arrays, strict=False):
            if symbol.name.endswith("Input-Token") and hasattr(array, "shape"):
                check_token_ids(array, self.config.vocab_size)
        return super().predict(x, *args, **kwargs)

    def get_config(self) -> dict[str, Any]:
        t = self.transformer
        if t.condition is not None:
            raise ValueError(
                "this model's condition comes from layers that it cannot describe. To save it, "
                "wrap it: keras.Model(model.inputs, model.output).save(path)."
            )
        return {
            "name": self.name,
            "trainable": self.trainable,
            "family": t.config.model_type,
            "config": t.config.to_dict(),
            "application": keras.saving.serialize_keras_object(t.mask),
            "outputs": dataclasses.asdict(t.outputs),
            "prefix": t.prefix,
            **quantization_config(self),
        }

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: Any = None) -> Backbone:
        config = dict(config)
        family = get_family(config.pop("family"))
        transformer = family.transformer(
            family.transformer.config_class.from_dict(config["config"]),
            application=config["application"],
            outputs=Outputs(**config["outputs"]),
            prefix=config["prefix"],
        )
        model = cls(transformer, name=config["name"], trainable=config["trainable"])
        quantize_as(model, config.get(QUANTIZED, {}))
        return model
