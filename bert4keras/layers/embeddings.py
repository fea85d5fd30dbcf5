"""Token embedding, both ways: ids to vectors and vectors to scores over the vocabulary."""

from __future__ import annotations

import keras
import numpy as np
from keras import ops

from .._compat import check_when_run
from .._serialization import serializable


def check_token_ids(token_ids, vocab_size: int) -> None:
    """Refuse ids outside `0 .. vocab_size-1`, now or, in a compiled function, when it runs.

    Raises:
        ValueError: names the id, its place and the vocabulary size.
    """
    try:
        ids = np.asarray(token_ids)
    except Exception:  # each backend has its own error for "this is symbolic" or "on a GPU"
        check_when_run(
            token_ids,
            lambda ids: ops.logical_or(ops.any(ids < 0), ops.any(ids >= vocab_size)),
            lambda ids: check_token_ids(ids, vocab_size),
        )
        return
    if ids.dtype == object or not ids.size or (ids.min() >= 0 and ids.max() < vocab_size):
        return
    place = tuple(int(i) for i in np.argwhere((ids < 0) | (ids >= vocab_size))[0])
    raise ValueError(
        f"token id {ids[place]} at {place} is outside the model's vocabulary of {vocab_size} "
        "tokens. Tokenizer and model do not belong together, or `keep_tokens` was given to "
        "only one of them."
    )


@serializable
class TokenEmbedding(keras.layers.ReversibleEmbedding):
    """Vectors of token ids; with `reverse=True` the scores of vectors over the vocabulary.

    Call arguments:
        inputs: int (B, T), or float (B, T, E) with `reverse`.
        reverse: multiply by the transposed table (tied language-model head).

    Returns:
        (B, T, E), or (B, T, V) with `reverse`.

    Raises:
        ValueError: an id out of range; from a compiled function the backend's own error type.
    """

    def call(self, inputs, reverse=False):
        if not reverse:
            check_token_ids(inputs, self.input_dim)
        return super().call(inputs, reverse=reverse)
