"""Words of a text, as its metrics compare them, and exact match."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from ..tokenizers.characters import is_cjk, is_punctuation

Text = str | Sequence  # a string, or its tokens
Tokenize = Callable[[str], Iterable]


def words(text: str) -> list[str]:
    """Words between spaces; a Chinese character or a punctuation mark is a word of its own.

    >>> words("BERT很好, isn't it?")
    ['BERT', '很', '好', ',', 'isn', "'", 't', 'it', '?']
    """
    spaced = (f" {c} " if is_cjk(c) or is_punctuation(c) else c for c in text)
    return "".join(spaced).split()


def tokens_of(text: Text, tokenize: Tokenize) -> list:
    """The tokens of a string; anything else is a sequence of tokens already."""
    return list(tokenize(text) if isinstance(text, str) else text)


def ngrams(tokens: Sequence, n: int) -> Counter:
    """Count each run of n tokens."""
    return Counter(zip(*(tokens[i:] for i in range(n)), strict=False))


def paired(
    predictions: Sequence[Text], references: Sequence, multi_reference: bool
) -> list[tuple[Text, list[Text]]]:
    """Each prediction with a list of its references.

    Raises:
        ValueError: nothing to compare, or what cannot be paired.
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
    """Share of predictions that equal a reference.

    Args:
        predictions: N strings or token sequences (lists and arrays of equal tokens are equal).
        references: one for each, or with `multi_reference` a list of them for each.
        normalize: applied to both sides first, such as `str.lower`.
        multi_reference: one of several references is enough.

    Returns:
        Between 0 and 1.
    """

    def plain(text: Any) -> Any:
        text = text if normalize is None else normalize(text)
        return list(text) if not isinstance(text, str) and hasattr(text, "__iter__") else text

    pairs = paired(predictions, references, multi_reference)
    return sum(plain(p) in [plain(r) for r in several] for p, several in pairs) / len(pairs)
