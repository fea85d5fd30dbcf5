"""`build_transformer_model`: from a directory, a json or a config to a model with weights."""

from __future__ import annotations

import dataclasses
import functools
import importlib
import inspect
from collections.abc import Callable, Sequence
from typing import Any, Literal, overload

import keras

from .._json import short_repr
from .._types import Tensor
from ..checkpoints import load, open_checkpoint
from ..checkpoints.assignment import check_sizes
from ..checkpoints.readers import CheckpointSource
from ..checkpoints.vocabulary_edit import VocabularyEdit
from ..config import ConfigError, TransformerConfig
from ..masks import Mask
from ..registry import Family
from .backbone import Backbone
from .model_config import ConfigSource, read_model_config
from .pretraining_heads import PretrainingHeads
from .sizes import depths, require_possible, weight_specs
from .transformer import Transformer

_LANGUAGE_MODELS = ("lm", "unilm", "prefix", "permutation")
# Options of 0.11, which `legacy.options` translates.
_OLD_OPTIONS = {"attention_caches", "final_activation", "ignore_invalid_weights"}
_OLD_OPTIONS |= {"sequence_length", "version", "with_lm"}


def _legacy(name: str) -> Any:
    """Return a module of `legacy`, which is imported only when an old script asks for it."""
    return importlib.import_module(f"..legacy.{name}", __package__)


def _with_old_options(build: Callable[..., Any]) -> Callable[..., Any]:
    """Translate options of 0.11 that have another name now."""

    @functools.wraps(build)
    def wrapper(*arguments: Any, **options: Any) -> Any:
        if options.keys() & _OLD_OPTIONS:
            options = _legacy("options").translate(options)
        return build(*arguments, **options)

    return wrapper


@overload
def build_transformer_model(
    config_path: ConfigSource = ...,
    checkpoint_path: CheckpointSource | None = ...,
    model: str | type[Transformer] | None = ...,
    application: str | Mask | None = ...,
    return_keras_model: Literal[True] = ...,
    **options: Any,
) -> Backbone: ...


@overload
def build_transformer_model(
    config_path: ConfigSource = ...,
    checkpoint_path: CheckpointSource | None = ...,
    model: str | type[Transformer] | None = ...,
    application: str | Mask | None = ...,
    *,
    return_keras_model: bool,
    **options: Any,
) -> Backbone | Transformer: ...


@_with_old_options
def build_transformer_model(
    config_path: ConfigSource = None,
    checkpoint_path: CheckpointSource | None = None,
    model: str | type[Transformer] | None = None,
    application: str | Mask | None = None,
    return_keras_model: bool = True,
    with_pool: bool | str = False,
    with_nsp: bool | str = False,
    with_mlm: bool | str | None = None,
    with_discriminator: bool | str = False,
    masked_positions: bool = False,
    document_starts: bool = False,
    last_hidden_state: bool = False,
    keep_tokens: Sequence[int] | None = None,
    compound_tokens: Sequence | None = None,
    dropout_rate: float | None = None,
    layer_norm_cond: int | Tensor | None = None,
    additional_input_layers: Tensor | Sequence[Tensor] | None = None,
    prefix: str = "",
    layers: dict | None = None,
    ignore: Sequence[str] = (),
    autoresize_weights: bool = False,
    name: str | None = None,
    **config_overrides: Any,
) -> Backbone | Transformer:
    """Build a Transformer and load its weights.

    Args:
        config_path: a directory in Hugging Face or Google layout (its weights are loaded too), a
            config json (weights stay random without `checkpoint_path`), its content as a dict, a
            `TransformerConfig`, a name of `checkpoints.PRESETS`, or `"hf://org/name[@revision]"`
            (needs bert4keras[hub]).
        checkpoint_path: weights; anything that `bert4keras.checkpoints.open_checkpoint` takes.
        model: family name or a `Transformer` class; None takes `model_type` from the config.
        application: mask strategy: `"encoder"`, `"lm"`, `"unilm"`, `"prefix"`, `"permutation"`,
            `"packed"`, `"shared_prefix"`, or a `Mask` such as `TwoStream`. `"encoder"` is the mask
            that the family was trained with (GPT: `"lm"`); a `Mask()` is always bidirectional.
            None: `"lm"` if the config says `is_decoder: true`, else `"encoder"`.
        return_keras_model: False returns the `Transformer`, built and loaded, whose `.model` is
            the Keras model. It can also be used as the builder that 0.11 returned, see
            docs/migrating.md.
        with_pool, with_nsp, with_mlm, with_discriminator, masked_positions, document_starts: heads,
            see `PretrainingHeads`. With None, `with_mlm` follows from the application: the language
            models have it if given by name (`"lm"`). With a mask object (`LM() & ...`) say
            `with_mlm=True`.
        last_hidden_state: also return the last hidden state, besides the heads.
        keep_tokens: old ids of the tokens to keep, in their new order. Ids of special tokens in
            the config (`pad_token_id`, `eos_token_id`, ...) are translated.
        compound_tokens: rows to append as means of others, see `bert4keras.checkpoints.load`.
        dropout_rate: replaces the config's rates, `attention_dropout_rate` only if that is not
            given too.
        layer_norm_cond: condition of every norm: its width (the model then has an input
            `Input-Condition`), or a symbolic tensor (B, C) or (B, T, C).
        additional_input_layers: `keras.Input` tensors that this tensor is computed from.
        prefix: put before every layer name.
        layers: layers by name to share with another model.
        ignore: patterns of weights that may be missing from the checkpoint.
        autoresize_weights: resize weights whose sizes differ from the config's, see
            `bert4keras.checkpoints.resize`.
        name: name of the Keras model.
        **config_overrides: fields of the config, in Google's, Hugging Face's or our spelling;
            among them the options `custom_position_ids`, `hierarchical_position`,
            `residual_attention_scores`, `shared_segment_embeddings` and `remat`.

    Returns:
        A functional `Backbone` with inputs `[token_ids, segment_ids]`, int32 (B, T), followed by
        those of the mask; in an encoder-decoder the encoder's token ids come first.

    Raises:
        ConfigError: the config is missing or contradictory, or the model too large to build.
        CheckpointError: the weights cannot be read or do not fit. Sizes are compared before
            anything is built.
    """
    if not isinstance(prefix, str):
        raise ConfigError(f"`prefix` must be a text, not {short_repr(prefix)}.")
    width, condition, sources = _conditioning(layer_norm_cond, additional_input_layers)
    config_overrides["layer_norm_cond"] = width
    own_options = _own_options(model, config_overrides)
    family, config, directory = read_model_config(
        config_path, model, dropout_rate, config_overrides
    )
    edit = VocabularyEdit.of(keep_tokens, compound_tokens)
    config = _after_edit(config, edit) if edit else config
    application, config = _application(application, config)
    if with_mlm is None:
        with_mlm = _is_language_model(application, family)
    if with_mlm:
        _require_tied(config)
    choice = with_pool, with_nsp, with_mlm, with_discriminator
    heads = PretrainingHeads(*choice, masked_positions, document_starts, last_hidden_state)
    own_options |= {"pretraining_heads": heads, "prefix": prefix, "layers": layers}
    own_options |= {"condition": condition, "additional_inputs": sources}
    transformer = family.transformer(config=config, application=application, **own_options)
    weights = directory if checkpoint_path is None else checkpoint_path
    if weights is None:
        require_possible(transformer)
        transformer.model = Backbone(transformer, name=name)
    else:
        patterns = (ignore,) if isinstance(ignore, str) else tuple(ignore)
        options = (name, patterns, keep_tokens, compound_tokens, autoresize_weights)
        transformer.model = _with_weights(transformer, family, weights, edit, *options)
    if return_keras_model:
        return transformer.model
    loading = (keep_tokens, compound_tokens, ignore == ("*",), autoresize_weights)
    return _legacy("builder").as_old_builder(transformer, *loading)


def _own_options(model: Any, options: dict[str, Any]) -> dict[str, Any]:
    """Take the arguments out of `options` that only the `__init__` of a class of your own names."""
    if not isinstance(model, type):
        return {}
    own = inspect.signature(model).parameters.keys()
    own -= inspect.signature(Transformer).parameters.keys()
    return {name: options.pop(name) for name in own & options.keys()}


def _with_weights(
    transformer: Transformer,
    family: Family,
    weights: Any,
    edit: VocabularyEdit,
    name: str | None,
    ignore: tuple[str, ...],
    keep_tokens: Sequence[int] | None,
    compound_tokens: Sequence | None,
    autoresize: bool,
) -> Backbone:
    """Build the model and load its weights; arguments as of `build_transformer_model`."""
    tables = family.tables or None
    with open_checkpoint(weights) as reader:
        # Compared first: building a model of the wrong size may take minutes, or all memory.
        if specs := weight_specs(transformer):
            check_sizes(reader, specs, depths(transformer), tables, edit, ignore, autoresize)
        require_possible(transformer)
        backbone = Backbone(transformer, name=name)
        backbone.load_report = load(
            backbone,
            reader,
            ignore,
            keep_tokens,
            compound_tokens,
            tables,
            autoresize_weights=autoresize,
        )
    return backbone


def _after_edit(config: TransformerConfig, edit: VocabularyEdit) -> TransformerConfig:
    """Return the config with the size and the token ids of the edited vocabulary."""
    size = config.vocab_size
    return dataclasses.replace(
        config,
        vocab_size=edit.new_size(size),
        pad_token_id=edit.new_token_id("pad_token_id", config.pad_token_id, size),
        extra={key: edit.new_token_id(key, value, size) for key, value in config.extra.items()},
    )


def _conditioning(
    layer_norm_cond: Any, additional_input_layers: Any
) -> tuple[int | None, Tensor | None, Sequence[Tensor]]:
    """Return the width of the norms' condition, its tensor if given, and the tensor's inputs."""
    sources = () if additional_input_layers is None else additional_input_layers
    inputs = keras.tree.flatten(sources)
    if hasattr(layer_norm_cond, "shape"):
        return layer_norm_cond.shape[-1], layer_norm_cond, inputs
    return layer_norm_cond, None, inputs


def _require_tied(config: TransformerConfig) -> None:
    """Refuse a language-model head with its own matrix; only T5 has one (a config field)."""
    if config.extra.get("tie_word_embeddings") is False:
        raise ConfigError(
            "config `tie_word_embeddings=False`: the head here scores tokens with the word "
            "embeddings. Build the model without that head (with_mlm=False); or, where the "
            "checkpoint holds the same numbers twice, delete the key."
        )


def _application(
    application: str | Mask | None, config: TransformerConfig
) -> tuple[str | Mask, TransformerConfig]:
    """Return the mask strategy, and the config with `is_decoder` as it is built."""
    if application is None:
        return ("lm" if config.causal else "encoder"), config
    if config.causal and application != "lm":
        config = dataclasses.replace(config, extra={**config.extra, "is_decoder": False})
    return application, config


def _is_language_model(application: str | Mask, family: Family) -> bool:
    """Return whether the application is a language model by its name, or has a query stream."""
    if application == "encoder":
        application = family.transformer.native_application
    if isinstance(application, Mask):
        return application.has_query_stream
    return application in _LANGUAGE_MODELS
