"""Models that write, from checkpoints and back."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...checkpoints import save
from ...models import Backbone, build_transformer_model
from ...registry import get_family, language_model_class
from ...tokenizers import Tokenizer, used_tokens
from ...tokenizers.base import TokenizerBase
from ..base import TaskError
from ..pretrained import WITHOUT_TOKENIZER, locate, read_config

if TYPE_CHECKING:
    from .task import Generator


def open_generator(
    checkpoint: str | Path | Backbone,
    application: str | None,
    texts: Iterable[str] | None,
    tokenizer: TokenizerBase | None,
    conditions: int,
    options: Mapping[str, Any],
) -> tuple[TokenizerBase, Backbone]:
    """Return the tokenizer and the model for `Generator.build`, whose arguments these are."""
    if isinstance(checkpoint, Backbone):
        if tokenizer is None:
            raise TaskError(WITHOUT_TOKENIZER)
        return tokenizer, checkpoint
    directory = locate(checkpoint)
    config = read_config(directory)
    family = get_family(config.get("model_type", "bert")).transformer
    if application is None and family.native_application == "encoder":
        application = "unilm"
    # A padding id is not needed under a causal mask, and GPT-2's usual one is its end token.
    settings: dict[str, Any] = {
        "application": application,
        "with_mlm": "linear",
        "ignore": ("MLM-*",),
    }
    if conditions:
        settings["layer_norm_cond"] = conditions
    if texts is not None:
        keep = used_tokens(
            tokenizer or Tokenizer.from_pretrained(directory), texts, characters=False
        )
        settings["keep_tokens"] = keep
        tokenizer = Tokenizer.from_pretrained(directory, keep_tokens=keep)
    tokenizer = tokenizer or Tokenizer.from_pretrained(directory)
    return tokenizer, build_transformer_model(directory, **{**settings, **options})


def read_generator(directory: str | Path) -> tuple[TokenizerBase, Backbone]:
    """Return tokenizer and model of a checkpoint of transformers with a language-model head."""
    directory = locate(directory)
    named = read_config(directory).get("architectures") or []
    application = "lm" if any(str(name).endswith("LMHeadModel") for name in named) else None
    model = build_transformer_model(directory, application=application, with_mlm="linear")
    return Tokenizer.from_pretrained(directory), model


def write_generator(task: Generator, directory: str | Path) -> None:
    """See `Generator.save_huggingface`.

    Raises:
        TaskError: transformers has no class for the model.
    """
    values = task.model.config.to_json_dict()
    name = language_model_class(values.get("model_type", ""))
    if name is None or task.kind == "unilm" or task.conditions:
        raise TaskError(
            f"transformers has no class for a {values.get('model_type')} that writes as "
            f"{task.kind!r}{' under conditions' if task.conditions else ''}. Use Generator.save."
        )
    values["architectures"] = [name]
    if name == "BertLMHeadModel":
        values["is_decoder"] = True
    ends = {
        "bos_token_id": task.tokenizer.cls_token_id,
        "eos_token_id": task.tokenizer.sep_token_id,
    }
    values.update({key: token for key, token in ends.items() if token is not None})
    if task.kind == "seq2seq":
        values["decoder_start_token_id"] = task._prompts.decoder_start
    directory = Path(directory)
    directory.mkdir(parents=True, exist_ok=True)
    save(task.model, directory, config=values)
    task.tokenizer.save(directory)
