"""Base of all tasks: from texts to batches, through the model, and back to answers.

A task is a tokenizer, a plain functional `keras.Model`, and two methods, `encode` and `decode`. It
is no trainer: `task.model.compile` and `task.model.fit` are Keras' own.
"""

from __future__ import annotations

import dataclasses
import itertools
import json
import operator
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Generic, TypeVar, overload

import keras
import numpy as np
from tqdm import tqdm

from .._compat import split_over_devices
from .._structure import map_structure
from ..data import DataGenerator
from ..tokenizers.base import TokenizerBase
from .encoder import EncoderFacts, check_agreement
from .report import Report
from .samples import TaskError as TaskError
from .samples import all_samples as all_samples
from .samples import pairs_of as pairs_of

if TYPE_CHECKING:
    from typing_extensions import Self

    from .parity import ParityReport

_AnswerT = TypeVar("_AnswerT")

PROGRESS_BATCHES = 5  # number of batches from which `predict` shows a progress bar
TASKS: dict[str, type[Task]] = {}
"""Name of a task -> its class, as `register_task` filled it."""


@dataclasses.dataclass(frozen=True)
class Encoded:
    """A sample on its way through the model.

    Attributes:
        sample: sample as given by the caller.
        rows: for each window a tuple of the model's inputs in their order; the first are token ids.
        offsets: for each window (start, end) of each token in characters of the text; empty if the
            task's answers have no offsets.
        extra: further values that `decode` and `encode_label` need.
    """

    sample: Any
    rows: Sequence[tuple[Any, ...]]
    offsets: Sequence[Sequence[tuple[int, int]]] = ()
    extra: Any = None


def register_task(cls: type[Task]) -> type[Task]:
    """Register a `Task` with `load` under its class name; a class decorator."""
    TASKS[cls.__name__] = cls
    return cls


class Task(Generic[_AnswerT]):
    """A tokenizer and a model that answer questions about texts.

    A subclass names the type of its answers, as in `class TextClassifier(Task[Classification])`,
    and overrides `encode` and `decode`, for training `loss` and `encode_label`, for `evaluate`
    `metrics`. It adds its options to `get_config` and is registered by `@register_task`. Example:
    docs/extending.md.

    Args:
        tokenizer: tokenizer of the encoder in the model.
        model: functional model from the encoder's inputs to scores.
        maxlen: largest number of tokens of a row, special tokens included; None takes what the
            encoder allows, at most 512. Longer texts are read in windows of that size.

    Attributes:
        tokenizer, model, maxlen: as given.
        encoder_config: config of the encoder with the keys of transformers, for `save_huggingface`.
        encoder: `EncoderFacts` of the model; `encoder.select(token_ids, segment_ids)` makes a row.
        loss: loss for `model.compile`.
    """

    loss: ClassVar[Any] = None
    # Ending, or endings, of the class names of transformers whose checkpoints it reads.
    architecture: ClassVar[str | tuple[str, ...] | None] = None
    # Padding value of each model input that no tokenizer gives, by name; None: the padding token.
    extra_inputs: ClassVar[Mapping[str, float | None]] = {}
    not_exported: ClassVar[str] = ""  # why `export` refuses the task, as a clause
    # Options that are too long for `repr` and the model card.
    hidden_options: ClassVar[frozenset[str]] = frozenset({"encoder_config"})
    encoder_config: Mapping[str, Any] | None = None

    def __init__(self, tokenizer: TokenizerBase, model: keras.Model, maxlen: int | None = None):
        self.tokenizer, self.model = tokenizer, model
        self.encoder = self.read_encoder(model)
        check_agreement(tokenizer, model)
        longest = self.encoder.max_length
        if maxlen is None:
            maxlen = min(longest or 512, 512)
        elif longest is not None and maxlen > longest:
            raise TaskError(f"maxlen={maxlen} is more than the {longest} positions of the encoder.")
        if maxlen < 8:
            raise TaskError(f"maxlen={maxlen} leaves no room for a text; it must be at least 8.")
        self.maxlen = maxlen

    # Methods that a subclass overrides

    def encode(self, sample: Any) -> Encoded:
        """Turn a sample, usually a text, into inputs of the model."""
        raise NotImplementedError(f"{type(self).__name__} must override `encode`.")

    def encode_label(self, label: Any, encoded: Encoded, window: int = 0) -> Any:
        """Turn the label of a training sample into the loss's label for one of its windows.

        `fit` calls it when a row is first used; what `training_windows` checks, `batches` raises.
        """
        raise NotImplementedError(f"{type(self).__name__} must override `encode_label`.")

    def training_windows(self, label: Any, encoded: Encoded) -> Iterable[int]:
        """Return the indices of the windows to train on; without an override, the first one."""
        return [0]

    def training_row(
        self, encoded: Encoded, label: Any, window: int
    ) -> tuple[tuple[Any, ...], Any]:
        """Return inputs and label of a window; override it if the label is part of the inputs."""
        return encoded.rows[window], self.encode_label(label, encoded, window)

    def run(self, inputs: Any) -> Any:
        """Run the model on a batch; return its outputs, (B, ...) each.

        Override it if the outputs of all windows are too large to be kept, or for several runs.
        """
        if isinstance(self.model, keras.Model):  # and not an export, which runs without Keras
            inputs = split_over_devices(inputs)
        return self.model.predict_on_batch(inputs)

    def condense(self, output: Any) -> Any:
        """Reduce the model's output for one window to what `decode` needs; by default keep it all.

        `predict` holds the results for all samples, so a large output should be reduced here.
        """
        return output

    def decode(self, outputs: Sequence[Any], encoded: Encoded) -> _AnswerT:
        """Turn the model's outputs for the windows of a sample into an answer.

        Args:
            outputs: for each window the result of `condense`: by default the model's output without
                the batch axis. An output per token has rows of padding at its end.
            encoded: result of `encode` for the sample.
        """
        raise NotImplementedError(f"{type(self).__name__} must override `decode`.")

    def metrics(self, answers: Sequence[_AnswerT], labels: Sequence[Any]) -> dict[str, float]:
        """Return scores of answers against labels, by name; the first is the main score."""
        raise NotImplementedError(f"{type(self).__name__} must override `metrics`.")

    def report(self, answers: Sequence[_AnswerT], labels: Sequence[Any]) -> Report:
        """Return scores in detail; override it if there is more than `metrics`."""
        return Report(self.metrics(answers, labels))

    def get_config(self) -> dict[str, Any]:
        """Return the options of `__init__` besides tokenizer and model, as plain JSON values."""
        config = {"encoder_config": self.encoder_config} if self.encoder_config else {}
        return {"maxlen": self.maxlen, **config}

    def read_encoder(self, model: keras.Model) -> EncoderFacts:
        """Return facts about the encoder; override it for an encoder of another library."""
        return EncoderFacts.of(model, self.extra_inputs)

    def save_assets(self, directory: Path) -> None:
        """Write further files of the task, such as an index, into the directory being saved."""

    @classmethod
    def load_assets(cls, directory: Path) -> dict[str, Any]:
        """Read the files of `save_assets`; return further arguments of `__init__`, by name."""
        return {}

    def exported_models(self) -> dict[str, keras.Model]:
        """Return the models that `run` runs, by name, for `export`; the main one is "model"."""
        return {"model": self.model}

    def exported_facts(self) -> dict[str, Any]:
        """Return what `decode` asks of the model's layers, which an export does not have.

        JSON values and arrays, by name; a task reads them from `model.facts`.
        """
        return {}

    # Methods for users

    @overload
    def __call__(self, samples: list[Any]) -> list[_AnswerT]: ...

    @overload
    def __call__(self, samples: Any) -> _AnswerT: ...

    def __call__(self, samples: Any) -> _AnswerT | list[_AnswerT]:
        """Answer one sample, or a list of them."""
        if isinstance(samples, list):
            return self.predict(samples)
        return self.predict([samples])[0]

    def predict(
        self, samples: Iterable[Any], batch_size: int = 64, progress: bool | None = None
    ) -> list[_AnswerT]:
        """Answer many samples, in their order.

        Args:
            samples: texts, or other samples that `encode` takes.
            batch_size: number of rows per batch; rows of similar length share a batch.
            progress: show a progress bar on stderr; None: only for long work on a terminal.
        """
        encoded = [self.encode(sample) for sample in all_samples(samples)]
        rows = [row for one in encoded for row in one.rows]
        outputs = iter(self._run(rows, batch_size, progress))
        return [self.decode(list(itertools.islice(outputs, len(one.rows))), one) for one in encoded]

    def stream(self, samples: Iterable[Any], batch_size: int = 64) -> Iterator[_AnswerT]:
        """Answer the samples of an iterable one after another, reading 16 batches ahead."""
        samples = iter(all_samples(samples))
        while part := list(itertools.islice(samples, 16 * batch_size)):
            yield from self.predict(part, batch_size, progress=False)

    def evaluate(
        self, samples: Iterable[tuple[Any, Any]], batch_size: int = 64
    ) -> dict[str, float]:
        """Return the scores of `metrics` on labelled samples.

        Args:
            samples: pairs (sample, label).
            batch_size: as in `predict`.
        """
        samples = list(pairs_of(samples))
        if not samples:
            raise TaskError("evaluate() got no samples: give pairs (sample, label).")
        answers = self.predict([sample for sample, _ in samples], batch_size)
        return self.metrics(answers, [label for _, label in samples])

    def batches(
        self,
        samples: Sequence[tuple[Any, Any]],
        batch_size: int = 32,
        shuffle: bool = False,
        seed: int = 0,
        **options: Any,
    ) -> DataGenerator:
        """Return batches for `model.fit`.

        Args:
            samples: pairs (sample, label). They are tokenized once.
            batch_size, shuffle, seed, **options: of `DataGenerator`.
        """
        rows = self.training_rows(samples)

        def row(part: tuple[Encoded, Any, int]) -> tuple[Any, Any]:
            inputs, label = self.training_row(*part)
            return self._structured([np.asarray(values) for values in inputs]), label

        return DataGenerator(
            rows,
            batch_size,
            encode=row,
            shuffle=shuffle,
            seed=seed,
            pad_value=self.encoder.padding,
            **options,
        )

    def training_rows(self, samples: Iterable[Any]) -> list[tuple[Encoded, Any, int]]:
        """Return (encoded, label, window) of each window to train on."""
        rows = []
        for sample, label in pairs_of(samples):
            encoded = self.encode(sample)
            rows += [(encoded, label, window) for window in self.training_windows(label, encoded)]
        return rows

    def save(self, directory: str | Path, card: str | None = None) -> None:
        """Write tokenizer, model and options into one directory; see `bert4keras.tasks.storage`.

        Args:
            directory: destination; replaced as a whole if it already holds a task.
            card: text of its README.md, in place of the default one.
        """
        from .storage import save_task

        save_task(self, directory, card)

    def export(
        self,
        directory: str | Path,
        format: str = "openvino",
        precision: str = "float32",
        samples: Iterable[tuple[Any, Any]] = (),
        calibration: Iterable[Any] = (),
    ) -> ParityReport:
        """Write the task so that it runs without Keras; see `tasks.exporting.export_task`."""
        from .exporting import export_task

        return export_task(self, directory, format, precision, samples, calibration)

    @classmethod
    def from_huggingface(cls, directory: str | Path) -> Self:
        """Read a fine-tuned checkpoint of transformers whose class name ends in `architecture`."""
        raise NotImplementedError(f"{cls.__name__} must override `from_huggingface`.")

    @classmethod
    def reads(cls, directory: Path, config: Mapping[str, Any]) -> int:
        """Return how well a directory of the hub fits this task.

        Args:
            directory: the directory.
            config: its config.json.

        Returns:
            0: it does not; 1: its class name in transformers fits; 2: it has files or options of
            this task only.
        """
        named = config.get("architectures") or []
        ending = cls.architecture
        return int(ending is not None and any(str(name).endswith(ending) for name in named))

    @classmethod
    def load(cls, directory: str | Path) -> Self:
        """Load a saved task or a checkpoint of the hub; the result must be of this class."""
        from .storage import load_task

        task = load_task(directory, cls if cls is not Task else None)
        if not isinstance(task, cls):
            raise TaskError(f"{directory} holds a {type(task).__name__}, not a {cls.__name__}.")
        return task

    def __repr__(self) -> str:
        shown = {k: v for k, v in self.get_config().items() if k not in self.hidden_options}
        options = json.dumps(shown, ensure_ascii=False, default=str)
        names = type(self).__name__, type(self.tokenizer).__name__
        return f"{names[0]}({names[1]}, {self.model.name}, {options})"

    # Running the model

    def _run(
        self,
        rows: Sequence[tuple],
        batch_size: int,
        progress: bool | None,
        keep: Callable[[Any, int], Any] | None = None,
    ) -> list[Any]:
        """Return the model's outputs for each row, in their order.

        Args:
            rows, batch_size, progress: as in `predict`.
            keep: function (outputs of a row, its index) -> what is kept of them; None: `condense`.
        """
        if batch_size < 1:
            raise TaskError(f"batch_size={batch_size} must be at least 1.")
        results: list[Any] = [None] * len(rows)
        parts = list(self._parts(rows, batch_size))
        hidden: bool | None = not progress
        if progress is None and len(parts) >= PROGRESS_BATCHES:
            hidden = None  # tqdm then checks whether stderr is a terminal
        for part in tqdm(parts, disable=hidden, unit="batch", leave=False):
            # The number of rows is rounded up to a power of two, so that few shapes are compiled.
            filled = 1 << (len(part) - 1).bit_length()
            chosen = [rows[i] for i in (*part, *part[-1:] * (filled - len(part)))]
            outputs = self.run(self._structured(self.encoder.batch(chosen)))
            outputs = map_structure(np.asarray, outputs)
            for place, i in enumerate(part):
                one = map_structure(operator.itemgetter(place), outputs)
                results[i] = self.condense(one) if keep is None else keep(one, i)
        return results

    def _parts(self, rows: Sequence[tuple], batch_size: int) -> Iterator[list[int]]:
        """Yield the indices of the rows of each batch: rows of similar length.

        Rows of an encoder without a padding id must have equal length.
        """
        order = sorted(range(len(rows)), key=lambda i: len(rows[i][0]))
        if self.encoder.pad_token_id is not None:
            yield from (order[i : i + batch_size] for i in range(0, len(order), batch_size))
            return
        for _, group in itertools.groupby(order, key=lambda i: len(rows[i][0])):
            same = list(group)
            yield from (same[i : i + batch_size] for i in range(0, len(same), batch_size))

    def _structured(self, inputs: Sequence[Any]) -> Any:
        """Return inputs in the structure that the model takes: a list, or the only one."""
        return list(inputs) if isinstance(self.model.input, (list, tuple)) else inputs[0]


def answers_by_label(scores: Mapping[str, float], most: int = 3) -> str:
    """Format the `most` labels of the highest scores: `label 0.980, other 0.020`."""
    ranked = sorted(scores.items(), key=lambda item: -item[1])
    shown = ", ".join(f"{label} {score:.3f}" for label, score in ranked[:most])
    return shown + (", ..." if len(ranked) > most else "")
