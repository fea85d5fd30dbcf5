"""BLEU: the share of n-grams that occur in a reference, with a penalty for being short.

Source: Papineni et al., BLEU: a Method for Automatic Evaluation of Machine Translation, 2002
(P02-1040); smoothing: Chen and Cherry, A Systematic Comparison of Smoothing Techniques for
Sentence-Level BLEU, 2014 (W14-3346). On the same tokens the numbers are those of `sacrebleu`,
divided by 100; its own tokenizers are not here, so give published comparisons their tokens.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence

from ..words import Text, Tokenize, ngrams, paired, tokens_of, words

# Default `smooth_value` of each kind of smoothing.
SMOOTHING = {"none": 0.0, "floor": 0.1, "add-k": 1.0, "exp": 0.0}


def bleu(
    predictions: Sequence[Text],
    references: Sequence,
    *,
    max_order: int = 4,
    smoothing: str = "exp",
    smooth_value: float | None = None,
    effective_order: bool = False,
    tokenize: Tokenize = words,
    multi_reference: bool = False,
) -> float:
    """Return BLEU of a corpus: n-grams are counted over all texts, then divided.

    Args:
        predictions: N strings or token sequences.
        references: one for each, or with `multi_reference` a list of them for each: an n-gram
            counts as often as in the reference that has most of it, and the reference nearest in
            length (the shorter of two) decides the penalty.
        max_order: length of the longest n-grams.
        smoothing: what becomes of orders without a match. `"none"`: the score is 0; `"exp"`: 1/2,
            1/4, ... of a match (sacrebleu's default); `"floor"`: `smooth_value` of a match, 0.1
            unless given (method 1 of Chen and Cherry, nltk's `method1`); `"add-k"`: `smooth_value`
            more matches among as many more n-grams, 1 unless given, in all orders above the first.
        smooth_value: see there.
        effective_order: leave out orders for which the predictions are too short, instead of 0.
        tokenize: makes tokens of a string.
        multi_reference: every prediction has a list of references.

    Returns:
        Between 0 and 1.

    Raises:
        ValueError: an unknown smoothing, no predictions, or not as many references.
    """
    if smoothing not in SMOOTHING:
        raise ValueError(f"smoothing must be one of {', '.join(SMOOTHING)}, not {smoothing!r}.")
    if max_order < 1:
        raise ValueError(f"max_order={max_order} must be at least 1.")
    matches, totals, found_length, wanted_length = [0] * max_order, [0] * max_order, 0, 0
    for prediction, several in paired(predictions, references, multi_reference):
        found = tokens_of(prediction, tokenize)
        wanted = [tokens_of(reference, tokenize) for reference in several]
        found_length += len(found)
        wanted_length += min((abs(len(w) - len(found)), len(w)) for w in wanted)[1]
        for i in range(max_order):
            counts, most = ngrams(found, i + 1), Counter()
            for tokens in wanted:
                most |= ngrams(tokens, i + 1)
            matches[i] += (counts & most).total()
            totals[i] += counts.total()
    if not any(matches):
        return 0.0
    value = SMOOTHING[smoothing] if smooth_value is None else smooth_value
    precisions = _precisions(matches, totals, smoothing, value)
    orders = len(precisions) if effective_order else max_order
    if len(precisions) < orders or not all(precisions):
        return 0.0
    brevity = min(0.0, 1 - wanted_length / found_length)
    return math.exp(brevity + sum(map(math.log, precisions)) / orders)


def sentence_bleu(prediction: Text, *references: Text, **options) -> float:
    """Return BLEU of one text against one or more references.

    Args:
        prediction: a string, or a sequence of tokens.
        *references: alike.
        **options: as in `bleu`, but that `effective_order` is True unless given.

    Returns:
        Between 0 and 1. The mean over texts is not the BLEU of the corpus.
    """
    options = {"effective_order": True, **options}
    return bleu([prediction], [list(references)], multi_reference=True, **options)


def _precisions(
    matches: Sequence[float], totals: Sequence[float], smoothing: str, value: float
) -> list[float]:
    """Return the smoothed precision of every order for which there are n-grams."""
    precisions, share = [], 1.0
    for i, (match, total) in enumerate(zip(matches, totals, strict=True)):
        if smoothing == "add-k" and i > 0:
            match, total = match + value, total + value
        if total == 0:
            break
        if match == 0 and smoothing == "exp":
            share /= 2
            match = share
        elif match == 0 and smoothing == "floor":
            match = value
        precisions.append(match / total)
    return precisions
