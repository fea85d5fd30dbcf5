"""From the scores of a model to queries, the most probable first."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from ..._numpy import log_softmax
from ..finite import as_scores
from .labels import EncodedQuestion
from .query import AGGREGATES, CONNECTIVES, OPERATORS, SQL, Condition

_Link = Callable[[str, str, Sequence[int]], Condition]


def decode_sql(
    scores: Mapping[str, Any],
    question: str,
    encoded: EncodedQuestion,
    link: _Link | None = None,
    max_select: int | None = None,
) -> SQL:
    """Return the best query.

    Args:
        scores: arrays of one question; longer than it (padded) or not.
        link: makes the condition of (value, operator, columns by preference), such as
            `ValueLinker(table).link`.
        max_select: largest number of selected columns; None: any number.
    """
    return next(sql_candidates(scores, question, encoded, link, max_select, width=1))


def sql_candidates(
    scores: Mapping[str, Any],
    question: str,
    encoded: EncodedQuestion,
    link: _Link | None = None,
    max_select: int | None = None,
    width: int = 4,
) -> Iterator[SQL]:
    """Yield queries, best first, each different from those before it.

    Args:
        width: number of alternatives for the selected columns and for each condition.

    The other arguments are those of `decode_sql`.
    """
    for _, sql in scored_candidates(scores, question, encoded, link, max_select, width):
        yield sql


def scored_candidates(
    scores: Mapping[str, Any],
    question: str,
    encoded: EncodedQuestion,
    link: _Link | None = None,
    max_select: int | None = None,
    width: int = 4,
) -> Iterator[tuple[float, SQL]]:
    """Yield the queries of `sql_candidates`, each with its log-probability.

    That is the product of the probabilities of its parts: of each pair of column and aggregate,
    selected or not, of the tag of each token of the question, of the column of each
    value, and of the connective of two or more conditions.
    """
    columns = len(encoded.columns)
    scores = {name: as_scores(array, f"scores of {name}") for name, array in scores.items()}
    select = scores["select"][:columns]
    slots: list[Sequence[tuple[float, Any]]] = [_selections(select, max_select, width)]
    spans = _spans(scores["operator"], len(encoded.offsets))
    for start, end in spans:
        text = question[encoded.offsets[start][0] : encoded.offsets[end - 1][1]]
        slots.append(_conditions(scores, start, end, columns, text, link, width))
    joins = log_softmax(scores["connective"])[1:]
    order = np.argsort(-joins, kind="stable")
    slots.append([(joins[i], CONNECTIVES[1 + i]) for i in order])
    if len(slots) < 4:
        slots[-1] = [(0.0, "")]
    shared = _shared_log_probability(select, scores["operator"], spans, len(encoded.offsets))
    seen = set()
    for total, (selected, *conds, conn) in best_combinations(slots):
        sel, agg = zip(*selected, strict=True)
        sql = SQL(sel, agg, tuple(dict.fromkeys(conds)), conn if len(set(conds)) > 1 else "")
        if (form := sql.logical_form()) not in seen:
            seen.add(form)
            yield total + shared, sql


def best_combinations(
    slots: Sequence[Sequence[tuple[float, Any]]],
) -> Iterator[tuple[float, list]]:
    """Yield combinations of one item per slot, with their sums of scores, largest first.

    Args:
        slots: (score, item) pairs, the largest score of each slot first.
    """
    first = (0,) * len(slots)
    heap, seen = [(-sum(slot[0][0] for slot in slots), first)], {first}
    while heap:
        total, places = heapq.heappop(heap)
        yield float(-total), [slot[i][1] for slot, i in zip(slots, places, strict=True)]
        for k, slot in enumerate(slots):
            following = (*places[:k], places[k] + 1, *places[k + 1 :])
            if following[k] < len(slot) and following not in seen:
                seen.add(following)
                total = sum(s[i][0] for s, i in zip(slots, following, strict=True))
                heapq.heappush(heap, (-total, following))


def _shared_log_probability(
    select: np.ndarray, operator: np.ndarray, spans: Sequence[tuple[int, int]], length: int
) -> float:
    """Return the log-probability of the parts that all candidates share: other pairs and tokens.

    To the first one `_selections` adds the log-odds of the pairs that are.
    """
    outside = np.ones(length, bool)
    for start, end in spans:
        outside[start:end] = False
    tags = log_softmax(operator[1 : 1 + length])[outside, 0]
    return float(tags.sum() - np.logaddexp(0, select).sum())


def _selections(select: np.ndarray, most: int | None, width: int) -> list[tuple[float, list]]:
    """Return sets of (column, aggregate): the best set, then single pairs.

    Where scores are log-odds, the log-probability of a set is the sum of its scores, up to a
    constant.
    """
    order = [int(i) for i in np.argsort(-select, axis=None, kind="stable")]
    flat = select.ravel()
    positive = [i for i in order[:most] if flat[i] > 0]
    sets = dict.fromkeys([tuple(positive or order[:1]), *((i,) for i in order[: width + 1])])
    scored = [(float(flat[list(some)].sum()), some) for some in sets]
    scored.sort(key=lambda pair: -pair[0])
    pairs = [divmod(i, len(AGGREGATES)) for i in range(flat.size)]
    named = [(c, AGGREGATES[a]) for c, a in pairs]
    return [(score, [named[i] for i in sorted(some)]) for score, some in scored[:width]]


def _spans(operator: np.ndarray, length: int) -> list[tuple[int, int]]:
    """Return values as runs [start, end) of tokens of the question.

    A value begins at a beginning, or where one goes on that has not begun; which operator each
    of its tokens speaks for does not matter here.
    """
    kinds = np.argmax(operator[1 : 1 + length], axis=-1)
    spans: list[tuple[int, int]] = []
    for place, kind in enumerate(kinds):
        if kind and kind % 2 == 0 and spans and spans[-1][1] == place:
            spans[-1] = (spans[-1][0], place + 1)
        elif kind:
            spans.append((place, place + 1))
    return spans


def _conditions(
    scores: Mapping[str, Any],
    start: int,
    end: int,
    columns: int,
    text: str,
    link: _Link | None,
    width: int,
) -> list[tuple[float, Condition]]:
    """Return the conditions that a value may be part of, the best first."""
    tags = log_softmax(scores["operator"][1 + start : 1 + end])
    # All tokens of a value vote for its operator, the first by its beginnings.
    by_operator = tags[0, 1::2] + tags[1:, 2::2].sum(axis=0)
    column = scores["column"][1 + start : 1 + end, :columns]
    by_column = np.log(np.exp(log_softmax(column)).mean(axis=0) + 1e-30)
    total = by_operator[:, None] + by_column
    preference = [int(c) for c in np.argsort(-by_column, kind="stable")]
    found: dict[Condition, float] = {}
    for i in np.argsort(-total, axis=None, kind="stable")[: max(width, 1)]:
        k, c = divmod(int(i), columns)
        ordered = [c, *(other for other in preference if other != c)]
        made = (link or _plain)(text, OPERATORS[k], ordered)
        found.setdefault(made, float(total[k, c]))
    return [(score, cond) for cond, score in found.items()]


def _plain(value: str, operator: str, columns: Sequence[int]) -> Condition:
    return Condition(columns[0], operator, value)
