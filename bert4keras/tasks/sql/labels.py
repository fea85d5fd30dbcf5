"""Between a query and what a model says of each token and each column: labels and decoding.

The model reads `[CLS] question [SEP]` and then `[CLS] header [SEP]` for every column. It scores,
for B questions of T tokens in all and C columns:

- `connective` (3,): what joins the conditions, `CONNECTIVES`;
- `select` (C, 6): whether the column is asked for with each of `AGGREGATES` (above 0: yes);
- `operator` (T, 9): for a token of the question, 0 if it is outside of all values, 1 + 2k if a
  value begins here whose condition has operator k of `OPERATORS`, 2 + 2k if it goes on;
- `column` (T, C): the column of the condition whose value the token is part of.

Source: Su, NL2SQL baseline, https://kexue.fm/archives/6771. What differs: values have a beginning,
so that two next to each other stay two, and a column may be asked for with several aggregates.
"""

from __future__ import annotations

import heapq
import itertools
import unicodedata
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from ..finite import as_scores
from .numbers import plain_number
from .query import AGGREGATES, CONNECTIVES, OPERATORS, SQL, Condition, canonical_value
from .value_linking import edit_distance

TAGS = 1 + 2 * len(OPERATORS)
MAX_TRIES = 100_000  # to find places for the values of a query
MASKED = -1e4  # scores down here are those of columns that do not exist

Link = Callable[[str, str, Sequence[int]], Condition]


class Inexpressible(ValueError):
    """The labels cannot say this query; the message is the reason, in a few words."""


class EncodedQuestion(NamedTuple):
    """A question and the header of its table, as ids.

    Args:
        token_ids, segment_ids: of the whole sequence; all segments are 0.
        columns: pairs for each column: the place of its [CLS] and that of its [SEP].
        offsets: [start, end) in the question of its tokens, which stand at 1, 2, ...
    """

    token_ids: list[int]
    segment_ids: list[int]
    columns: np.ndarray
    offsets: list[tuple[int, int]]


def encode_question(
    tokenizer: Any, question: str, header: Sequence[str], maxlen: int = 160
) -> EncodedQuestion:
    """Ids of `[CLS] question [SEP] [CLS] header [SEP] ...`.

    Args:
        tokenizer: of this package.
        header: names of the columns.
        maxlen: tokens in all. What is too long loses first the ends of the longest names, down
            to one token each, and then the end of the question.

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
    names = [name[:longest] for name in names]
    room -= sum(map(len, names))
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
    return EncodedQuestion(token_ids, [0] * len(token_ids), np.array(columns, "int32"), spans)


def encode_sql(
    sql: SQL, question: str, encoded: EncodedQuestion, max_distance: float = 0.34
) -> dict[str, Any]:
    """The labels of a query.

    A value is looked for in the question as it is written (of several places the first that
    leaves room for the others), else the closest run of tokens by edit distance is taken.

    Args:
        encoded: what `encode_question` made of the question.
        max_distance: how far that run may be from the value, as a share of the value's length.

    Returns:
        Arrays under the names of the scores, -1 where a place does not count.

    Raises:
        Inexpressible: a value is not in the question, or two values are in the same place.
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


def partial_labels(sql: SQL, encoded: EncodedQuestion) -> dict[str, Any]:
    """Labels of an inexpressible query: of the columns asked for and the connective alone."""
    return _blank(sql, encoded)


def sure_scores(labels: Mapping[str, Any]) -> dict[str, np.ndarray]:
    """The scores of a model that is sure of these labels, to see what they say."""
    sizes = {
        "connective": len(CONNECTIVES),
        "operator": TAGS,
        "column": len(labels["select"]),
    }
    scores = {name: 100.0 * np.eye(size)[labels[name]] for name, size in sizes.items()}
    return {**scores, "select": 100.0 * labels["select"] - 50.0}


def decode_sql(
    scores: Mapping[str, Any],
    question: str,
    encoded: EncodedQuestion,
    link: Link | None = None,
    max_select: int | None = None,
) -> SQL:
    """The best query.

    Args:
        scores: arrays of one question; longer than it (padded) or not.
        link: makes the condition of (value, operator, columns by preference), such as
            `ValueLinker(table).link`.
        max_select: how many columns may be asked for; None: any number.
    """
    return next(sql_candidates(scores, question, encoded, link, max_select, width=1))


def sql_candidates(
    scores: Mapping[str, Any],
    question: str,
    encoded: EncodedQuestion,
    link: Link | None = None,
    max_select: int | None = None,
    width: int = 4,
) -> Iterator[SQL]:
    """Queries, the best first; each is different from those before it.

    Args:
        width: how many alternatives there are for what is asked for and for each condition.

    The other arguments are those of `decode_sql`.
    """
    columns = len(encoded.columns)
    scores = {name: as_scores(array, f"scores of {name}") for name, array in scores.items()}
    select = scores["select"][:columns]
    slots = [_selections(select, max_select, width)]
    for start, end in _spans(scores["operator"], len(encoded.offsets)):
        text = question[encoded.offsets[start][0] : encoded.offsets[end - 1][1]]
        slots.append(_conditions(scores, start, end, columns, text, link, width))
    joins = scores["connective"][1:]
    order = np.argsort(-joins, kind="stable")
    slots.append([(joins[i], CONNECTIVES[1 + i]) for i in order])
    if len(slots) < 4:
        slots[-1] = [(0.0, "")]
    seen = set()
    for selected, *conds, conn in best_combinations(slots):
        sel, agg = zip(*selected, strict=True)
        sql = SQL(sel, agg, tuple(dict.fromkeys(conds)), conn if len(set(conds)) > 1 else "")
        if (form := sql.logical_form()) not in seen:
            seen.add(form)
            yield sql


def best_combinations(slots: Sequence[Sequence[tuple[float, Any]]]) -> Iterator[list]:
    """One item of each slot, in all ways, the largest sum of scores first.

    Args:
        slots: (score, item) pairs, the largest score of each slot first.
    """
    first = (0,) * len(slots)
    heap, seen = [(-sum(slot[0][0] for slot in slots), first)], {first}
    while heap:
        _, places = heapq.heappop(heap)
        yield [slot[i][1] for slot, i in zip(slots, places, strict=True)]
        for k, slot in enumerate(slots):
            following = (*places[:k], places[k] + 1, *places[k + 1 :])
            if following[k] < len(slot) and following not in seen:
                seen.add(following)
                total = sum(s[i][0] for s, i in zip(slots, following, strict=True))
                heapq.heappush(heap, (-total, following))


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
    """Runs of tokens [start, end) of all values, which do not overlap."""
    found = []
    for cond in sql.conds:
        text = _folded(cond.value.strip())
        spans = _exact(text, question, encoded.offsets)
        spans = spans or _closest(text, question, encoded.offsets, max_distance)
        if not spans:
            raise Inexpressible("a value is not in the question")
        found.append(spans)
    chosen = _disjoint(found)
    if chosen is None:
        same = len({span for spans in found for span in spans}) < len(found)
        raise Inexpressible(
            "two conditions have the same value in the same place" if same else "values overlap"
        )
    return chosen


def _exact(text: str, question: str, offsets) -> list[tuple[int, int]]:
    """All runs of whole tokens that say the text, left to right."""
    starts = {span[0]: i for i, span in reversed(list(enumerate(offsets)))}
    ends = {span[1]: i + 1 for i, span in enumerate(offsets)}
    folded = _folded(question)
    places, place = [], folded.find(text) if text else -1
    while place >= 0:
        if place in starts and place + len(text) in ends:
            places.append((starts[place], ends[place + len(text)]))
        place = folded.find(text, place + 1)
    return places


def _closest(text: str, question: str, offsets, max_distance: float) -> list[tuple[int, int]]:
    """The run of whole tokens that is closest to the text; the first of several."""
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
    """One span of each list, none of which overlap; the first such choice.

    To find that there is none may take as many tries as there are orders: after MAX_TRIES of them
    there is said to be none.
    """
    tries = itertools.count()

    def rest_of(number: int, taken: tuple) -> list | None:
        if number == len(choices):
            return []
        for span in choices[number]:
            if next(tries) > MAX_TRIES:
                return None
            if all(span[1] <= start or end <= span[0] for start, end in taken):
                rest = rest_of(number + 1, (*taken, span))
                if rest is not None:
                    return [span, *rest]
        return None

    return rest_of(0, ())


def _folded(text: str) -> str:
    """A text with case and width of its characters made equal, character by character."""
    forms = ((unicodedata.normalize("NFKC", char).lower(), char) for char in text)
    return "".join(form if len(form) == 1 else char for form, char in forms)


def _log_softmax(scores: np.ndarray) -> np.ndarray:
    peak = scores.max(axis=-1, keepdims=True)
    return scores - peak - np.log(np.exp(scores - peak).sum(axis=-1, keepdims=True))


def _selections(select: np.ndarray, most: int | None, width: int) -> list[tuple[float, list]]:
    """Sets of (column, aggregate): the best one, and then each pair alone.

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
    """Values as runs [start, end) of tokens of the question.

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
    link: Link | None,
    width: int,
) -> list[tuple[float, Condition]]:
    """The conditions that a value may be part of, the best first."""
    tags = _log_softmax(scores["operator"][1 + start : 1 + end])
    # All tokens of a value vote for its operator, the first by its beginnings.
    by_operator = tags[0, 1::2] + tags[1:, 2::2].sum(axis=0)
    column = scores["column"][1 + start : 1 + end, :columns]
    by_column = np.log(np.exp(_log_softmax(column)).mean(axis=0) + 1e-30)
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
