"""Processes of the tests of batch engines, and texts for them."""

from __future__ import annotations

import os
import random
import sys

import keras

from bert4keras.tokenizers.base import TokenizerBase

ENVIRONMENT = {
    **{name: x for name, x in os.environ.items() if not name.endswith("_NUM_THREADS")},
    "KERAS_BACKEND": keras.backend.backend(),
    "RAY_USAGE_STATS_ENABLED": "0",
    # By default Ray's workers yield to every other process, so that on a busy machine they starve.
    "RAY_worker_niceness": "0",
    "PYSPARK_PYTHON": sys.executable,
    "SPARK_LOCAL_IP": "127.0.0.1",
}


def texts(tokenizer: TokenizerBase, count: int) -> list[str]:
    """Return random texts of 3 to 12 known words."""
    words = sorted(token for token in tokenizer.vocab if token.isalpha() and token.isascii())
    draw = random.Random(0)
    return [" ".join(draw.choices(words, k=draw.randint(3, 12))) for _ in range(count)]
