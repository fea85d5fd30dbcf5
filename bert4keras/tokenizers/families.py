"""Special tokens, frames and vocabulary layouts of model families, as data.

They are only needed where a directory has a bare SentencePiece model or vocab.json with
merges.txt: a tokenizer.json says all of it itself.
"""

from __future__ import annotations

import re
from typing import Any


def _specials(start, end, pad, unk, mask) -> dict[str, str | None]:
    names = ("token_start", "token_end", "token_pad", "token_unk", "token_mask")
    return dict(zip(names, (start, end, pad, unk, mask), strict=True))


_ROBERTA = {
    "pattern": "S*EE*E",
    "segments": (0, 0),
    **_specials("<s>", "</s>", "<pad>", "<unk>", "<mask>"),
}
_T5 = {
    "pattern": "*E*E",
    "segments": (0, 0),
    **_specials(None, "</s>", "<pad>", "<unk>", None),
}
# family -> arguments of `TokenizerBase`.
FRAMES: dict[str, dict[str, Any]] = {
    "albert": _specials("[CLS]", "[SEP]", "<pad>", "<unk>", "[MASK]"),
    "deberta-v2": _specials("[CLS]", "[SEP]", "[PAD]", "[UNK]", "[MASK]"),
    "roberta": _ROBERTA,
    "xlm-roberta": _ROBERTA,
    "t5": _T5,
    "mt5": _T5,
    "gpt2": {
        "pattern": "**",
        "segments": (0, 0),
        **_specials("<|endoftext|>", "<|endoftext|>", None, None, None),
    },
}
# family -> arguments of `SpTokenizer`.
LAYOUTS: dict[str, dict[str, Any]] = {
    "albert": {"do_lower_case": True, "strip_accents": True, "plain_quotes": True},
    "deberta-v2": {"last_tokens": ("[MASK]",)},
    "xlm-roberta": {
        "first_tokens": ("<s>", "<pad>", "</s>", "<unk>"),
        "last_tokens": ("<mask>",),
    },
    "t5": {"last_tokens": tuple(f"<extra_id_{i}>" for i in reversed(range(100)))},
    "mt5": {},
}
_ALIASES = {"debertav3": "deberta-v2", "umt5": "mt5", "bart": "roberta", "longformer": "roberta"}
_KNOWN = {re.sub("[^a-z0-9]", "", name): name for name in FRAMES} | _ALIASES


def find_family(name: str) -> str | None:
    """The family of a model_type ("deberta-v2") or of a class ("DebertaV2TokenizerFast")."""
    return _KNOWN.get(re.sub("[^a-z0-9]|tokenizer(fast)?$", "", name.lower()))
