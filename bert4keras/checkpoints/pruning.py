"""Pruned vocabulary of a checkpoint directory: the files of a smaller tokenizer."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from .vocabulary_edit import VocabularyEdit

if TYPE_CHECKING:
    from ..tokenizers.base import TokenizerBase

KeepTokens: TypeAlias = "Sequence[int] | Callable[[TokenizerBase], Sequence[int]]"
# Settings of transformers that hold for the smaller tokenizer, too, and that it is saved without.
_KEPT_SETTINGS = (
    "model_max_length",
    "model_input_names",
    "padding_side",
    "truncation_side",
    "clean_up_tokenization_spaces",
)


def pruned_vocabulary(source: Path, keep: KeepTokens, destination: Path) -> VocabularyEdit:
    """Write the tokenizer of the kept tokens.

    Args:
        source: directory of the tokenizer.
        keep: ids, or a function that returns them for the tokenizer.
        destination: an existing directory.

    Returns:
        The edit that the tensors of tokens need.
    """
    from ..tokenizers import Tokenizer, prune_tokenizer  # which import this package

    tokenizer = Tokenizer.from_pretrained(source)
    ids = keep(tokenizer) if callable(keep) else keep
    smaller, kept = prune_tokenizer(tokenizer, ids)
    smaller.save(destination)
    path = destination / "tokenizer_config.json"
    old = source / path.name
    if old.is_file():
        known = json.loads(old.read_text(encoding="utf-8-sig"))
        values = {key: known[key] for key in _KEPT_SETTINGS if key in known}
        values |= json.loads(path.read_text(encoding="utf-8"))
        text = json.dumps(values, ensure_ascii=False, indent=2)
        path.write_text(text + "\n", encoding="utf-8")
    return VocabularyEdit.of(kept)
