"""Scores of word segmentation, as the SIGHAN bakeoffs count them."""

from __future__ import annotations

import itertools
from collections.abc import Collection, Sequence
from typing import NamedTuple

from ..report import ClassScore


class SegmentationScore(NamedTuple):
    """Scores of words, between 0 and 1.

    Attributes:
        precision, recall, f1: of words; a word is correct if both its borders are.
        oov_rate: share of reference words that are not in the vocabulary.
        oov_recall, iv_recall: recall of the words outside and inside the vocabulary; None without a
            vocabulary or without such words.
    """

    precision: float
    recall: float
    f1: float
    oov_rate: float | None
    oov_recall: float | None
    iv_recall: float | None


def segmentation_scores(
    predictions: Sequence[Sequence[str]],
    references: Sequence[Sequence[str]],
    vocabulary: Collection[str] | None = None,
) -> SegmentationScore:
    """Compute precision, recall and F1 of words.

    Args:
        predictions, references: for each of N texts its words; joined, both must be the same
            text.
        vocabulary: words of the training data.

    Raises:
        ValueError: different numbers of texts, or two texts that differ when joined.

    Source: Sproat and Emerson, The First International Chinese Word Segmentation Bakeoff, 2003
    (W03-1719).
    """
    if len(predictions) != len(references):
        raise ValueError(f"{len(predictions)} predictions for {len(references)} references.")
    known = frozenset() if vocabulary is None else frozenset(vocabulary)
    found = wanted = correct = 0
    unknown = unknown_correct = 0
    for number, (ours, theirs) in enumerate(zip(predictions, references, strict=True)):
        if "".join(ours) != "".join(theirs):
            raise ValueError(f"Text {number} differs: {''.join(ours)!r}, not {''.join(theirs)!r}.")
        ours, theirs = [list(filter(None, words)) for words in (ours, theirs)]
        places = set(_places(ours))
        found, wanted = found + len(ours), wanted + len(theirs)
        for word, place in zip(theirs, _places(theirs), strict=True):
            right = place in places
            correct += right
            if word not in known:
                unknown, unknown_correct = unknown + 1, unknown_correct + right
    precision, recall, f1, *_ = ClassScore.of(correct, found, wanted)
    if vocabulary is None:
        return SegmentationScore(precision, recall, f1, None, None, None)
    return SegmentationScore(
        precision,
        recall,
        f1,
        unknown / wanted if wanted else None,
        unknown_correct / unknown if unknown else None,
        (correct - unknown_correct) / (wanted - unknown) if wanted > unknown else None,
    )


def _places(words: Sequence[str]) -> list[tuple[int, int]]:
    """Return (start, end) of each word in characters."""
    ends = [0, *itertools.accumulate(map(len, words))]
    return list(itertools.pairwise(ends))
