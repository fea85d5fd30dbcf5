"""Special tokens and SentencePiece options of T5 and mT5."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ...tokenizers.defaults import TokenizerDefaults, special_tokens

_OPTIONS = {
    "pattern": "*E*E",
    "segments": (0, 0),
    **special_tokens(None, "</s>", "<pad>", "<unk>", None),
}


def _sentinels(config: Mapping[str, Any]) -> dict[str, Any]:
    count = config.get("extra_ids", 100)
    return {"last_tokens": tuple(f"<extra_id_{i}>" for i in reversed(range(count)))}


TOKENIZER = TokenizerDefaults("T5Tokenizer", _OPTIONS, _sentinels)
# The files of an mT5 name the class of T5, but it has no sentinels.
MT5_TOKENIZER = TokenizerDefaults(
    "MT5Tokenizer",
    _OPTIONS,
    lambda config: {},
    aliases=("umt5",),
    other_classes=("T5Tokenizer", "T5TokenizerFast"),
)
