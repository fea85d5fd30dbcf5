"""Scores of generated texts against reference texts."""

from __future__ import annotations

from collections.abc import Sequence

from ..words import exact_match
from .bleu import bleu
from .rouge import rouge


def generation_scores(found: Sequence[str], wanted: Sequence[str]) -> dict[str, float]:
    """Return ROUGE-L, ROUGE-1, ROUGE-2, BLEU, and the share of texts that are equal.

    Texts are compared in lower case, by words, or by characters where they are Chinese.
    """
    found = [text.strip().lower() for text in found]
    wanted = [text.strip().lower() for text in wanted]
    scores = rouge(found, wanted)
    return {
        **{name.replace("-", "_"): scores[name] for name in ("rouge-l", "rouge-1", "rouge-2")},
        "bleu": bleu(found, wanted),
        "exact_match": exact_match(found, wanted),
    }
