"""Metrics of question answering: exact match (EM) and F1.

A question has a list of reference answers, of which the best match counts. A question without an
answer has none; then only the empty prediction is right.
"""

from __future__ import annotations

import re
import string
import unicodedata
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from ..._folding import half_width
from ...data.text import longest_common_substring
from ..base import TaskError
from ..report import BOUNDARY, ClassScore, Report, ranked
from ..words import paired
from .labels import answer_texts
from .samples import Answer

_Score = Callable[[str, Sequence[str]], float]
_Metric = Callable[[Sequence[str], Sequence[Sequence[str]]], dict[str, float]]

_SOME, _NONE = "answer", "no answer"
_ARTICLES = re.compile(r"\b(a|an|the)\b")
_ASCII_PUNCTUATION = str.maketrans("", "", string.punctuation)
# The list of CMRC's script. Its "……" is two characters, so it never matches, and … stays a token.
_CMRC_MARKS = frozenset("-:_*^/\\~`+=，。：？！“”；’《》·、「」（）－～『』")
_CMRC_CHINESE = re.compile("[\u4e00-\u9fa5]")
# Where nltk's word_tokenize splits, besides at blanks: "it's" is two words, "1,000" is one.
_CUT = r"""[;@#$%&?!\[\](){}<>"–—]|,(?!\d)|\.{3}|\.(?=\s*$)"""
_CUT += r"|n't\b|'(?:s|m|d|ll|re|ve)?(?!\w)|(?<!\S)'"
_WESTERN = re.compile(rf"{_CUT}|(?:(?!{_CUT})\S)+")


def squad_normalize(text: str) -> str:
    """Normalize English text: lower case, no ASCII punctuation, articles or extra blanks."""
    text = text.lower().translate(_ASCII_PUNCTUATION)
    return " ".join(_ARTICLES.sub(" ", text).split())


def cmrc_segment(text: str, tokenize: Callable[[str], Sequence[str]] | None = None) -> list[str]:
    """Split a text into Chinese characters and words of other scripts, without most punctuation.

    Args:
        text: the text.
        tokenize: function that splits a stretch of non-Chinese text. The official script uses
            nltk's `word_tokenize`; the default agrees with it on 99.9 % of CMRC's stretches.

    >>> cmrc_segment("《Windows 10》于2015.7发布。")
    ['windows', '10', '于', '2015.7', '发', '布']
    """
    tokenize = _WESTERN.findall if tokenize is None else tokenize
    found, stretch = [], ""
    for char in text.lower().strip():
        if char in _CMRC_MARKS:
            continue  # like the script, which joins both sides of a dropped mark
        if _CMRC_CHINESE.match(char):
            found += [*tokenize(stretch), char]
            stretch = ""
        else:
            stretch += char
    return [*found, *tokenize(stretch)]


def webqa_normalize(text: str) -> str:
    """Normalize text: lower case, half width (ＡＢ: ab), no punctuation, symbols or blanks."""
    text = half_width(text).lower()
    return "".join(c for c in text if unicodedata.category(c)[0] not in "PSZC")


def squad_em(prediction: str, answers: Sequence[str]) -> float:
    """Return 1.0 if the normalized prediction equals a normalized answer, else 0.0."""
    return _best_over_answers(_same(squad_normalize), prediction, _without_empty(answers))


def squad_f1(prediction: str, answers: Sequence[str]) -> float:
    """Return the best F1 of common words, in any order, over the answers."""

    def f1(found: str, wanted: str) -> float:
        return _bag_f1(squad_normalize(found).split(), squad_normalize(wanted).split())

    return _best_over_answers(f1, prediction, _without_empty(answers))


def cmrc_em(prediction: str, answers: Sequence[str]) -> float:
    """Return 1.0 if the prediction equals an answer, ignoring case and punctuation, else 0.0."""

    def normalize(text: str) -> str:
        return "".join(char for char in text.lower().strip() if char not in _CMRC_MARKS)

    return _best_over_answers(_same(normalize), prediction, answers)


def cmrc_f1(
    prediction: str,
    answers: Sequence[str],
    tokenize: Callable[[str], Sequence[str]] | None = None,
) -> float:
    """Return the best F1 of the longest common run of tokens; `tokenize` as of `cmrc_segment`."""

    def f1(found: str, wanted: str) -> float:
        found, wanted = cmrc_segment(found, tokenize), cmrc_segment(wanted, tokenize)
        return _f1(found, wanted, longest_common_substring(found, wanted)[0])

    return _best_over_answers(f1, prediction, answers)


def webqa_em(prediction: str, answers: Sequence[str]) -> float:
    """Return 1.0 if the normalized prediction equals a normalized answer, else 0.0."""
    return _best_over_answers(_same(webqa_normalize), prediction, answers)


def webqa_f1(prediction: str, answers: Sequence[str]) -> float:
    """Return the best F1 of common characters, in any order, over the answers."""

    def f1(found: str, wanted: str) -> float:
        return _bag_f1(webqa_normalize(found), webqa_normalize(wanted))

    return _best_over_answers(f1, prediction, answers)


def squad(predictions: Sequence[str], references: Sequence[Sequence[str]]) -> dict[str, float]:
    """Compute EM and F1 of SQuAD 1.1 and 2.0: English words in any order.

    Args:
        predictions: N texts; "" means "no answer".
        references: for each question its answers; empty if it cannot be answered.

    Returns:
        Means between 0 and 1: "em" and "f1". If only some questions can be answered, also
        "has_answer_em" and "has_answer_f1" of those, and "no_answer" of the others.

    Raises:
        ValueError: no predictions, or a different number of references.

    Source: Rajpurkar et al., Know What You Don't Know, 2018 (arXiv:1806.03822), and its
    evaluate-v2.0.py, which returns these values times 100.

    Example:
        >>> squad(["the cat sat", ""], [["A cat."], []])["f1"]  # (2/3 + 1) / 2
        0.8333333333333333
    """
    return _means(predictions, references, squad_em, squad_f1)


def cmrc2018(predictions: Sequence[str], references: Sequence[Sequence[str]]) -> dict[str, float]:
    """Compute EM and F1 of CMRC 2018: longest common run of Chinese characters and western words.

    Arguments and results as of `squad`. (CMRC itself has no question without an answer.)

    Source: Cui et al., A Span-Extraction Dataset for Chinese Machine Reading Comprehension, 2019
    (arXiv:1810.07366), and its cmrc2018_evaluate.py, which returns these values times 100.
    """
    return _means(predictions, references, cmrc_em, cmrc_f1)


def webqa(predictions: Sequence[str], references: Sequence[Sequence[str]]) -> dict[str, float]:
    """Compute the scores of WebQA and SogouQA: "em", "f1" of characters, and their mean "final".

    Arguments as of `squad`.
    """
    found = _means(predictions, references, webqa_em, webqa_f1)
    return {**found, "final": (found["em"] + found["f1"]) / 2}


def find_metric(name: str) -> tuple[_Metric, _Score]:
    """Return a metric by name, "squad", "cmrc2018" or "webqa", and its F1 of one prediction.

    Raises:
        TaskError: an unknown name.
    """
    if name not in _METRICS:
        raise TaskError(f"metric={name!r} must be one of {', '.join(_METRICS)}.")
    return _METRICS[name]


_METRICS = {"squad": (squad, squad_f1), "cmrc2018": (cmrc2018, cmrc_f1), "webqa": (webqa, webqa_f1)}


def no_answer_threshold(
    margins: Sequence[float],
    predictions: Sequence[str],
    references: Sequence[Sequence[str]],
    score: _Score = squad_f1,
) -> tuple[float, float]:
    """Find the margin above which answering has the best mean score.

    Args:
        margins: N numbers: score of the best answer minus that of "no answer".
        predictions: the best answer to each question.
        references: for each question its true answers; empty if it cannot be answered.
        score: function of a prediction and the true answers, with values from 0 to 1.

    Returns:
        (threshold, mean score): questions with a margin above the threshold are answered. The
        threshold is half-way between two margins; -inf answers all, inf none.
    """
    margins = np.asarray(margins, "float64")
    pairs = paired(predictions, _at_least_one(references), True)
    if margins.shape != (len(pairs),) or np.isnan(margins).any():
        raise ValueError(f"{len(pairs)} predictions need as many margins, none of them nan.")
    order = np.argsort(margins, kind="stable")
    silent = np.array([score("", answers) for _, answers in pairs])[order]
    spoken = np.array([score(prediction, answers) for prediction, answers in pairs])[order]
    # Entry k: the k questions with the smallest margins are not answered.
    total = np.cumsum([0.0, *silent]) + np.cumsum([0.0, *spoken[::-1]])[::-1]
    edges = np.array([-np.inf, *margins[order], np.inf])
    possible = edges[:-1] < edges[1:]  # a threshold cannot separate equal margins
    k = int(np.where(possible, total, -1.0).argmax())
    low, high = edges[k], edges[k + 1]
    threshold = high if np.isinf(high) else low if np.isinf(low) else (low + high) / 2
    return float(threshold), float(total[k] / len(pairs))


def reading_report(
    scores: Mapping[str, float], metric: str, answers: Sequence[Answer], labels: Sequence[Any]
) -> Report:
    """Return scores of questions with and without an answer, and the wrong answers.

    An answer is right if its F1 is 1. The classes are "answer" and "no answer"; a wrong answer to a
    question that has one is the confusion ("answer", `BOUNDARY`) or, without any common token,
    ("answer", "wrong answer").

    Args:
        scores: of all together.
        metric: name of a metric.
        answers, labels: of the questions.
    """
    measure, kinds, wrong = find_metric(metric)[1], Counter(), {}
    for number, (answer, label) in enumerate(zip(answers, labels, strict=True)):
        texts = answer_texts(label)
        f1 = measure(answer.text, texts or [""])
        wanted, found = (_SOME if some else _NONE for some in (any(texts), answer.text))
        if found == wanted == _SOME and f1 < 1:
            found = BOUNDARY if f1 else "wrong answer"
        kinds[wanted, found] += 1
        if f1 < 1:
            wrong[number] = answer.score * (1 - f1)
    classes = {}
    for name in (_SOME, _NONE):
        given = sum(n for (_, found), n in kinds.items() if (found == _NONE) == (name != _SOME))
        asked = sum(n for (wanted, _), n in kinds.items() if wanted == name)
        if given or asked:
            classes[name] = ClassScore.of(kinds[name, name], given, asked)
    return Report(scores, classes, dict(kinds), ranked(wrong))


def _means(
    predictions: Sequence[str], references: Sequence[Sequence[str]], em: _Score, f1: _Score
) -> dict[str, float]:
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
    """Replace each empty list of answers by the empty answer."""
    return [several if isinstance(several, str) or len(several) else [""] for several in references]


def _without_empty(answers: Sequence[str]) -> list[str]:
    """Drop answers that are empty after normalization, like the script of SQuAD 2.0."""
    return [answer for answer in answers if squad_normalize(answer)]


def _best_over_answers(
    score: Callable[[str, str], float], prediction: str, answers: Sequence[str]
) -> float:
    return max(score(prediction, answer) for answer in (answers or [""]))


def _same(normalize: Callable[[str], str]) -> Callable[[str, str], float]:
    return lambda found, wanted: float(normalize(found) == normalize(wanted))


def _bag_f1(found: Sequence[str], wanted: Sequence[str]) -> float:
    return _f1(found, wanted, (Counter(found) & Counter(wanted)).total())


def _f1(found: Sequence, wanted: Sequence, common: int) -> float:
    if not found or not wanted:
        return float(len(found) == len(wanted))
    return 2 * common / (len(found) + len(wanted))
