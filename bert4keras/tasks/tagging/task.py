"""Tagger: named entities, chunks or parts of speech of a text."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import keras
import numpy as np

from ..._json import short_repr
from ..._types import Shape, Tensor
from ...tokenizers.base import TokenizerBase
from ..base import Encoded, Task, TaskError, register_task
from ..report import Report
from ..windows import text_windows
from .entity import Entity, TaggedText
from .heads import POINTERS, build_pointer, build_tagger, check_head, find_head
from .metrics import entity_report, entity_scores
from .report import LabelReport, check_entities, dropped_entities
from .schemes import OUTSIDE, PLAIN, SCHEMES, tag_names
from .span_answers import SpanAnswers
from .tag_answers import TagAnswers
from .tokens import UNITS, text_tokens

_OVERLAP = 0.5  # share of a window that the next one repeats


@register_task
class Tagger(Task):
    """Tagger of entities: one tag per token (softmax, CRF, MEMM) or a score per span (pointers).

    The score of an entity is its probability. For a head that scores tags, it is the sum over all
    tag sequences that contain the entity (forward-backward algorithm; the tags of a softmax are
    independent; the bidirectional MEMM uses the geometric mean of its directions). For a pointer,
    it is the sigmoid of the span's score.

    A text longer than `maxlen` tokens is read in windows that overlap by half. Each token takes its
    scores from the window where it has most context, and the merged scores are decoded as one
    sequence; pairs of tokens of a pointer likewise. Training uses all windows and ignores, in each,
    the entities that its border cuts.

    A sample is a text, a labelled one a pair (text, [(start, end, label), ...]) or a `TaggedText`:
    characters [start, end) of the text as it is, blanks and newlines included, from 0.

    Args:
        tokenizer, model, maxlen, encoder_config: of `Task`. The head is a layer of the model: a
            `ConditionalRandomField` or a `MaximumEntropyMarkovModel` (scores (B, T, C) of C tags),
            or a `GlobalPointer` (scores (B, H, T, T) of H labels). Without one, the head is a
            softmax over C.
        labels: types of entities.
        scheme: scheme of the tags: one of `SCHEMES`, or "IO", where adjacent tokens of one type are
            one entity; "BIO" if None. Not for a pointer.
        tags: all tags in the order of their ids, if it differs from `tag_names(labels, scheme)`.
            Some may be missing, as in checkpoints of others; training ignores their tokens.
        units: "token": tag every token; "word": tag the first token of every word (run between
            blanks; each punctuation or CJK character is a word). Words of a `TaggedText` take
            precedence.
        nested: entities may overlap; pointers only. False keeps the more probable of two.
        threshold: minimum probability of a pointer's span; 0.5 if None.

    Raises:
        TaskError: options that do not fit each other or the model.

    Example:
        >>> task = Tagger.build("bert", labels=["PER", "LOC"], head="crf")
        >>> task.model.compile("adam", task.loss)
        >>> task.model.fit(task.batches([("Li is here.", [(0, 2, "PER")])]))
        >>> task("Wang is here.")
        [Entity(start=0, end=4, label='PER', text='Wang', score=0.9312)]
    """

    architecture = "ForTokenClassification"
    _answers: SpanAnswers | TagAnswers
    outside: ClassVar[bool] = True  # True if a token may be outside all entities

    def __init__(
        self,
        tokenizer: TokenizerBase,
        model: keras.Model,
        labels: Sequence[str],
        scheme: str | None = None,
        tags: Sequence[str] | None = None,
        units: str = "token",
        nested: bool = False,
        threshold: float | None = None,
        maxlen: int | None = None,
        encoder_config: Mapping[str, Any] | None = None,
    ):
        super().__init__(tokenizer, model, maxlen)
        self.encoder_config = encoder_config
        self.labels = _distinct_labels(labels)
        if units not in UNITS:
            raise TaskError(f"units={units!r} must be one of {', '.join(UNITS)}.")
        self.units, self.nested, self.threshold = units, nested, threshold
        self.scheme = scheme
        self.tags: list[str] | None = None
        self.layer = find_head(model)
        if self.head in POINTERS:
            if scheme is not None or tags is not None or not self.outside:
                raise TaskError(
                    f"{self.head} scores spans; it takes neither scheme nor tags. Leave them out."
                )
            threshold = 0.5 if threshold is None else threshold
            if not 0 < threshold < 1:
                raise TaskError(f"threshold={threshold} must lie between 0 and 1.")
            self._answers = SpanAnswers(self.layer, self.labels, nested, threshold)
            self._check_output((len(self.labels), None, None), f"{len(self.labels)} labels")
            return
        if nested or threshold is not None:
            option = "nested=True" if nested else "threshold"
            raise TaskError(
                f"{option} needs a head that scores spans ({' or '.join(POINTERS)}), not "
                f"{self.head}, which gives each token one tag."
            )
        self.scheme = _check_scheme(scheme or "BIO")
        self._set_tags(tags)

    def _set_tags(self, tags: Sequence[str] | None) -> None:
        usual = tag_names(self.labels, self.scheme, self.outside)
        self.tags = usual if tags is None else list(tags)
        if strange := sorted(set(self.tags) - {OUTSIDE, *usual}):
            raise TaskError(
                f"tags={self.tags} contain {', '.join(strange)}, which the scheme {self.scheme} "
                f"does not have for the labels {', '.join(self.labels)}."
            )
        self._check_output((None, len(self.tags)), f"the {len(self.tags)} tags {self.tags[:6]}")
        self._answers = TagAnswers(self.tags, self.scheme, self.layer)

    def _check_output(self, shape: Shape, what: str) -> None:
        found = getattr(self.model.output, "shape", None)
        if found is None or len(found) != 1 + len(shape):
            fits = False
        else:
            fits = all(b is None or a == b for a, b in zip(found[1:], shape, strict=True))
        if not fits:
            names = ["T" if size is None else str(size) for size in shape]
            raise TaskError(
                f"the model's output has shape {found and tuple(found)}; for {what} and the head "
                f"{self.head} it must be (B, {', '.join(names)})."
            )

    @classmethod
    def build(
        cls,
        checkpoint: Any,
        labels: Sequence[str],
        head: str = "crf",
        scheme: str | None = None,
        units: str = "token",
        nested: bool = False,
        threshold: float | None = None,
        maxlen: int | None = None,
        tokenizer: TokenizerBase | None = None,
        dropout: float = 0.1,
        head_options: Mapping[str, Any] | None = None,
        **options: Any,
    ) -> Tagger:
        """Put a new head on a pretrained encoder.

        Args:
            checkpoint: directory, `hf://org/name`, a named checkpoint, or a `Backbone`, which
                needs `tokenizer`.
            labels: types of entities.
            head: "softmax", "crf", "memm", "bi-memm", "global-pointer" or
                "efficient-global-pointer".
            scheme, units, nested, threshold, maxlen: as of the class.
            tokenizer: replaces the checkpoint's own.
            dropout: rate before the head.
            head_options: options of the head layer, such as `{"head_size": 32}`.
            **options: of `build_transformer_model`.
        """
        scheme = scheme or (None if head in POINTERS else "BIO")
        tokenizer, model, config = cls._new_model(
            checkpoint, labels, head, scheme, dropout, tokenizer, head_options, options
        )
        return cls(
            tokenizer,
            model,
            labels,
            scheme,
            units=units,
            nested=nested,
            threshold=threshold,
            maxlen=maxlen,
            encoder_config=config,
        )

    @classmethod
    def _new_model(
        cls,
        checkpoint: Any,
        labels: Sequence[str],
        head: str,
        scheme: str | None,
        dropout: float,
        tokenizer: TokenizerBase | None,
        head_options: Mapping[str, Any] | None,
        options: Mapping[str, Any],
    ) -> tuple[TokenizerBase, keras.Model, dict[str, Any]]:
        """Build tokenizer and model; arguments as of `build`, result as of `build_with_head`."""
        check_head(head)
        labels, common = (
            _distinct_labels(labels),
            (dropout, tokenizer, head_options or {}, options),
        )
        if head in POINTERS:
            return build_pointer(checkpoint, head, labels, *common)
        tags = tag_names(labels, _check_scheme(scheme), cls.outside)
        return build_tagger(checkpoint, head, tags, scheme, *common)

    @property
    def head(self) -> str:
        """Name of the model's head, see the option `head` of `build`."""
        return "softmax" if self.layer is None else self.layer.head_name

    @property
    def loss(self) -> Callable[[Tensor, Tensor], Tensor]:
        """Loss of the head, for `model.compile`."""
        return self._answers.loss

    def encode(self, sample: str | TaggedText) -> Encoded:
        """Encode a text, or a `TaggedText`, whose `words` are then the tagging units."""
        text = sample.text if isinstance(sample, TaggedText) else sample
        words = sample.words if isinstance(sample, TaggedText) else None
        windows = text_windows(self.tokenizer, text, None, self.maxlen, _OVERLAP)
        rows = [self.encoder.select(w.token_ids, w.segment_ids) for w in windows]
        offsets = [window.offsets for window in windows]
        return Encoded(sample, rows, offsets, text_tokens(text, windows, words, self.units))

    def encode_label(self, label: Any, encoded: Encoded, window: int = 0) -> np.ndarray:
        tokens = encoded.extra
        entities = check_entities(tokens.text, label, self.labels, 0)
        entities = tokens.align(entities, self.nested).entities
        return self._answers.label(tokens, entities, window)

    def training_windows(self, label: Any, encoded: Encoded) -> Iterable[int]:
        return range(len(encoded.rows))

    def training_rows(self, samples: Iterable[Any]) -> list[tuple[Encoded, Any, int]]:
        """Encode samples; warn of entities that the labels do not express exactly, see `check`."""
        rows, report = self._rows_and_report(samples)
        if report.dropped:
            warnings.warn(f"{report} For all of them call Tagger.check(samples).", stacklevel=4)
        return rows

    def check(self, samples: Iterable[Any]) -> LabelReport:
        """Report the entities of labelled samples that the labels cannot express exactly.

        Reasons: "inside a token" (trained as the whole token), "no token" (a part without tokens,
        such as a blank, is dropped), "overlap" (only the longer one is trained), "longer than a
        window" and "touches another" (scheme "IO").

        Args:
            samples: as of `batches`.

        Raises:
            TaskError: an entity outside its text, or with an unknown label.
        """
        return self._rows_and_report(samples)[1]

    def _rows_and_report(self, samples: Iterable[Any]) -> tuple[list, LabelReport]:
        pairs = [labelled(sample, number) for number, sample in enumerate(samples)]
        pairs = [
            (text, check_entities(_text_of(text), entities, self.labels, number))
            for number, (text, entities) in enumerate(pairs)
        ]
        rows, dropped = super().training_rows(pairs), []
        firsts = [(encoded, label) for encoded, label, window in rows if not window]
        for number, (encoded, label) in enumerate(firsts):
            found = dropped_entities(encoded.extra, label, self.nested, self.scheme != PLAIN)
            text = encoded.extra.text
            dropped += [(number, text[x.entity.start : x.entity.end], x) for x in found]
        return rows, LabelReport(sum(len(label) for _, label in pairs), dropped)

    def predict(
        self, samples: Iterable[Any], batch_size: int = 64, progress: bool | None = None
    ) -> list[Any]:
        self._answers.read_weights()
        return super().predict(samples, batch_size, progress)

    def condense(self, output: Any) -> Any:
        return self._answers.condense(output)

    def decode(self, outputs: Sequence[Any], encoded: Encoded) -> list[Entity]:
        tokens = encoded.extra
        found = []
        for (first, last, label), score in self._answers.answers(outputs, tokens):
            start, end = tokens.spans[first][0], tokens.spans[last - 1][1]
            found.append(Entity(start, end, label, tokens.text[start:end], score))
        return found

    def evaluate(self, samples: Iterable[Any], batch_size: int = 64) -> dict[str, float]:
        """Compute scores on labelled samples: `TaggedText`s, or pairs (text, entities).

        Entities with labels that the tagger does not know count as not found.
        """
        pairs = [labelled(sample, number) for number, sample in enumerate(samples)]
        pairs = [
            (text, check_entities(_text_of(text), entities, None, number))
            for number, (text, entities) in enumerate(pairs)
        ]
        return super().evaluate(pairs, batch_size)

    def exported_facts(self) -> dict[str, Any]:
        return {"head": self.head, **self._answers.stored()}

    def metrics(
        self, answers: Sequence[Sequence[Entity]], labels: Sequence[Any]
    ) -> dict[str, float]:
        """Compute F1, precision, recall of entities; mean F1 of the types; F1 of each type."""
        scores = entity_scores([[e.span for e in found] for found in answers], labels)
        named = {"f1": scores.micro.f1, "precision": scores.micro.precision}
        named |= {"recall": scores.micro.recall, "macro_f1": scores.macro_f1}
        return named | {f"f1_{label}": s.f1 for label, s in scores.types.items() if label}

    def report(self, answers: Sequence[Sequence[Entity]], labels: Sequence[Any]) -> Report:
        """Compute scores by type too."""
        return entity_report(self.metrics(answers, labels), answers, labels)

    def get_config(self) -> dict[str, Any]:
        config = {**super().get_config(), "labels": self.labels, "units": self.units}
        if self.tags is None:
            return config | {"nested": self.nested, "threshold": self.threshold}
        config["scheme"] = self.scheme
        if self.tags != tag_names(self.labels, self.scheme, self.outside):
            config["tags"] = self.tags
        return config

    @classmethod
    def from_huggingface(cls, directory: str | Path, units: str = "word", **options: Any) -> Tagger:
        """Read a fine-tuned checkpoint of transformers (`...ForTokenClassification`).

        Args:
            directory: a directory or `hf://org/name`.
            units: of the class; such models are usually trained on the first token of each word.
            **options: of `build_transformer_model`.
        """
        from .huggingface import load_tags

        parts, config = load_tags(directory, options)
        return cls(*parts, units, encoder_config=config)

    def save_huggingface(self, directory: str | Path) -> None:
        """Save a softmax tagger for transformers' class `...ForTokenClassification`.

        Args:
            directory: destination; replaced as a whole if it holds a checkpoint.

        Raises:
            TaskError: another head, no `encoder_config`, or a directory of something else.
        """
        from .huggingface import save_tags

        save_tags(self, directory)


def _distinct_labels(labels: Sequence[str]) -> list[str]:
    """Return the labels as a list.

    Raises:
        TaskError: no labels, a string instead of a list, or a duplicate.
    """
    if isinstance(labels, str) or not len(labels):
        raise TaskError(f"labels={labels!r} must be a list of the types of entities.")
    labels = [str(label) for label in labels]
    if len(set(labels)) != len(labels):
        raise TaskError(f"labels={labels} contain a duplicate.")
    return labels


def _check_scheme(scheme: str) -> str:
    """Return the scheme, once it is checked.

    Raises:
        TaskError: an unknown scheme; the message lists the known ones.
    """
    if scheme not in (*SCHEMES, PLAIN):
        raise TaskError(f"scheme={scheme!r} must be one of {', '.join((*SCHEMES, PLAIN))}.")
    return scheme


def labelled(sample: Any, number: int) -> tuple[Any, Any]:
    """Split the labelled sample of a number into the argument of `encode` and the entities."""
    if isinstance(sample, TaggedText):
        return sample, sample.entities
    if isinstance(sample, (tuple, list)) and len(sample) == 2 and isinstance(sample[1], Iterable):
        return sample[0], sample[1]
    raise TaskError(
        f"sample {number} is no TaggedText and no pair (text, [(start, end, label), ...]) but "
        f"{short_repr(sample)}. The list of a text without entities is empty."
    )


def _text_of(sample: str | TaggedText) -> str:
    """Return the text of an argument of `encode`."""
    return sample.text if isinstance(sample, TaggedText) else sample
