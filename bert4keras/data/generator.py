"""Batches of samples, padded to a few lengths, for `fit`, `evaluate` and `predict`."""

from __future__ import annotations

import itertools
import math
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import keras
import numpy as np

from .._compat import TrainerCalls
from .batch_checks import checked_batch
from .bucketing import epoch_batches, plain_batches
from .collate import Collator, flatten_sample, lists_to_tuples
from .dynamic_shapes import (
    is_shape_probe,
    put_other_length_second,
    put_other_shape_second,
    sample_shapes,
)
from .encoded_samples import EncodedSamples
from .epoch_order import EpochOrder, buffered_shuffle, check_resumed, check_whole_epochs
from .shards import Shard, check_cut_once, check_distributed, check_remainder
from .tf_dataset import open_shapes, tensorflow_dataset


class DataGenerator(keras.utils.PyDataset):
    """Generator of padded batches of `data`.

    Two ways to use it:

    1. Give or override `encode(sample)`, which returns the arrays of one sample, for example
       `((token_ids, segment_ids), label)`, or only inputs, `((token_ids, segment_ids),)`. A
       list of numbers is data, any other list a structure. Samples are encoded once, sorted into
       batches of similar length and padded to a few lengths. With `shuffle` set, the object
       itself can be the argument of `model.fit(generator)`.
    2. Override `__iter__(self, random=False)`: loop over `self.sample(random)`, which yields
       (is_end, sample), and yield batches `(inputs, labels)`, as tuples or lists.

    Both work with `model.fit(g.forfit(), steps_per_epoch=len(g))`,
    `model.predict(g.fortest(), steps=len(g))` and `g.as_tf()`.

    Args:
        data: sequence of samples, or an iterable without length (one pass per epoch).
        batch_size: samples per batch.
        buffer_size: samples in the shuffle buffer of data without length; by default 1000 batches.
        encode: function sample -> arrays, instead of overriding `encode`.
        encode_batch: function list of samples -> list of arrays, if that is faster.
        shuffle: order of `generator[i]`, and so of `model.fit(generator)`: True for training,
            False for evaluation and prediction. There is no default, because either is silently
            wrong for the other use.
        seed: seed of the order, which depends only on it and on the number of the epoch. None
            draws it from NumPy's generator (`keras.utils.set_random_seed`). To resume training, see
            `training.BackupAndRestore`.
        buckets: number of different padded lengths, which are then chosen to fit the data; or the
            lengths; or None to pad each batch to its longest sample.
        pool: number of batches that are sorted by length together when shuffling; see
            `bucketing.epoch_batches`.
        pad_value: padding of the inputs: a number for each, such as (1, 0) for token ids and
            segment ids (a dict for inputs by name), one number for all, or the tokenizer or model,
            for its padding id. None: the padding id of lists of `tokenizer.encode`, otherwise 0.
            `fit`, `evaluate` and `predict` raise ValueError if the model reads the padding as text.
        label_pad: padding of labels that are sequences. Below 0 it means "no label" to all heads
            and to losses such as `losses.SparseCategoricalCrossentropy`. For Keras' own losses and
            metrics it is replaced by 0 where the model's Keras mask skips padding; where they would
            count it, `fit` and `evaluate` raise ValueError.
        cache: keep encoded samples. False encodes them again every time, for random encodings.
        shard: (rank, size) of this process, if several train together: each gets its rows of every
            batch, of the same width. `batch_size` and all sizes are those of the whole batch. See
            `distribution.data_shard` and docs/distributed.md.
        drop_remainder: leave out the last batch of an epoch if it has fewer than `batch_size`
            samples; which samples these are is random when shuffling. Without it, the last batch is
            smaller, and ValueError is raised if `shard` cannot cut it into equal parts.
        options: arguments of `keras.utils.PyDataset`: workers, use_multiprocessing,
            max_queue_size. On TensorFlow `workers` is 2 unless given or `cache=False`.
    """

    def __init__(
        self,
        data: Sequence | Iterable,
        batch_size: int = 32,
        buffer_size: int | None = None,
        *,
        encode: Callable[[Any], Any] | None = None,
        encode_batch: Callable[[list], Sequence] | None = None,
        shuffle: bool | None = None,
        seed: int | None = None,
        buckets: int | Sequence[int] | None = 8,
        pool: int = 64,
        pad_value: Any = None,
        label_pad: int = -1,
        cache: bool = True,
        shard: tuple[int, int] | None = None,
        drop_remainder: bool = False,
        **options: Any,
    ):
        if cache and keras.backend.backend() == "tensorflow":
            # With one worker Keras makes a tf.data pipeline that tunes itself after 10, 20, 40 ...
            # ms; when it ends, it often waits idly for the next tuning, up to a minute. With more
            # workers Keras uses its own queue.
            options.setdefault("workers", 2)
        super().__init__(**options)
        if batch_size < 1 or pool < 1:
            raise ValueError(f"batch_size={batch_size} and pool={pool} must be at least 1.")
        if hasattr(data, "__len__") and len(data) == 0:
            raise ValueError("DataGenerator got no data: len(data) is 0.")
        self.data, self.batch_size = data, batch_size
        self.buffer_size = buffer_size or 1000 * batch_size
        self.shard, self.drop_remainder = Shard.of(shard, batch_size, seed), drop_remainder
        self.steps = self._count_steps()
        self.shuffle, self.pool, self.cache = shuffle, pool, cache
        self.order, self._calls = EpochOrder(seed), TrainerCalls()
        if encode is not None:
            self.encode = encode
        if encode_batch is not None:
            self.encode_batch = encode_batch
        if not (buckets is None or isinstance(buckets, int)):
            buckets = sorted(buckets)
        lengths = buckets if isinstance(buckets, list) else None
        self._collate = Collator(pad_value, label_pad, lengths)
        self._encoded = EncodedSamples(self.encode_batch, self._collate, buckets, self.shard, cache)
        self._batches: list[np.ndarray] | None = None
        self._batches_of: int | None = None
        self._lock = threading.RLock()

    # Methods to override

    def encode(self, sample: Any) -> Any:
        """Encode one sample to arrays, e.g. ((token_ids, segment_ids), label); to be overridden."""
        raise NotImplementedError(
            f"{type(self).__name__} needs encode(sample), given as encode= or overridden, or its "
            "own __iter__(random)."
        )

    def encode_batch(self, samples: list) -> Sequence:
        """Encode a list of samples; by default with `encode`, one by one."""
        return [self.encode(sample) for sample in samples]

    def __iter__(self, random: bool = False) -> Iterator:
        """Yield the batches of one epoch, shuffled or in the order of the data."""
        if self.steps is None:
            yield from self._stream(random)
            return
        self._encoded.prepare(self.data)
        batches = self._shuffled(self.order.advance()) if random else self._ordered()
        yield from (self._batch(indices) for indices in batches)

    # Public methods

    def __len__(self) -> int:
        if self.steps is None:
            raise TypeError(
                "The data has no length, so its generator has none either. Give steps_per_epoch."
            )
        return self.steps

    @property
    def seed(self) -> int:
        """Seed of the order."""
        return self.order.seed

    @property
    def num_batches(self) -> int | None:
        """Number of batches; None if unknown."""
        # Keras asks for it before it begins. An error in a later batch would leave the model
        # without weights on JAX, so the first batch is checked here.
        call = self._calls.current()
        if call is not None and self.shuffle is not None and not self._makes_own_batches:
            self._encoded.prepare(self.data)
            batches = self._ordered()
            self._checked(self._batch(batches[0]), call)
            if len(batches[-1]) < self.batch_size:
                parts = self.shard.size if self.shard else 1
                check_distributed(call, self.shard, len(batches[-1]) // parts)
        return self.steps

    def __getitem__(self, index: int) -> Any:
        """Return the batch at an index of the current epoch."""
        if self._makes_own_batches:
            raise TypeError(
                f"{type(self).__name__} makes its batches one after another. Use "
                "model.fit(generator.forfit(), steps_per_epoch=...)."
            )
        if self.shuffle is None:
            raise ValueError(
                "Use DataGenerator(..., shuffle=True) to train on the generator itself, or "
                "shuffle=False to evaluate or predict."
            )
        call = self._calls.current()
        with self._lock:  # several workers may ask at the same time
            self._encoded.prepare(self.data)
            epoch = self.order.now(call) if self.shuffle else 0
            if self._batches is None or self._batches_of != epoch:
                check_whole_epochs(call, len(self))
                self._batches = self._shuffled(epoch) if self.shuffle else self._ordered()
                self._batches_of = epoch
            indices = self._batches[index]
            first = self._batches[0]
        batch = self._batch(indices, self._extra(first, indices) if index == 1 else 0)
        return self._checked(batch, call)

    def on_epoch_end(self) -> None:
        """Continue with the order of the next epoch; called by Keras."""
        self.order.ended(self, self._calls.current())

    def sample(self, random: bool = False) -> Iterator[tuple[bool, Any]]:
        """Yield (is_end, sample); is_end is True for the last sample. For use in `__iter__`."""
        samples = self._samples(random)
        try:
            current = next(samples)
        except StopIteration:
            return
        for following in samples:
            yield False, current
            current = following
        yield True, current

    def forfit(self, random: bool = True) -> Iterator:
        """Yield batches endlessly, for `model.fit(g.forfit(), steps_per_epoch=len(g))`."""
        began_at, settled = self.order.epoch + self.order.skipped, False
        skipped, self.order.skipped, calls = self.order.skipped, 0, TrainerCalls()
        while True:
            empty = True
            batches = put_other_shape_second(self._epoch(random), self._encoded.axes_that_vary)
            for batch in itertools.islice(batches, skipped, None):
                empty, call = False, calls.current()
                settled = settled or check_resumed(call, began_at)
                yield self._checked(batch, call)
            empty, skipped = empty and not skipped, 0
            if empty:
                raise ValueError("DataGenerator got no batches: the data is empty or used up.")

    def fortest(self, sort: bool = False) -> Iterator:
        """Yield inputs endlessly, for `model.predict(g.fortest(), steps=len(g))`.

        Each item is the tuple (inputs,), which Keras cannot mistake for inputs and labels.

        Args:
            sort: True: samples in the order of their length, which is faster; `restore_order`
                sorts the predictions back. Not possible with an overridden `__iter__`.
        """
        calls = TrainerCalls()
        while True:
            empty = True
            for batch in self._to_predict(sort):
                empty = False
                batch = self._checked(lists_to_tuples(batch), calls.current())
                yield (batch[0] if isinstance(batch, tuple) else batch,)
            if empty:
                raise ValueError("DataGenerator got no batches: the data is empty or used up.")

    def restore_order(self, predictions: np.ndarray) -> np.ndarray:
        """Put predictions on `fortest(sort=True)`, (samples, ...), into the order of the data."""
        self._encoded.prepare(self.data)
        if len(predictions) != len(self._encoded.lengths):
            raise ValueError(
                f"{len(predictions)} predictions for {len(self._encoded.lengths)} samples."
            )
        restored = np.empty_like(predictions)
        restored[np.argsort(self._encoded.lengths, kind="stable")] = predictions
        return restored

    def as_tf(self, random: bool = True):
        """Return a tf.data.Dataset; each pass over it is an epoch.

        The batch axis has a fixed size if all batches are full: with `drop_remainder`, or if
        `batch_size` divides the number of samples. `tf.distribute` and `keras.distribution` need
        that to split the batches themselves.

        Args:
            random: True: shuffled, differently in every pass.

        Raises:
            ValueError: Keras' distribution would split again what `shard` has cut.
        """
        check_cut_once(self.shard)
        return tensorflow_dataset(self._epoch, random, self.steps, self._batch_shapes)

    # Private methods

    def _count_steps(self) -> int | None:
        if not hasattr(self.data, "__len__"):
            return None
        count = len(self.data)
        if not self.drop_remainder:
            check_remainder(count, self.batch_size, self.shard)
            return math.ceil(count / self.batch_size)
        if count < self.batch_size:
            raise ValueError(
                f"drop_remainder=True leaves nothing of {count} samples: they are fewer than "
                f"batch_size={self.batch_size}."
            )
        return count // self.batch_size

    def _epoch(self, random: bool) -> Iterator:
        """Yield this process's part of the batches of an epoch, also of an own `__iter__`."""
        for batch in self.__iter__(random):
            batch = lists_to_tuples(batch)
            if self._overrides_iter:
                if self.drop_remainder and len(flatten_sample(batch)[0]) < self.batch_size:
                    continue
                batch = batch if self.shard is None else self.shard.cut_batch(batch)
            yield batch

    def _samples(self, random: bool) -> Iterator:
        if not random:
            yield from self.data
        elif self.steps is not None:
            for i in self.order.random(self.order.advance()).permutation(len(self.data)):
                yield self.data[int(i)]
        else:
            seed = f"{self.seed} {self.order.advance()}"
            yield from buffered_shuffle(self.data, self.buffer_size, seed)

    def __getstate__(self) -> dict:
        return {key: value for key, value in self.__dict__.items() if key != "_lock"}

    def __setstate__(self, state: dict) -> None:
        self.__dict__.update(state, _lock=threading.RLock())

    def _checked(self, batch: Any, call: Any) -> Any:
        check_distributed(call, self.shard, len(flatten_sample(batch)[0]))
        return checked_batch(call, batch, None if self._overrides_iter else self._collate)

    def _shuffled(self, epoch: int) -> list[np.ndarray]:
        batches = epoch_batches(
            self._encoded.lengths,
            self.batch_size,
            self.pool,
            self.order.random(epoch),
            self.drop_remainder,
        )
        return put_other_length_second(batches, self._encoded.padded_length)

    def _to_predict(self, sort: bool) -> Iterator:
        """Yield batches in the order of the data or of the lengths; see `_extra` for the second."""
        if self._makes_own_batches and not sort:
            yield from self._epoch(False)
            return
        self._encoded.prepare(self.data)
        batches = self._ordered()
        if sort:
            batches = self._split(np.argsort(self._encoded.lengths, kind="stable"))
        vary = len({self._encoded.padded_length(indices) for indices in batches}) > 1
        for place, indices in enumerate(batches):
            yield self._batch(
                indices, self._extra(batches[0], indices) if vary and place == 1 else 0
            )

    def _extra(self, first: np.ndarray, second: np.ndarray) -> int:
        """Return the least additional padding of the second batch that makes its axes differ."""
        if not is_shape_probe():
            return 0
        taken = sample_shapes(self._batch(first)) - sample_shapes(self._batch(second))
        if np.count_nonzero(taken) >= self._encoded.axes_that_vary():
            return 0
        return next(n for n in itertools.count(1) if n not in taken)

    @property
    def _overrides_iter(self) -> bool:
        return type(self).__iter__ is not DataGenerator.__iter__

    @property
    def _makes_own_batches(self) -> bool:
        return self._overrides_iter or self.steps is None

    def _ordered(self) -> list[np.ndarray]:
        return self._split(np.arange(len(self._encoded.lengths)))

    def _split(self, order: np.ndarray) -> list[np.ndarray]:
        return plain_batches(order, self.batch_size, self.drop_remainder)

    def _batch(self, indices: np.ndarray, extra: int = 0) -> Any:
        return self._encoded.batch(self.data, indices, extra)

    def _batch_shapes(self, first: list[list[np.ndarray]]) -> list[list[int | None]]:
        """Return the shape of each array of all batches, None for axes that may vary.

        Args:
            first: for each array, those of the first batches.
        """
        full = self.drop_remainder or (
            not self._makes_own_batches and len(self.data) % self.batch_size == 0
        )
        rows = self.batch_size // (self.shard.size if self.shard else 1) if full else None
        return open_shapes(first, rows, self._encoded.varying())

    def _stream(self, random: bool) -> Iterator:
        """Yield batches of data without length: each pool of samples is encoded, sorted, split."""
        samples = self._samples(random)
        while part := list(itertools.islice(samples, self.pool * self.batch_size)):
            if self.drop_remainder:  # before sorting, which would leave out the longest
                part = part[: len(part) // self.batch_size * self.batch_size]
            shuffled = self.order.random(self.order.advance()) if random else None
            yield from self._encoded.batches_of_pool(part, self._split, shuffled)
