"""Reading comprehension: is the answer right (EM), and how much of it (F1)?

A question has a list of answers, of which the best match counts; one that the passage does not
answer has none, and then only the empty prediction is right.
"""

from __future__ import annotations

import re
import string
import unicodedata
from collections import Counter
from collections.abc import Callable, Sequence

import numpy as np

from ..._folding import half_width
from ...data.text import longest_common_substring
from ..words import paired

Score = Callable[[str, Sequence[str]], float]

_ARTICLES = re.compile(r"\b(a|an|the)\b")
_ASCII_PUNCTUATION = str.maketrans("", "", string.punctuation)
# The list of CMRC's script; its "……" is two characters and so never met, which leaves … a token.
_CMRC_MARKS = frozenset("-:_*^/\\~`+=，。：？！“”；’《》·、「」（）－～『』")
_CMRC_CHINESE = re.compile("[\u4e00-\u9fa5]")
# Where nltk's word_tokenize cuts, besides at blanks: it's is two words, 1,000 and v2.0 are one.
_CUT = r"""[;@#$%&?!\[\](){}<>"–—]|,(?!\d)|\.{3}|\.(?=\s*$)"""
_CUT += r"|n't\b|'(?:s|m|d|ll|re|ve)?(?!\w)|(?<!\S)'"
_WESTERN = re.compile(rf"{_CUT}|(?:(?!{_CUT})\S)+")


def squad_normalize(text: str) -> str:
    """English text without case, ASCII punctuation, articles and superfluous blanks."""
    text = text.lower().translate(_ASCII_PUNCTUATION)
    return " ".join(_ARTICLES.sub(" ", text).split())


def cmrc_segment(text: str, tokenize: Callable[[str], Sequence[str]] | None = None) -> list[str]:
    """Chinese characters and, between them, words of other scripts; most punctuation is dropped.

    Args:
        text: the text.
        tokenize: cuts a stretch that is not Chinese. The official script has nltk's
            `word_tokenize` here, which the default comes near (99.9 % of CMRC's stretches).

    >>> cmrc_segment("《Windows 10》于2015.7发布。")
    ['windows', '10', '于', '2015.7', '发', '布']
    """
    tokenize = _WESTERN.findall if tokenize is None else tokenize
    found, stretch = [], ""
    for char in text.lower().strip():
        if char in _CMRC_MARKS:
            continue  # what stands on both sides of a mark becomes one stretch, as there
        if _CMRC_CHINESE.match(char):
            found += [*tokenize(stretch), char]
            stretch = ""
        else:
            stretch += char
    return [*found, *tokenize(stretch)]


def webqa_normalize(text: str) -> str:
    """A text without case, width (ＡＢ is ab), punctuation, symbols and blanks."""
    text = half_width(text).lower()
    return "".join(c for c in text if unicodedata.category(c)[0] not in "PSZC")


def squad_em(prediction: str, answers: Sequence[str]) -> float:
    """1.0 if the prediction, normalised, is one of the answers."""
    return _best(_same(squad_normalize), prediction, _without_empty(answers))


def squad_f1(prediction: str, answers: Sequence[str]) -> float:
    """F1 of the words in common, in any order, with the answer that shares most."""

    def f1(found: str, wanted: str) -> float:
        return _bag_f1(squad_normalize(found).split(), squad_normalize(wanted).split())

    return _best(f1, prediction, _without_empty(answers))


def cmrc_em(prediction: str, answers: Sequence[str]) -> float:
    """1.0 if the prediction is one of the answers, but for case and punctuation."""

    def normalize(text: str) -> str:
        return "".join(char for char in text.lower().strip() if char not in _CMRC_MARKS)

    return _best(_same(normalize), prediction, answers)


def cmrc_f1(
    prediction: str,
    answers: Sequence[str],
    tokenize: Callable[[str], Sequence[str]] | None = None,
) -> float:
    """F1 of the longest run of tokens in common; `tokenize` as for `cmrc_segment`."""

    def f1(found: str, wanted: str) -> float:
        found, wanted = cmrc_segment(found, tokenize), cmrc_segment(wanted, tokenize)
        return _f1(found, wanted, longest_common_substring(found, wanted)[0])

    return _best(f1, prediction, answers)


def webqa_em(prediction: str, answers: Sequence[str]) -> float:
    """1.0 if the prediction, normalised, is one of the answers."""
    return _best(_same(webqa_normalize), prediction, answers)


def webqa_f1(prediction: str, answers: Sequence[str]) -> float:
    """F1 of the characters in common, in any order, with the answer that shares most."""

    def f1(found: str, wanted: str) -> float:
        return _bag_f1(webqa_normalize(found), webqa_normalize(wanted))

    return _best(f1, prediction, answers)


def squad(predictions: Sequence[str], references: Sequence[Sequence[str]]) -> dict[str, float]:
    """EM and F1 of SQuAD 1.1 and 2.0: English words in any order.

    Args:
        predictions: N texts; the empty one says that there is no answer.
        references: the answers to each question; none if it cannot be answered.

    Returns:
        Means between 0 and 1 under "em" and "f1". If only some questions can be answered, also
        "has_answer_em" and "has_answer_f1" over those, and "no_answer" over the others.

    Raises:
        ValueError: no predictions, or not as many references.

    Source: Rajpurkar et al., Know What You Don't Know, 2018 (arXiv:1806.03822), and its
    evaluate-v2.0.py, whose values times 100 these are.

    Example:
        >>> squad(["the cat sat", ""], [["A cat."], []])["f1"]  # (2/3 + 1) / 2
        0.8333333333333333
    """
    return _means(predictions, references, squad_em, squad_f1)


def cmrc2018(predictions: Sequence[str], references: Sequence[Sequence[str]]) -> dict[str, float]:
    """EM and F1 of CMRC 2018: Chinese characters and western words in one run.

    Arguments and results as for `squad`. (CMRC itself has no question without an answer.)

    Source: Cui et al., A Span-Extraction Dataset for Chinese Machine Reading Comprehension, 2019
    (arXiv:1810.07366), and its cmrc2018_evaluate.py, whose values times 100 these are.
    """
    return _means(predictions, references, cmrc_em, cmrc_f1)


def webqa(predictions: Sequence[str], references: Sequence[Sequence[str]]) -> dict[str, float]:
    """Accuracy, F1 of characters and their mean, as WebQA and SogouQA are scored.

    Arguments as for `squad`; the results are "em", "f1" and "final", the mean of both.
    """
    found = _means(predictions, references, webqa_em, webqa_f1)
    return {**found, "final": (found["em"] + found["f1"]) / 2}


def no_answer_threshold(
    margins: Sequence[float],
    predictions: Sequence[str],
    references: Sequence[Sequence[str]],
    score: Score = squad_f1,
) -> tuple[float, float]:
    """From which margin on it is best to answer rather than to say that there is no answer.

    Args:
        margins: N numbers, how much better the best answer is than none.
        predictions: the best answer to each question.
        references: the true answers to each; none if it cannot be answered.
        score: value between 0 and 1 of a prediction, given the true answers.

    Returns:
        (threshold, mean score with it): questions with a margin above the threshold are answered.
        It lies half-way between two margins; -inf answers all, inf none.
    """
    margins = np.asarray(margins, "float64")
    pairs = paired(predictions, _at_least_one(references), True)
    if margins.shape != (len(pairs),) or np.isnan(margins).any():
        raise ValueError(f"{len(pairs)} predictions need as many margins, none of them nan.")
    order = np.argsort(margins, kind="stable")
    silent = np.array([score("", answers) for _, answers in pairs])[order]
    spoken = np.array([score(prediction, answers) for prediction, answers in pairs])[order]
    # The first k, those with the least margins, are not answered.
    total = np.cumsum([0.0, *silent]) + np.cumsum([0.0, *spoken[::-1]])[::-1]
    edges = np.array([-np.inf, *margins[order], np.inf])
    possible = edges[:-1] < edges[1:]  # equal margins cannot be told apart
    k = int(np.where(possible, total, -1.0).argmax())
    low, high = edges[k], edges[k + 1]
    threshold = high if np.isinf(high) else low if np.isinf(low) else (low + high) / 2
    return float(threshold), float(total[k] / len(pairs))


def _means(predictions, references, em: Score, f1: Score) -> dict[str, float]:
    pairs = paired(predictions, _at_least_one(references), True)
    scores = np.array([(em(text, answers), f1(text, answers)) for text, answers in pairs])
    found = dict(zip(("em", "f1"), scores.mean(0).tolist(), strict=True))
    answered = np.array([any(answers) for _, answers in pairs])
    if answered.any() and not answered.all():
        names = ("has_answer_em", "has_answer_f1")
        found |= dict(zip(names, scores[answered].mean(0).tolist(), strict=True))
        found["no_answer"] = float(scores[~answered, 0].mean())
    return found


def _at_least_one(references: Sequence) -> list:
    """No answer is the empty answer."""
    return [several if isinstance(several, str) or len(several) else [""] for several in references]


def _without_empty(answers: Sequence[str]) -> list[str]:
    """The answers of which something is left when they are normalised, as SQuAD 2.0 takes them."""
    return [answer for answer in answers if squad_normalize(answer)]


def _best(score: Callable[[str, str], float], prediction: str, answers: Sequence[str]) -> float:
    return max(score(prediction, answer) for answer in (answers or [""]))


def _same(normalize: Callable[[str], str]) -> Callable[[str, str], float]:
    return lambda found, wanted: float(normalize(found) == normalize(wanted))


def _bag_f1(found: Sequence[str], wanted: Sequence[str]) -> float:
    return _f1(found, wanted, (Counter(found) & Counter(wanted)).total())


def _f1(found: Sequence, wanted: Sequence, common: int) -> float:
    if not found or not wanted:
        return float(len(found) == len(wanted))
    return 2 * common / (len(found) + len(wanted))
