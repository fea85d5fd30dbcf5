"""The training loop: Keras' `fit` on a stream, saved so that a killed run continues exactly."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import keras

from ..distribution import num_replicas
from ..tokenizers.base import TokenizerBase
from ..training import BackupAndRestore
from .objectives import PretrainingObjective
from .stream import Leaves, PretrainingBatch, PretrainingStream, StreamPosition
from .throughput import Throughput


class StreamFeed:
    """The batches of a stream as `fit` takes them, with the position after each.

    Args:
        stream: the stream.

    Attributes:
        start: position of the first batch; set before the first one is taken.
        tokens: number of tokens of each batch that was taken, by its number.
    """

    def __init__(self, stream: PretrainingStream):
        self.stream, self.start = stream, StreamPosition()
        self.tokens: list[int] = []
        self._after: dict[int, StreamPosition] = {}
        self._batches: Iterator[PretrainingBatch] | None = None
        self._lock, self._closed = threading.Lock(), False

    def __iter__(self) -> Iterator[tuple[dict[str, Any], Leaves]]:
        """Yield inputs and targets; a generator, the only iterator that `fit` takes."""
        while (batch := self._next()) is not None:
            yield batch.inputs, batch.targets

    def position_after(self, batches: int) -> StreamPosition:
        """Return the position after a number of batches; earlier ones are forgotten."""
        with self._lock:
            self._after = {n: p for n, p in self._after.items() if n >= batches}
            return self._after[batches] if batches else self.start

    def close(self) -> None:
        """End the workers."""
        with self._lock:
            self._closed = True
            if self._batches is not None:
                self._batches.close()  # type: ignore[attr-defined]  # a generator
                self._batches = None

    def _next(self) -> PretrainingBatch | None:
        with self._lock:  # TensorFlow takes batches in another thread, until after the end
            if self._closed:
                return None
            if self._batches is None:
                self._batches = self.stream.batches(self.start)
            batch = next(self._batches)
            self.tokens.append(batch.tokens)
            self._after[len(self.tokens)] = batch.after
            return batch


class PretrainingBackup(BackupAndRestore):
    """Backup of a training on a stream, with the position in it.

    Args:
        backup_dir: directory only for the backup.
        data: the feed that `fit` gets.
    """

    def __init__(self, backup_dir: str | Path, data: StreamFeed):
        super().__init__(backup_dir, data, delete_checkpoint=False)  # type: ignore[arg-type]

    def _check_data(self, data: Any) -> None:
        if not isinstance(data, StreamFeed):
            raise ValueError(f"data must be a StreamFeed, not {type(data).__name__}.")

    def _resume(self, state: dict[str, Any] | None) -> int:
        if state is None:
            return 0
        self.data.start = StreamPosition(*map(int, state["position"]))
        return int(state["batches"])

    def _position(self, batches: int) -> dict[str, Any]:
        position = self.data.position_after(batches - self._seen)
        return {"batches": batches, "position": list(position)}

    def _data(self) -> dict[str, Any]:
        stream = self.data.stream
        return {
            "seed": stream.seed,
            "batch_size": stream.batch_size,
            "length": stream.packer.length,
            "processes": stream.shard[1],
            "files": stream.corpus.fingerprint(),
        }


class SaveCheckpoint(keras.callbacks.Callback):
    """Write a checkpoint in the Hugging Face layout after each interval.

    Args:
        objective: says which part of the model is saved.
        directory: of the newest checkpoint.
        tokenizer: saved beside it.
        keep_every: also keep each n-th one as `step-NNNNNNNN` in the directory; 0: none.
        steps: steps of an interval.
    """

    def __init__(
        self,
        objective: PretrainingObjective,
        directory: Path,
        tokenizer: TokenizerBase,
        steps: int,
        keep_every: int = 0,
    ):
        super().__init__()
        self.objective, self.directory, self.tokenizer = objective, directory, tokenizer
        self.steps, self.keep_every = steps, keep_every

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        self.objective.save(self.model, self.directory, self.tokenizer)
        if self.keep_every and (epoch + 1) % self.keep_every == 0:
            kept = self.directory / f"step-{self.steps * (epoch + 1):08d}"
            self.objective.save(self.model, kept, self.tokenizer)


def pretrain(
    model: keras.Model,
    stream: PretrainingStream,
    directory: str | Path,
    steps: int,
    interval: int = 1000,
    evaluation: tuple[Any, Leaves] | None = None,
    callbacks: Sequence[keras.callbacks.Callback] = (),
    peak: float | None = None,
) -> dict[str, list[float]]:
    """Train a compiled model on a stream; the same call continues a run that was killed.

    Weights, optimizer, dropout and the position in the stream are saved after every interval, in
    `DIRECTORY/backup`. A continued run ends with the same weights, to the bit, on the same machine
    with the same versions; what was trained after the last whole interval is trained again. Several
    processes need the same directory; the first one writes.

    Args:
        model: of `objective.build`, compiled.
        stream: the batches.
        directory: of the state; keep it until the training is over.
        steps: number of batches; rounded up to whole intervals.
        interval: batches between two backups, evaluations and callbacks at the end of an epoch:
            for Keras an interval is an epoch.
        evaluation: inputs and targets to evaluate on, from `PretrainingStream.rows`. On several
            devices the last rows are left out if they do not divide equally.
        callbacks: of `fit`.
        peak: the most floating-point operations in a second, from `measure_peak`; None: the share
            of it is not reported.

    Returns:
        The numbers of all intervals of this process: loss, metrics, `tokens_per_second`, ...

    Raises:
        ValueError: the state is of another corpus, seed or size of batches; rows that cannot be
            divided over the devices.
    """
    evaluation = _for_devices(stream, evaluation)
    count, per = intervals(steps, interval)
    feed = StreamFeed(stream)
    backup = PretrainingBackup(Path(directory) / "backup", feed)
    if backup.epochs_done >= count:  # killed after the last interval
        return {}
    speed = Throughput(model, feed, peak)
    try:
        history = model.fit(
            iter(feed),
            epochs=count,
            steps_per_epoch=per,
            validation_data=evaluation,
            validation_batch_size=stream.batch_size,
            callbacks=[speed, *callbacks, backup],
            shuffle=False,
            verbose=0,
        )
    finally:
        feed.close()
    return history.history


def _for_devices(
    stream: PretrainingStream, evaluation: tuple[Any, Leaves] | None
) -> tuple[Any, Leaves] | None:
    """Check the size of batches; return the rows to evaluate on that devices can share."""
    devices = num_replicas()
    rows = stream.batch_size * stream.shard[1]
    if rows % devices:
        raise ValueError(f"a batch of {rows} rows cannot be divided over {devices} devices.")
    if evaluation is None or devices == 1:
        return evaluation
    count = len(keras.tree.flatten(evaluation)[0]) // devices * devices
    if not count:
        raise ValueError(f"there are fewer than {devices} rows to evaluate on, one a device.")
    return keras.tree.map_structure(lambda rows: rows[:count], evaluation)


def intervals(steps: int, interval: int) -> tuple[int, int]:
    """Return the number of equal intervals that hold `steps`, and the steps of each.

    Raises:
        ValueError: a number below 1.
    """
    if steps < 1 or interval < 1:
        raise ValueError(f"steps={steps} and interval={interval} must be at least 1.")
    count = max(1, round(steps / interval))
    return count, -(-steps // count)
