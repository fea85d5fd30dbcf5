"""Writing of the files from which `from_pretrained` loads a tokenizer."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .._files import atomic_files
from .errors import TokenizerError

if TYPE_CHECKING:
    from .base import TokenizerBase

CONFIG = "tokenizer_config.json"
MODEL_FILES = ("sentencepiece.bpe.model", "spm.model", "spiece.model", "sentencepiece.model")
# All files that `from_pretrained` reads, except for the config.json of the model.
FILES = (
    *("tokenizer.json", "vocab.txt", "vocab.json", "merges.txt", *MODEL_FILES, CONFIG),
    *("special_tokens_map.json", "added_tokens.json"),
)
# Argument of `TokenizerBase` -> key of Hugging Face.
_NAMES = {
    "token_start": "cls_token",
    "token_end": "sep_token",
    "token_pad": "pad_token",
    "token_unk": "unk_token",
    "token_mask": "mask_token",
}


def save_tokenizer(tokenizer: TokenizerBase, directory: str | os.PathLike) -> None:
    """Save a tokenizer; see `TokenizerBase.save`."""
    files, known = tokenizer._files or ({}, None)
    if known != arguments(tokenizer):  # changed since loading, or not loaded from files
        files = _describe(tokenizer)
    directory = Path(directory)
    if directory.exists() and not directory.is_dir():
        raise TokenizerError(f"{directory} is not a directory, so no tokenizer can be saved there.")
    with atomic_files(directory, CONFIG, outdated=lambda path: path.name in FILES) as staging:
        for name, data in files.items():
            (staging / name).write_bytes(data)


def arguments(tokenizer: TokenizerBase) -> dict[str, Any]:
    """Return the arguments of `TokenizerBase` that make the tokenizer, as JSON values."""
    ours: dict[str, Any] = {
        "pattern": tokenizer.pattern,
        "segments": list(tokenizer.segments),
        **{name: getattr(tokenizer, name) for name in _NAMES},
    }
    if tokenizer._translate:
        ours["token_translate"] = tokenizer._translate
    if tokenizer._pre_tokenize is not None:
        ours["pre_tokenize"] = True  # the function itself must be given when loading
    return ours


def _describe(tokenizer: Any) -> dict[str, bytes]:
    """Return new files for a tokenizer that differs from its files, or has none."""
    files, config = tokenizer._describe()
    ours = {**arguments(tokenizer), **config.pop("bert4keras", {})}
    names = {theirs: getattr(tokenizer, ours) for ours, theirs in _NAMES.items()}
    config = {**config, **{k: v for k, v in names.items() if v in tokenizer.vocab}}
    return {**files, CONFIG: dump({**config, "bert4keras": ours})}


def dump(content: Mapping[str, Any]) -> bytes:
    """Serialize to JSON."""
    try:
        return (json.dumps(content, ensure_ascii=False, indent=2) + "\n").encode("utf-8")
    except (TypeError, UnicodeEncodeError) as error:
        raise TokenizerError(f"This tokenizer cannot be saved: {error}.") from error
