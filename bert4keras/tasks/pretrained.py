"""Open a pretrained encoder together with its tokenizer."""

from __future__ import annotations

import argparse
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from .._json import read_json
from ..checkpoints import PRESETS, CheckpointError
from ..checkpoints.presets import local_path
from ..models import Backbone, build_transformer_model
from ..tokenizers import Tokenizer
from ..tokenizers.base import TokenizerBase
from .base import TaskError

WITHOUT_TOKENIZER = "with a Backbone give its tokenizer too: build(bert, tokenizer=...)."


def locate(checkpoint: str | Path) -> Path:
    """Return the directory of a checkpoint; fetch it if necessary.

    Args:
        checkpoint: a directory, `hf://org/name`, or a name of `checkpoints.PRESETS`; an existing
            directory of that name takes precedence.

    Raises:
        TaskError: it is no name or path, or there is no such directory.
    """
    if not isinstance(checkpoint, (str, os.PathLike)):
        raise TaskError(
            f"a checkpoint is a directory, hf://org/name, one of {', '.join(PRESETS)}, or a "
            f"Backbone (what build_transformer_model returns), not a {type(checkpoint).__name__}."
        )
    directory = local_path(checkpoint)
    if not directory.is_dir():
        raise TaskError(
            f"{directory} is no directory; give one that exists, hf://org/name, or one of "
            f"{', '.join(PRESETS)}."
        )
    return directory


def checkpoint_argument(checkpoint: str) -> Path:
    """Return the directory of a checkpoint, as the `type` of an argument of `argparse`.

    >>> parser.add_argument("--checkpoint", type=checkpoint_argument, default="minilm-l6")

    Args:
        checkpoint: as in `locate`.

    Raises:
        argparse.ArgumentTypeError: it cannot be had; `argparse` prints the reason and exits.
    """
    try:
        return locate(checkpoint)
    except (CheckpointError, TaskError) as error:
        raise argparse.ArgumentTypeError(
            f"{error} Without a network, pass the directory of a checkpoint, or start from "
            "random weights if there is an option for that."
        ) from error


def open_encoder(
    checkpoint: str | Path | Backbone,
    tokenizer: TokenizerBase | None = None,
    options: Mapping[str, Any] | None = None,
) -> tuple[TokenizerBase, Backbone]:
    """Build a pretrained encoder and its tokenizer.

    Args:
        checkpoint: as in `locate`, or a `Backbone`, which is returned unchanged.
        tokenizer: required with a `Backbone`; otherwise it replaces the checkpoint's own.
        options: options of `build_transformer_model`.

    Returns:
        (tokenizer, backbone).

    Raises:
        TaskError: a `Backbone` is given without a tokenizer; or see `locate`.
    """
    if isinstance(checkpoint, Backbone):
        if tokenizer is None:
            raise TaskError(WITHOUT_TOKENIZER)
        return tokenizer, checkpoint
    directory = locate(checkpoint)
    tokenizer = tokenizer or Tokenizer.from_pretrained(directory)
    config = read_config(directory)
    defaults = {"pad_token_id": padding_id(config, tokenizer), "with_mlm": False}
    return tokenizer, build_transformer_model(directory, **{**defaults, **(options or {})})


def padding_id(config: Mapping[str, Any], tokenizer: TokenizerBase) -> int | None:
    """Return the padding id for a config without one: GPT usually takes that of the end token."""
    if config.get("pad_token_id") is not None or tokenizer.token_end is None:
        return None
    return (
        None if config.get("model_type") not in ("gpt2", "openai-gpt") else tokenizer.token_end_id
    )


def read_config(directory: Path) -> dict[str, Any]:
    """Read config.json of a directory."""
    path = directory / "config.json"
    if not path.is_file():
        raise TaskError(f"{directory} has no config.json, so it is no checkpoint of transformers.")
    return read_json(path, TaskError)
