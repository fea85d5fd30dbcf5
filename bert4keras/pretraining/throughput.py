"""Speed of a training: tokens a second, and the share of what the device can compute."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import keras
import numpy as np
from keras import ops

from ..models import Backbone

if TYPE_CHECKING:
    from .loop import StreamFeed

_TRIAL_SECONDS = 0.3


class Throughput(keras.callbacks.Callback):
    """Add `tokens_per_second`, and `peak_share` if the peak is given, to the logs of an epoch.

    The time runs from the end of the first batch, which compiles, to the end of the last one;
    evaluation and saving do not count. Padding is no token.

    Args:
        model: the model, whose backbones tell the operations of a token.
        feed: of the batches.
        peak: floating-point operations a second, or None.
    """

    def __init__(self, model: keras.Model, feed: StreamFeed, peak: float | None = None):
        super().__init__()
        backbones = [layer for layer in model.layers if isinstance(layer, Backbone)]
        length = feed.stream.packer.length
        self.operations = sum(operations_per_token(backbone, length) for backbone in backbones)
        self.feed, self.peak = feed, peak
        self._first = self._last = self._done = 0.0

    def on_epoch_begin(self, epoch: int, logs: dict | None = None) -> None:
        self._first = 0.0

    def on_train_batch_end(self, batch: int, logs: dict | None = None) -> None:
        self._last = time.perf_counter()
        if not self._first:
            self._first = self._last
        self._done += 1

    def on_test_begin(self, logs: dict | None = None) -> None:
        self._end()

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        if logs is None:
            return
        steps, done = self.params["steps"], int(self._done)
        tokens = sum(self.feed.tokens[done - steps + 1 : done])
        seconds = self._last - self._first
        if tokens and seconds > 0:
            logs["tokens_per_second"] = tokens / seconds
            if self.peak:
                logs["peak_share"] = tokens / seconds * self.operations / self.peak

    def _end(self) -> None:
        """Wait for the device, which may still compute the last batches."""
        np.asarray(ops.convert_to_numpy(self.model.optimizer.iterations))
        self._last = time.perf_counter()


def operations_per_token(backbone: Backbone, length: int) -> float:
    """Return the floating-point operations that training on a token takes.

    Six for each weight of a matrix product: two in the forward pass, four in the backward pass.
    Blocks that share weights count once each. Attention has 12 L D in a block, as if it were dense
    and not masked. The language-model head and embeddings are left out: the head is computed for a
    part of the tokens only.

    Args:
        backbone: the model.
        length: tokens of a row, L.

    Source: Kaplan et al. 2020 (arXiv:2001.08361), section 2.1; Chowdhery et al. 2022
    (arXiv:2204.02311), appendix B.
    """
    transformer = backbone.transformer
    depth, total = transformer.depth, 0
    shared = depth > 1 and transformer.layer_name(0, "") == transformer.layer_name(1, "")
    for weight in backbone.trainable_weights:
        path = weight.path
        is_table = "Embedding-" in path and "Embedding-Mapping" not in path
        if len(weight.shape) > 1 and not is_table and "MLM-" not in path:
            repeated = shared and "Embedding-" not in path
            total += int(np.prod(weight.shape)) * (depth if repeated else 1)
    return 6.0 * total + 12.0 * depth * length * backbone.config.hidden_size


def measure_peak(dtype: str | None = None) -> float:
    """Measure the floating-point operations a second of large matrix products on the device.

    Args:
        dtype: of the matrices; None: the compute dtype of the global policy.
    """
    dtype = dtype or keras.config.dtype_policy().compute_dtype
    best = 0.0
    for size in (1024, 2048, 4096, 8192):
        x = ops.ones((size, size), dtype=dtype) / size
        _wait(ops.matmul(x, x))
        begun, count = time.perf_counter(), 0
        while time.perf_counter() - begun < _TRIAL_SECONDS / 4 or not count:
            y = x
            for _ in range(4):
                y = ops.matmul(y, x)
            _wait(y)
            count += 4
        seconds = time.perf_counter() - begun
        best = max(best, 2.0 * size**3 * count / seconds)
        if seconds > _TRIAL_SECONDS:  # a larger size would take eight times as long
            break
    return best


def _wait(x: Any) -> None:
    ops.convert_to_numpy(ops.cast(x[0, 0], "float32"))  # NumPy has no bfloat16 scalars
