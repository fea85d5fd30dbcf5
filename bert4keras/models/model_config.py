"""Config of a model, from a directory, a json file, a dict or a config object."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from .._json import short_repr
from ..checkpoints.directories import CONFIGS, find_config, model_directory
from ..checkpoints.presets import PRESETS, local_path
from ..config import ConfigError, TransformerConfig, errors_from, read_config_json
from ..registry import FAMILIES, Family, get_family
from .agreement import check_tokenizer

if TYPE_CHECKING:
    from .transformer import Transformer

ConfigSource: TypeAlias = str | Path | TransformerConfig | Mapping[str, Any] | None

# Config files of other parts: "tokenizer_config.json", "generation_config.json", ...
_OTHER_CONFIGS = ("tokenizer", "generation", "preprocessor", "sentence", "adapter", "special")

# Activations of configs that have another name in the models built now; `backend.set_gelu`, a name
# of 0.11, fills it. A model keeps the name it was built with.
RENAMED_ACTIVATIONS: dict[str, str] = {}


def read_model_config(
    config_path: ConfigSource,
    model: str | type[Transformer] | None,
    dropout_rate: float | None,
    overrides: dict[str, Any],
) -> tuple[Family, TransformerConfig, Path | None]:
    """Find the family of a model and check its config.

    Args:
        config_path, model, dropout_rate: of `build_transformer_model`.
        overrides: values that replace those of the config.

    Returns:
        The family, the config, and the directory whose weights belong to it, if there is one.

    Raises:
        ConfigError: the config is missing, incomplete or contradictory.
    """
    if dropout_rate is not None:
        rates = {"dropout_rate": dropout_rate, "attention_dropout_rate": dropout_rate}
        overrides = {**rates, **overrides}
    values, directory, file = _read(config_path)
    family = get_family(model) if model else _stated_family(values, file)
    config_class = family.transformer.config_class
    config_class.check_overrides(overrides)
    with errors_from(file):
        config = config_class.from_dict(values, **overrides)
    if config.hidden_act in RENAMED_ACTIVATIONS:
        config = dataclasses.replace(config, hidden_act=RENAMED_ACTIVATIONS[config.hidden_act])
    if family.name in FAMILIES:
        config = dataclasses.replace(config, model_type=family.name)
    check_tokenizer(directory, config, overrides.get("pad_token_id") is not None)
    return family, config, directory


def _stated_family(values: Mapping[str, Any], file: Path | None) -> Family:
    """Return the family that a config names; without `model_type`, BERT."""
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
                "model=...; if it is a new one, add it with @bert4keras.models.register_model."
            )
        return get_family(name)


def _read(config_path: ConfigSource) -> tuple[dict[str, Any], Path | None, Path | None]:
    """Return config values, the directory of their weights, and their file, if there are such."""
    if config_path is None:
        return {}, None, None
    if isinstance(config_path, TransformerConfig):
        return config_path.to_dict(), None, None
    if isinstance(config_path, Mapping):
        return dict(config_path), None, None
    path = local_path(config_path)
    if path.is_dir():
        path = model_directory(path)
        file = _config_file(path)
        return read_config_json(file), path, file
    if not path.exists():
        raise ConfigError(
            f"{path} does not exist. Give a checkpoint directory, the path of its config json, "
            f"hf://org/name, or one of {', '.join(PRESETS)}."
        )
    return read_config_json(path), None, path


def _config_file(directory: Path) -> Path:
    """Return the config json of a directory: the usual name, or the only other candidate."""
    if (file := find_config(directory)) is not None:
        return file
    names = sorted(path.name for path in directory.iterdir())
    likely = [name for name in names if name.endswith(".json") and "config" in name]
    likely = [name for name in likely if not name.startswith(_OTHER_CONFIGS)]
    if len(likely) == 1:
        return directory / likely[0]
    held = ", ".join(names[:12]) or "nothing"
    raise ConfigError(f"{directory} has no {' or '.join(CONFIGS)}. It holds: {held}.")
