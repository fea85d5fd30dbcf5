"""Classification and regression of texts and pairs of texts."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np

from ...losses import multilabel_categorical_crossentropy
from ...tokenizers.base import TokenizerBase
from ..base import Encoded, Task, TaskError, answers_by_label, register_task
from ..report import Report, ranked
from ..windows import text_windows
from .metrics import (
    classification_scores,
    label_confusion,
    label_scores,
    multi_label_scores,
    regression_scores,
)
from .readers import PROBLEMS

_UNLABELLED = -1  # class of a text without a label, on which only `VAT` trains


@dataclasses.dataclass(frozen=True, repr=False)
class Classification:
    """The answer of a `TextClassifier`.

    Its repr has the label and its score, its str the three labels of the highest scores.

    Attributes:
        label: the label; a tuple of labels (multi-label); a number (regression).
        score: probability of the label, of the least probable of several, or of there being no
            label; None for a number.
        scores: probability of every label; empty for a number.
    """

    label: str | tuple[str, ...] | float
    score: float | None
    scores: dict[str, float]

    def __repr__(self) -> str:
        if self.score is None:
            return f"Classification(label={self.label:.4g})"
        return f"Classification(label={self.label!r}, score={self.score:.4g})"

    def __str__(self) -> str:
        return answers_by_label(self.scores) if self.scores else f"{self.label:.4f}"


@register_task
class TextClassifier(Task[Classification]):
    """Classifier of a text or a pair of texts.

    A text that is longer than `maxlen` tokens is read in windows. The probabilities of their
    labels are averaged, weighted by the tokens of the window (single label, regression), or the
    highest one counts (multi-label: a label holds for the text if it holds for a part of it).

    Args:
        tokenizer, model, maxlen, encoder_config: of `Task`; the model's output are scores (B, C)
            without activation (single and multi-label), or (B, 1).
        labels: names of the C labels; empty for regression.
        problem: "single_label", "multi_label" (trained with ZLPR; a label holds if its score is
            above 0, that is its probability above 0.5) or "regression".

    Raises:
        TaskError: labels that do not fit the model's output.

    Example:
        >>> task = TextClassifier.build("bert", labels=["negative", "positive"])
        >>> task.model.compile("adam", task.loss)
        >>> task.model.fit(task.batches([("Very good.", "positive"), ("Bad.", "negative")]))
        >>> task("Not good.")
        Classification(label='negative', score=0.93)
    """

    architecture = "ForSequenceClassification"

    def __init__(
        self,
        tokenizer: TokenizerBase,
        model: keras.Model,
        labels: Sequence[str] = (),
        problem: str = "single_label",
        maxlen: int | None = None,
        encoder_config: Mapping[str, Any] | None = None,
    ):
        super().__init__(tokenizer, model, maxlen)
        self.encoder_config = encoder_config
        if problem not in PROBLEMS:
            raise TaskError(f"problem={problem!r} must be one of {', '.join(PROBLEMS)}.")
        labels = [str(label) for label in labels]
        width = model.output.shape[-1]
        if len(model.output.shape) != 2 or width != (len(labels) or 1):
            raise TaskError(
                f"the model's output has shape {tuple(model.output.shape)}; for "
                f"{len(labels)} labels it must be (B, {len(labels) or 1})."
            )
        if (problem == "regression") != (not labels):
            raise TaskError(f"problem={problem!r} with {len(labels)} labels: regression has none.")
        if len(set(labels)) != len(labels):
            raise TaskError(f"two of the labels are the same: {labels}.")
        self.labels, self.problem = labels, problem
        self._ids = {label: i for i, label in enumerate(labels)}

    @classmethod
    def build(
        cls,
        checkpoint: Any,
        labels: Sequence[str] = (),
        problem: str | None = None,
        maxlen: int | None = None,
        tokenizer: TokenizerBase | None = None,
        dropout: float = 0.1,
        **options: Any,
    ) -> TextClassifier:
        """Put a new classifier on a pretrained encoder, the one its family has in transformers.

        Args:
            checkpoint: directory, `hf://org/name`, or a `Backbone`, for which `tokenizer` is given.
            labels: names of the labels; none for regression.
            problem: as in the class; None: "single_label", or "regression" without labels.
            maxlen: as in `Task`.
            tokenizer: in place of the checkpoint's own.
            dropout: rate before the dense layers.
            **options: of `build_transformer_model`.
        """
        from ..huggingface import build_with_head

        problem = problem or ("single_label" if labels else "regression")
        tokenizer, model, config = build_with_head(
            checkpoint, "sequence", len(labels) or 1, dropout, tokenizer, options
        )
        return cls(tokenizer, model, labels, problem, maxlen, config)

    @property
    def loss(self) -> Any:
        """The loss of the problem, for `model.compile`."""
        if self.problem == "single_label":
            return keras.losses.SparseCategoricalCrossentropy(
                from_logits=True, ignore_class=_UNLABELLED
            )
        if self.problem == "multi_label":
            return multilabel_categorical_crossentropy
        return keras.losses.MeanSquaredError()

    def encode(self, sample: str | tuple[str, str]) -> Encoded:
        """Encode a text, or a pair of texts given as a tuple."""
        first, second = sample if isinstance(sample, (tuple, list)) else (sample, None)
        windows = text_windows(self.tokenizer, first, second, self.maxlen)
        rows = [self.encoder.select(w.token_ids, w.segment_ids) for w in windows]
        return Encoded(sample, rows)

    def encode_label(self, label: Any, encoded: Encoded, window: int = 0) -> Any:
        """Encode a label. A single label may be None: the text counts for `VAT` only."""
        if self.problem == "regression":
            return np.array([float(label)], "float32")
        if self.problem == "single_label":
            return np.array(_UNLABELLED if label is None else self._label_id(label), "int32")
        names = [label] if isinstance(label, str) else label
        values = np.zeros(len(self.labels), "float32")
        values[[self._label_id(name) for name in names]] = 1
        return values

    def _label_id(self, label: Any) -> int:
        if str(label) not in self._ids:
            known = ", ".join(self.labels[:20]) + (", ..." if len(self.labels) > 20 else "")
            raise TaskError(f"there is no label {label!r}; the labels are {known}.")
        return self._ids[str(label)]

    def decode(self, outputs: Sequence[np.ndarray], encoded: Encoded) -> Classification:
        scores = np.stack(outputs).astype("float64")
        weights = np.array([len(row[0]) for row in encoded.rows], "float64")
        if not np.isfinite(scores).all():
            raise TaskError(f"the model gives {scores} for {encoded.sample!r:.60}: no number.")
        if self.problem == "regression":
            return Classification(float(np.average(scores[:, 0], weights=weights)), None, {})
        if self.problem == "single_label":
            exponents = np.exp(scores - scores.max(axis=1, keepdims=True))
            each = exponents / exponents.sum(axis=1, keepdims=True)
            probabilities = np.average(each, axis=0, weights=weights)
        else:
            probabilities = (0.5 * (1 + np.tanh(scores / 2))).max(axis=0)  # the sigmoid
        named = dict(zip(self.labels, probabilities.tolist(), strict=True))
        if self.problem == "single_label":
            best = self.labels[int(probabilities.argmax())]
            return Classification(best, named[best], named)
        chosen = tuple(label for label in self.labels if named[label] > 0.5)
        score = min(named[x] for x in chosen) if chosen else 1 - max(named.values())
        return Classification(chosen, score, named)

    def metrics(self, answers: Sequence[Classification], labels: Sequence[Any]) -> dict[str, float]:
        """Return accuracy and macro F1; micro F1 and exact match; or Spearman and squared error."""
        if None in labels:
            raise TaskError("a sample without a label (None) cannot be evaluated.")
        found: list[Any] = [answer.label for answer in answers]
        if self.problem == "regression":
            return regression_scores(found, [float(label) for label in labels])
        if self.problem == "multi_label":
            return multi_label_scores(found, [_label_list(label) for label in labels])
        return classification_scores(found, [str(label) for label in labels])

    def report(self, answers: Sequence[Classification], labels: Sequence[Any]) -> Report:
        """Return scores by label too; of numbers, the wrong answers are all that differ."""
        scores, given = self.metrics(answers, labels), [answer.label for answer in answers]
        if self.problem == "regression":
            gaps = np.abs(np.asarray(given, float) - np.asarray(labels, float))
            return Report(scores, wrong=ranked(dict(enumerate(gaps.tolist()))))
        found, wanted = ([set(_label_list(x)) for x in some] for some in (given, labels))
        wrong = {
            i: max((answers[i].scores[name] for name in ours - theirs), default=0.0)
            for i, (ours, theirs) in enumerate(zip(found, wanted, strict=True))
            if ours != theirs
        }
        return Report(
            scores, label_scores(found, wanted), label_confusion(found, wanted), ranked(wrong)
        )

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "labels": self.labels, "problem": self.problem}

    @classmethod
    def from_huggingface(cls, directory: str | Path, **options: Any) -> TextClassifier:
        """Read a fine-tuned checkpoint of transformers (`...ForSequenceClassification`)."""
        from ..huggingface import load_with_head

        tokenizer, model, config = load_with_head(directory, "sequence", options)
        return cls(tokenizer, model, *_problem_of(config), encoder_config=config)

    def save_huggingface(self, directory: str | Path) -> None:
        """Save for transformers' class `...ForSequenceClassification`.

        Args:
            directory: destination; replaced as a whole if it holds a checkpoint.

        Raises:
            TaskError: no `encoder_config`, or a directory of something else.
        """
        from ..huggingface import label_config, write_with_head

        problem = self.problem if self.problem == "regression" else f"{self.problem}_classification"
        labels = label_config(self.labels or ["LABEL_0"])
        write_with_head(self, "sequence", directory, {**labels, "problem_type": problem})


def _label_list(label: Any) -> list[str]:
    """Return the names of a label: one, or those of a list."""
    return [str(x) for x in (label if isinstance(label, (list, tuple, set)) else [label])]


def _problem_of(config: dict[str, Any]) -> tuple[list[str], str]:
    """Return labels and kind of problem of a config of transformers."""
    names = {int(i): str(name) for i, name in (config.get("id2label") or {}).items()}
    labels = [names[i] for i in sorted(names)]
    problem = config.get("problem_type") or (
        "regression" if len(labels) == 1 else "single_label_classification"
    )
    problem = problem.removesuffix("_classification")
    return ([] if problem == "regression" else labels), problem
