"""Encoded samples of a data set, and padded batches made of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from .batch_checks import labels_of
from .bucketing import choose_buckets
from .collate import Collator, axes_of, flatten_sample
from .padding import round_up
from .shards import Shard


class EncodedSamples:
    """Encoder and collator of samples.

    Args:
        encode_batch: function list of samples -> list of arrays.
        collate: collator of encoded samples.
        buckets: number of padded lengths to choose; else those of `collate` are used.
        shard: part of each batch that is encoded and returned; None: all of it.
        cache: keep encoded samples.

    Attributes:
        lengths: (samples,) int, length of each sample; None before `prepare`.
    """

    def __init__(
        self,
        encode_batch: Callable[[list], Sequence],
        collate: Collator,
        buckets: int | Sequence[int] | None,
        shard: Shard | None,
        cache: bool,
    ):
        self.encode_batch, self.collate, self.buckets = encode_batch, collate, buckets
        self.shard, self.cache = shard, cache
        self.lengths: np.ndarray | None = None
        self._shapes: np.ndarray | None = None  # sizes of all axes of each sample, for `shard`
        self._encoded: list | None = None

    def prepare(self, data: Sequence) -> None:
        """Encode all data once: it gives the lengths of the samples and the axes that vary."""
        if self.lengths is not None:
            return
        shapes, encoded = [], []
        for start in range(0, len(data), 4096):
            samples = [data[i] for i in range(start, min(start + 4096, len(data)))]
            for sample in self._encode(samples):
                shapes.append(axes_of(sample))
                if self.cache:
                    encoded.append(sample)
        self.lengths = self.collate.lengths(np.array(shapes, "int64"))
        self._shapes = None if self.shard is None else np.array(shapes, "int32")
        self._encoded = encoded if self.cache else None
        if isinstance(self.buckets, int):
            self.collate.buckets = choose_buckets(self.lengths, self.buckets)

    def batch(self, data: Sequence, indices: np.ndarray, extra: int = 0) -> Any:
        """Return this process's part of the batch of the samples at these indices.

        Args:
            data: all samples.
            indices: (B,) int.
            extra: see `Collator`.
        """
        rows, sizes = indices, None
        if self.shard is not None:
            rows, sizes = self.shard.cut(indices), self._shapes[indices].max(axis=0)
        if self._encoded is not None:
            return self.collate([self._encoded[i] for i in rows], extra, sizes)
        return self.collate(self._encode([data[int(i)] for i in rows]), extra, sizes)

    def batches_of_pool(
        self,
        samples: list,
        split: Callable[[np.ndarray], list[np.ndarray]],
        random: np.random.Generator | None,
    ) -> Iterator[Any]:
        """Yield batches of samples that are encoded now.

        Args:
            samples: the samples.
            split: function that splits an order into batches.
            random: generator with which batches of similar length are shuffled; None: in order.
        """
        encoded = self._encode(samples)
        shapes = np.array([axes_of(sample) for sample in encoded], "int64")
        lengths = self.collate.lengths(shapes)
        if isinstance(self.buckets, int) and self.collate.buckets is None:
            self.collate.buckets = choose_buckets(lengths, self.buckets)
        order = np.arange(len(lengths)) if random is None else np.argsort(lengths, kind="stable")
        batches = split(order)
        if random is not None:
            random.shuffle(batches)
        for batch in batches:
            rows = batch if self.shard is None else self.shard.cut(batch)
            yield self.collate([encoded[i] for i in rows], 0, shapes[batch].max(axis=0))

    def padded_length(self, indices: np.ndarray) -> int:
        """Return the padded length of a batch."""
        return round_up(int(self.lengths[indices].max()), self.collate.buckets)

    def varying(self) -> list[np.ndarray] | None:
        """Return which axes vary, for each array of a sample; None before `prepare`."""
        return None if self.lengths is None else self.collate.all_varying()

    def axes_that_vary(self) -> int:
        """Return the number of axes of all arrays of a batch that vary; at least 1."""
        return max(1, sum(int(varies.sum()) for varies in self.varying() or ()))

    def _encode(self, samples: list) -> list:
        encoded = list(self.encode_batch(samples))
        self.collate.learn_padding(encoded)
        encoded = [self.collate.to_arrays(sample) for sample in encoded]
        if len(encoded) != len(samples):
            raise ValueError(f"encode_batch returned {len(encoded)} of {len(samples)} samples.")
        for sample in encoded:
            # A part of a batch must not find other axes to pad than the parts of other processes.
            if self.shard is None or self.lengths is None:
                self.collate.observe(flatten_sample(sample))
            self.collate.note_negative_labels(labels_of(sample))
        return encoded
