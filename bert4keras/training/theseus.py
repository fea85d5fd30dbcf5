"""BERT-of-Theseus: a shallower model grows up inside a deep one by taking the place of its parts.

A fine-tuned encoder (the predecessor) is cut into modules of as many blocks as the successor is
shallower. In each training batch each module is replaced, by chance, by one block of the successor,
so that every block learns between neighbours that already work. What the loss is, and that it needs
no term of its own, is what sets this apart from distillation.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import keras
from keras import ops

from .._compat import keras_mask
from .._serialization import serializable
from ..layers.masking import CarriesMask
from ..models import Backbone
from ..models.context import Context
from ..models.transformer import Transformer
from ..models.two_stream import TwoStream

PREFIX = "Successor-"


@serializable
class ModuleReplacement(CarriesMask, keras.layers.Layer):
    """In training the output of the old module or, by one draw a batch, of the new; else the new.

    Args:
        rate: chance of the new one, above 0 and up to 1; or a Keras `LearningRateSchedule` that
            gives it by the number of batches trained so far, such as
            `PolynomialDecay(0.3, decay_steps=1000, end_learning_rate=1.0)`, which rises in a line.
        seed: of the draws.

    Call arguments:
        inputs: two tensors of one shape, old and new.

    Raises:
        ValueError: a number that is no such chance.
    """

    def __init__(self, rate: Any = 0.5, seed: int | None = None, **kwargs: Any):
        super().__init__(**kwargs)
        if isinstance(rate, Mapping):
            rate = keras.optimizers.schedules.deserialize(dict(rate))
        scheduled = isinstance(rate, keras.optimizers.schedules.LearningRateSchedule)
        if not scheduled and not (isinstance(rate, (int, float)) and 0 < rate <= 1):
            raise ValueError(
                f"rate={rate!r} must be a chance above 0 and up to 1, or a LearningRateSchedule."
            )
        self.rate, self.scheduled, self.seed = rate, scheduled, seed
        self.seed_generator = keras.random.SeedGenerator(seed)

    def build(self, input_shape):
        # Counted here and not by a callback: a compiled JAX step sees no other's assignments.
        self.batches = self.add_weight(
            name="batches", shape=(), dtype="int32", initializer="zeros", trainable=False
        )

    def current_rate(self) -> Any:
        """Chance of the new module in the next batch, a float or a scalar tensor."""
        return ops.clip(self.rate(self.batches), 0.0, 1.0) if self.scheduled else self.rate

    def call(self, inputs, training=None):
        old, new = inputs
        if not training:
            return new
        replaced = keras.random.uniform((), seed=self.seed_generator) < self.current_rate()
        self.batches.assign_add(1)
        return ops.where(replaced, new, old)

    def compute_output_spec(self, inputs, training=None):
        return keras.KerasTensor(inputs[1].shape, dtype=self.compute_dtype)

    def get_config(self) -> dict[str, Any]:
        rate = keras.optimizers.schedules.serialize(self.rate) if self.scheduled else self.rate
        return {**super().get_config(), "rate": rate, "seed": self.seed}


class Theseus:
    """A predecessor and a successor in one model, which trains the successor's blocks.

    Embeddings and head are those of the predecessor, for both. All weights of the predecessor are
    frozen, for good, by their variables; the successor's blocks start as copies of its first ones,
    or of those that `copied` names. A block costs a pass through the module it may replace, too.

    Args:
        predecessor: the fine-tuned model, built with Keras' functional interface on `backbone`
            (heads of any kind on its output), or `backbone` itself.
        backbone: what `build_transformer_model` returned, BERT or another family whose blocks
            follow each other with weights of their own.
        num_hidden_layers: blocks of the successor; divides the predecessor's.
        rate: chance that a module is replaced in a batch, or a schedule: see `ModuleReplacement`.
        copied: for each block of the successor the predecessor's block that it starts from.
        seed: of the draws; None is another every time.

    Attributes:
        model: to compile and fit, with the inputs and outputs of the predecessor. Its `evaluate`
            and `predict` are those of the successor, as it stands.
        backbone: the predecessor's.

    Raises:
        ValueError: a number of blocks that does not divide the predecessor's, or a predecessor
            whose blocks cannot be replaced one by one.

    Example:
        >>> theseus = Theseus(classifier, bert, num_hidden_layers=3)
        >>> theseus.model.compile("adam", "sparse_categorical_crossentropy")
        >>> theseus.model.fit(data, epochs=5)
        >>> small, small_bert = theseus.successor()   # fine-tune it, or make it a predecessor

    Source: Xu et al., BERT-of-Theseus, EMNLP 2020 (arXiv:2002.02925).
    """

    def __init__(
        self,
        predecessor: keras.Model,
        backbone: Backbone,
        num_hidden_layers: int,
        rate: Any = 0.5,
        copied: Sequence[int] | None = None,
        seed: int | None = None,
    ):
        old = backbone.transformer
        copied = list(range(num_hidden_layers) if copied is None else copied)
        _check(old, num_hidden_layers, copied)
        self.backbone = backbone
        self._head = _head(predecessor, backbone)
        self._shared = {n: la for n, la in old.layers.items() if n not in _block_layers(old)}
        self._new = type(old)(
            dataclasses.replace(old.config, num_hidden_layers=num_hidden_layers),
            old.mask,
            old.pretraining_heads,
            PREFIX + old.prefix,
            {PREFIX + name: layer for name, layer in self._shared.items()},
        )
        span = old.depth // num_hidden_layers
        context = Context(dict(zip(old.get_inputs(), backbone.inputs, strict=True)))
        apply_block = self._new.apply_block

        def either(x: Any, index: int, context: Context) -> Any:
            new = apply_block(x, index, context)
            for number in range(span * index, span * (index + 1)):
                x = old.apply_block(x, number, context)
            chance = {"rate": rate, "seed": None if seed is None else seed + index}
            name = f"Replacement-{index}"
            return self._new.apply([x, new], ModuleReplacement, name=name, **chance)

        self._new.apply_block = either
        for variable in (*backbone.variables, *predecessor.variables):
            variable.trainable = False
        self._inputs = list(predecessor.inputs)
        self.model = _with_head(self._head, self._new.forward(context), self._inputs)
        for index, source in enumerate(copied):
            for name, layer in _block_layers(old, source).items():
                twin = PREFIX + name.replace(old.layer_name(source, ""), old.layer_name(index, ""))
                self._new.layers[twin].set_weights(layer.get_weights())

    def successor(self) -> tuple[keras.Model, Backbone]:
        """The successor alone, with weights of its own, all of which can be trained.

        Returns:
            The model, with the predecessor's inputs and head, and the `Backbone` in it, which
            `checkpoints.save` writes; twice the same where the predecessor was a `Backbone`.
        """
        old = self.backbone.transformer
        backbone = Backbone(
            type(old)(self._new.config, old.mask, old.pretraining_heads, old.prefix)
        )
        backbone.transformer.model = backbone
        for name, layer in backbone.transformer.layers.items():
            layer.set_weights(self._new.layers[PREFIX + name].get_weights())
        if self._head is None:
            return backbone, backbone
        own = dict(zip((t.name for t in self.backbone.inputs), backbone.inputs, strict=True))
        inputs = [own.get(t.name, t) for t in self._inputs]
        # On the backbone's tensors, whose mask a layer of the head may ask for while it is called.
        read = [*keras.tree.flatten(backbone.output), *inputs]
        head = keras.models.clone_model(self._head, read, clone_function=_own_weights)
        head.set_weights(self._head.get_weights())
        return _with_head(head, backbone.output, inputs), backbone


def _with_head(head: keras.Model | None, x: Any, inputs: Sequence[Any]) -> keras.Model:
    """A model of these inputs; the head's layers become its own, without a model in it."""
    if head is not None:
        read = [*keras.tree.flatten(x), *inputs]
        x = head.call(read, mask=[keras_mask(tensor) for tensor in read])
    return keras.Model(list(inputs), x)


def _own_weights(layer: keras.layers.Layer) -> keras.layers.Layer:
    """A copy of a layer, or itself where it has nothing to train (a `Lambda` cannot be copied)."""
    return type(layer).from_config(layer.get_config()) if getattr(layer, "weights", ()) else layer


def _block_layers(transformer: Transformer, index: int | None = None) -> dict[str, Any]:
    """The layers of one block, or of all, by name."""
    indices = range(transformer.depth) if index is None else [index]
    starts = tuple(transformer.full_name(transformer.layer_name(i, "")) for i in indices)
    return {n: layer for n, layer in transformer.layers.items() if n.startswith(starts)}


def _head(predecessor: keras.Model, backbone: Backbone) -> keras.Model | None:
    """Model of what follows the backbone, from the backbone's outputs and all inputs."""
    if predecessor is backbone:
        return None
    names = {tensor.name for tensor in predecessor.inputs}
    outputs = keras.tree.flatten(backbone.output)
    try:
        if not names.issuperset(tensor.name for tensor in backbone.inputs):
            raise ValueError("it lacks inputs of the backbone")
        head = keras.Model([*outputs, *predecessor.inputs], predecessor.output)
        if any(layer is backbone for layer in head.layers):
            raise ValueError("it calls the backbone as one layer")
    except ValueError as error:
        raise ValueError(
            "the predecessor must be a functional model of the backbone's inputs and output, such "
            f"as keras.Model(bert.input, layer(bert.output)); this one is not: {error}"
        ) from error
    inner = {id(layer) for layer in _block_layers(backbone.transformer).values()}
    if found := [layer.name for layer in head.layers if id(layer) in inner]:
        raise ValueError(
            f"the head of the predecessor reaches into its blocks ({found[0]}), past the output of "
            "the backbone, so that they cannot be replaced."
        )
    return head


def _check(transformer: Transformer, blocks: int, copied: Sequence[int]) -> None:
    depth, name = transformer.depth, transformer.config.model_type
    if isinstance(blocks, bool) or not isinstance(blocks, int) or not 1 <= blocks < depth:
        raise ValueError(
            f"num_hidden_layers={blocks!r} must be a number of blocks from 1 to {depth - 1}."
        )
    if depth % blocks:
        raise ValueError(
            f"num_hidden_layers={blocks} does not divide the {depth} blocks of the predecessor."
        )
    if len(copied) != blocks or not all(0 <= index < depth for index in copied):
        raise ValueError(f"copied={copied} must name {blocks} of the blocks 0 to {depth - 1}.")
    own_order = type(transformer).apply_main_layers is not Transformer.apply_main_layers
    if own_order or transformer.layer_name(0, "") == transformer.layer_name(1, ""):
        raise ValueError(f"the blocks of {name} cannot be replaced one by one.")
    if transformer.config.residual_attention_scores:
        raise ValueError("residual_attention_scores tie each block to the one before it.")
    if isinstance(transformer.mask, TwoStream) or transformer.condition is not None:
        raise ValueError("Theseus takes no model of two streams or with a symbolic condition.")
