"""Words and n-grams of texts for metrics, and exact match."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from ..tokenizers.characters import is_cjk, is_punctuation

Text = str | Sequence  # a string, or its tokens
Tokenize = Callable[[str], Iterable]


def words(text: str) -> list[str]:
    """Split a text at spaces; each Chinese character or punctuation mark is one word.

    >>> words("BERT很好, isn't it?")
    ['BERT', '很', '好', ',', 'isn', "'", 't', 'it', '?']
    """
    spaced = (f" {c} " if is_cjk(c) or is_punctuation(c) else c for c in text)
    return "".join(spaced).split()


def tokens_of(text: Text, tokenize: Tokenize) -> list:
    """Return the tokens of a text; any other sequence already consists of tokens."""
    return list(tokenize(text) if isinstance(text, str) else text)


def ngrams(tokens: Sequence, n: int) -> Counter:
    """Count each run of n tokens."""
    return Counter(zip(*(tokens[i:] for i in range(n)), strict=False))


def paired(
    predictions: Sequence, references: Sequence, multi_reference: bool
) -> list[tuple[Any, list]]:
    """Pair each prediction with a list of its references.

    Raises:
        ValueError: there are no predictions, or they cannot be paired with the references.
    """
    for name, value in (("predictions", predictions), ("references", references)):
        if isinstance(value, str):
            raise ValueError(f"{name} is one string, not a list of texts: put it into a list.")
    if len(predictions) != len(references):
        raise ValueError(
            f"there are {len(predictions)} predictions, but {len(references)} references."
        )
    if not len(predictions):
        raise ValueError("there is no prediction, so there is no mean over them.")
    if not multi_reference:
        references = [[reference] for reference in references]
    for place, several in enumerate(references):
        if isinstance(several, str) or not len(several):
            raise ValueError(
                f"with multi_reference=True every prediction needs a list of references; at "
                f"{place} there is {several!r}."
            )
    return [(p, list(r)) for p, r in zip(predictions, references, strict=True)]


def exact_match(
    predictions: Sequence[Any],
    references: Sequence[Any],
    normalize: Callable[[Any], Any] | None = None,
    multi_reference: bool = False,
) -> float:
    """Return the share of predictions that equal a reference.

    Args:
        predictions: N strings or token sequences (lists and arrays of equal tokens are equal).
        references: one for each prediction; with `multi_reference` a list for each.
        normalize: function applied to both sides first, such as `str.lower`.
        multi_reference: True if a prediction has several references, one of which must match.

    Returns:
        Between 0 and 1.
    """

    def plain(text: Any) -> Any:
        text = text if normalize is None else normalize(text)
        return list(text) if not isinstance(text, str) and hasattr(text, "__iter__") else text

    pairs = paired(predictions, references, multi_reference)
    return sum(plain(p) in [plain(r) for r in several] for p, several in pairs) / len(pairs)
