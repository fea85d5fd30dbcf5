"""Backbone: a functional Keras model that keeps its assembler and config."""

from __future__ import annotations

import dataclasses
from typing import Any

import keras

from .._compat import keras_mask
from .._serialization import QUANTIZED, quantization_config, quantize_as, serializable
from .._types import Tensor
from ..checkpoints import WeightTable
from ..distribution import check_distribution
from ..layers.embeddings import check_segment_ids, check_token_ids
from ..masks import padding_mask
from ..registry import get_family
from ..saving import AtomicSave
from .pretraining_heads import PretrainingHeads
from .transformer import Context, Transformer


@serializable
class Backbone(AtomicSave, keras.Model):
    """Transformer as a plain functional Keras model.

    Args:
        transformer: the assembler to run.
        **kwargs: of `keras.Model`, such as `name`.

    Attributes:
        transformer: the assembler, with `step` for decoding.
        config: its `TransformerConfig`.
        input_order: name of each input, `"token_ids"` and so on; additional inputs follow.
        hidden_states: symbolic outputs of the embeddings and of every block, (B, T, D) each.
    """

    def __init__(self, transformer: Transformer, **kwargs: Any):
        check_distribution()
        context = Context(inputs=transformer.get_inputs())
        output = transformer.forward(context)
        inputs = [*context.inputs.values(), *transformer.additional_inputs]
        super().__init__(inputs, output, **kwargs)
        self.input_order = tuple(context.inputs)
        self.transformer = transformer
        self.config = transformer.config
        self.hidden_states = tuple(context.collected.hidden_states)  # Keras would wrap a list

    @property
    def checkpoint_tables(self) -> tuple[WeightTable, ...]:
        """The tables under which this model is saved."""
        return get_family(self.config.model_type).tables

    def compute_mask(self, inputs: Any, previous_mask: Any = None) -> Any:
        """Return the Keras masks of the outputs, for calls as a layer of another model."""
        t = self.transformer
        if isinstance(inputs, dict):
            inputs = [inputs[symbol.name] for symbol in self.inputs]
        given = dict(zip(self.input_order, keras.tree.flatten(inputs), strict=False))
        valid = padding_mask(given, self.config.pad_token_id, t.start_token)
        masks = [None if keras_mask(output) is None else valid for output in self.outputs]
        return masks if any(mask is not None for mask in masks) else None

    def predict(self, x: Any, *args: Any, **kwargs: Any) -> Any:
        # Checked here, since the backend would wrap an error of the compiled function.
        arrays = list(x) if isinstance(x, (list, tuple)) else [x]
        if all(hasattr(array, "shape") for array in arrays):
            self._check_count(arrays)
            for name, array in zip(self.input_order, arrays, strict=False):  # conditions follow
                self._check_ids(name, array)
        return super().predict(x, *args, **kwargs)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if args:
            self._check_count(keras.tree.flatten(args[0]))
        return super().__call__(*args, **kwargs)

    def _check_count(self, given: list[Tensor]) -> None:
        """Refuse a wrong number of inputs; the message of Keras does not name the inputs."""
        names = [symbol.name for symbol in self.inputs]
        if len(given) != len(names):
            text = ""
            if "segment_ids" in self.input_order:
                text = " For single texts all segment ids are 0: np.zeros_like(token_ids)."
            raise ValueError(
                f"{self.name} takes {len(names)} inputs, {', '.join(names)}, in this order, and "
                f"was given {len(given)}.{text}"
            )

    def _check_ids(self, name: str, ids: Tensor) -> None:
        config = self.config
        if name.endswith("token_ids") or (
            name == "segment_ids" and config.shared_segment_embeddings
        ):
            check_token_ids(ids, config.vocab_size)
        elif name == "segment_ids" and config.segment_vocab_size > 1:
            check_segment_ids(ids, config.segment_vocab_size)

    def export(self, filepath: Any, format: str = "tf_saved_model", **kwargs: Any) -> None:
        """Export the model, see `keras.Model.export`.

        On JAX, Keras gives each input its own symbolic length, and adding token vectors to segment
        vectors fails. So here all inputs of a text have the same one. Export a model that contains
        this one with the same `jax2tf_kwargs`:
        `{"polymorphic_shapes": [["(batch, length)"] * len(model.inputs)]}`.
        """
        if keras.backend.backend() == "jax" and format == "tf_saved_model":
            shapes = [
                "(batch, " + ", ".join(str(n or self._length(x)) for n in x.shape[1:]) + ")"
                for x in self.inputs
            ]
            kwargs.setdefault("jax2tf_kwargs", {"polymorphic_shapes": [shapes]})
        return super().export(filepath, format, **kwargs)

    def _length(self, symbol: Tensor) -> str:
        """Name of an input's symbolic length; encoder and decoder have their own."""
        places = [x is symbol for x in self.inputs]
        name = self.input_order[places.index(True)]
        return "source" if name.startswith(("encoder_", "context")) else "length"

    def get_config(self) -> dict[str, Any]:
        t = self.transformer
        if t.condition is not None:
            raise ValueError(
                "the condition of this model is computed by layers outside it, which its config "
                "cannot hold. Save keras.Model(model.inputs, model.output) instead."
            )
        known = get_family(t.config.model_type).transformer
        if known.__name__ != type(t).__name__:  # a class that was defined again is no error
            raise ValueError(
                f"the class {type(t).__name__} of this model is not known as model="
                f"{t.config.model_type!r}, so a file could not be loaded again. Decorate it with "
                "@bert4keras.models.register_model(name) before you build the model."
            )
        return {
            "name": self.name,
            "trainable": self.trainable,
            "family": t.config.model_type,
            "config": t.config.to_dict(),
            "application": keras.saving.serialize_keras_object(t.mask),
            "pretraining_heads": dataclasses.asdict(t.pretraining_heads),
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
            pretraining_heads=PretrainingHeads(**config["pretraining_heads"]),
            prefix=config["prefix"],
        )
        model = cls(transformer, name=config["name"], trainable=config["trainable"])
        quantize_as(model, config.get(QUANTIZED, {}))
        return model
