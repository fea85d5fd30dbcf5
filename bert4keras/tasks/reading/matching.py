"""Lexical overlap of question and passage: features for models with random weights."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np

from ..._folding import lower_by_character
from .windows import PassageWindow

MATCH_FEATURES = 6  # per character, see `match_features`


def mark_matches(window: PassageWindow) -> list[int]:
    """Return segment ids that mark the tokens of the passage that occur in the question.

    A pretrained model needs no such marks; one with random weights learns the matches only slowly.

    Returns:
        The segment ids of the window, with 2 at each token of the passage that the question
        contains, and 3 if the question also contains it together with one of its neighbours.
    """
    ids, segments = window.token_ids, list(window.segment_ids)
    asked = ids[slice(*window.question)]
    known = {*asked, *itertools.pairwise(asked)}
    for i in range(window.begin, window.end):
        if ids[i] in known:
            pairs = {tuple(ids[i - 1 : i + 1]), tuple(ids[i : i + 2])}
            segments[i] = 3 if pairs & known else 2
    return segments


def match_features(question: str, passage: str, others: Sequence[str] = ()) -> np.ndarray:
    """Compute the overlap of a passage's characters with the question and with other passages.

    The original model matches words of a word list; this uses character bigrams and trigrams.

    Args:
        question, passage: texts; case is ignored.
        others: further passages for the same question.

    Returns:
        float32 (len(passage), 6). Of each character: 1 if the question contains it; 1 if the
        question contains a bigram, and a trigram, around it; share of the question's distinct
        characters, and bigrams, within 10 characters on both sides; share of the other passages
        that contain a bigram around it.
    """
    question, passage, *others = (lower_by_character(text) for text in (question, passage, *others))
    found = np.zeros((len(passage), 6), "float32")
    for n in (1, 2, 3):
        runs = {question[i : i + n] for i in range(len(question) - n + 1)}
        places = [i for i in range(len(passage) - n + 1) if passage[i : i + n] in runs]
        for i in places:
            found[i : i + n, n - 1] = 1
        if n < 3 and runs:
            near = np.zeros((len(runs), len(passage)), bool)
            number = {run: row for row, run in enumerate(runs)}
            for i in places:
                near[number[passage[i : i + n]], max(0, i - 10) : i + n + 10] = True
            found[:, n + 2] = near.mean(0)
    for other in others:
        seen = np.zeros(len(passage), bool)
        for i in range(len(passage) - 1):
            if passage[i : i + 2] in other:
                seen[i : i + 2] = True
        found[:, 5] += seen / len(others)
    return found


def token_features(window: PassageWindow, features: np.ndarray) -> np.ndarray:
    """Return the features of tokens: the maximum over their characters; 0 outside the passage.

    Args:
        window: T tokens.
        features: (characters of the passage, F).

    Returns:
        (T, F)
    """
    found = np.zeros((len(window.token_ids), features.shape[1]), features.dtype)
    for place in range(window.begin, window.end):
        start, end = window.offsets[place]
        if end > start:
            found[place] = features[start:end].max(axis=0)
    return found
