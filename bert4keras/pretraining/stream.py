"""The stream of training batches: read, shuffled, tokenized, packed and corrupted on the fly.

An epoch is one pass over the corpus in an order that depends on (seed, epoch). Its texts come in
pools of about a million characters; a worker makes the rows of one pool and shuffles them, with the
random generator (seed, epoch, pool). So a row depends on nothing that happened before its pool, and
a position (epoch, pool, row) is all that is needed to continue: the texts before it are read again
in the same order, but not tokenized.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterator
from typing import Any, NamedTuple, TypeAlias

import numpy as np

from .corpus import PretrainingCorpus
from .objectives import PretrainingObjective
from .packing import RowPacker
from .rows import TokenRows
from .workers import WorkerPool, prefetch

_POOL = 1 << 20  # characters
_AHEAD = 8  # batches that are ready before they are needed
Leaves: TypeAlias = "dict[str, np.ndarray] | np.ndarray"


class StreamPosition(NamedTuple):
    """Place in the stream: the first row that is not used yet."""

    epoch: int = 0
    pool: int = 0
    row: int = 0


_START = StreamPosition()


class PretrainingBatch(NamedTuple):
    """One batch: inputs and targets for the model, and where the stream goes on.

    Attributes:
        inputs, targets: of `PretrainingObjective.corrupt`; the first axis is the batch.
        tokens: number of tokens that are not padding, in the whole global batch.
        after: position after the global batch.
    """

    inputs: dict[str, np.ndarray]
    targets: Leaves
    tokens: int
    after: StreamPosition


class _PoolRows(NamedTuple):
    """Rows of one pool, corrupted."""

    inputs: dict[str, np.ndarray]
    targets: Leaves
    tokens: np.ndarray


class _MakeRows:
    """Function of the workers: texts of a pool to corrupted rows."""

    def __init__(self, packer: RowPacker, objective: PretrainingObjective, seed: int):
        self.packer, self.objective, self.seed = packer, objective, seed

    def __call__(self, task: tuple[list[str], StreamPosition]) -> _PoolRows:
        texts, position = task
        rng = np.random.default_rng((self.seed, position.epoch, position.pool))
        rows: TokenRows = self.packer(texts)
        rows = rows.take(rng.permutation(len(rows.token_ids)))
        inputs, targets = self.objective.corrupt(rows, rng)
        return _PoolRows(inputs, targets, (rows.document_ids > 0).sum(axis=1))


class PretrainingStream:
    """Endless batches of a corpus, the same in every run.

    Args:
        corpus: the texts.
        packer: tokenizer and length of the rows.
        objective: corrupts the rows, anew in each epoch.
        batch_size: rows of a batch.
        seed: of order and corruption.
        workers: processes; 0 does all in this one, with the same result. None: one for each core
            but one, at most 8.
        shard: (rank, size) of this process if several train together: it gets rows
            [rank * batch_size, (rank + 1) * batch_size) of each global batch of size * batch_size.

    Raises:
        ValueError: an argument out of its range; when it is read, a corpus without text.
    """

    def __init__(
        self,
        corpus: PretrainingCorpus,
        packer: RowPacker,
        objective: PretrainingObjective,
        batch_size: int,
        seed: int = 1,
        workers: int | None = None,
        shard: tuple[int, int] = (0, 1),
    ):
        if batch_size < 1:
            raise ValueError(f"batch_size={batch_size} must be at least 1.")
        if not 0 <= shard[0] < shard[1]:
            raise ValueError(f"shard={shard} must be (rank, size) with 0 <= rank < size.")
        self.corpus, self.packer, self.objective = corpus, packer, objective
        self.batch_size, self.seed, self.shard = batch_size, seed, shard
        self.workers = min(8, max(1, (os.cpu_count() or 2) - 1)) if workers is None else workers

    def batches(self, start: StreamPosition = _START) -> Iterator[PretrainingBatch]:
        """Yield batches from a position on, endlessly; close the iterator to end the workers."""
        pool = WorkerPool(_MakeRows(self.packer, self.objective, self.seed), self.workers)
        try:
            batches = self._batches(pool, start)
            yield from prefetch(batches, _AHEAD) if self.workers else batches
        finally:
            pool.close()

    def rows(self, count: int) -> tuple[dict[str, np.ndarray], Leaves]:
        """Return the first rows of the texts in their own order, at most `count`: to evaluate on.

        Raises:
            ValueError: the corpus has no text.
        """
        make, parts, found = _MakeRows(self.packer, self.objective, self.seed), [], 0
        for number, texts in enumerate(_pools(self.corpus.texts(), _POOL // 4)):
            parts.append(make((texts, StreamPosition(pool=number))))
            found += len(parts[-1].tokens)
            if found >= count:
                break
        if not found:
            raise ValueError(self._is_empty())
        whole = _take_rows(_join_rows(parts), slice(0, count))
        return whole.inputs, whole.targets

    def count_rows(self) -> int:
        """Return the number of rows of the first epoch, by a pass over the corpus."""
        pool = WorkerPool(_MakeRows(self.packer, self.objective, self.seed), self.workers)
        try:
            return sum(len(part.tokens) for part in pool.map(self._tasks(StreamPosition(), 1)))
        finally:
            pool.close()

    def _tasks(
        self, start: StreamPosition, epochs: int | None = None
    ) -> Iterator[tuple[list[str], StreamPosition]]:
        """Yield the pools from a position on, of all epochs or of some."""
        for epoch in itertools.count(start.epoch) if epochs is None else range(epochs):
            first, empty = start.pool if epoch == start.epoch else 0, True
            for number, texts in enumerate(
                _pools(self.corpus.texts(f"{self.seed} {epoch}"), _POOL)
            ):
                empty = False
                if number >= first:
                    yield texts, StreamPosition(epoch, number)
            if empty:
                raise ValueError(self._is_empty())

    def _batches(self, pool: WorkerPool, start: StreamPosition) -> Iterator[PretrainingBatch]:
        rank, size = self.shard
        whole = size * self.batch_size
        mine = slice(rank * self.batch_size, (rank + 1) * self.batch_size)
        tasks, order = itertools.tee(self._tasks(start))
        skipped, barren = start.row, 0
        rest: _PoolRows | None = None
        for found in pool.map(tasks):
            _, position = next(order)
            barren = 0 if len(found.tokens) else barren + 1
            if barren > 1000:
                raise ValueError(self._is_empty())
            found, taken, skipped = _take_rows(found, slice(skipped, None)), skipped, 0
            carried = 0 if rest is None else len(rest.tokens)
            rows = found if rest is None else _join_rows([rest, found])
            count = len(rows.tokens) // whole
            for number in range(count):
                part = _take_rows(rows, slice(number * whole, (number + 1) * whole))
                own = _take_rows(part, mine) if size > 1 else part
                after = position._replace(row=taken + (number + 1) * whole - carried)
                yield PretrainingBatch(own.inputs, own.targets, int(part.tokens.sum()), after)
            rest = _take_rows(rows, slice(count * whole, None))

    def _is_empty(self) -> str:
        names = ", ".join(path.name for path in self.corpus.files()[:3])
        kind = "no text" if self.corpus.part == "train" else "no text that is held out"
        return f"the corpus has {kind} in its {len(self.corpus.files())} file(s): {names}, ..."


def _pools(texts: Iterator[str], size: int) -> Iterator[list[str]]:
    """Group texts in lists of about `size` characters."""
    pool, total = [], 0
    for text in texts:
        pool.append(text)
        total += len(text)
        if total >= size:
            yield pool
            pool, total = [], 0
    if pool:
        yield pool


def _leaves(rows: _PoolRows) -> list[np.ndarray]:
    targets = rows.targets.values() if isinstance(rows.targets, dict) else [rows.targets]
    return [*rows.inputs.values(), *targets, rows.tokens]


def _rebuilt(like: _PoolRows, leaves: list[np.ndarray]) -> _PoolRows:
    inputs = dict(zip(like.inputs, leaves, strict=False))
    rest = leaves[len(inputs) : -1]
    targets: Any = rest[0]
    if isinstance(like.targets, dict):
        targets = dict(zip(like.targets, rest, strict=True))
    return _PoolRows(inputs, targets, leaves[-1])


def _take_rows(rows: _PoolRows, part: slice) -> _PoolRows:
    return _rebuilt(rows, [leaf[part] for leaf in _leaves(rows)])


def _join_rows(parts: list[_PoolRows]) -> _PoolRows:
    columns = zip(*map(_leaves, parts), strict=True)
    return _rebuilt(parts[0], [np.concatenate(column) for column in columns])
