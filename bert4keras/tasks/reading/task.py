"""Extractive question answering over one or several passages."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import keras
import numpy as np

from ..._types import Shape, Tensor
from ...tokenizers.base import TokenizerBase
from ..base import Encoded, Task, TaskError, register_task
from ..huggingface import load_with_head, write_with_head
from ..report import Report
from .answers import PassageAnswers, aggregate_answers, read_answers, read_probabilities
from .building import build_reader, check_segments
from .dgcnn import DGCNN
from .labels import answer_texts, as_answers, as_question
from .matching import mark_matches, match_features, token_features
from .metrics import find_metric, no_answer_threshold, reading_report, webqa_normalize
from .samples import Answer, Question
from .span import SpanLoss
from .windows import PassageWindow, encode_passages

_READING_HEADS = ("span", "dgcnn")
_WITHOUT_ANSWER = 2  # maximum number of training windows without an answer, per passage
_VOTERS = 20  # answers per passage that take part in the vote


@register_task
class ExtractiveQA(Task):
    """Extractive question answering: find the answer in one or several passages, or none.

    A sample is (question, passage), (question, [passage, ...]) or a `Question`; a label is an
    `Answer`, a text, (text, start), a list of these, or None. Passages that do not fit into
    `maxlen` tokens are read in overlapping windows, each with the whole question. The score of an
    answer is its probability among all spans of its passage and "no answer". With several
    passages, these vote for the answer (`aggregate_answers`), and the score is that of the passage
    where the answer is most probable.

    Args:
        tokenizer, model, maxlen: of `Task`. The model's output is (B, T, 2), the scores of each
            token as first and as last token of the answer. Besides the inputs of an encoder the
            model may have `Question-Mask` and `Passage-Mask` (B, T), 1 for their tokens, and
            `Passage-Features` (B, T, 6), see `match_features`.
        head: "span": the outputs are scores without activation; "dgcnn": independent
            probabilities, like the output of the layer `DGCNN`.
        max_answer_length: maximum number of tokens of an answer.
        no_answer_threshold: minimum of p / (p + q) for an answer, with its probability p and that
            of "no answer" q; 0 always answers. `tune_no_answer_threshold` finds the best value.
        metric: metric of `evaluate`: "squad" (English), "cmrc2018" (Chinese) or "webqa".
        match_segments: mark tokens of the passage that occur in the question by segment ids 2 and
            3, see `mark_matches`. For an encoder with random weights and four segments.

    Raises:
        TaskError: options that do not fit each other or the model.

    Example:
        >>> qa = ExtractiveQA.build("bert")
        >>> qa.model.compile("adam", qa.loss)
        >>> qa.model.fit(qa.batches([(("Who came?", "Ann came."), "Ann")]))
        >>> qa(("Who came?", "Ann came."))
        Answer(text='Ann', start=0, end=3, score=0.93, passage=0)
    """

    architecture = "ForQuestionAnswering"
    extra_inputs: ClassVar[Mapping[str, float]] = {
        "Question-Mask": 0,
        "Passage-Mask": 0,
        "Passage-Features": 0.0,
    }

    def __init__(
        self,
        tokenizer: TokenizerBase,
        model: keras.Model,
        head: str = "span",
        max_answer_length: int = 30,
        no_answer_threshold: float = 0.5,
        metric: str = "squad",
        match_segments: bool = False,
        maxlen: int | None = None,
        encoder_config: Mapping[str, Any] | None = None,
    ):
        super().__init__(tokenizer, model, maxlen)
        self.encoder_config = encoder_config
        _check_options(head, max_answer_length, no_answer_threshold, metric)
        shape: Shape = getattr(model.output, "shape", ())
        if len(shape) != 3 or shape[-1] != 2:
            raise TaskError(f"the model's output has shape {tuple(shape)}; it must be (B, T, 2).")
        if match_segments:
            check_segments(model)
        self.head, self.max_answer_length = head, max_answer_length
        self.no_answer_threshold = float(no_answer_threshold)
        self.metric, self.match_segments = metric, match_segments

    @classmethod
    def build(
        cls,
        checkpoint: Any,
        head: str = "span",
        maxlen: int | None = None,
        max_answer_length: int = 30,
        no_answer_threshold: float = 0.5,
        metric: str = "squad",
        match_segments: bool = False,
        tokenizer: TokenizerBase | None = None,
        dropout: float = 0.1,
        units: int = 128,
        **options: Any,
    ) -> ExtractiveQA:
        """Put a new head on a pretrained encoder.

        Args:
            checkpoint: directory, `hf://org/name`, a named checkpoint, or a `Backbone`, which needs
                `tokenizer`. None, with head="dgcnn" and a `tokenizer`: no encoder, but learned
                embeddings of the tokens.
            head: "span", the head of the encoder's family in transformers; or "dgcnn", dilated
                gated convolutions on the encoder's output.
            maxlen, max_answer_length, no_answer_threshold, metric, match_segments: of the class.
            tokenizer: replaces the checkpoint's own.
            dropout: rate before the dense layer, or on the gates.
            units: width of the convolutions of "dgcnn", and of the embeddings without encoder.
            **options: of `build_transformer_model`.
        """
        _check_options(head, max_answer_length, no_answer_threshold, metric)
        built = build_reader(checkpoint, head, tokenizer, dropout, units, options)
        tokenizer, model, config = built
        return cls(
            tokenizer,
            model,
            head=head,
            max_answer_length=max_answer_length,
            no_answer_threshold=no_answer_threshold,
            metric=metric,
            match_segments=match_segments,
            maxlen=maxlen,
            encoder_config=config,
        )

    @property
    def loss(self) -> Callable[[Tensor, Tensor], Tensor]:
        """Loss of the head, for `model.compile`."""
        return SpanLoss() if self.head == "span" else DGCNN.loss

    @property
    def none_position(self) -> int | None:
        """Position of the token whose scores mean "no answer"; None if there is none.

        The first token of a causal encoder sees nothing of the text, so it cannot be used.
        """
        return 0 if self.head == "span" and not self.encoder.mask.is_causal else None

    def encode(self, sample: Any) -> Encoded:
        """Encode a question with its passages; `extra` has (passage, window) of each row."""
        question = as_question(sample)
        count = len(question.passages)
        try:
            windows = encode_passages(
                self.tokenizer,
                [question.text] * count,
                question.passages,
                self.maxlen,
                max(1, self.maxlen // 2),
                self.max_answer_length,
            )
        except ValueError as error:
            raise TaskError(f"the question {question.text!r:.60}: {error}") from None
        # A passage without tokens has no answer, so the model does not read it.
        parts = [(k, window) for k in range(count) for window in windows[k] if any(window.mask)]
        features = self._features(question)
        rows = [self._row(window, features[k]) for k, window in parts]
        return Encoded(sample, rows, [window.offsets for _, window in parts], parts)

    def _features(self, question: Question) -> list[Any]:
        """Return `match_features` of each passage; None for each if the model has no such input."""
        passages = question.passages
        if "Passage-Features" not in self.encoder.inputs:
            return [None] * len(passages)
        return [
            match_features(question.text, passage, [*passages[:k], *passages[k + 1 :]])
            for k, passage in enumerate(passages)
        ]

    def _row(self, window: PassageWindow, features: Any) -> tuple[Any, ...]:
        """Return the model inputs of a window."""
        segments = mark_matches(window) if self.match_segments else window.segment_ids
        return self.encoder.select(
            window.token_ids,
            segments,
            Question_Mask=window.question_mask,
            Passage_Mask=window.mask,
            Passage_Features=None if features is None else token_features(window, features),
        )

    def training_windows(self, label: Any, encoded: Encoded) -> Iterable[int]:
        """Return the windows with an answer, and at most two per passage without one.

        A sample whose answers occur in no passage is skipped.
        """
        answers = as_answers(label, as_question(encoded.sample))
        known = [answer for answer in answers if answer.start >= 0]
        if answers and not known:
            return []
        chosen = []
        parts = enumerate(encoded.extra)
        for _, group in itertools.groupby(parts, key=lambda part: part[1][0]):
            holds, without = [], []
            for index, (number, window) in group:
                found = _answer_tokens(known, number, window)
                (holds if found else without).append(index)
            if self.head == "span" and self.none_position is None:
                without = []  # there is no token to train for "no answer"
            step = max(1, len(without) // _WITHOUT_ANSWER)
            chosen += sorted([*holds, *without[::step][:_WITHOUT_ANSWER]])
        return chosen

    def encode_label(self, label: Any, encoded: Encoded, window: int = 0) -> np.ndarray:
        """Return labels (T, 2) of a window.

        They are 1 at the first and at the last token of an answer, 0 at other tokens that could be
        one, -1 elsewhere. "dgcnn" is trained on all answers, "span" on the first.
        """
        number, part = encoded.extra[window]
        known = as_answers(label, as_question(encoded.sample))
        found = _answer_tokens(known, number, part)
        values = np.full((len(part.token_ids), 2), -1, "int32")
        values[part.begin : part.end] = 0
        if self.none_position is not None:
            values[self.none_position] = 0
            found = found[:1] or [(self.none_position, self.none_position)]
        for first, last in found[:1] if self.head == "span" else found:
            values[first, 0] = values[last, 1] = 1
        return values

    def decode(self, outputs: Sequence[np.ndarray], encoded: Encoded) -> Answer:
        passages = self._read(outputs, encoded)
        ranked = self._rank(passages)
        if ranked:
            confidence = passages[ranked[0].passage].confidence_of(ranked[0])
            if confidence > self.no_answer_threshold or self.no_answer_threshold == 0:
                return ranked[0]
        return Answer("", 0, 0, min(found.no_answer for found in passages))

    def best(self, sample: Any, k: int = 5) -> list[Answer]:
        """Return the k best answers to a question, best first, ignoring the threshold."""
        if k < 1:
            raise TaskError(f"k={k} must be at least 1.")
        encoded = self.encode(sample)
        outputs = self._run(encoded.rows, 64, progress=False)
        return self._rank(self._read(outputs, encoded, max(k, _VOTERS)))[:k]

    def _read(
        self, outputs: Sequence[np.ndarray], encoded: Encoded, top: int = _VOTERS
    ) -> list[PassageAnswers]:
        """Decode the answers of each passage."""
        found = []
        for number, passage in enumerate(as_question(encoded.sample).passages):
            own = [i for i, (k, _) in enumerate(encoded.extra) if k == number]
            windows, scores = [encoded.extra[i][1] for i in own], [outputs[i] for i in own]
            how: dict[str, Any] = {"top": top, "number": number}
            how["max_length"] = self.max_answer_length
            if self.head == "span":
                how["none_position"] = self.none_position
            read = read_answers if self.head == "span" else read_probabilities
            found.append(read(passage, windows, scores, **how))
        return found

    def _rank(self, passages: Sequence[PassageAnswers]) -> list[Answer]:
        """Rank the answers, best first; several passages vote."""
        if len(passages) == 1:
            return passages[0].answers
        votes = aggregate_answers((found.answers for found in passages), webqa_normalize)
        return [answer for answer, _ in votes]

    def evaluate(
        self,
        samples: Iterable[tuple[Any, Any]],
        batch_size: int = 64,
        metric: str | None = None,
    ) -> dict[str, float]:
        """Compute F1 and exact match on labelled samples.

        Args:
            samples, batch_size: of `Task.evaluate`.
            metric: replaces the task's own.
        """
        samples = list(samples)
        if metric is None or not samples:
            return super().evaluate(samples, batch_size)
        answers = self.predict([sample for sample, _ in samples], batch_size)
        return self.metrics(answers, [label for _, label in samples], metric)

    def metrics(
        self, answers: Sequence[Answer], labels: Sequence[Any], metric: str | None = None
    ) -> dict[str, float]:
        """Compute F1, exact match ("em") and the further scores of the metric."""
        compute, _ = find_metric(metric or self.metric)
        texts = [answer.text for answer in answers]
        scores = compute(texts, [answer_texts(label) for label in labels])
        return {"f1": scores.pop("f1"), **scores}

    def report(self, answers: Sequence[Answer], labels: Sequence[Any]) -> Report:
        """Compute scores with and without an answer; wrong are answers without common text."""
        return reading_report(self.metrics(answers, labels), self.metric, answers, labels)

    def tune_no_answer_threshold(
        self, samples: Iterable[tuple[Any, Any]], batch_size: int = 64
    ) -> float:
        """Set `no_answer_threshold` to the value with the best F1 on samples, and return it."""
        samples = list(samples)
        if not samples:
            raise TaskError("tune_no_answer_threshold() got no samples; it needs at least one.")
        texts, confidences = self.best_answers([sample for sample, _ in samples], batch_size)
        references = [answer_texts(label) for _, label in samples]
        score = find_metric(self.metric)[1]
        found, _ = no_answer_threshold(confidences, texts, references, score)
        self.no_answer_threshold = float(np.clip(found, 0.0, 1.0))
        return self.no_answer_threshold

    def best_answers(
        self, samples: Iterable[Any], batch_size: int = 64
    ) -> tuple[list[str], list[float]]:
        """Return the best answer to each question, ignoring the threshold, and its confidence."""
        encoded = [self.encode(sample) for sample in samples]
        outputs = iter(self._run([row for one in encoded for row in one.rows], batch_size, None))
        confidences, texts = [], []
        for one in encoded:
            passages = self._read(list(itertools.islice(outputs, len(one.rows))), one)
            best = self._rank(passages)[:1]
            texts += [answer.text for answer in best] or [""]
            confidences += [passages[a.passage].confidence_of(a) for a in best] or [0.0]
        return texts, confidences

    def get_config(self) -> dict[str, Any]:
        names = ("head", "max_answer_length", "no_answer_threshold", "metric", "match_segments")
        return {**super().get_config(), **{name: getattr(self, name) for name in names}}

    @classmethod
    def from_huggingface(cls, directory: str | Path, **options: Any) -> ExtractiveQA:
        """Read a fine-tuned checkpoint of transformers (`...ForQuestionAnswering`).

        The task always answers, because the config does not tell the training data. If the model
        was trained on unanswerable questions (SQuAD 2.0), set `task.no_answer_threshold = 0.5`, or
        tune it.

        Args:
            directory: a directory, `hf://org/name` or a named checkpoint.
            **options: of `build_transformer_model`.
        """
        tokenizer, model, config = load_with_head(directory, "question", options)
        return cls(tokenizer, model, no_answer_threshold=0.0, encoder_config=config)

    def save_huggingface(self, directory: str | Path) -> None:
        """Save for transformers' class `...ForQuestionAnswering`.

        Args:
            directory: destination; replaced as a whole if it holds a checkpoint.

        Raises:
            TaskError: the head "dgcnn", no `encoder_config`, or a directory of something else.
        """
        if self.head != "span":
            raise TaskError(
                "this task cannot be saved for transformers: the head is DGCNN. Use a task that "
                'build(checkpoint, head="span") or from_huggingface made.'
            )
        write_with_head(self, "question", directory)


def _answer_tokens(
    answers: Sequence[Answer], number: int, window: PassageWindow
) -> list[tuple[int, int]]:
    """Return first and last token of each answer inside a window of passage `number`."""
    found = (window.locate(a.start, a.end) for a in answers if a.passage == number and a.start >= 0)
    return [span for span in found if span is not None]


def _check_options(
    head: str, max_answer_length: int, no_answer_threshold: float, metric: str
) -> None:
    if head not in _READING_HEADS:
        raise TaskError(f"head={head!r} must be one of {', '.join(_READING_HEADS)}.")
    if type(max_answer_length) is not int or max_answer_length < 1:
        raise TaskError(f"max_answer_length={max_answer_length!r} must be an integer, at least 1.")
    if not 0 <= no_answer_threshold <= 1:
        raise TaskError(f"no_answer_threshold={no_answer_threshold} must be from 0 to 1.")
    find_metric(metric)
