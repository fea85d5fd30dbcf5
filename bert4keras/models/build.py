"""From a directory, a json or a config to a model with its weights: `build_transformer_model`."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, overload

import keras

from .._json import short_repr
from ..checkpoints import load, open_checkpoint
from ..checkpoints.assignment import check_sizes
from ..checkpoints.directories import CONFIGS, find_config, model_directory
from ..checkpoints.hub import resolve
from ..checkpoints.vocabulary_edit import VocabularyEdit
from ..config import ConfigError, TransformerConfig, errors_from, read_config_json
from ..masks import Mask
from ..registry import FAMILIES, Family, get_family
from .agreement import check_tokenizer
from .backbone import Backbone
from .pretraining_heads import PretrainingHeads
from .sizes import depths, require_possible, weight_specs
from .transformer import Transformer

# Not of the model: "tokenizer_config.json", "generation_config.json", ...
OTHER_CONFIGS = ("tokenizer", "generation", "preprocessor", "sentence", "adapter", "special")
LANGUAGE_MODELS = ("lm", "unilm", "prefix", "permutation")


@overload
def build_transformer_model(
    config_path: str | Path | TransformerConfig | Mapping[str, Any] | None = ...,
    checkpoint_path: Any = ...,
    model: str | type[Transformer] | None = ...,
    application: str | Mask | None = ...,
    return_keras_model: Literal[True] = ...,
    **options: Any,
) -> Backbone: ...


@overload
def build_transformer_model(
    config_path: str | Path | TransformerConfig | Mapping[str, Any] | None = ...,
    checkpoint_path: Any = ...,
    model: str | type[Transformer] | None = ...,
    application: str | Mask | None = ...,
    *,
    return_keras_model: bool,
    **options: Any,
) -> Backbone | Transformer: ...


def build_transformer_model(
    config_path: str | Path | TransformerConfig | Mapping[str, Any] | None = None,
    checkpoint_path: Any = None,
    model: str | type[Transformer] | None = None,
    application: str | Mask | None = None,
    return_keras_model: bool = True,
    with_pool: bool | str = False,
    with_nsp: bool | str = False,
    with_mlm: bool | str | None = None,
    with_discriminator: bool | str = False,
    keep_tokens: Sequence[int] | None = None,
    compound_tokens: Sequence | None = None,
    dropout_rate: float | None = None,
    layer_norm_cond: int | Any | None = None,
    additional_input_layers: Any = None,
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
            `TransformerConfig`, or `"hf://org/name[@revision]"` (needs bert4keras[hub]).
        checkpoint_path: weights; anything that `bert4keras.checkpoints.open_checkpoint` takes.
        model: family name or a `Transformer` class; None takes `model_type` from the config.
        application: mask strategy: `"encoder"`, `"lm"`, `"unilm"`, `"prefix"`, `"permutation"`,
            `"packed"`, `"shared_prefix"`, or a `Mask` such as `TwoStream`. `"encoder"` is the mask
            that the family was trained with (GPT: `"lm"`); a `Mask()` is always bidirectional.
            None: `"lm"` if the config says `is_decoder: true`, else `"encoder"`.
        return_keras_model: False returns the `Transformer`, built and loaded, whose `.model` is
            the Keras model.
        with_pool, with_nsp, with_mlm, with_discriminator: heads, see `PretrainingHeads`. With None,
            `with_mlm` follows from the application: the language models have it.
        keep_tokens: old ids of the tokens to keep, in their new order. The config's ids of special
            tokens (`pad_token_id`, `eos_token_id` and their like) move with them.
        compound_tokens: rows to append as means of kept ones, see `bert4keras.checkpoints.load`.
        dropout_rate: replaces the config's, in the attention too unless that is given as well.
        layer_norm_cond: condition of every norm: its width (the model then has an input
            `Input-Condition`), or a symbolic tensor (B, C) or (B, T, C).
        additional_input_layers: `keras.Input` tensors that such a tensor is computed from.
        prefix: put before every layer name.
        layers: layers by name to share with another model.
        ignore: patterns of weights that may be missing from the checkpoint.
        autoresize_weights: fit weights of other sizes than the config's, see
            `bert4keras.checkpoints.resize`.
        name: name of the Keras model.
        **config_overrides: fields of the config, in Google's, Hugging Face's or our spelling;
            among them the options `custom_position_ids`, `hierarchical_position`,
            `residual_attention_scores`, `shared_segment_embeddings` and `remat`.

    Returns:
        A functional `Backbone` with inputs `[token_ids, segment_ids]`, int32 (B, T), followed by
        those the mask needs; an encoder-decoder takes the encoder's token ids before its own.

    Raises:
        ConfigError: no or an impossible configuration.
        CheckpointError: weights that cannot be read or do not fit; sizes are compared before
            anything is built.
    """
    if not isinstance(prefix, str):
        raise ConfigError(f"`prefix` must be a text, not {short_repr(prefix)}.")
    width, condition, sources = _conditioning(layer_norm_cond, additional_input_layers)
    config_overrides["layer_norm_cond"] = width
    family, config, directory = _configure(config_path, model, dropout_rate, config_overrides)
    edit = VocabularyEdit.of(keep_tokens, compound_tokens)
    if edit:
        config = _after_edit(config, edit)
    application, config = _application(application, config)
    if with_mlm is None:
        with_mlm = _is_language_model(application, family)
    if with_mlm:
        _require_tied(config)
    heads = PretrainingHeads(with_pool, with_nsp, with_mlm, with_discriminator)
    transformer = family.transformer(config, application, heads, prefix, layers, condition, sources)
    weights = directory if checkpoint_path is None else checkpoint_path
    with contextlib.ExitStack() as stack:
        if weights is not None:
            weights = stack.enter_context(open_checkpoint(weights))
            _compare(weights, transformer, family, edit, ignore, autoresize_weights)
        require_possible(transformer)
        backbone = transformer.model = Backbone(transformer, name=name)
        if weights is not None:
            backbone.load_report = load(
                backbone,
                weights,
                ignore,
                keep_tokens,
                compound_tokens,
                family.tables or None,
                autoresize_weights=autoresize_weights,
            )
    return backbone if return_keras_model else transformer


def _after_edit(config: TransformerConfig, edit: VocabularyEdit) -> TransformerConfig:
    """The config of a model with another vocabulary: its size, and the new ids of its tokens."""
    size = config.vocab_size
    return dataclasses.replace(
        config,
        vocab_size=edit.new_size(size),
        pad_token_id=edit.new_token_id("pad_token_id", config.pad_token_id, size),
        extra={key: edit.new_token_id(key, value, size) for key, value in config.extra.items()},
    )


def _conditioning(
    layer_norm_cond: Any, additional_input_layers: Any
) -> tuple[int | None, Any | None, Sequence[Any]]:
    """Width of the norms' condition, the tensor it is, if one was given, and that one's inputs."""
    sources = () if additional_input_layers is None else additional_input_layers
    if hasattr(layer_norm_cond, "shape"):
        width, condition = layer_norm_cond.shape[-1], layer_norm_cond
    else:
        width, condition = layer_norm_cond, None
    return width, condition, keras.tree.flatten(sources)


def _require_tied(config: TransformerConfig) -> None:
    """Refuse a language model with a matrix of its own, which only a T5 has (as a field)."""
    if config.extra.get("tie_word_embeddings") is False:
        raise ConfigError(
            "config `tie_word_embeddings=False`: the head here scores tokens with the word "
            "embeddings. Build the model without that head (with_mlm=False); or, where the "
            "checkpoint holds the same numbers twice, delete the key."
        )


def _compare(
    reader: Any,
    transformer: Transformer,
    family: Family,
    edit: VocabularyEdit,
    ignore: str | Sequence[str],
    resize: bool,
) -> None:
    """Sizes of another model than the checkpoint's would take minutes, or all memory, to build."""
    patterns = (ignore,) if isinstance(ignore, str) else tuple(ignore)
    planned = weight_specs(transformer)
    if planned:
        tables = family.tables or None
        check_sizes(reader, planned, depths(transformer), tables, edit, patterns, resize)


def _application(
    application: str | Mask | None, config: TransformerConfig
) -> tuple[str | Mask, TransformerConfig]:
    """The mask strategy, and the config that says of `is_decoder` what is built."""
    if application is None:
        return ("lm" if config.causal else "encoder"), config
    if config.causal and application != "lm":
        config = dataclasses.replace(config, extra={**config.extra, "is_decoder": False})
    return application, config


def _is_language_model(application: str | Mask, family: Family) -> bool:
    """Whether what was asked for by name is a language model."""
    if application == "encoder":
        application = family.transformer.native_application
    if isinstance(application, Mask):
        return application.has_query_stream
    return application in LANGUAGE_MODELS


def _configure(
    config_path: Any, model: Any, dropout_rate: float | None, overrides: dict[str, Any]
) -> tuple[Family, TransformerConfig, Path | None]:
    """The family, its checked config, and the directory whose weights belong to it, if any."""
    if dropout_rate is not None:
        rates = {"dropout_rate": dropout_rate, "attention_dropout_rate": dropout_rate}
        overrides = {**rates, **overrides}
    values, directory, file = _read(config_path)
    family = get_family(model) if model else _stated_family(values, file)
    config_class = family.transformer.config_class
    config_class.check_overrides(overrides)
    with errors_from(file):
        config = config_class.from_dict(values, **overrides)
    if family.name in FAMILIES:
        config = dataclasses.replace(config, model_type=family.name)
    check_tokenizer(directory, config, overrides.get("pad_token_id") is not None)
    return family, config, directory


def _stated_family(values: Mapping[str, Any], file: Path | None) -> Family:
    """The family that a config names."""
    name = values.get("model_type", "bert")
    with errors_from(file):
        if not isinstance(name, str):
            raise ConfigError(
                f"config `model_type` must be the name of a family, not {short_repr(name)}."
            )
        if name not in FAMILIES:
            raise ConfigError(
                f"config `model_type`: unknown model {short_repr(name)}. Known: "
                f"{', '.join(sorted(FAMILIES))}. If it is one of these under another name, pass "
                "model=..."
            )
        return get_family(name)


def _read(config_path: Any) -> tuple[dict[str, Any], Path | None, Path | None]:
    """Config values, the directory whose weights belong to them, and the file they were in."""
    if config_path is None:
        return {}, None, None
    if isinstance(config_path, TransformerConfig):
        return config_path.to_dict(), None, None
    if isinstance(config_path, Mapping):
        return dict(config_path), None, None
    path = resolve(config_path)
    if path.is_dir():
        path = model_directory(path)
        file = _config_file(path)
        return read_config_json(file), path, file
    if not path.exists():
        raise ConfigError(
            f"{path} does not exist. Give a checkpoint directory or the path of its config json."
        )
    return read_config_json(path), None, path


def _config_file(directory: Path) -> Path:
    """The json that describes the model: of the usual name, or the only one of its kind."""
    if (file := find_config(directory)) is not None:
        return file
    names = sorted(path.name for path in directory.iterdir())
    likely = [name for name in names if name.endswith(".json") and "config" in name]
    likely = [name for name in likely if not name.startswith(OTHER_CONFIGS)]
    if len(likely) == 1:
        return directory / likely[0]
    held = ", ".join(names[:12]) or "nothing"
    raise ConfigError(f"{directory} has no {' or '.join(CONFIGS)}. It holds: {held}.")
