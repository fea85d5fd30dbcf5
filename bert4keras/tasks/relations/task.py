"""Relation extraction: triples (subject, predicate, object) of a text."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, ClassVar

import keras
import numpy as np

from ..._types import Tensor
from ...data import DataGenerator
from ...data.padding import round_up
from ...export import ExportedModel
from ...tokenizers.base import TokenizerBase
from ..base import Encoded, Task, TaskError, register_task
from ..pretrained import open_encoder
from ..report import Report, ranked
from ..span_matrix import span, sparse_pairs
from ..windows import text_windows
from .finding import StoredCasRel, casrel_models
from .heads import CasRel, GPLinker
from .metrics import predicate_scores, triple_confusion, triple_scores
from .triples import (
    Relation,
    RelationEntity,
    Span,
    Triple,
    casrel_labels,
    find_triples,
    link_entities,
    linker_pairs,
    token_triples,
)

_RELATION_HEADS = ("gplinker", "casrel")
_SUBJECT = "Subject"  # CasRel's input for the first and last token of a subject
_MAX_SCORES = 1 << 27  # scores of GPLinker in memory at once


@register_task
class RelationExtractor(Task):
    """Extractor of triples (subject, predicate, object); entities may be nested and shared.

    A text longer than `maxlen` tokens is read in windows that overlap by a quarter; the triples of
    all windows are merged. Only triples with both entities in one window can be found.

    The label of a training sample is a list of triples: strings (subject, predicate, object), which
    are located at their first occurrence as a word; or `Triple` or `Relation`, which have places.

    Args:
        tokenizer, model, maxlen: of `Task`. The model's output is that of `GPLinker`,
            (B, 2 + 2 P, T, T), or of a layer `CasRel`, (B, T, 2 + 2 P), whose subject is a further
            input of shape (2,) named "Subject".
        predicates: names of the P relations.
        head: "gplinker" or "casrel".
        threshold: minimum probability of each part of a triple.

    Raises:
        TaskError: predicates or a head that do not fit the model.

    Example:
        >>> task = RelationExtractor.build("bert", predicates=["capital of"])
        >>> task.model.compile("adam", task.loss)
        >>> task.model.fit(task.batches([("Rome is in Italy", [("Rome", "in", "Italy")])]))
        >>> task("Paris, the capital of France")
        [Relation(subject=RelationEntity(start=0, end=5, text='Paris'), ...)]
    """

    extra_inputs: ClassVar[Mapping[str, float]] = {_SUBJECT: 0}

    def __init__(
        self,
        tokenizer: TokenizerBase,
        model: keras.Model,
        predicates: Sequence[str],
        head: str = "gplinker",
        threshold: float = 0.5,
        maxlen: int | None = None,
    ):
        super().__init__(tokenizer, model, maxlen)
        predicates = [str(predicate) for predicate in predicates]
        if head not in _RELATION_HEADS:
            raise TaskError(f"head={head!r} must be one of {', '.join(_RELATION_HEADS)}.")
        if not predicates or len(set(predicates)) != len(predicates):
            raise TaskError(f"predicates={predicates} must be at least one, without duplicates.")
        if not 0 < threshold < 1:
            raise TaskError(f"threshold={threshold} must be between 0 and 1.")
        self.predicates, self.head, self.threshold = predicates, head, threshold
        self._check_model()
        self._ids = {predicate: p for p, predicate in enumerate(predicates)}
        self._log_odds = float(np.log(threshold / (1 - threshold)))
        special = (tokenizer.cls_token_id, tokenizer.sep_token_id, self.encoder.pad_token_id)
        self._special = [number for number in special if number is not None]
        self._random = np.random.default_rng(0)
        self._dropped: list[Triple] = []

    def _check_model(self) -> None:
        """Check that the model fits the head, and find its parts."""
        shape, width = tuple(self.model.outputs[-1].shape), 2 + 2 * len(self.predicates)
        if len(shape) != (4 if self.head == "gplinker" else 3) or width != (
            shape[1] if self.head == "gplinker" else shape[2]
        ):
            wanted = {"gplinker": f"(B, {width}, T, T)", "casrel": f"(B, T, {width})"}[self.head]
            raise TaskError(
                f"the model's output is {shape}; for {len(self.predicates)} predicates and "
                f"head={self.head!r} it must be {wanted}."
            )
        if self.head == "gplinker":
            return
        if isinstance(self.model, ExportedModel):
            self._casrel, self._reader = StoredCasRel(self.model), self.model
            return
        layers = [layer for layer in self.model.layers if isinstance(layer, CasRel)]
        if len(layers) != 1 or _SUBJECT not in self.encoder.inputs:
            raise TaskError(
                "head='casrel' needs a model with one layer CasRel and an input "
                f"keras.Input((2,), dtype='int32', name={_SUBJECT!r}) for its subject."
            )
        self._casrel = layers[0]
        vectors = keras.tree.flatten(self._casrel.input)[0]
        self._reader = keras.Model(self.model.inputs, [vectors, self.model.output])

    def exported_models(self) -> dict[str, keras.Model]:
        both = self.head == "casrel"
        return casrel_models(self._reader, self._casrel) if both else {"model": self.model}

    @classmethod
    def build(
        cls,
        checkpoint: Any,
        predicates: Sequence[str],
        head: str = "gplinker",
        threshold: float = 0.5,
        maxlen: int | None = None,
        tokenizer: TokenizerBase | None = None,
        head_size: int = 64,
        efficient: bool = False,
        **options: Any,
    ) -> RelationExtractor:
        """Put a new head on a pretrained encoder.

        Args:
            checkpoint: directory, `hf://org/name`, a named checkpoint, or a `Backbone`, which
                needs `tokenizer`.
            predicates, head, threshold, maxlen: of the class.
            tokenizer: replaces the checkpoint's own.
            head_size, efficient: of `GPLinker`.
            **options: of `build_transformer_model`.
        """
        if head not in _RELATION_HEADS:
            raise TaskError(f"head={head!r} must be one of {', '.join(_RELATION_HEADS)}.")
        tokenizer, bert = open_encoder(checkpoint, tokenizer, options)
        inputs, count = list(bert.inputs), len(predicates)
        # With a padding id the encoder's output carries a Keras mask; else nothing is padding.
        padding = None if bert.config.pad_token_id is not None else -1
        if head == "gplinker":
            layer = GPLinker(count, head_size, efficient, padding, name="Linker")
            model = keras.Model(inputs, layer(bert.output))
        else:
            subject = keras.Input((2,), dtype="int32", name=_SUBJECT)
            output = CasRel(count, padding, name="CasRel")([bert.output, subject])
            model = keras.Model([*inputs, subject], output)
        return cls(tokenizer, model, predicates, head, threshold, maxlen)

    @property
    def loss(self) -> Callable[[Tensor, Tensor], Tensor]:
        """Loss of the head, for `model.compile`."""
        return GPLinker.sparse_loss if self.head == "gplinker" else CasRel.loss

    def encode(self, sample: str) -> Encoded:
        """Encode a text."""
        windows = text_windows(self.tokenizer, sample, maxlen=self.maxlen)
        rows = [
            self.encoder.select(w.token_ids, w.segment_ids, **{_SUBJECT: [0, 0]}) for w in windows
        ]
        return Encoded(sample, rows, [w.offsets for w in windows])

    # Training

    def batches(
        self,
        samples: Sequence[tuple[str, Iterable[Any]]],
        batch_size: int = 32,
        shuffle: bool = False,
        seed: int = 0,
        **options: Any,
    ) -> DataGenerator:
        """Make batches for `model.fit` from all windows of the texts.

        For CasRel each window has one subject, drawn anew in every epoch.

        Args:
            samples: pairs (text, triples).
            batch_size, shuffle, seed, **options: of `DataGenerator`.

        Warns:
            UserWarning: triples whose strings are not in their text, or that are in no window.
        """
        located, missing = [], []
        for text, triples in samples:
            found, absent = self._located(text, triples)
            located.append((text, found))
            missing += absent
        self._random, self._dropped = np.random.default_rng(seed), []
        if self.head == "casrel":
            options = {"cache": False, **options}
        made = super().batches(located, batch_size, shuffle, seed, **options)
        for some, reason in (
            (missing, "are not in their text"),
            (self._dropped, f"are in no window of {self.maxlen} tokens"),
        ):
            if some:
                warnings.warn(
                    f"{len(some)} of the triples {reason} and are not used in training; the first "
                    f"is {tuple(some[0])!r}.",
                    stacklevel=2,
                )
        return made

    def _located(self, text: str, triples: Iterable[Any]) -> tuple[list[Triple], list[Any]]:
        """Return the triples in characters, and those whose strings are not in the text."""
        found, missing = [], []
        for triple in triples:
            if isinstance(triple, Relation):
                triple = triple.places()
            subject, predicate, target = triple
            if predicate not in self._ids:
                known = ", ".join(self.predicates[:20]) + (", ..." * (len(self._ids) > 20))
                raise TaskError(f"unknown predicate {predicate!r}; the predicates are {known}.")
            if isinstance(subject, str) and isinstance(target, str):
                place = find_triples(text, [(subject, predicate, target)])
                found += place
                missing += [] if place else [triple]
                continue
            for place in (subject, target):
                if isinstance(place, str) or not 0 <= place[0] < place[1] <= len(text):
                    raise TaskError(
                        f"{place!r} of the triple {tuple(triple)!r} is not inside its text of "
                        f"{len(text)} characters: {text!r:.60}."
                    )
            found.append(Triple(tuple(subject), predicate, tuple(target)))
        return found, missing

    def training_windows(self, label: Any, encoded: Encoded) -> Iterable[int]:
        windows = range(len(encoded.rows))
        held = {triple for w in windows for triple in _inside_window(label, encoded, w)}
        self._dropped += [triple for triple in label if triple not in held]
        return windows

    def encode_label(self, label: Any, encoded: Encoded, window: int = 0) -> np.ndarray:
        """Return labels for `GPLinker.sparse_loss`, (2 + 2 P, n, 2)."""
        triples = token_triples(_inside_window(label, encoded, window), encoded.offsets[window])
        pairs = linker_pairs(triples, self.predicates)
        heads = 2 + 2 * len(self.predicates)
        needed = sparse_pairs(pairs, heads).shape[1]
        # Few shapes, so that few are compiled.
        return sparse_pairs(pairs, heads, round_up(needed, multiple_of=8))

    def training_row(
        self, encoded: Encoded, label: Any, window: int
    ) -> tuple[tuple[Any, ...], np.ndarray]:
        if self.head == "gplinker":
            return super().training_row(encoded, label, window)
        triples = token_triples(_inside_window(label, encoded, window), encoded.offsets[window])
        subject = self._draw_subject(triples)
        labels = casrel_labels(triples, subject, len(encoded.rows[window][0]), self.predicates)
        place = self.encoder.inputs.index(_SUBJECT)
        row = list(encoded.rows[window])
        row[place] = [subject[0], subject[1] - 1]
        return tuple(row), labels

    def _draw_subject(self, triples: Sequence[Triple]) -> Span:
        """Draw a subject of the triples; half of the draws take start and end independently.

        Spans that are no subjects teach the model that they have no objects.
        """
        subjects = sorted({triple.subject for triple in triples}) or [(0, 1)]
        start, end = subjects[self._random.integers(len(subjects))]
        if self._random.random() < 0.5:
            later = [other for _, other in subjects if other > start]
            end = later[self._random.integers(len(later))]
        return start, end

    # Answers

    def run(self, inputs: Any) -> np.ndarray:
        """Return, for each row of a batch, a list of triples in tokens with their scores."""
        flat = list(inputs) if isinstance(inputs, (list, tuple)) else [inputs]
        real = ~np.isin(flat[0], self._special)
        lists = self._linked(flat, real) if self.head == "gplinker" else self._asked(flat, real)
        found = np.empty(len(lists), object)
        found[:] = lists
        return found

    def _linked(self, inputs: list[np.ndarray], real: np.ndarray) -> list[list]:
        """Run GPLinker, in parts whose scores fit into memory."""
        rows, length = real.shape
        room = _MAX_SCORES // ((2 + 2 * len(self.predicates)) * length**2)
        size = 1 << max(0, min(room, rows).bit_length() - 1)
        found = []
        for start in range(0, rows, size):
            part = [array[start : start + size] for array in inputs]
            scores = np.asarray(self.model.predict_on_batch(self._structured(part)))
            for matrix, own in zip(scores, real[start : start + size], strict=True):
                self._check(matrix)
                found.append(link_entities(matrix, _real_spans(own), self._log_odds))
        return found

    def _asked(self, inputs: list[np.ndarray], real: np.ndarray) -> list[list]:
        """Run CasRel: subjects first, then the objects of each."""
        vectors, scores = map(np.asarray, self._reader.predict_on_batch(inputs))
        self._check(scores)
        padding = self.encoder.pad_token_id
        mask = inputs[0] != padding if padding is not None else np.ones(real.shape, bool)
        return self._casrel.find(
            vectors,
            inputs[0],
            mask,
            [row[:, :2] for row in scores],
            lambda row, first, last: bool(real[row, first] and real[row, last]),
            self.threshold,
            self.threshold,
        )

    @staticmethod
    def _check(scores: np.ndarray) -> None:
        if not np.isfinite(scores).all():
            raise TaskError("the model's scores are not finite, so no triples can be found.")

    def decode(self, outputs: Sequence[Any], encoded: Encoded) -> list[Relation]:
        best: dict[Triple, float] = {}
        for found, offsets in zip(outputs, encoded.offsets, strict=True):
            for (subject, p, target), score in found:
                ends = [span(first, behind - 1, offsets) for first, behind in (subject, target)]
                if None not in ends:
                    triple = Triple(ends[0], self.predicates[p], ends[1])
                    best[triple] = max(score, best.get(triple, score))
        text = encoded.sample
        return [
            Relation(
                RelationEntity(*subject, text[slice(*subject)]),
                predicate,
                RelationEntity(*target, text[slice(*target)]),
                float(0.5 * (1 + np.tanh(score / 2))),  # the sigmoid
            )
            for (subject, predicate, target), score in sorted(best.items())
        ]

    def metrics(self, answers: Sequence[Any], labels: Sequence[Any]) -> dict[str, float]:
        """Compute F1, precision and recall of triples, over all texts together.

        If all labels are strings, triples are compared as strings, otherwise by their places.
        """
        scores = triple_scores(*_comparable(answers, labels))
        return {"f1": scores.f1, "precision": scores.precision, "recall": scores.recall}

    def report(self, answers: Sequence[Any], labels: Sequence[Any]) -> Report:
        """Compute scores by predicate and confusions too."""
        found, wanted = _comparable(answers, labels)
        wrong = {}
        for i, (ours, theirs) in enumerate(zip(found, map(set, wanted), strict=True)):
            parts = zip(answers[i], ours, strict=True)
            spurious = [relation.score for relation, triple in parts if triple not in theirs]
            if spurious or set(ours) != theirs:
                wrong[i] = max(spurious, default=0.0)
        classes, confusion = predicate_scores(found, wanted), triple_confusion(found, wanted)
        return Report(self.metrics(answers, labels), classes, confusion, ranked(wrong))

    def get_config(self) -> dict[str, Any]:
        own = {"predicates": self.predicates, "head": self.head, "threshold": self.threshold}
        return super().get_config() | own


def _comparable(
    answers: Sequence[Any], labels: Sequence[Any]
) -> tuple[list[list[tuple]], list[list[tuple]]]:
    """Return found and wanted triples, all as strings or all as places."""
    placed = any(isinstance(t, (Relation, Triple)) for label in labels for t in label)
    found = [[r.places() if placed else r.strings() for r in answer] for answer in answers]
    wanted = [
        [t.places() if isinstance(t, Relation) else tuple(t) for t in label] for label in labels
    ]
    return found, wanted


def _inside_window(triples: Iterable[Triple], encoded: Encoded, window: int) -> list[Triple]:
    """Return the triples with both entities in the characters of a window."""
    real = [span for span in encoded.offsets[window] if span[0] < span[1]]
    if not real:
        return []
    start = real[0][0] if window else 0
    end = real[-1][1] if window + 1 < len(encoded.rows) else len(encoded.sample)
    return [t for t in triples if all(start <= a and b <= end for a, b in (t.subject, t.object))]


def _real_spans(real: np.ndarray) -> Callable[[int, int], bool]:
    """Return a function (first, last): True if tokens may be an entity, not special tokens."""
    return lambda first, last: bool(first <= last and real[first] and real[last])
