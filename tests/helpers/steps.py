"""Decoding with a cache, row by row."""

from __future__ import annotations

import numpy as np
from keras import ops


def step_all(transformer, named, first, last=False):
    """The output of all rows: `first` at once, or with `last` of these the last; then each."""
    named = {name: ops.convert_to_tensor(value) for name, value in named.items()}
    cache, outputs = transformer.empty_cache(*named["token_ids"].shape), []
    for rows in [range(first), *([i] for i in range(first, named["token_ids"].shape[1]))]:
        rows = ops.convert_to_tensor(np.array(rows, "int32"))
        out, cache = transformer.step(named, rows, cache, last)
        outputs.append(ops.convert_to_numpy(out))
    return np.concatenate(outputs, axis=1)
