"""Base of all tasks: from texts to batches, through the model, and back to answers.

A task is a tokenizer, a plain functional `keras.Model`, and two functions of its own, `encode` and
`decode`. It is no trainer: `task.model.compile` and `task.model.fit` are Keras' own.
"""

from __future__ import annotations

import dataclasses
import itertools
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import keras
import numpy as np
from tqdm import tqdm

from ..data import DataGenerator
from ..tokenizers.base import TokenizerBase
from .encoder import EncoderFacts, check_agreement

LONG = 5  # batches from which `predict` shows a progress bar by itself
TASKS: dict[str, type[Task]] = {}


class TaskError(ValueError):
    """A task that cannot be built, saved, loaded or called; the message names the way out."""


@dataclasses.dataclass(frozen=True)
class Encoded:
    """A sample on its way through the model.

    Attributes:
        sample: what the caller gave.
        rows: inputs of the model by window, each a tuple in the order of the model's inputs; the
            first one are token ids.
        offsets: by window, (start, end) of each token in characters of the text; empty where the
            task's answers have no offsets.
        extra: whatever else `encode` wants `decode` and `encode_label` to know.
    """

    sample: Any
    rows: Sequence[tuple[list[int], ...]]
    offsets: Sequence[Sequence[tuple[int, int]]] = ()
    extra: Any = None


def register_task(cls: type[Task]) -> type[Task]:
    """Class decorator: make a `Task` known to `load` under its class name."""
    TASKS[cls.__name__] = cls
    return cls


class Task:
    """A tokenizer and a model that answer questions about texts.

    A subclass overrides `encode`, `decode` and `metrics`, adds its options to `get_config`, and is
    registered by `@register_task`.

    Args:
        tokenizer: of the encoder in the model.
        model: functional model from the encoder's inputs to scores.
        maxlen: tokens of a row, special tokens included; None takes what the encoder allows,
            512 at most. Longer texts are read in windows of that size.

    Attributes:
        tokenizer, model, maxlen: as given.
        encoder: `EncoderFacts` of the model.
        loss: what `model.compile` takes as loss.
    """

    loss: ClassVar[Any] = None
    # Ending, or endings, of the classes of transformers that it reads.
    architecture: ClassVar[str | tuple[str, ...] | None] = None
    # Inputs of the model besides those of a tokenizer: padding value by name of the input; None:
    # the padding token.
    extra_inputs: ClassVar[Mapping[str, float | None]] = {}
    # Options that are too long for `repr` and the model card.
    hidden_options: ClassVar[frozenset[str]] = frozenset({"encoder_config"})

    def __init__(self, tokenizer: TokenizerBase, model: keras.Model, maxlen: int | None = None):
        self.tokenizer, self.model = tokenizer, model
        self.encoder = self.read_encoder(model)
        check_agreement(tokenizer, model, self.encoder)
        longest = self.encoder.max_length
        if maxlen is None:
            maxlen = min(longest or 512, 512)
        elif longest is not None and maxlen > longest:
            raise TaskError(f"maxlen={maxlen} is more than the {longest} positions of the encoder.")
        if maxlen < 8:
            raise TaskError(f"maxlen={maxlen} leaves hardly a token of a text; take 8 at least.")
        self.maxlen = maxlen

    # What a subclass overrides

    def encode(self, sample: Any) -> Encoded:
        """Turn what the caller gives, a text as a rule, into inputs of the model."""
        raise NotImplementedError(f"{type(self).__name__} must override `encode`.")

    def encode_label(self, label: Any, encoded: Encoded, window: int = 0) -> Any:
        """Turn the label of a training sample into what the loss takes for one of its windows."""
        raise NotImplementedError(f"{type(self).__name__} must override `encode_label`.")

    def training_windows(self, label: Any, encoded: Encoded) -> Iterable[int]:
        """Indices of the windows of a sample that are trained on; without an override the first."""
        return [0]

    def training_row(
        self, encoded: Encoded, label: Any, window: int
    ) -> tuple[tuple[Any, ...], Any]:
        """Inputs and label of a window; override it where the label is part of the inputs."""
        return encoded.rows[window], self.encode_label(label, encoded, window)

    def run(self, inputs: Any) -> Any:
        """Outputs of the model for a batch, B first in each, as `decode` gets them by row.

        Override it where they are too large to be kept for all windows, or where the model is
        asked more than once.
        """
        return self.model.predict_on_batch(inputs)

    def condense(self, output: Any) -> Any:
        """Reduce the model's output for one window to what `decode` needs; here: keep all of it.

        `predict` holds these for all samples, so a large output should be made small here.
        """
        return output

    def decode(self, outputs: Sequence[Any], encoded: Encoded) -> Any:
        """Turn the model's outputs for the windows of a sample into an answer.

        Args:
            outputs: by window, arrays without the batch axis, in the structure of the model's
                output, or what `condense` made of them. Where there is one row per token, rows of
                padding follow at the end.
            encoded: what `encode` made of the sample.
        """
        raise NotImplementedError(f"{type(self).__name__} must override `decode`.")

    def metrics(self, answers: Sequence[Any], labels: Sequence[Any]) -> dict[str, float]:
        """Scores of answers against labels, by name; the first one is the task's main score."""
        raise NotImplementedError(f"{type(self).__name__} must override `metrics`.")

    def get_config(self) -> dict[str, Any]:
        """Options that `__init__` takes besides tokenizer and model, as plain JSON values."""
        return {"maxlen": self.maxlen}

    def read_encoder(self, model: keras.Model) -> EncoderFacts:
        """Facts about the encoder in the model; a model without one of ours needs an override."""
        return EncoderFacts.of(model, self.extra_inputs)

    def save_assets(self, directory: Path) -> None:
        """Write files of the task's own, such as an index, into the directory being saved."""

    @classmethod
    def load_assets(cls, directory: Path) -> dict[str, Any]:
        """Read what `save_assets` wrote: further arguments of `__init__`, by name."""
        return {}

    # What users call

    def __call__(self, samples: Any) -> Any:
        """Answer one sample, or a list of them."""
        if isinstance(samples, list):
            return self.predict(samples)
        return self.predict([samples])[0]

    def predict(
        self, samples: Iterable[Any], batch_size: int = 64, progress: bool | None = None
    ) -> list[Any]:
        """Answer many samples, in their order.

        Args:
            samples: texts, or what `encode` takes.
            batch_size: rows the model sees at a time; rows of similar length go together.
            progress: show a progress bar on stderr; None: if the work is long and stderr is a
                terminal, so that nothing goes into a file.
        """
        encoded = [self.encode(sample) for sample in samples]
        rows = [row for one in encoded for row in one.rows]
        outputs = iter(self._run(rows, batch_size, progress))
        return [self.decode(list(itertools.islice(outputs, len(one.rows))), one) for one in encoded]

    def stream(self, samples: Iterable[Any], batch_size: int = 64) -> Iterator[Any]:
        """Answer samples of an iterable one after another, holding 16 batches at a time."""
        samples = iter(samples)
        while part := list(itertools.islice(samples, 16 * batch_size)):
            yield from self.predict(part, batch_size, progress=False)

    def evaluate(
        self, samples: Iterable[tuple[Any, Any]], batch_size: int = 64
    ) -> dict[str, float]:
        """Scores on labelled samples.

        Args:
            samples: pairs (what `encode` takes, label).
            batch_size: as of `predict`.
        """
        samples = list(samples)
        if not samples:
            raise TaskError("evaluate() got no samples.")
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
        """Batches for `model.fit`.

        Args:
            samples: pairs (what `encode` takes, label). They are tokenized once.
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
        """(encoded, label, window) of each window that `batches` trains on."""
        rows = []
        for sample, label in samples:
            encoded = self.encode(sample)
            windows = self.training_windows(label, encoded)
            rows += [(encoded, label, window) for window in windows]
        return rows

    def save(self, directory: str | Path, card: str | None = None) -> None:
        """Write tokenizer, model and options into one directory; see `bert4keras.tasks.storage`.

        Args:
            directory: replaced as a whole if it exists and holds a task.
            card: text of its README.md, in place of the one that is written otherwise.
        """
        from .storage import save_task

        save_task(self, directory, card)

    @classmethod
    def from_huggingface(cls, directory: str | Path) -> Task:
        """Read a fine-tuned checkpoint of transformers whose class ends in `architecture`."""
        raise NotImplementedError(f"{cls.__name__} must override `from_huggingface`.")

    @classmethod
    def reads(cls, directory: Path, config: Mapping[str, Any]) -> int:
        """Tell how surely a directory of the hub holds a model of this task.

        Args:
            directory: the directory.
            config: its config.json.

        Returns:
            0: not at all; 1: by the name of its class in transformers; 2: by what only this task
            has.
        """
        named = config.get("architectures") or []
        ending = cls.architecture
        return int(ending is not None and any(str(name).endswith(ending) for name in named))

    @classmethod
    def load(cls, directory: str | Path) -> Task:
        """Read what `save` wrote, or a checkpoint of the hub; the task must be of this class."""
        from .storage import load_task

        task = load_task(directory, cls if cls is not Task else None)
        if not isinstance(task, cls):
            raise TaskError(f"{directory} holds a {type(task).__name__}, not a {cls.__name__}.")
        return task

    def __repr__(self) -> str:
        shown = {k: v for k, v in self.get_config().items() if k not in self.hidden_options}
        options = json.dumps(shown, ensure_ascii=False, default=str)
        return (
            f"{type(self).__name__}({type(self.tokenizer).__name__}, {self.model.name}, {options})"
        )

    # How it works

    def _run(
        self,
        rows: Sequence[tuple],
        batch_size: int,
        progress: bool | None,
        keep: Callable[[Any, int], Any] | None = None,
    ) -> list[Any]:
        """The model's outputs by row, in their order.

        Args:
            rows, batch_size, progress: as of `predict`.
            keep: function (outputs of a row, its number) -> what is kept of them; None: all.
        """
        if batch_size < 1:
            raise TaskError(f"batch_size={batch_size} must be at least 1.")
        results: list[Any] = [None] * len(rows)
        parts = list(self._parts(rows, batch_size))
        hidden = not progress
        if progress is None and len(parts) >= LONG:
            hidden = None  # tqdm then looks whether stderr is a terminal
        for part in tqdm(parts, disable=hidden, unit="batch", leave=False):
            # The number of rows is rounded up too: a compiled function serves one shape.
            filled = 1 << (len(part) - 1).bit_length()
            chosen = [rows[i] for i in (*part, *part[-1:] * (filled - len(part)))]
            outputs = self.run(self._structured(self.encoder.batch(chosen)))
            outputs = keras.tree.map_structure(np.asarray, outputs)
            for place, i in enumerate(part):
                one = keras.tree.map_structure(lambda x, k=place: x[k], outputs)
                results[i] = self.condense(one) if keep is None else keep(one, i)
        return results

    def _parts(self, rows: Sequence[tuple], batch_size: int) -> Iterator[list[int]]:
        """Indices of rows that go together: of similar length, or of equal length."""
        order = sorted(range(len(rows)), key=lambda i: len(rows[i][0]))
        if self.encoder.pad_token_id is not None:
            yield from (order[i : i + batch_size] for i in range(0, len(order), batch_size))
            return
        for _, group in itertools.groupby(order, key=lambda i: len(rows[i][0])):
            same = list(group)
            yield from (same[i : i + batch_size] for i in range(0, len(same), batch_size))

    def _structured(self, inputs: Sequence[Any]) -> Any:
        """Inputs in the structure that the model has: a list, or the only one by itself."""
        return list(inputs) if isinstance(self.model.input, (list, tuple)) else inputs[0]


def answers_by_label(scores: Mapping[str, float], most: int = 3) -> str:
    """`label 0.98, other 0.02`: the `most` labels of the highest scores, the highest first."""
    ranked = sorted(scores.items(), key=lambda item: -item[1])
    shown = ", ".join(f"{label} {score:.3f}" for label, score in ranked[:most])
    return shown + (", ..." if len(ranked) > most else "")
