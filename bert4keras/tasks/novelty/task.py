"""Novelty detection: is a text like those that are known?"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np

from ..._structure import flatten
from ...data import DataGenerator
from ...models import Backbone
from ...tokenizers.base import TokenizerBase
from ..base import Encoded, Task, TaskError, all_samples, register_task
from ..classification import TextClassifier
from ..pretrained import locate
from ..similarity import SentenceEncoder
from ..similarity.arrays import read_arrays, save_arrays
from ..similarity.prompts import prompted_windows
from ..storage import load_task
from .answers import Novelty
from .calibration import Calibration, split_rows
from .methods import Encodings, make_method
from .metrics import novelty_scores

_FITTED = "calibration.npz"


@register_task
class NoveltyDetector(Task[Novelty]):
    """Detector of texts that are unlike the known ones: out-of-scope questions, other domains.

    `fit` learns from known texts only. A part of them is held out and sets the threshold, so that
    a known text is taken for foreign with a probability of at most `false_alarm_rate`.

    A text that is longer than `maxlen` tokens is read in windows, whose vectors are averaged.

    Args:
        tokenizer, model, maxlen: as in `Task`; the model's output is vectors (B, D), or vectors and
            the scores (B, C) of a classifier's labels.
        method: a name of `METHODS`: "neighbours", "mahalanobis" (better with labels, or with many
            texts), "softmax", "energy" or "lipschitz" (these need labels), or a density: "vae",
            "realnvp", "glow", "iresnet", "score" or "energy-gan".
        false_alarm_rate: share of known texts that may be taken for foreign. It can be changed at
            any time.
        method_options: options of the method, such as `{"k": 10}` or `{"dim": 32}`.
        labels: names of the labels; those of a classifier, or set by `fit`.
        prompt: text put before each text.
        lower_case: convert texts to lower case before tokenization.
        assets: directory of a saved detector.

    Raises:
        TaskError: options do not fit.

    Example:
        >>> detector = NoveltyDetector.build("minilm-l6").fit(known_texts)
        >>> detector("Who won the match?")
        Novelty(is_novel=True, score=0.81, threshold=0.47, p_value=0.004, label=None)
        >>> detector.evaluate(other_known_texts, foreign_texts)["auroc"]
        0.97
    """

    def __init__(
        self,
        tokenizer: TokenizerBase,
        model: keras.Model,
        method: str = "neighbours",
        false_alarm_rate: float = 0.05,
        method_options: Mapping[str, Any] | None = None,
        labels: Sequence[str] = (),
        prompt: str = "",
        lower_case: bool = False,
        maxlen: int | None = None,
        assets: Path | None = None,
    ):
        super().__init__(tokenizer, model, maxlen)
        shapes = [tuple(x.shape) for x in flatten(model.output)]
        self._has_scores = len(shapes) == 2
        if len(shapes) not in (1, 2) or any(len(shape) != 2 for shape in shapes):
            raise TaskError(
                f"the model's output must be vectors (B, D), or these and scores (B, C), not "
                f"{shapes}."
            )
        if self._has_scores and shapes[1][1] != len(labels):
            raise TaskError(f"the classifier scores {shapes[1][1]} labels, got {len(labels)}.")
        self.method, self.method_options = method, dict(method_options or {})
        self.labels, self.prompt, self.lower_case = [str(x) for x in labels], prompt, lower_case
        self.false_alarm_rate = false_alarm_rate
        self._method = make_method(method, self.method_options)
        self._calibration: Calibration | None = None
        if assets is not None:
            self._method.load(assets)
            held_out = read_arrays(assets / _FITTED, {"held_out": ("float64", 1)})["held_out"]
            self._calibration = Calibration(held_out)
            self._calibration.check(self.false_alarm_rate)

    @classmethod
    def build(
        cls,
        encoder: str | Path | Backbone | SentenceEncoder | TextClassifier,
        method: str = "neighbours",
        false_alarm_rate: float = 0.05,
        method_options: Mapping[str, Any] | None = None,
        pooling: str | Sequence[str] | None = None,
        maxlen: int | None = None,
        tokenizer: TokenizerBase | None = None,
        **options: Any,
    ) -> NoveltyDetector:
        """Build a detector on an encoder; `fit` comes next.

        Args:
            encoder: a `SentenceEncoder`; a `TextClassifier`, whose vector is the input of its last
                layer; the directory of either as saved; or what `SentenceEncoder.build` takes.
            method, false_alarm_rate, method_options: as in the class.
            pooling, tokenizer, **options: of `SentenceEncoder.build`.
            maxlen: as in the class; None: that of the encoder.
        """
        found: Any = encoder
        if isinstance(encoder, (str, Path)) and (locate(encoder) / "task.json").is_file():
            found = load_task(locate(encoder))
        elif not isinstance(encoder, Task):
            found = SentenceEncoder.build(
                encoder, pooling, maxlen=maxlen, tokenizer=tokenizer, **options
            )
        given: dict[str, Any] = {
            "method": method,
            "false_alarm_rate": false_alarm_rate,
            "method_options": method_options,
            "maxlen": maxlen or found.maxlen,
        }
        if isinstance(found, SentenceEncoder):
            given |= {"prompt": found.prompt_text(None), "lower_case": found.lower_case}
            return cls(found.tokenizer, found.model, **given)
        if not isinstance(found, TextClassifier):
            raise TaskError(
                f"a detector is built on a SentenceEncoder or a TextClassifier, not on a "
                f"{type(found).__name__}."
            )
        model, labels = _with_vectors(found)
        return cls(found.tokenizer, model, labels=labels, **given)

    @property
    def false_alarm_rate(self) -> float:
        """Share of known texts that may be taken for foreign."""
        return self._false_alarm_rate

    @false_alarm_rate.setter
    def false_alarm_rate(self, rate: float) -> None:
        if not 0 < rate < 1:
            raise TaskError(f"false_alarm_rate={rate} must lie between 0 and 1.")
        calibration = getattr(self, "_calibration", None)
        if calibration is not None:
            calibration.check(rate)
        self._false_alarm_rate = float(rate)

    @property
    def threshold(self) -> float:
        """The score above which a text is foreign."""
        return self._fitted.threshold(self.false_alarm_rate)

    @property
    def _fitted(self) -> Calibration:
        if self._calibration is None:
            raise TaskError(
                "this NoveltyDetector knows no texts yet: call fit(texts) with known texts first."
            )
        return self._calibration

    def fit(
        self,
        texts: Sequence[str],
        labels: Sequence[Any] | None = None,
        held_out: Sequence[str] | None = None,
        batch_size: int = 64,
        seed: int = 0,
    ) -> NoveltyDetector:
        """Learn the known texts, and set the threshold; the encoder is not changed.

        Args:
            texts: known texts.
            labels: a label for each; a classifier has its own labels, and needs none for "softmax"
                and "energy".
            held_out: known texts for the threshold; None: a fifth of `texts`, or more if
                `false_alarm_rate` needs more. Give some if the encoder was trained on `texts`: its
                vectors of new texts are others.
            batch_size: as in `predict`.
            seed: of the choice of texts that are held out.

        Raises:
            TaskError: too few texts or labels, or vectors that say nothing.
        """
        texts = list(texts)
        ids = self._label_ids(len(texts), labels)
        learnt, others = np.arange(len(texts)), np.arange(0)
        if held_out is None:
            learnt, others = split_rows(len(texts), ids, self.false_alarm_rate, seed)
        elif len(texts) < 2:
            raise TaskError(f"fit() got {len(texts)} texts; 2 are needed at least.")
        known = self._encodings(texts, batch_size)
        if np.ptp(known.vectors, axis=0).max() <= 1e-6 * np.abs(known.vectors).max():
            raise TaskError(
                f"the vectors of the {len(texts)} texts are all the same. Are the texts the same, "
                "or was the encoder never trained?"
            )
        method = make_method(self.method, self.method_options)
        method.fit(known[learnt], None if ids is None else ids[learnt])
        rest = known[others] if held_out is None else self._encodings(held_out, batch_size)
        calibration = Calibration(np.sort(method.score(rest))[::-1])
        calibration.check(self.false_alarm_rate)
        self._method, self._calibration = method, calibration
        return self

    def _label_ids(self, count: int, labels: Sequence[Any] | None) -> np.ndarray | None:
        """Return the index of each text's label; set `labels` unless a classifier has its own."""
        if labels is None:
            if self._method.needs_labels and not self._has_scores:
                raise TaskError(
                    f"method {self.method!r} compares labels: call fit(texts, labels), or build "
                    "the detector on a TextClassifier of one label a text."
                )
            return None
        names = [str(label) for label in labels]
        if len(names) != count:
            raise TaskError(f"fit() got {count} texts, but {len(names)} labels.")
        if not self._has_scores:
            self.labels = sorted(set(names))
        if self._method.needs_labels and len(self.labels) < 2:
            raise TaskError(
                f"method {self.method!r} compares labels, but all texts have the label "
                f"{self.labels[0]!r}. Use a method without labels, such as 'neighbours'."
            )
        known = {label: i for i, label in enumerate(self.labels)}
        if unknown := sorted(set(names) - set(known)):
            raise TaskError(f"the classifier has no label {unknown[0]!r}.")
        return np.array([known[name] for name in names], "int64")

    # From texts to answers

    def encode(self, sample: str) -> Encoded:
        if not isinstance(sample, str):
            raise TypeError(f"a text is encoded, not {type(sample).__name__}: {sample!r:.60}")
        text, prompt = (s.lower() if self.lower_case else s for s in (sample, self.prompt))
        windows = prompted_windows(self.tokenizer, text, prompt, self.maxlen, truncate=False)
        rows = [self.encoder.select(w.token_ids, w.segment_ids) for w in windows]
        return Encoded(sample, rows, extra=[max(1, w.end - w.begin) for w in windows])

    def _encodings(
        self, texts: Iterable[str], batch_size: int, progress: bool | None = None
    ) -> Encodings:
        """Return the vectors of texts, and their scores by a classifier."""
        encoded = [self.encode(text) for text in texts]
        outputs = iter(
            self._run([row for one in encoded for row in one.rows], batch_size, progress)
        )
        return self._joined(
            [self._mean(list(itertools.islice(outputs, len(one.rows))), one) for one in encoded]
        )

    def _mean(self, outputs: Sequence[Any], encoded: Encoded) -> np.ndarray:
        """Return the mean vector of the windows, followed by the mean scores of a classifier."""
        joined = [np.concatenate(flatten(one), dtype="float64") for one in outputs]
        mean = np.average(joined, axis=0, weights=encoded.extra)
        if not np.isfinite(mean).all():
            raise TaskError(f"the vector of {encoded.sample!r:.60} is not finite.")
        return mean.astype("float32")

    def _joined(self, means: Sequence[np.ndarray]) -> Encodings:
        size = self.model.outputs[0].shape[-1]
        rows = np.stack(means)
        return Encodings(rows[:, :size], rows[:, size:] if self._has_scores else None)

    def _answers(self, texts: Encodings) -> list[Novelty]:
        calibration, threshold = self._fitted, self.threshold
        scores = self._method.score(texts)
        nearest = self._method.nearest(texts) if self.labels else None
        labels = [None] * len(scores) if nearest is None else [self.labels[i] for i in nearest]
        p_values = calibration.p_values(scores).tolist()
        return [
            Novelty(score > threshold, score, threshold, p, label)
            for score, p, label in zip(scores.tolist(), p_values, labels, strict=True)
        ]

    def decode(self, outputs: Sequence[Any], encoded: Encoded) -> Novelty:
        return self._answers(self._joined([self._mean(outputs, encoded)]))[0]

    def predict(
        self, samples: Iterable[str], batch_size: int = 64, progress: bool | None = None
    ) -> list[Novelty]:
        """Answer many texts, in their order.

        Args:
            samples, batch_size, progress: as in `Task.predict`.
        """
        self._fitted  # noqa: B018  # raises before the encoder runs
        texts = list(all_samples(samples))
        return self._answers(self._encodings(texts, batch_size, progress)) if texts else []

    def evaluate(  # type: ignore[override]  # two lists in place of labelled samples
        self, known: Sequence[str], foreign: Sequence[str], batch_size: int = 64
    ) -> dict[str, float]:
        """Return "auroc", "aupr", "fpr95", and the rates at the threshold.

        Args:
            known: known texts that `fit` has not seen.
            foreign: others.
            batch_size: as in `predict`.
        """
        answers = self.predict([*known, *foreign], batch_size)
        return self.metrics(answers, [False] * len(known) + [True] * len(foreign))

    def metrics(self, answers: Sequence[Novelty], labels: Sequence[bool]) -> dict[str, float]:
        """Return the scores of `evaluate`; a label is True for a foreign text."""
        known, foreign = (
            [one for one, label in zip(answers, labels, strict=True) if bool(label) is kind]
            for kind in (False, True)
        )
        scores = novelty_scores([one.score for one in known], [one.score for one in foreign])
        rates = [float(np.mean([one.is_novel for one in some])) for some in (known, foreign)]
        return {**scores, "false_alarm_rate": rates[0], "recall": rates[1]}

    def batches(self, *args: Any, **options: Any) -> DataGenerator:
        """Raise: a detector has no training batches."""
        raise TaskError(
            "a NoveltyDetector learns by fit(texts). Its encoder is trained as a TextClassifier or "
            "SentenceEncoder, before the detector is built on it."
        )

    # Files

    def exported_models(self) -> dict[str, keras.Model]:
        if hasattr(self._method, "model"):
            raise TaskError(
                f"method {self.method!r} runs a second model, which is not exported. Build the "
                "detector with a method that compares vectors, such as 'neighbours'."
            )
        return super().exported_models()

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "method": self.method,
            "false_alarm_rate": self.false_alarm_rate,
            "method_options": self.method_options,
            "labels": self.labels,
            "prompt": self.prompt,
            "lower_case": self.lower_case,
        }

    def save_assets(self, directory: Path) -> None:
        """Write what `fit` learnt; a detector that was not fitted is saved without."""
        if self._calibration is not None:
            self._method.save(directory)
            save_arrays(directory / _FITTED, {"held_out": self._calibration.held_out})

    @classmethod
    def load_assets(cls, directory: Path) -> dict[str, Any]:
        return {"assets": directory} if (directory / _FITTED).is_file() else {}


def _with_vectors(classifier: TextClassifier) -> tuple[keras.Model, list[str]]:
    """Return a model of a classifier's vectors and scores, and its labels.

    Of a classifier with several labels a text, or of a regression, only the vectors are read.
    """
    model = classifier.model
    last = model.layers[-1]
    vectors = last.input
    if isinstance(vectors, (list, tuple)) or len(vectors.shape) != 2:
        raise TaskError(
            f"the last layer of the classifier, {last.name}, does not read one vector a text. "
            "Build the detector on a SentenceEncoder instead."
        )
    if classifier.problem != "single_label":
        return keras.Model(model.inputs, vectors, name=model.name), []
    return keras.Model(model.inputs, [vectors, model.output], name=model.name), classifier.labels
