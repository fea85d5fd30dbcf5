"""Checks of labelled samples before training: duplicates, contradictions, labels, lengths."""

from __future__ import annotations

import collections
import dataclasses
import itertools
from collections.abc import Hashable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from .._folding import fold_by_character
from ..tokenizers.base import TokenizerBase
from .tagging.report import check_entities, dropped_entities
from .tagging.tokens import text_tokens
from .windows import text_windows

LEVELS = ("error", "warning", "note")
PERCENTILES = (50, 90, 95, 99, 100)
_KEPT = 5  # places of a finding that are kept
_Places = Sequence[tuple[str, int]]  # (name of a file, number of the sample from 1)


@dataclasses.dataclass(frozen=True)
class Finding:
    """Something in the data that may harm.

    Attributes:
        level: one of `LEVELS`: an error makes training fail or scores wrong.
        kind: its name.
        message: what was found and what to do.
        count: number of samples, or of other things, that it is about.
        share: their share of all.
        places: the first of them.
    """

    level: str
    kind: str
    message: str
    count: int
    share: float = 0.0
    places: _Places = ()


def by_importance(findings: Iterable[Finding]) -> list[Finding]:
    """Sort findings: errors first, then by their share of the data."""
    return sorted(findings, key=lambda one: (LEVELS.index(one.level), -one.share, -one.count))


def text_key(texts: Iterable[str]) -> tuple[str, ...]:
    """Return texts in a form in which blanks, width and case do not matter."""
    return tuple(" ".join(fold_by_character(text).split()) for text in texts)


def check_repetitions(
    keys: Mapping[str, Sequence[Hashable]], labels: Mapping[str, Sequence[Hashable]]
) -> list[Finding]:
    """Find duplicates in a file, texts that two files share, and contradictory labels.

    Args:
        keys: by file, the `text_key` of each sample.
        labels: by file, the label of each sample, in a form that can be compared.
    """
    places: dict[Hashable, list[tuple[str, int]]] = collections.defaultdict(list)
    for name, some in keys.items():
        for number, key in enumerate(some, 1):
            places[key].append((name, number))
    several = {key: found for key, found in places.items() if len(found) > 1}
    findings, names, total = [], list(keys), sum(map(len, keys.values()))
    for name in names:
        again = [
            place
            for found in several.values()
            for place in [one for one in found if one[0] == name][1:]
        ]
        findings += _finding(
            "warning",
            "duplicates",
            f"texts of {name} occur in it before; remove them, or they count more than others",
            again,
            len(keys[name]),
        )
    for k, first in enumerate(names):
        for second in names[k + 1 :]:
            shared = [
                next(place for place in found if place[0] == second)
                for found in several.values()
                if {first, second} <= {name for name, _ in found}
            ]
            findings += _finding(
                "error",
                "overlap",
                f"texts of {second} occur in {first} too, so scores on it are too high; remove "
                "them from one of the two",
                shared,
                len(keys[second]),
            )
    against = []
    for found in several.values():
        given = {labels[name][number - 1] for name, number in found}
        if len(given) > 1:
            against.append(found[0])
    findings += _finding(
        "warning",
        "contradictions",
        "texts occur with different labels; correct them, or no model can learn them",
        against,
        total,
    )
    return findings


def check_labels(counts: Mapping[str, Mapping[str, int]], exclusive: bool = True) -> list[Finding]:
    """Find labels that the first file does not have, rare ones, and those spelt in two ways.

    Args:
        counts: by file, the number of each label. The first file is for training.
        exclusive: every sample has exactly one label.
    """
    if not counts:
        return []
    findings, names = [], list(counts)
    train = counts[names[0]]
    for name in names[1:]:
        unseen = sorted(set(counts[name]) - set(train))
        if unseen:
            count, total = sum(counts[name][x] for x in unseen), sum(counts[name].values())
            listed = ", ".join(map(repr, unseen[:5])) + (", ..." if len(unseen) > 5 else "")
            text = f"labels of {name} never occur in {names[0]}: {listed}; no model can find them"
            findings.append(Finding("error", "unseen labels", text, count, count / total))
    rare = sorted(label for label, n in train.items() if n < _KEPT)
    if rare:
        listed = ", ".join(map(repr, rare[:5])) + (", ..." if len(rare) > 5 else "")
        text = f"labels occur less than {_KEPT} times in {names[0]}: {listed}; too few to learn"
        findings.append(Finding("warning", "rare labels", text, len(rare), len(rare) / len(train)))
    spellings = collections.defaultdict(set)
    for some in counts.values():
        for label in some:
            spellings[text_key([label.replace(" ", "")])].add(label)
    for same in spellings.values():
        if len(same) > 1:
            listed = " and ".join(map(repr, sorted(same)))
            text = f"labels differ in case, width or blanks only: {listed}; use one spelling"
            findings.append(Finding("warning", "spelling of labels", text, len(same)))
    if exclusive and len(train) == 1:
        text = f"all labels of {names[0]} are {next(iter(train))!r}: there is nothing to learn"
        findings.append(Finding("error", "one label", text, sum(train.values()), 1.0))
    return findings


def check_empty(texts: Mapping[str, Sequence[Sequence[str]]]) -> list[Finding]:
    """Find samples with an empty text.

    Args:
        texts: by file, the texts of each sample.
    """
    empty = [
        (name, number)
        for name, some in texts.items()
        for number, parts in enumerate(some, 1)
        if not all(part.strip() for part in parts)
    ]
    total = sum(map(len, texts.values()))
    return _finding("error", "empty texts", "texts are empty; remove them", empty, total)


def token_lengths(tokenizer: TokenizerBase, texts: Iterable[Sequence[str]]) -> np.ndarray:
    """Return the number of tokens of each sample, special tokens included.

    Args:
        tokenizer: the tokenizer.
        texts: one or two texts of each sample; further ones are not counted.
    """
    pairs = ((parts[0], parts[1] if len(parts) > 1 else None) for parts in texts)
    return np.array([len(tokenizer.encode(*pair)[0]) for pair in pairs], "int64")


def check_lengths(lengths: Mapping[str, np.ndarray], maxlen: int, what: str) -> list[Finding]:
    """Find files with samples that are longer than the model takes.

    Args:
        lengths: by file, `token_lengths`.
        maxlen: largest number of tokens.
        what: what happens to them: "are read in windows".
    """
    findings = []
    for name, some in lengths.items():
        places = [(name, int(number) + 1) for number in np.flatnonzero(some > maxlen)]
        text = f"samples of {name} have more than {maxlen} tokens and {what}"
        findings += _finding("warning", "long texts", text, places, len(some))
    return findings


def check_tagged(
    name: str, samples: Sequence[Any], tokenizer: TokenizerBase | None, maxlen: int = 512
) -> list[Finding]:
    """Find entities that a tagger cannot express.

    Args:
        name: name of the file.
        samples: `TaggedText`s.
        tokenizer: None checks only whether entities overlap or begin or end with a blank.
        maxlen: of the tagger.
    """
    places: dict[str, list[tuple[str, int]]] = collections.defaultdict(list)
    total = sum(len(sample.entities) for sample in samples)
    for number, sample in enumerate(samples, 1):
        text, place = sample.text, (name, number)
        spans = sorted((start, end) for start, end, _ in sample.entities)
        for start, end in spans:
            if text[start:end] != text[start:end].strip():
                places["begin or end with a blank"].append(place)
        if tokenizer is None:
            for (_, end), (start, _) in itertools.pairwise(spans):
                if start < end:
                    places["overlap"].append(place)
            continue
        windows = text_windows(tokenizer, text, None, maxlen, 0.5)
        tokens = text_tokens(text, windows, sample.words, "token")
        entities = check_entities(text, sample.entities, None, number - 1)
        for dropped in dropped_entities(tokens, entities, nested=False):
            places[dropped.reason].append(place)
    what = {
        "overlap": "overlap others; a flat scheme trains only the longer one, a global pointer all",
        "inside a token": "begin or end inside a token and are trained as the whole token",
        "no token": "have parts without a token, which are dropped",
        "longer than a window": "are longer than a window and are not trained",
    }
    return [
        finding
        for reason, found in places.items()
        for finding in _finding(
            "warning",
            f"entities: {reason}",
            f"entities of {name} {what.get(reason, reason)}",
            found,
            total,
        )
    ]


def check_answers(name: str, samples: Sequence[Any]) -> list[Finding]:
    """Find questions none of whose answers is in a passage; samples are (Question, label)."""
    from .reading.labels import as_answers

    places = []
    for number, (question, label) in enumerate(samples, 1):
        answers = as_answers(label, question)
        if answers and all(answer.start < 0 for answer in answers):
            places.append((name, number))
    text = f"questions of {name} have answers that are in no passage; they are not trained"
    return _finding("error", "answers not in the passage", text, places, len(samples))


def check_triples(name: str, samples: Sequence[Any]) -> list[Finding]:
    """Find triples whose subject or object is not in the text."""
    from .relations.triples import find_triples

    places = [
        (name, number)
        for number, sample in enumerate(samples, 1)
        for triple in sample.triples
        if not find_triples(sample.text, [triple])
    ]
    text = f"triples of {name} have a subject or object that is not in the text; they are dropped"
    total = sum(len(sample.triples) for sample in samples)
    return _finding("error", "triples not in the text", text, places, total)


def check_queries(
    name: str, samples: Sequence[Any], tokenizer: TokenizerBase, maxlen: int = 512
) -> list[Finding]:
    """Find queries that the heads of `TableQA` cannot express, by their reasons."""
    from .sql.labels import UnsupportedQuery, encode_question, encode_sql

    places: dict[str, list[tuple[str, int]]] = collections.defaultdict(list)
    for number, sample in enumerate(samples, 1):
        question, table = sample.asked
        try:
            encoded = encode_question(tokenizer, question, table.header, maxlen)
            encode_sql(sample.sql, question, encoded)
        except UnsupportedQuery as error:
            places[str(error)].append((name, number))
        except ValueError:
            places["the columns do not fit into maxlen"].append((name, number))
    return [
        finding
        for reason, found in places.items()
        for finding in _finding(
            "warning",
            "queries",
            f"queries of {name} are trained without their conditions: {reason}",
            found,
            len(samples),
        )
    ]


def check_grades(name: str, labels: Sequence[float]) -> list[Finding]:
    """Find labels of pairs outside 0 to 1, which a `Reranker` with probabilities refuses."""
    places = [(name, number) for number, x in enumerate(labels, 1) if not 0 <= x <= 1]
    text = f"labels of {name} are not from 0 to 1; divide grades by the highest"
    return _finding("error", "grades", text, places, len(labels))


def _finding(level: str, kind: str, what: str, places: _Places, total: int) -> list[Finding]:
    """Return the finding about some places, or none."""
    if not places:
        return []
    share = len(places) / max(total, 1)
    message = f"{len(places)} {what}"
    return [Finding(level, kind, message, len(places), share, tuple(places[:_KEPT]))]
