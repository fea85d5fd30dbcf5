"""Masked language models as transformers saves them, both ways."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ...checkpoints import save
from ...models import Backbone
from ...registry import class_prefix
from ...tokenizers.base import TokenizerBase
from ..base import TaskError
from ..pretrained import locate, open_encoder, read_config

ENDINGS = ("ForMaskedLM", "ForPreTraining")


def open_masked_lm(
    checkpoint: Any, tokenizer: TokenizerBase | None, options: Mapping[str, Any]
) -> tuple[TokenizerBase, Backbone]:
    """Build a model whose output are scores over the vocabulary, and its tokenizer.

    Args:
        checkpoint: directory, `hf://org/name`, name of a checkpoint, or a `Backbone`.
        tokenizer: needed with a `Backbone`; else in place of the checkpoint's own.
        options: of `build_transformer_model`.

    Raises:
        TaskError: a `Backbone` without the head, or ELECTRA's discriminator, which has none.
    """
    if isinstance(checkpoint, Backbone):
        if not checkpoint.transformer.pretraining_heads.gives_logits:
            raise TaskError(
                f"{checkpoint.name} gives no scores over the vocabulary. Build it by "
                'build_transformer_model(..., with_mlm="linear").'
            )
        return open_encoder(checkpoint, tokenizer)
    directory = locate(checkpoint)
    config = read_config(directory)
    options = {"with_mlm": "linear", **options}
    if config.get("model_type") == "electra":
        if any(str(x).endswith("ForPreTraining") for x in config.get("architectures") or ()):
            raise TaskError(
                f"{directory} holds ELECTRA's discriminator, which has no head that fills masks; "
                "take its generator (ElectraForMaskedLM)."
            )
        options.setdefault("model", "electra_generator")
    return open_encoder(directory, tokenizer, options)


def save_masked_lm(model: Backbone, directory: str | Path) -> list[Path]:
    """Write a masked language model in the layout of transformers, as its class `...ForMaskedLM`.

    Args:
        model: of `open_masked_lm`.
        directory: destination; see `checkpoints.save`.
    """
    if not isinstance(model, Backbone):
        raise TaskError(
            f"{model.name} is no model of build_transformer_model, so transformers has no class "
            "for it."
        )
    values = model.config.to_json_dict()
    values["architectures"] = [_class_name(values["model_type"])]
    return save(model, directory, config=values)


def _class_name(family: str) -> str:
    """Return the name of the class in transformers."""
    return class_prefix(family) + "ForMaskedLM"
