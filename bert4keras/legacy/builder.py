"""The builder of a model as scripts of 0.11 use it: attributes, stages, loading, subclasses.

`build_transformer_model(..., return_keras_model=False)` returns an `OldBuilder`, and the classes of
`bert4keras.models` are such ones.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import keras

from .._compat import note_removed_names, output_at
from .._types import Tensor
from ..checkpoints import LoadReport, load, save
from ..checkpoints.readers import CheckpointSource
from ..config import TransformerConfig
from ..models.backbone import Backbone
from ..models.pretraining_heads import PretrainingHeads
from ..models.transformer import Transformer
from ..registry import get_family
from .decoder import two_input_decoder
from .options import split_options
from .stages import OldStages

_OF_MODEL = ("inputs", "outputs", "input_names", "output", "name", "built")
_OF_HEADS = tuple(field.name for field in dataclasses.fields(PretrainingHeads))


class OldBuilder(OldStages):
    """Mixin of a `Transformer` that can also be used as a builder of 0.11.

    Attributes of the model (`inputs`, `output`, ...) and of the config (`num_hidden_layers`,
    `attention_head_size`, ...) are attributes of the builder too.

    Args:
        config: as of `Transformer`. None: the options are those of a class of 0.11
            (`vocab_size=...`, `with_mlm=True`), and `build` makes the model.
        *arguments: as of `Transformer`.
        **options: as of `Transformer`, or of 0.11.
    """

    form_of: ClassVar[type[Transformer]]
    keep_tokens: Sequence[int] | None = None
    compound_tokens: Sequence | None = None
    ignore_invalid_weights = False
    autoresize_weights = False
    sequence_length: int | None = None

    def __init__(self, config: TransformerConfig | None = None, *arguments: Any, **options: Any):
        if config is None:
            values, heads, loading, options = split_options(options)
            vars(self).update(loading)
            config = type(self).config_class.from_dict(values)
            if heads.get("with_mlm") is None and self.native_application == "lm":
                heads["with_mlm"] = True
            options["pretraining_heads"] = PretrainingHeads(**heads)
        super().__init__(config, *arguments, **options)

    def __getattr__(self, name: str) -> Any:
        known = vars(self)
        if name in _OF_MODEL and "model" in known:
            return getattr(known["model"], name)
        if name == "inputs" and self._context is not None:  # while the model is built
            return [*self._context.inputs.values(), *self.additional_inputs]
        if name in _OF_HEADS and "pretraining_heads" in known:
            return getattr(known["pretraining_heads"], name)
        if "config" in known and name in known["config"].fields():
            return getattr(known["config"], name)
        raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")

    def build(
        self,
        layer_norm_cond: Tensor | None = None,
        additional_input_layers: Tensor | Sequence[Tensor] = (),
        **options: Any,
    ) -> None:
        """Make the Keras model, `model`, of a builder that was created by its class.

        Args:
            layer_norm_cond: condition of the norms, a symbolic tensor (B, C).
            additional_input_layers: symbolic inputs that it is computed from.
            **options: those of the class, which is what 0.11 passed; they are not read again.
        """
        if "model" in vars(self):
            return
        if layer_norm_cond is not None:
            width = int(layer_norm_cond.shape[-1])
            self.config = dataclasses.replace(self.config, layer_norm_cond=width)
            self.condition = layer_norm_cond
            self.additional_inputs = keras.tree.flatten(additional_input_layers)
        self.model = Backbone(self)
        _add_node_outputs(self.model)

    def prefixed(self, name: str) -> str:
        """Return the name of a layer in the model."""
        return self.full_name(name)

    def simplify(self, inputs: list) -> Any:
        """Return a list without None, or its only value."""
        inputs = [x for x in inputs if x is not None]
        return inputs[0] if len(inputs) == 1 else inputs

    def input(self, name: str, shape: Sequence[int | None] = (None,), dtype: str = "int32"):
        if tuple(shape) == (None,):
            shape = (self.sequence_length,)
        return super().input(name, tuple(shape), dtype)

    def apply(
        self,
        inputs: Tensor | Sequence[Tensor] | Mapping[str, Tensor] | None = None,
        layer: type[keras.layers.Layer] = keras.layers.Layer,
        name: str | None = None,
        arguments: Mapping[str, Any] | None = None,
        **options: Any,
    ) -> Any:
        """Call the layer of a name, see `Assembler.apply`; without inputs, return the layer.

        As in 0.11, `arguments` of a `Lambda` are those of its function, and a layer without a name
        gets one.
        """
        if layer is keras.layers.Lambda and arguments:
            options["arguments"], arguments = dict(arguments), None
        if name is None:
            name = f"{layer.__name__}-{len(self.layers)}"
        name = self.full_name(name)
        if name not in self.layers:
            self.layers[name] = layer(name=name, **options)
        found = self.layers[name]
        return found if inputs is None else found(inputs, **(arguments or {}))

    def load_weights_from_checkpoint(
        self, checkpoint: CheckpointSource, mapping: object = None
    ) -> LoadReport:
        """Load the weights of the model, with the options that it was built with.

        Args:
            checkpoint: as of `bert4keras.checkpoints.load`.
            mapping: None; names of your own are a `bert4keras.checkpoints.WeightTable`.

        Returns:
            A `LoadReport`.

        Raises:
            ValueError: a mapping is given.
            CheckpointError: as of `bert4keras.checkpoints.load`.
        """
        if mapping is not None:
            raise ValueError(
                "mapping= is not part of this version: write the names as a WeightTable and call "
                "bert4keras.checkpoints.load(model, checkpoint, tables=[table])."
            )
        self.model.load_report = load(
            self.model,
            checkpoint,
            ("*",) if self.ignore_invalid_weights else (),
            self.keep_tokens,
            self.compound_tokens,
            get_family(self.config.model_type).tables or None,
            autoresize_weights=self.autoresize_weights,
        )
        return self.model.load_report

    def save_weights_as_checkpoint(
        self, filename: str, mapping: object = None, dtype: object = None
    ) -> list[Path]:
        """Save the weights as a TensorFlow checkpoint, see `bert4keras.checkpoints.save`.

        Args:
            filename: prefix of its files; `.ckpt` is appended if it does not end so.
            mapping, dtype: None.
        """
        if mapping is not None or dtype is not None:
            raise ValueError(
                "mapping= and dtype= are not part of this version: see "
                "bert4keras.checkpoints.save(model, path, tables=[table])."
            )
        path = filename if filename.endswith(".ckpt") else f"{filename}.ckpt"
        return save(self.model, path, format="google")


class _OldEncoderDecoder(OldBuilder):
    """`OldBuilder` of an encoder-decoder, whose `decoder` has two inputs."""

    @property
    def decoder(self) -> keras.Model:
        """Model of the encoder's output (B, S, D) and the decoder's token ids (B, T).

        Vectors of the encoder that are zero are padding.
        """
        known = vars(self)
        if "two_input_decoder" not in known:
            whole = super().decoder  # type: ignore[misc]
            known["two_input_decoder"] = two_input_decoder(whole)
        return known["two_input_decoder"]


@functools.cache
def old_form(cls: type[Transformer]) -> type[OldBuilder]:
    """Return a class of the same name that is also a builder of 0.11."""
    if issubclass(cls, OldBuilder):
        return cls
    mixin = _OldEncoderDecoder if cls.is_encoder_decoder else OldBuilder
    namespace = {"__doc__": cls.__doc__, "__module__": cls.__module__, "form_of": cls}
    return type(cls.__name__, (mixin, cls), namespace)


def as_old_builder(
    transformer: Transformer,
    keep_tokens: Sequence[int] | None,
    compound_tokens: Sequence | None,
    ignore_invalid_weights: bool,
    autoresize_weights: bool,
) -> OldBuilder:
    """Return a builder of 0.11 that shares everything with a built `Transformer`.

    Args:
        transformer: the assembler of a model.
        keep_tokens, compound_tokens, ignore_invalid_weights, autoresize_weights: options of
            `load_weights_from_checkpoint`.
    """
    builder = object.__new__(old_form(type(transformer)))
    builder.__dict__ = vars(transformer)
    builder.keep_tokens, builder.compound_tokens = keep_tokens, compound_tokens
    builder.ignore_invalid_weights = ignore_invalid_weights
    builder.autoresize_weights = autoresize_weights
    _add_node_outputs(transformer.model)
    return builder


def _add_node_outputs(model: keras.Model) -> None:
    """Give the layers of a model the method `get_output_at`, which Keras 3 removed."""
    note_removed_names()
    for layer in model.layers:
        layer.get_output_at = functools.partial(output_at, layer)
