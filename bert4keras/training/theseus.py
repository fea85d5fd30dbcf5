"""BERT-of-Theseus: compress an encoder by replacing its modules with smaller ones in training.

The predecessor is a fine-tuned encoder of N blocks p_0 ... p_N-1; the successor has M blocks
s_0 ... s_M-1, and M divides N. The predecessor is divided into M modules of k = N / M blocks each,

    P_i = p_(k i + k - 1) ( ... p_(k i + 1) ( p_(k i) ( . ))).

In a training batch each module is replaced with probability `rate` by one block of the successor:

    x_i+1 = r_i s_i(x_i) + (1 - r_i) P_i(x_i),     r_i ~ Bernoulli(rate), one draw a batch.

Only the s_i are trained, by the loss of the task. A block of the successor learns between modules
that already work, so no loss compares hidden states, unlike in distillation. With all r_i = 1 this
is the successor; so it is in `evaluate` and `predict`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

import keras
from keras import ops

from .._compat import keras_mask
from .._serialization import serializable
from .._types import Tensor
from ..layers.masking import CarriesMask
from ..models import Backbone
from ..models.context import Context
from ..models.transformer import Transformer

_SUCCESSOR_PREFIX = "Successor-"

_Rate: TypeAlias = float | keras.optimizers.schedules.LearningRateSchedule


@serializable
class ModuleReplacement(CarriesMask, keras.layers.Layer):
    """Choice between the outputs of an old and a new module: random in training, else the new one.

    Args:
        rate: probability of the new module, above 0 and up to 1; or a Keras `LearningRateSchedule`
            that returns it for the number of batches trained so far, such as
            `PolynomialDecay(0.3, decay_steps=1000, end_learning_rate=1.0)`, which rises linearly.
        seed: of the draws.

    Call arguments:
        inputs: outputs of the old and the new module, of the same shape.

    Raises:
        ValueError: another rate.
    """

    def __init__(self, rate: _Rate = 0.5, seed: int | None = None, **kwargs: Any):
        super().__init__(**kwargs)
        if isinstance(rate, Mapping):
            rate = keras.optimizers.schedules.deserialize(dict(rate))
        scheduled = isinstance(rate, keras.optimizers.schedules.LearningRateSchedule)
        if not scheduled and not (isinstance(rate, (int, float)) and 0 < rate <= 1):
            raise ValueError(
                f"rate={rate!r} must be a probability above 0 and up to 1, or a "
                "LearningRateSchedule."
            )
        self.rate, self.scheduled, self.seed = rate, scheduled, seed
        self.seed_generator = keras.random.SeedGenerator(seed)

    def build(self, input_shape):
        # A weight, because a compiled step on JAX would not see what a callback assigns.
        self.batches = self.add_weight(
            name="batches", shape=(), dtype="int32", initializer="zeros", trainable=False
        )

    def current_rate(self) -> Tensor | float:
        """Return the probability of the new module in the next batch, a float or scalar tensor."""
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
    """Predecessor and successor in one model, which trains the blocks of the successor.

    Both use the embeddings and the head of the predecessor. All weights of the predecessor are
    frozen permanently, variable by variable. The blocks of the successor start as copies of its
    first blocks, or of those in `copied`. A training batch runs the modules and the blocks.

    Args:
        predecessor: the fine-tuned model, a functional model with any head on the output of
            `backbone`, or `backbone` itself.
        backbone: result of `build_transformer_model`, of a family whose blocks follow each other
            and do not share weights.
        num_hidden_layers: blocks of the successor, M; divides those of the predecessor.
        rate: probability that a module is replaced in a batch, or a schedule, see
            `ModuleReplacement`.
        copied: for each block of the successor, index of the predecessor's block that it copies.
        seed: of the draws; None: another seed every time.

    Attributes:
        model: model to compile and fit, with the inputs and outputs of the predecessor. Its
            `evaluate` and `predict` are those of the current successor.
        backbone: that of the predecessor.

    Raises:
        ValueError: a number of blocks that does not divide the predecessor's, or a predecessor
            whose blocks cannot be replaced one by one.

    Example:
        >>> theseus = Theseus(classifier, bert, num_hidden_layers=3)
        >>> theseus.model.compile("adam", "sparse_categorical_crossentropy")
        >>> theseus.model.fit(data, epochs=5)
        >>> small, small_bert = theseus.successor()   # fine-tune it, or use it as predecessor

    Source: Xu et al., BERT-of-Theseus, EMNLP 2020 (arXiv:2002.02925).
    """

    def __init__(
        self,
        predecessor: keras.Model,
        backbone: Backbone,
        num_hidden_layers: int,
        rate: _Rate = 0.5,
        copied: Sequence[int] | None = None,
        seed: int | None = None,
    ):
        old = backbone.transformer
        copied = list(range(num_hidden_layers) if copied is None else copied)
        _check_blocks(old, num_hidden_layers, copied)
        self.backbone = backbone
        self._head = _head(predecessor, backbone)
        self._shared = {n: la for n, la in old.layers.items() if n not in _block_layers(old)}
        self._new = type(old)(
            dataclasses.replace(old.config, num_hidden_layers=num_hidden_layers),
            old.mask,
            old.pretraining_heads,
            _SUCCESSOR_PREFIX + old.prefix,
            {_SUCCESSOR_PREFIX + name: layer for name, layer in self._shared.items()},
        )
        span = old.depth // num_hidden_layers
        context = Context(dict(zip(old.get_inputs(), backbone.inputs, strict=True)))
        apply_block = self._new.apply_block

        # The new transformer assembles the model; each of its blocks becomes the choice between
        # the block itself and the module of the predecessor.
        def either(x: Tensor, index: int, context: Context) -> Tensor:
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
                twin = _SUCCESSOR_PREFIX + name.replace(
                    old.layer_name(source, ""), old.layer_name(index, "")
                )
                self._new.layers[twin].set_weights(layer.get_weights())

    def successor(self) -> tuple[keras.Model, Backbone]:
        """Build the successor as a separate model with its own weights, all trainable.

        Returns:
            The model, with the inputs and a copy of the head of the predecessor, and its
            `Backbone`, which `checkpoints.save` writes. Both are the same if the predecessor was a
            `Backbone`.
        """
        old = self.backbone.transformer
        backbone = Backbone(
            type(old)(self._new.config, old.mask, old.pretraining_heads, old.prefix)
        )
        backbone.transformer.model = backbone
        for name, layer in backbone.transformer.layers.items():
            layer.set_weights(self._new.layers[_SUCCESSOR_PREFIX + name].get_weights())
        if self._head is None:
            return backbone, backbone
        own = dict(zip((t.name for t in self.backbone.inputs), backbone.inputs, strict=True))
        inputs = [own.get(t.name, t) for t in self._inputs]
        # Clone on the tensors of the new backbone: a layer of the head may need their Keras mask.
        read = [*keras.tree.flatten(backbone.output), *inputs]
        head = keras.models.clone_model(self._head, read, clone_function=_own_weights)
        head.set_weights(self._head.get_weights())
        return _with_head(head, backbone.output, inputs), backbone


def _with_head(
    head: keras.Model | None, x: Any, inputs: Sequence[keras.KerasTensor]
) -> keras.Model:
    """Build a model of `inputs` and apply the layers of the head to x, without a nested model."""
    if head is not None:
        read = [*keras.tree.flatten(x), *inputs]
        x = head.call(read, mask=[keras_mask(tensor) for tensor in read])
    return keras.Model(list(inputs), x)


def _own_weights(layer: keras.layers.Layer) -> keras.layers.Layer:
    """Copy a layer; return itself if it has no weights, since a `Lambda` cannot be copied."""
    return type(layer).from_config(layer.get_config()) if getattr(layer, "weights", ()) else layer


def _block_layers(
    transformer: Transformer, index: int | None = None
) -> dict[str, keras.layers.Layer]:
    """Return the layers of one block, or of all blocks, by name."""
    indices = range(transformer.depth) if index is None else [index]
    starts = tuple(transformer.full_name(transformer.layer_name(i, "")) for i in indices)
    return {n: layer for n, layer in transformer.layers.items() if n.startswith(starts)}


def _head(predecessor: keras.Model, backbone: Backbone) -> keras.Model | None:
    """Build a model of the head, from the backbone's outputs and all inputs; None: no head."""
    if predecessor is backbone:
        return None
    names = {tensor.name for tensor in predecessor.inputs}
    outputs = keras.tree.flatten(backbone.output)
    try:
        if not names.issuperset(tensor.name for tensor in backbone.inputs):
            raise ValueError("it lacks inputs of the backbone")
        head = keras.Model([*outputs, *predecessor.inputs], predecessor.output)
        if any(layer is backbone for layer in head.layers):
            raise ValueError("it calls the backbone as one layer")  # instead of using its tensors
    except ValueError as error:
        raise ValueError(
            "the predecessor must be a functional model of the backbone's inputs and output, such "
            f"as keras.Model(bert.input, layer(bert.output)); this one is not: {error}"
        ) from error
    inner = {id(layer) for layer in _block_layers(backbone.transformer).values()}
    if found := [layer.name for layer in head.layers if id(layer) in inner]:
        raise ValueError(
            f"the head of the predecessor uses a hidden state inside the backbone ({found[0]}), so "
            "its blocks cannot be replaced. Build the head on the output of the backbone."
        )
    return head


def _check_blocks(transformer: Transformer, blocks: int, copied: Sequence[int]) -> None:
    """Raise a ValueError if `blocks` cannot replace those of a transformer one by one."""
    depth, name = transformer.depth, transformer.config.model_type
    if isinstance(blocks, bool) or not isinstance(blocks, int) or not 1 <= blocks < depth:
        raise ValueError(
            f"num_hidden_layers={blocks!r} must be an integer from 1 to {depth - 1}, below the "
            f"{depth} blocks of the predecessor."
        )
    if depth % blocks:
        raise ValueError(
            f"num_hidden_layers={blocks} does not divide the {depth} blocks of the predecessor."
        )
    if len(copied) != blocks or not all(0 <= index < depth for index in copied):
        raise ValueError(f"copied={copied} must be {blocks} indices of blocks, 0 to {depth - 1}.")
    own_order = type(transformer).apply_main_layers is not Transformer.apply_main_layers
    if own_order or transformer.layer_name(0, "") == transformer.layer_name(1, ""):
        raise ValueError(
            f"the blocks of {name} cannot be replaced one by one: they share weights or do not "
            "simply follow each other."
        )
    if transformer.config.residual_attention_scores:
        raise ValueError(
            "blocks with residual_attention_scores cannot be replaced one by one: each uses the "
            "scores of the block before it."
        )
    if transformer.mask.has_query_stream or transformer.condition is not None:
        raise ValueError("Theseus supports neither two streams nor a symbolic condition.")
