"""Triples (subject, relation, object): labels of the models, and decoding of their scores.

Symbols: P relations, T tokens.
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
    """Relation between two spans [start, end), in characters or in tokens."""

    subject: Span
    relation: Any
    object: Span

    def strings(self, text: str) -> tuple[str, Any, str]:
        """Return subject, relation and object as strings of the text."""
        return text[slice(*self.subject)], self.relation, text[slice(*self.object)]


@dataclasses.dataclass(frozen=True)
class RelationEntity:
    """Subject or object: characters [start, end) of the text, and these characters."""

    start: int
    end: int
    text: str


@dataclasses.dataclass(frozen=True)
class Relation:
    """Triple found in a text.

    Attributes:
        subject, object: the two entities.
        predicate: name of the relation.
        score: lowest probability of its parts: both entities and the two links (GPLinker), or the
            two ends of both entities (CasRel).
    """

    subject: RelationEntity
    predicate: str
    object: RelationEntity
    score: float

    def strings(self) -> tuple[str, str, str]:
        """Return subject, predicate and object as strings."""
        return self.subject.text, self.predicate, self.object.text

    def places(self) -> Triple:
        """Return the relation as a `Triple` in characters."""
        ends = ((entity.start, entity.end) for entity in (self.subject, self.object))
        return Triple(next(ends), self.predicate, next(ends))

    def __str__(self) -> str:
        return f"{self.subject.text} -- {self.predicate} -> {self.object.text} ({self.score:.2f})"


def find_triples(text: str, triples: Iterable[tuple[str, Any, str]]) -> list[Triple]:
    """Locate triples of strings in a text; those with a string that is not in it are dropped.

    A string that occurs several times is located at its first occurrence as a whole word, or else
    at its first occurrence.
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
    """Convert triples from characters to tokens; triples that were truncated are dropped.

    A span that begins or ends inside a token is widened to the whole token.
    """
    end = max((b for _, b in offsets), default=0)

    def tokens(place: Span) -> Span | None:
        (found, _) = align_entities([(*place, "")], offsets, overlap=True, length=end)
        return found[0][:2] if found else None

    moved = [Triple(tokens(s), relation, tokens(o)) for s, relation, o in triples]
    return [t for t in moved if t.subject is not None and t.object is not None]


def linker_pairs(triples: Iterable[Triple], relations: Sequence) -> list[tuple[int, int, int]]:
    """Return the pairs (head, row, column) that `GPLinker` should score above 0.

    Row and column are: for head 0 first and last token of a subject, for head 1 of an object, for
    head 2 + p the first tokens of subject and object of relation p, for head 2 + P + p their last
    tokens.
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
    """Find the triples whose two entities and two links all score above a threshold.

    Args:
        scores: (B, 2 + 2 P, T, T), see `linker_pairs`.
        offsets: as of `decode_spans`.
        relations: P names; None: use the index of the relation.
        threshold: minimum score.
        max_entities: maximum number of subjects, and of objects, per text; the highest scores are
            kept. An untrained model finds an entity in every span.

    Returns:
        For each text its triples, sorted.

    Raises:
        ValueError: as of `decode_spans`.
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
    """Find the triples of one text in tokens, with the lowest of their four scores.

    Args:
        matrix: (2 + 2 P, T, T), see `linker_pairs`.
        allowed: function (first, last): True if these tokens may be an entity.
        threshold, max_entities: as of `decode_linker`.

    Returns:
        Triples with the index of the relation.
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
    """Return the labels (T, 2 + 2 P), int32, of `CasRel` for the given subject.

    Columns 0 and 1 are 1 where any subject starts and ends; columns 2 + 2 p and 3 + 2 p where an
    object of the given subject in relation p does.
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
    """Find spans (kind, first, last): from every start to the next end of the same kind.

    Args:
        scores: (T, K, 2), log-odds of a start and of an end, for K kinds.
        start, end: minimum probabilities of a start and of an end.
        row: index of the text, for error messages.
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


def _best(
    matrix: np.ndarray, allowed: Callable[[int, int], bool], threshold: float, count: int
) -> list[tuple[int, int]]:
    """Return first and last token of the `count` best spans above the threshold."""
    rows, columns = np.nonzero(matrix > threshold)
    order = np.argsort(-matrix[rows, columns], kind="stable")
    places = ((int(rows[k]), int(columns[k])) for k in order)
    return list(itertools.islice((place for place in places if allowed(*place)), count))


def _log_odds(probability: float) -> float:
    if not 0 < probability < 1:
        raise ValueError(f"a threshold must be between 0 and 1, not {probability}.")
    return float(np.log(probability / (1 - probability)))
