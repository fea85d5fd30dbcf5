"""Replaced token detection, as in ELECTRA: a generator fills masks, a discriminator judges them."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

import keras
import numpy as np
from keras import ops

from ... import checkpoints
from ..._serialization import serializable
from ..._types import Tensor
from ...config import TransformerConfig
from ...data.masking import IGNORED
from ...layers import get_activation
from ...layers.masking import EndsMask
from ...losses import BinaryCrossentropy, SparseCategoricalCrossentropy
from ...models import FAMILIES, Backbone, Transformer, build_transformer_model
from ...models.model_config import ConfigSource, read_model_config
from ...registry import Family, class_prefix
from ...tokenizers.base import TokenizerBase
from ...training import SparseCategoricalAccuracy
from ..rows import TokenRows
from .base import Arrays, check_at_least, register_objective, with_ignored
from .masked_lm import MaskedLM

_GENERATOR = "generator"  # directory of the generator in that of the discriminator
_TIED_LAYERS = ("Embedding-Token", "Embedding-Segment", "Embedding-Position")
# Of the names of the generator's layers. Keras on torch finds the weights of a model by their
# paths: of two with the same one, it would reset the gradients of only one after a step.
_PREFIX = "Generator-"
_OF_THE_DISCRIMINATOR = (  # options that a trained generator does not share
    *("hidden_size", "num_hidden_layers", "num_attention_heads", "intermediate_size"),
    *("attention_head_size", "attention_key_size"),
)


@register_objective
class ReplacedTokens(MaskedLM):
    """Detect the tokens that a small masked language model put in the place of others.

    The generator is trained as a masked LM. Tokens drawn from its predictions replace the masks,
    and the discriminator tells for every token whether it is the original one; a drawn token that
    happens to be right counts as original. The loss is that of the generator plus `weight` times
    that of the discriminator, and no gradient passes from one to the other. Both share the
    embeddings of tokens, segments and positions.

    The generator of an ELECTRA is narrower than the discriminator; of another family, whose
    published models have no embeddings of another width than the rest, it has fewer blocks.

    Checkpoints: the discriminator in the directory itself, and the generator in its subdirectory
    `generator`, from where `build` takes it again. A family that has no head of a discriminator in
    its checkpoints, such as BERT, is saved without the head.

    Args:
        tokenizer: with a mask token.
        generator_size: width, or number of blocks, of the generator as a share of the
            discriminator's.
        weight: of the discriminator's loss.
        **options: of `MaskedLM`: `rate`, `unit`, `mean_span`.

    Raises:
        ValueError: an argument out of its range, or no mask token.

    Source: Clark et al., ELECTRA, 2020 (arXiv:2003.10555); fewer blocks: He et al., DeBERTaV3, 2021
    (arXiv:2111.09543).
    """

    name: ClassVar[str] = "electra"

    def __init__(
        self,
        tokenizer: TokenizerBase,
        generator_size: float = 0.25,
        weight: float = 50.0,
        **options: Any,
    ):
        super().__init__(tokenizer, **options)
        if not 0 < generator_size <= 1:
            raise ValueError(f"generator_size must lie in (0, 1], not {generator_size}.")
        check_at_least("weight", weight, 0)
        self.generator_size, self.weight = generator_size, weight

    def corrupt(
        self, rows: TokenRows, rng: np.random.Generator
    ) -> tuple[Arrays, Arrays | np.ndarray]:
        inputs, targets = self.mask_rows(rows, rng)
        row, prediction = np.nonzero(targets >= 0)
        column = inputs["masked_positions"][row, prediction]
        ids, fills = inputs["token_ids"].copy(), np.full_like(rows.token_ids, -1)
        ids[row, column] = self.mask_id  # the generator sees no token that it predicts
        fills[row, column] = prediction
        originals = np.where(rows.document_ids > 0, rows.token_ids, IGNORED)
        inputs |= {"token_ids": ids, "fills": fills}
        return inputs, {"generator": targets, "discriminator": originals}

    def build(
        self, checkpoint: ConfigSource, generator: str | Path | None = None, **options: Any
    ) -> keras.Model:
        """Build generator and discriminator as one model.

        Args:
            checkpoint, **options: of `build_transformer_model`. Options of the config are for both,
                except sizes of blocks, from which those of a new generator follow.
            generator: directory of a trained generator. None: the subdirectory `generator` of
                `checkpoint`, if there is one; else a new generator.
        """
        family, config, directory = read_model_config(
            checkpoint, options.get("model"), options.get("dropout_rate"), _overrides(options)
        )
        own_head = family.transformer.apply_discriminator is not Transformer.apply_discriminator
        head = {"with_discriminator": "linear"} if own_head else {}
        shared = {"application": "packed", **with_ignored(options, "Discriminator-")}
        discriminator = build_transformer_model(
            checkpoint, name="discriminator", **{**head, **shared}
        )
        self.check_vocabulary(discriminator)
        if generator is None and directory and (Path(directory) / _GENERATOR).is_dir():
            generator = Path(directory) / _GENERATOR
        for name in _OF_THE_DISCRIMINATOR if generator else _overrides(options).keys():
            shared.pop(name, None)
        shared.pop("checkpoint_path", None)
        layers = discriminator.transformer.layers
        name = family.name if family.name in FAMILIES else family.transformer
        shared |= {"model": "electra_generator" if name == "electra" else name}
        shared |= {"with_mlm": "linear", "masked_positions": True, "name": _GENERATOR}
        tied = {_PREFIX + name: layers[name] for name in _TIED_LAYERS if name in layers}
        if generator is None:
            start = self.generator_config(family, config)
            filler = build_transformer_model(start, prefix=_PREFIX, layers=tied, **shared)
        else:  # the names of a checkpoint have no prefix
            trained = build_transformer_model(generator, **shared)
            filler = _same_model(trained, prefix=_PREFIX, layers=tied)
        return _joint_model(filler, discriminator)

    def generator_config(self, family: Family, config: TransformerConfig) -> TransformerConfig:
        """Return the config of a new generator for a discriminator."""
        size = self.generator_size
        own_class = type(config)
        if family.name == "electra" or config.embedding_size != config.hidden_size:
            heads = max(1, round(size * config.num_attention_heads))
            changes: dict[str, Any] = {
                "num_attention_heads": heads,
                "hidden_size": heads * config.attention_head_size,
                "intermediate_size": max(1, round(size * config.intermediate_size)),
                "embedding_size": config.embedding_size,
            }
        else:
            changes = {"num_hidden_layers": max(1, round(size * config.num_hidden_layers))}
        return own_class.from_dict(config.to_dict(), **changes)

    @property
    def loss(self) -> Any:
        generator = SparseCategoricalCrossentropy(from_logits=True)
        return {"generator": generator, "discriminator": ReplacedTokenLoss(self.weight)}

    @property
    def metrics(self) -> Any:
        return {"generator": [SparseCategoricalAccuracy()]}

    def backbone(self, model: keras.Model) -> Backbone:
        return model.get_layer("discriminator")

    def save(self, model: keras.Model, directory: Path, tokenizer: TokenizerBase) -> None:
        inner = Path(directory) / _GENERATOR
        generator = _same_model(model.get_layer(_GENERATOR))
        checkpoints.save(generator, inner, config=self.saved_config(generator))
        tokenizer.save(inner)
        super().save(model, directory, tokenizer)

    def saved_config(self, backbone: Backbone) -> dict[str, Any]:
        values = super().saved_config(backbone)
        heads = backbone.transformer.pretraining_heads
        if not heads.gives_logits:
            ending = "ForPreTraining" if heads.with_discriminator else "Model"
            values["architectures"] = [class_prefix(values["model_type"]) + ending]
        return values


def _overrides(options: Mapping[str, Any]) -> dict[str, Any]:
    """Return the options of `build_transformer_model` that are fields of the config."""
    own = inspect.signature(build_transformer_model).parameters
    return {name: value for name, value in options.items() if name not in own}


def _same_model(generator: Backbone, **options: Any) -> Backbone:
    """Return a generator with the same weights and other names of its layers."""
    heads: dict[str, Any] = {"with_mlm": "linear", "application": "packed"}
    heads["masked_positions"] = True
    config = generator.config
    made = build_transformer_model(
        config, model=config.model_type, name=_GENERATOR, **heads, **options
    )
    made.set_weights(generator.get_weights())
    return made


def _joint_model(generator: Backbone, discriminator: Backbone) -> keras.Model:
    """Return the model of both, with the inputs and outputs of `ReplacedTokens`."""
    names = ("token_ids", "document_ids", "masked_positions", "fills")
    inputs = {name: keras.Input((None,), dtype="int32", name=name) for name in names}
    zeros = ops.zeros_like(inputs["token_ids"])

    def run(backbone: Backbone, token_ids: Tensor) -> Tensor:
        tensors = {**inputs, "token_ids": token_ids}
        return backbone([tensors.get(name, zeros) for name in backbone.input_order])

    scores = run(generator, inputs["token_ids"])
    replaced = SampledTokens(name="Generator-Sample")(
        [inputs["token_ids"], scores, inputs["fills"]]
    )
    judged = run(discriminator, replaced)
    if not discriminator.transformer.pretraining_heads.with_discriminator:
        config = discriminator.config
        act = get_activation(config.hidden_act)
        dense = keras.layers.Dense(config.hidden_size, act, name="Discriminator-Dense")
        judged = dense(judged)
        judged = keras.layers.Dense(1, name="Discriminator-Prediction")(judged)
    judged = JudgedTokens(name="Discriminator-Output", dtype="float32")([judged, replaced])
    return keras.Model(inputs, {"generator": scores, "discriminator": judged})


@serializable
class SampledTokens(EndsMask, keras.layers.Layer):
    """Replace masks by tokens drawn from a generator's scores.

    Call arguments:
        inputs: token ids (B, L); scores (B, M, V), logits; and for each token the number of the
            prediction that replaces it, or -1, (B, L).

    Returns:
        int32 (B, L), through which no gradient flows.
    """

    def __init__(self, **kwargs: Any):
        super().__init__(**kwargs)
        self.seed_generator = keras.random.SeedGenerator()

    def call(self, inputs: list[Tensor]) -> Tensor:
        token_ids, scores, fills = inputs
        probabilities = ops.softmax(ops.cast(ops.stop_gradient(scores), "float32"))
        # The first token whose cumulative probability exceeds a uniform number.
        cumulative = ops.cumsum(probabilities, axis=-1)
        drawn = keras.random.uniform(ops.shape(scores)[:2], seed=self.seed_generator)
        drawn = drawn[..., None] * cumulative[..., -1:]  # which is 1 up to rounding
        sampled = ops.sum(ops.cast(cumulative <= drawn, "int32"), axis=-1)
        sampled = ops.minimum(sampled, scores.shape[-1] - 1)
        chosen = ops.take_along_axis(sampled, ops.maximum(fills, 0), axis=1)
        return ops.where(fills >= 0, chosen, token_ids)

    def compute_output_spec(self, inputs):
        return keras.KerasTensor(inputs[0].shape, dtype="int32")


@serializable
class JudgedTokens(EndsMask, keras.layers.Layer):
    """The logit that a token was replaced, and the token: (B, L, 1) and int (B, L) to (B, L, 2)."""

    def call(self, inputs: list[Tensor]) -> Tensor:
        logits, token_ids = inputs
        return ops.concatenate([logits, ops.cast(token_ids, logits.dtype)[..., None]], axis=-1)

    def compute_output_shape(self, input_shape):
        return (*input_shape[1], 2)


@serializable
class ReplacedTokenLoss(BinaryCrossentropy):
    """Mean binary cross entropy of "this token was replaced", times a weight.

    Args:
        weight: the factor.
        **kwargs: of `keras.losses.Loss`.

    Call arguments:
        y_true: int (B, L), the original tokens; below 0: ignored.
        y_pred: (B, L, 2), the logit, and the token that was judged (`JudgedTokens`).
    """

    def __init__(self, weight: float = 50.0, name: str = "replaced_tokens", **kwargs: Any):
        super().__init__(**{**kwargs, "from_logits": True}, name=name)
        self.weight = weight

    def losses(self, y_true: Tensor, y_pred: Tensor) -> tuple[Tensor, Tensor]:
        judged = ops.cast(y_pred[..., 1], y_true.dtype)
        labels = ops.cast(ops.not_equal(judged, y_true), y_true.dtype)
        labels = ops.where(y_true < 0, ops.cast(-1, y_true.dtype), labels)
        loss, counted = super().losses(labels[..., None], y_pred[..., :1])
        return self.weight * loss, counted

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "weight": self.weight}
