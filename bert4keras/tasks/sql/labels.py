"""Labels of a query for each token of the question and each column.

The model reads `[CLS] question [SEP]` and then `[CLS] header [SEP]` for every column. It scores,
for B questions of T tokens in all and C columns:

- `connective` (3,): the connective of the conditions, of `CONNECTIVES`;
- `select` (C, 6): for each of `AGGREGATES`, whether the column is selected with it (above 0: yes);
- `operator` (T, 9): for a token of the question, 0 if it is outside of all values, 1 + 2k if a
  value begins here whose condition has operator k of `OPERATORS`, 2 + 2k if it goes on;
- `column` (T, C): the column of the condition whose value the token is part of.

Source: Su, NL2SQL baseline, https://kexue.fm/archives/6771. Differences: values have a beginning
tag, so two neighbouring values stay apart, and a column may have several aggregates.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from ..._folding import nfkc_by_character
from .numbers import plain_number
from .query import AGGREGATES, CONNECTIVES, OPERATORS, SQL, canonical_value
from .value_linking import edit_distance

TAGS = 1 + 2 * len(OPERATORS)
_MAX_TRIES = 100_000  # to find places for the values of a query


class UnsupportedQuery(ValueError):
    """Error for a query that the labels cannot express; the message is the reason."""


class EncodedQuestion(NamedTuple):
    """A question and the header of its table, as ids.

    Attributes:
        token_ids, segment_ids: ids of the whole sequence; all segments are 0.
        columns: (C, 2), positions of [CLS] and [SEP] of each column.
        offsets: (start, end) in the question of its tokens, which are at positions 1, 2, ...
        dropped: number of tokens of the question, and of the names, that did not fit.
    """

    token_ids: list[int]
    segment_ids: list[int]
    columns: np.ndarray
    offsets: list[tuple[int, int]]
    dropped: tuple[int, int] = (0, 0)


def encode_question(
    tokenizer: Any, question: str, header: Sequence[str], maxlen: int = 160
) -> EncodedQuestion:
    """Return ids of `[CLS] question [SEP] [CLS] header [SEP] ...`.

    Args:
        tokenizer: of this package.
        header: names of the columns.
        maxlen: largest number of tokens. Longer inputs lose first the ends of the longest names,
            down to one token each, and then the end of the question.

    Raises:
        ValueError: there are more columns than `maxlen` has room for.
    """
    texts = [question, *map(str, header)]
    ids, _, offsets = tokenizer.encode_batch(texts, return_offsets=True)
    ends = ids[0][0], ids[0][-1]
    question_ids, names = ids[0][1:-1], [name[1:-1] for name in ids[1:]]
    room = maxlen - 2 * len(texts)
    longest = max((len(name) for name in names), default=0)
    while longest > 1 and len(question_ids) + sum(min(len(n), longest) for n in names) > room:
        longest -= 1
    full = sum(map(len, names))
    names = [name[:longest] for name in names]
    kept = sum(map(len, names))
    room -= kept
    if room < min(1, len(question_ids)):
        raise ValueError(
            f"A table of {len(header)} columns does not fit into maxlen={maxlen}: it takes "
            f"{maxlen - room + min(1, len(question_ids))} tokens at least."
        )
    token_ids, columns = [ends[0], *question_ids[:room], ends[1]], []
    for name in names:
        columns.append((len(token_ids), len(token_ids) + 1 + len(name)))
        token_ids += [ends[0], *name, ends[1]]
    spans = [tuple(span) for span in offsets[0][1:-1][:room]]
    dropped = (len(question_ids) - len(spans), full - kept)
    segment_ids = [0] * len(token_ids)
    return EncodedQuestion(token_ids, segment_ids, np.array(columns, "int32"), spans, dropped)


def encode_sql(
    sql: SQL, question: str, encoded: EncodedQuestion, max_distance: float = 0.34
) -> dict[str, Any]:
    """Return the labels of a query.

    A value is searched in the question literally (of several places the first that leaves room for
    the others); otherwise the closest run of tokens by edit distance is taken.

    Args:
        encoded: result of `encode_question`.
        max_distance: largest distance of that run from the value, as a share of its length.

    Returns:
        Arrays by the names of the scores; -1 where a position does not count.

    Raises:
        UnsupportedQuery: a value is not in the question, or two values are in the same place.
    """
    labels = _blank(sql, encoded)
    labels["operator"][1 : 1 + len(encoded.offsets)] = 0
    for cond, (start, end) in zip(
        sql.conds, _places(sql, question, encoded, max_distance), strict=True
    ):
        begin = 1 + 2 * OPERATORS.index(cond.operator)
        labels["operator"][1 + start : 1 + end] = begin + 1
        labels["operator"][1 + start] = begin
        labels["column"][1 + start : 1 + end] = cond.column
    return labels


def select_labels_only(sql: SQL, encoded: EncodedQuestion) -> dict[str, Any]:
    """Return the labels of an unsupported query: selected columns and connective only."""
    return _blank(sql, encoded)


def scores_of_labels(labels: Mapping[str, Any]) -> dict[str, np.ndarray]:
    """Return the scores of a model that is sure of these labels, to see what they say."""
    sizes = {
        "connective": len(CONNECTIVES),
        "operator": TAGS,
        "column": len(labels["select"]),
    }
    scores = {name: 100.0 * np.eye(size)[labels[name]] for name, size in sizes.items()}
    return {**scores, "select": 100.0 * labels["select"] - 50.0}


def _blank(sql: SQL, encoded: EncodedQuestion) -> dict[str, Any]:
    columns = len(encoded.columns)
    used = [*sql.sel, *(cond.column for cond in sql.conds)]
    if max(used) >= columns or min(used) < 0:
        raise ValueError(f"The query has columns {sorted(set(used))}, the table has {columns}.")
    select = np.zeros((columns, len(AGGREGATES)), "int32")
    for column, aggregate in sql.selected:
        select[column, AGGREGATES.index(aggregate)] = 1
    conn = sql.logical_form()[0]
    return {
        "connective": np.array(CONNECTIVES.index(conn), "int32"),
        "select": select,
        "operator": np.full(len(encoded.token_ids), -1, "int32"),
        "column": np.full(len(encoded.token_ids), -1, "int32"),
    }


def _places(sql, question, encoded, max_distance) -> list[tuple[int, int]]:
    """Return runs of tokens [start, end) of all values, which do not overlap."""
    found = []
    for cond in sql.conds:
        text = nfkc_by_character(cond.value.strip())
        spans = _exact(text, question, encoded.offsets)
        spans = spans or _closest(text, question, encoded.offsets, max_distance)
        if not spans:
            raise UnsupportedQuery("a value is not in the question")
        found.append(spans)
    chosen = _disjoint(found)
    if chosen is None:
        same = len({span for spans in found for span in spans}) < len(found)
        raise UnsupportedQuery(
            "two conditions have the same value in the same place" if same else "values overlap"
        )
    return chosen


def _exact(text: str, question: str, offsets) -> list[tuple[int, int]]:
    """Return all runs of whole tokens that spell the text, left to right."""
    starts = {span[0]: i for i, span in reversed(list(enumerate(offsets)))}
    ends = {span[1]: i + 1 for i, span in enumerate(offsets)}
    folded = nfkc_by_character(question)
    places, place = [], folded.find(text) if text else -1
    while place >= 0:
        if place in starts and place + len(text) in ends:
            places.append((starts[place], ends[place + len(text)]))
        place = folded.find(text, place + 1)
    return places


def _closest(text: str, question: str, offsets, max_distance: float) -> list[tuple[int, int]]:
    """Return the run of whole tokens that is closest to the text; the first of several."""
    wanted, best, least = canonical_value(text), [], max_distance * len(text)
    if plain_number(wanted) is not None:  # another number is never meant, however near
        least = 0
    for start in range(len(offsets)):
        for end in range(start + 1, len(offsets) + 1):
            said = canonical_value(question[offsets[start][0] : offsets[end - 1][1]])
            if len(said) - len(wanted) > least:
                break
            distance = edit_distance(wanted, said, int(least))
            if distance < least or (distance == least and not best):
                best, least = [(start, end)], distance
    return best


def _disjoint(choices: Sequence[Sequence[tuple[int, int]]]) -> list | None:
    """Return the first choice of one span of each list in which no two overlap.

    To find that there is none may take as many tries as there are orders, so the search gives up
    after `_MAX_TRIES` and returns None.
    """
    tries = itertools.count()

    def rest_of(number: int, taken: tuple) -> list | None:
        if number == len(choices):
            return []
        for span in choices[number]:
            if next(tries) > _MAX_TRIES:
                return None
            if all(span[1] <= start or end <= span[0] for start, end in taken):
                rest = rest_of(number + 1, (*taken, span))
                if rest is not None:
                    return [span, *rest]
        return None

    return rest_of(0, ())
