"""ROUGE: how many n-grams, or how long a subsequence, a text shares with a reference.

Source: Lin, ROUGE: A Package for Automatic Evaluation of Summaries, 2004 (W04-1013). On the same
tokens the numbers are those of the `rouge-score` package, which itself knows only ASCII words.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from ...data.text import longest_common_subsequence
from ..words import Text, Tokenize, ngrams, paired, tokens_of, words


class RougeScore(NamedTuple):
    """Shares between 0 and 1: of the prediction, of the reference, and their F measure."""

    precision: float
    recall: float
    f: float


def rouge_n(
    prediction: Text, reference: Text, n: int, *, beta: float = 1.0, tokenize: Tokenize = words
) -> RougeScore:
    """Return ROUGE-N: n-grams in common, each counted as often as it occurs in both.

    Args:
        prediction, reference: a string, or a sequence of tokens (words or ids).
        n: length of the n-grams.
        beta: weight of the recall against the precision; F = (1 + b^2) P R / (R + b^2 P).
        tokenize: makes tokens of a string.
    """
    if n < 1:
        raise ValueError(f"n={n} must be at least 1.")
    found = ngrams(tokens_of(prediction, tokenize), n)
    wanted = ngrams(tokens_of(reference, tokenize), n)
    common = (found & wanted).total()
    return _score(common, found.total(), wanted.total(), beta)


def rouge_l(
    prediction: Text, reference: Text, *, beta: float = 1.0, tokenize: Tokenize = words
) -> RougeScore:
    """Return ROUGE-L of a sentence: the longest common subsequence; arguments as in `rouge_n`.

    The whole text counts as one sentence. (The paper's variant for summaries, ROUGE-Lsum, takes
    the union over sentences.)
    """
    found, wanted = tokens_of(prediction, tokenize), tokens_of(reference, tokenize)
    common, _ = longest_common_subsequence(found, wanted)
    return _score(common, len(found), len(wanted), beta)


def rouge(
    predictions: Sequence[Text],
    references: Sequence,
    *,
    beta: float = 1.0,
    tokenize: Tokenize = words,
    multi_reference: bool = False,
) -> dict[str, float]:
    """Return the mean F measures of ROUGE-1, ROUGE-2 and ROUGE-L.

    Args:
        predictions: N strings or token sequences.
        references: one for each, or with `multi_reference` a list of them for each, of which the
            one with the largest F counts.
        beta, tokenize: as in `rouge_n`.
        multi_reference: every prediction has a list of references.

    Returns:
        Numbers between 0 and 1 under `"rouge-1"`, `"rouge-2"` and `"rouge-l"`.

    Raises:
        ValueError: no predictions, or not as many references.

    Example:
        >>> rouge(["今天天气好"], ["今天天气很好"])["rouge-l"]  # 5 of 5, 5 of 6
        0.9090909090909091
    """
    totals = {"rouge-1": 0.0, "rouge-2": 0.0, "rouge-l": 0.0}
    pairs = paired(predictions, references, multi_reference)
    for prediction, several in pairs:
        found = tokens_of(prediction, tokenize)
        wanted = [tokens_of(reference, tokenize) for reference in several]
        totals["rouge-1"] += max(rouge_n(found, tokens, 1, beta=beta).f for tokens in wanted)
        totals["rouge-2"] += max(rouge_n(found, tokens, 2, beta=beta).f for tokens in wanted)
        totals["rouge-l"] += max(rouge_l(found, tokens, beta=beta).f for tokens in wanted)
    return {name: total / len(pairs) for name, total in totals.items()}


def _score(common: int, found: int, wanted: int, beta: float) -> RougeScore:
    if not common:
        return RougeScore(0.0, 0.0, 0.0)
    precision, recall = common / found, common / wanted
    f = (1 + beta**2) * precision * recall / (recall + beta**2 * precision)
    return RougeScore(precision, recall, f)
