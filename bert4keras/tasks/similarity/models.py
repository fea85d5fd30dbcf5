"""Models that compare texts: sentence encoder, siamese and contrastive training, cross-encoder.

Each comparison is a `keras.Model`, so training is `compile` and `fit`. It shares the weights of its
sentence encoder, so `encoder.predict` gives the trained vectors.

| training | model | sample | compiled with |
|---|---|---|---|
| CoSENT | `cosine_model(encoder)` | `((ids, segments) * 2, label)` | `loss=cosent` |
| SimCSE | `contrastive_model(encoder, texts=1)` | `((ids, segments),)` | no loss |
| in-batch negatives | `contrastive_model(encoder, texts=2)` | `((ids, segments) * 2,)` | no loss |
| ... and hard ones | `contrastive_model(encoder, texts=3)` | `((ids, segments) * 3,)` | no loss |
| cross-encoder | `cross_encoder(backbone)` | `((ids, segments), label)` | a loss of Keras |
| ... by a cosine | `joint_cosine_model(backbone)` | `((ids, segments), label)` | `loss=cosent` |

CoSENT needs one number of each pair, so it is an ordinary loss. In-batch negatives need the vectors
of all pairs and no label: a layer adds the loss, and `fit` gets data without labels.

Legend: B texts, T tokens, D size of a vector.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from ..._serialization import serializable
from ...export import ExportedModel
from ...layers import MaskedMeanPooling, get_activation
from ...layers.masking import EndsMask
from ...layers.pooling import mean
from ...losses.similarity import in_batch_negatives, unit
from ...masks.base import input_layer_name
from ...models import Backbone
from .pooling import MODES, SentencePooling
from .whitening import Whitening

_DENSE, _NORMALIZE = "Sentence-Dense", "Sentence-Normalize"  # names of layers


def sentence_encoder(
    backbone: Backbone,
    pooling: str | Sequence[str] = "mean",
    dense: Sequence[tuple[int, str]] = (),
    normalize: bool = False,
    layer: int = -1,
) -> keras.Model:
    """Return a model from a text to its vector.

    Args:
        backbone: a model that returns the last hidden state (B, T, D), built without heads; with
            `with_pool` for the pooling "pooler".
        pooling: a mode of `SentencePooling`, or several, whose vectors are joined; `"first-last"`,
            the mean over the tokens of the outputs of the first and the last block; or `"pooler"`,
            the encoder's own dense layer on the first token.
        dense: size and activation of dense layers on the pooled vector.
        normalize: give the vectors length 1.
        layer: pool the output of this block, from 1; -1: of the last, -2: of the one before it.

    Returns:
        Model with the inputs of the backbone and output (B, D), float32.

    Raises:
        ValueError: an unknown pooling or block, or a backbone with another output.
    """
    x = pool(backbone, pooling, layer)
    for number, (units, activation) in enumerate(dense, 1):
        x = dense_layer(number, units, activation)(x)
    if normalize:
        x = normalize_layer()(x)
    return keras.Model(backbone.inputs, x, name="Sentence-Encoder")


def dense_layer(
    number: int, units: int, activation: str = "linear", use_bias: bool = True
) -> keras.layers.Dense:
    """Return a dense layer of a sentence encoder, the `number`-th one from 1."""
    return keras.layers.Dense(
        units,
        activation=get_activation(activation),
        use_bias=use_bias,
        dtype="float32",
        name=f"{_DENSE}-{number}",
    )


def normalize_layer() -> keras.layers.Layer:
    """Return the layer that gives vectors length 1; zeros stay zeros."""
    return keras.layers.UnitNormalization(dtype="float32", name=_NORMALIZE)


def cosine_model(encoder: keras.Model) -> keras.Model:
    """Return a siamese model: two texts through one encoder to the cosine of their vectors.

    Args:
        encoder: model from a text to a vector (B, D), such as `sentence_encoder`.

    Returns:
        Model with the inputs of the encoder twice, those of the first text before those of the
        second, and output (B, 1) between -1 and 1, float32. Train it with `cosent`, or with
        `"mse"` on labels between -1 and 1.

    Source: Reimers, Gurevych, Sentence-BERT, 2019 (arXiv:1908.10084).
    """
    inputs = _inputs(encoder, 2)
    cosine = Cosine(name="Cosine", dtype="float32")([encoder(text) for text in inputs])
    return keras.Model([x for text in inputs for x in text], cosine, name="Cosine-Model")


def contrastive_model(
    encoder: keras.Model, texts: int = 2, scale: float = 20.0, symmetric: bool = False
) -> keras.Model:
    """Build a model that trains an encoder to tell a text's partner from the rest of the batch.

    Compile it with an optimizer and no loss, and fit it on samples without labels. A text that
    occurs twice in a batch is no negative for its own partner.

    Args:
        encoder: model from a text to a vector (B, D), such as `sentence_encoder`.
        texts: number of texts of a sample. 1: the text, encoded twice under different dropout, is
            its own partner (unsupervised SimCSE; the backbone needs dropout). 2: a text
            and its partner. More: these and hard negatives.
        scale, symmetric: as in `losses.in_batch_negatives`.

    Returns:
        Model with the inputs of the encoder for each text; its output (B, 1) is the cosine of each
        text and its partner.

    Source: Gao, Yao, Chen, SimCSE, 2021 (arXiv:2104.08821).
    """
    if texts < 1:
        raise ValueError(f"texts={texts} must be at least 1: how many texts a sample has.")
    inputs = _inputs(encoder, texts)
    vectors = [encoder(text) for text in (inputs * 2 if texts == 1 else inputs)]
    layer = InBatchNegatives(scale, symmetric, name="In-Batch-Negatives", dtype="float32")
    cosine = layer(vectors, token_ids=[text[0] for text in inputs[:2]])
    return keras.Model([x for text in inputs for x in text], cosine, name="Contrastive-Model")


def cross_encoder(
    backbone: Backbone, classes: int = 1, pooling: str = "mean", dropout_rate: float = 0.1
) -> keras.Model:
    """Return a model that reads two texts as one sequence, and scores the pair.

    It is better than comparing vectors, since each word sees the other text, and slower where many
    texts are compared with many: nothing can be computed in advance.

    Args:
        backbone: a model that returns the last hidden state (B, T, D), built without heads; its
            inputs are those of `tokenizer.encode(first, second)`.
        classes: 1 for a grade between 0 and 1, with loss `"binary_crossentropy"` (which has the
            grade itself as optimum) or `"mse"`; more for `"sparse_categorical_crossentropy"`.
        pooling: as in `sentence_encoder`.
        dropout_rate: between the vector and the score.

    Returns:
        Model with output (B, 1), a sigmoid, or (B, classes), a softmax; float32.
    """
    x = keras.layers.Dropout(dropout_rate, name="Pair-Dropout")(pool(backbone, pooling))
    x = keras.layers.Dense(classes, name="Pair-Score")(x)
    activation = "sigmoid" if classes == 1 else "softmax"
    x = keras.layers.Activation(activation, dtype="float32", name="Pair-Probability")(x)
    return keras.Model(backbone.inputs, x, name="Cross-Encoder")


def joint_cosine_model(backbone: Backbone) -> keras.Model:
    """Return a cross-encoder that scores a pair by the cosine of its two halves' mean vectors.

    Both texts are read as one sequence, so that each word sees the other text, and then compared
    as by `cosine_model`. A backbone that was trained to give vectors of sentences keeps most of
    that knowledge so, where a new layer on one vector of the pair has to start from nothing.

    Args:
        backbone: a model that returns the last hidden state (B, T, D), built without heads; its
            inputs, token ids and segment ids, are those of `tokenizer.encode(first, second)`,
            with segment ids 0 and 1.

    Returns:
        Model with output (B, 1) between -1 and 1, float32, for the loss `cosent` or `"mse"`.
    """
    last = _hidden_states(backbone)
    segments = [x for x in backbone.inputs if x.name.endswith(input_layer_name("segment_ids"))]
    if not segments:
        raise ValueError(f"{backbone.name} has no segment ids, which tell the two texts apart.")
    halves = SegmentMeans(_pad_token_id(backbone), name="Segment-Means")
    cosine = Cosine(name="Cosine", dtype="float32")(halves([last, segments[0]]))
    return keras.Model(backbone.inputs, cosine, name="Joint-Cosine-Model")


def whitened_encoder(encoder: keras.Model, whitening: Whitening) -> keras.Model:
    """Add the whitening to an encoder as its last, dense layer.

    Args:
        encoder: model from a text to a vector (B, D).
        whitening: made from vectors of this encoder.

    Returns:
        Model with output (B, K), K the dimension of the whitening.
    """
    width = encoder.output.shape[-1]
    if width != len(whitening.mean):
        raise ValueError(f"whitening of {len(whitening.mean)} dimensions, encoder of {width}.")
    layer = keras.layers.Dense(whitening.kernel.shape[1], name="Whitening", dtype="float32")
    model = keras.Model(encoder.inputs, layer(encoder.output), name="Whitened-Encoder")
    # (x - mean) W = x W - mean W
    layer.set_weights([whitening.kernel, -np.matmul(whitening.mean, whitening.kernel)])
    return model


@serializable
class Cosine(EndsMask, keras.layers.Layer):
    """Cosine of two vectors: a pair of (B, D) to (B, 1); 0 if one of them is all zeros."""

    def call(self, inputs):
        first, second = inputs
        return ops.sum(unit(first) * unit(second), axis=-1, keepdims=True)

    def compute_output_shape(self, input_shape):
        return (input_shape[0][0], 1)


@serializable
class SegmentMeans(MaskedMeanPooling):
    """The mean vectors of the first and of the second text of a pair: two of (B, D).

    Args:
        pad_token_id: as in `MaskedMeanPooling`.

    Call arguments:
        inputs: `[x, token_ids, segment_ids]`, (B, T, D) and int (B, T) twice, or
            `[x, segment_ids]`. A text without a token has a mean of zeros.
    """

    others = 1  # the segment ids

    def call(self, inputs, mask=None):
        x, _, (segment_ids,) = self.split(inputs)
        real = self.real_tokens(inputs, mask)
        return tuple(mean(x, ops.logical_and(real, segment_ids == k)) for k in range(2))

    def compute_output_shape(self, input_shape):
        return (super().compute_output_shape(input_shape),) * 2


@serializable
class InBatchNegatives(EndsMask, keras.layers.Layer):
    """Adds the loss `losses.in_batch_negatives`, and returns the cosines of the partners.

    Args:
        scale, symmetric: as there.

    Call arguments:
        vectors: list of (B, D): the texts, their partners, and any number of hard negatives.
        token_ids: list of int (B, T) of the texts and, where they are others, of their partners;
            rows i and j that are equal in either are not taken for negatives of each other.

    Returns:
        Cosines of each text and its partner (B, 1).
    """

    def __init__(self, scale: float = 20.0, symmetric: bool = False, **kwargs: Any):
        super().__init__(**kwargs)
        self.scale, self.symmetric = scale, symmetric

    def call(self, vectors: Sequence[Any], token_ids: Sequence[Any] = ()):
        anchors, *candidates = vectors
        same = None
        for ids in token_ids:
            equal = ops.all(ids[:, None] == ids[None, :], axis=-1)
            same = equal if same is None else ops.logical_or(same, equal)
        stacked = ops.concatenate(candidates, axis=0)
        losses = in_batch_negatives(anchors, stacked, self.scale, self.symmetric, same)
        self.add_loss(ops.mean(losses))
        return ops.sum(unit(anchors) * unit(candidates[0]), axis=-1, keepdims=True)

    def compute_output_shape(self, vectors_shape, token_ids_shape=None):
        return (vectors_shape[0][0], 1)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "scale": self.scale, "symmetric": self.symmetric}


def pool(backbone: Backbone, pooling: str | Sequence[str], layer: int = -1) -> Any:
    """Return one vector (B, D) of the symbolic output of a backbone; see `sentence_encoder`."""
    modes = [pooling] if isinstance(pooling, str) else list(pooling)
    if unknown := [mode for mode in modes if mode not in (*MODES, "first-last", "pooler")]:
        known = ", ".join((*MODES, "first-last", "pooler"))
        raise ValueError(f"pooling={unknown[0]!r} must be one of {known}.")
    if layer != -1 and not set(modes) <= set(MODES):
        raise ValueError(f"layer={layer} is for {', '.join(MODES)}, not for {pooling!r}.")
    if "pooler" in modes:
        return _pooler(backbone, modes)
    last = _hidden_states(backbone)
    if layer != -1:
        last = backbone.hidden_states[_block_number(backbone, layer)]
    vectors = [_pooled(backbone, mode, last) for mode in modes]
    return vectors[0] if len(vectors) == 1 else keras.layers.Concatenate(name="Pooling")(vectors)


def normalizes(model: keras.Model | ExportedModel) -> bool:
    """Return whether a sentence encoder gives vectors of length 1."""
    if isinstance(model, ExportedModel):
        return model.facts["normalizes"]
    return isinstance(model.layers[-1], keras.layers.UnitNormalization)


def config_up_to(backbone: Backbone, layer: int) -> dict[str, Any]:
    """Return the config of a backbone that ends with a block, as in `sentence_encoder`."""
    config = dict(backbone.config.to_json_dict())
    return config if layer == -1 else config | {"num_hidden_layers": _block_number(backbone, layer)}


def _block_number(backbone: Backbone, layer: int) -> int:
    """Return the number of a block from 1; -1 is the last.

    Raises:
        ValueError: there is no such block.
    """
    blocks = len(backbone.hidden_states) - 1
    number = layer + blocks + 1 if layer < 0 else layer
    if not 1 <= number <= blocks:
        raise ValueError(
            f"layer={layer} is no block of {backbone.name}: they are 1 to {blocks}, or -{blocks} "
            "to -1."
        )
    return number


def _pooled(backbone: Backbone, mode: str, last: Any) -> Any:
    pad = _pad_token_id(backbone)
    if mode != "first-last":
        return SentencePooling(mode, pad, name=f"Pooling-{mode}")(last)
    both = SentencePooling("mean", pad, name="Pooling-mean")
    # hidden_states begins with the embeddings.
    vectors = [both(x) for x in (backbone.hidden_states[1], last)]
    return keras.layers.Average(name="Pooling-first-last", dtype="float32")(vectors)


def _pooler(backbone: Backbone, modes: Sequence[str]) -> Any:
    """Return the output of a backbone built with a pooler."""
    outputs = keras.tree.flatten(backbone.output)
    if len(modes) > 1 or len(outputs) != 1 or len(outputs[0].shape) != 2:
        raise ValueError(
            "pooling='pooler' takes a backbone built with with_pool=True, without other heads, and "
            f"no other pooling beside it, not {backbone.name} with outputs "
            f"{[x.shape for x in outputs]}."
        )
    return outputs[0]


def _hidden_states(backbone: Backbone) -> Any:
    """Return the symbolic output of a backbone, if that is (B, T, D)."""
    outputs = keras.tree.flatten(backbone.output)
    if len(outputs) != 1 or len(outputs[0].shape) != 3:
        raise ValueError(
            f"A vector is pooled from hidden states (B, T, D), but {backbone.name} returns "
            f"{[x.shape for x in outputs]}: build it without with_pool, with_nsp and with_mlm."
        )
    return outputs[0]


def _pad_token_id(backbone: Backbone) -> int | None:
    """Return None (the mask of the hidden states tells padding), or -1 if no token is padding."""
    return -1 if backbone.config.pad_token_id is None else None


def _inputs(encoder: keras.Model, texts: int) -> list[list[Any]]:
    """Return symbolic inputs of an encoder, for each of some texts."""
    return [
        [keras.Input(x.shape[1:], dtype=x.dtype, name=f"Text-{k}-{x.name}") for x in encoder.inputs]
        for k in range(1, texts + 1)
    ]
