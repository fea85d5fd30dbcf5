"""Triples (subject, relation, object) of a text: as labels of the models, and out of their scores.

Legend: P relations, T tokens.
"""

from __future__ import annotations

import dataclasses
import itertools
import re
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np

from ...tokenizers.spans import Span
from ..alignment import align_entities
from ..finite import as_scores
from ..span_matrix import Offsets, checked, span


class Triple(NamedTuple):
    """A relation between two spans [start, end), of characters or of tokens."""

    subject: Span
    relation: Any
    object: Span

    def strings(self, text: str) -> tuple[str, Any, str]:
        """Subject, relation and object as they are written in the text."""
        return text[slice(*self.subject)], self.relation, text[slice(*self.object)]


@dataclasses.dataclass(frozen=True)
class RelationEntity:
    """A subject or an object: characters [start, end) of the text, and what stands there."""

    start: int
    end: int
    text: str


@dataclasses.dataclass(frozen=True)
class Relation:
    """A triple found in a text.

    Attributes:
        subject, object: where they stand in the text.
        predicate: how they are related.
        score: probability of the least certain of its parts: the two entities and their link
            (GPLinker), or the two ends of both entities (CasRel).
    """

    subject: RelationEntity
    predicate: str
    object: RelationEntity
    score: float

    def strings(self) -> tuple[str, str, str]:
        """Return subject, predicate and object as they are written in the text."""
        return self.subject.text, self.predicate, self.object.text

    def places(self) -> Triple:
        """Return it as a `Triple` of characters."""
        ends = ((entity.start, entity.end) for entity in (self.subject, self.object))
        return Triple(next(ends), self.predicate, next(ends))

    def __str__(self) -> str:
        return f"{self.subject.text} -- {self.predicate} -> {self.object.text} ({self.score:.2f})"


def find_triples(text: str, triples: Iterable[tuple[str, Any, str]]) -> list[Triple]:
    """Triples of strings as triples of characters; left out where a string is not in the text.

    What occurs several times is taken where it first stands between blanks or other signs, or
    else where it first stands at all.
    """
    places, triples = {}, list(triples)
    for string in {part for subject, _, object in triples for part in (subject, object)}:
        word = re.search(rf"(?<!\w){re.escape(string)}(?!\w)", text)
        start = word.start() if word else text.find(string)
        if string and start >= 0:
            places[string] = start, start + len(string)
    return [
        Triple(places[subject], relation, places[object])
        for subject, relation, object in triples
        if subject in places and object in places
    ]


def token_triples(triples: Iterable[Triple], offsets: Offsets) -> list[Triple]:
    """Triples of characters as triples of tokens; left out what was cut off.

    A span that begins or ends inside a token is widened.
    """
    end = max((b for _, b in offsets), default=0)

    def tokens(place: Span) -> Span | None:
        (found, _) = align_entities([(*place, "")], offsets, overlap=True, length=end)
        return found[0][:2] if found else None

    moved = [Triple(tokens(s), relation, tokens(o)) for s, relation, o in triples]
    return [t for t in moved if t.subject is not None and t.object is not None]


def linker_pairs(triples: Iterable[Triple], relations: Sequence) -> list[tuple[int, int, int]]:
    """The pairs (head, row, column) that `GPLinker` shall score above 0.

    Head 0 has first and last token of the subjects, 1 of the objects; 2 + p the first tokens of
    subject and object in relation p, 2 + P + p their last tokens.
    """
    number, pairs = {relation: p for p, relation in enumerate(relations)}, set()
    for (start, end), relation, (object_start, object_end) in triples:
        p = number[relation]
        pairs |= {
            (0, start, end - 1),
            (1, object_start, object_end - 1),
            (2 + p, start, object_start),
            (2 + len(number) + p, end - 1, object_end - 1),
        }
    return sorted(pairs)


def decode_linker(
    scores: np.ndarray,
    offsets: Sequence[Offsets] | None = None,
    relations: Sequence | None = None,
    threshold: float = 0.0,
    max_entities: int = 64,
) -> list[list[Triple]]:
    """Triples whose two entities and two links all score above a threshold.

    Args:
        scores: (B, 2 + 2 P, T, T), see `linker_pairs`.
        offsets: as in `decode_spans`.
        relations: P names; None: the number of the relation.
        threshold: of the score.
        max_entities: only so many subjects and objects of a text, those that score highest: a
            model that has learnt nothing sees one in every span.

    Returns:
        Per text its triples, sorted.

    Raises:
        ValueError: as in `decode_spans`.
    """
    if relations is None:
        relations = range((np.shape(scores)[1] - 2) // 2)
    scores = checked(scores, offsets, [*range(2 + 2 * len(relations))])
    results = []
    for row, matrix in enumerate(scores):
        where = None if offsets is None else offsets[row]
        allowed = lambda first, last, w=where: span(first, last, w) is not None  # noqa: E731
        found = set()
        for triple, _ in link_entities(matrix, allowed, threshold, max_entities):
            ends = (span(a, b - 1, where) for a, b in (triple.subject, triple.object))
            found.add(Triple(next(ends), relations[triple.relation], next(ends)))
        results.append(sorted(found))
    return results


def link_entities(
    matrix: np.ndarray,
    allowed: Callable[[int, int], bool],
    threshold: float = 0.0,
    max_entities: int = 64,
) -> list[tuple[Triple, float]]:
    """Triples of tokens of one text, and the lowest of the four scores of each.

    Args:
        matrix: (2 + 2 P, T, T), see `linker_pairs`.
        allowed: function (first, last): whether these tokens may be an entity.
        threshold, max_entities: as of `decode_linker`.

    Returns:
        Triples with the number of the relation.
    """
    subjects, objects = (_best(matrix[k], allowed, threshold, max_entities) for k in (0, 1))
    if not subjects or not objects:
        return []
    heads, tails = np.split(matrix[2:], 2)
    (s_first, s_last), (o_first, o_last) = np.array(subjects).T, np.array(objects).T
    links = np.minimum(heads[:, s_first[:, None], o_first], tails[:, s_last[:, None], o_last])
    found = []
    for p, s, o in np.argwhere(links > threshold).tolist():
        score = min(links[p, s, o], matrix[0][subjects[s]], matrix[1][objects[o]])
        (a, b), (c, d) = subjects[s], objects[o]
        found.append((Triple((a, b + 1), p, (c, d + 1)), float(score)))
    return found


def casrel_labels(
    triples: Iterable[Triple], subject: Span, length: int, relations: Sequence
) -> np.ndarray:
    """Labels (T, 2 + 2 P), int32, of `CasRel` when it is asked for the objects of `subject`.

    Columns 0 and 1 are 1 where any subject starts and ends, 2 + 2 p and 3 + 2 p where an object of
    the given subject in relation p does.
    """
    number = {relation: p for p, relation in enumerate(relations)}
    labels = np.zeros((length, 2 + 2 * len(number)), "int32")
    for triple in triples:
        wanted = [(0, triple.subject)]
        if triple.subject == subject:
            wanted.append((2 + 2 * number[triple.relation], triple.object))
        for column, (start, end) in wanted:
            labels[start, column] = labels[end - 1, column + 1] = 1
    return labels


def half_pointers(
    scores: np.ndarray, start: float = 0.6, end: float = 0.5, row: int | None = None
) -> list[tuple[int, int, int]]:
    """Spans (kind, first, last): from every start to the next end.

    Args:
        scores: (T, K, 2), log-odds of a start and of an end, for K kinds.
        start, end: probabilities above which there is one.
        row: number of the text, for the message about scores that are not finite.
    """
    above = as_scores(scores, "scores of spans", row) > [_log_odds(start), _log_odds(end)]
    found = []
    for kind in np.flatnonzero(above.any((0, 2))).tolist():
        lasts = np.flatnonzero(above[:, kind, 1])
        for first in np.flatnonzero(above[:, kind, 0]).tolist():
            behind = lasts[np.searchsorted(lasts, first) :]
            if behind.size:
                found.append((kind, first, int(behind[0])))
    return found


def _best(matrix, allowed, threshold, count) -> list[tuple[int, int]]:
    """First and last token of the spans above the threshold that score highest."""
    rows, columns = np.nonzero(matrix > threshold)
    order = np.argsort(-matrix[rows, columns], kind="stable")
    places = ((int(rows[k]), int(columns[k])) for k in order)
    return list(itertools.islice((place for place in places if allowed(*place)), count))


def _log_odds(probability: float) -> float:
    if not 0 < probability < 1:
        raise ValueError(f"a threshold must lie between 0 and 1, not {probability}.")
    return float(np.log(probability / (1 - probability)))
