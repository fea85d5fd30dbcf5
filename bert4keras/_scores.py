"""Scores that do not count: masked tokens, banned vocabulary, forbidden transitions.

Such a score is a large negative number, not minus infinity: infinity minus infinity is NaN, and a
row with nothing else must stay a number. The values depend on each other:

- `lowest` is finite in its dtype, also twice, and softmax turns it into exactly 0 next to any score
  of a model, which lies in +-1e4.
- `is_masked` separates `lowest` from the scores of a model even after one was added to the other.
  Its default limit fits every dtype, also a float16 score that was cast to float32 since.
- `FORBIDDEN` times the length of a text stays above `lowest("float32")` up to 9,999 tokens. So
  labels that break a rule at every position still beat a label that does not exist.
"""

from __future__ import annotations

from typing import Any

import keras
import numpy as np

from ._types import Tensor

# Score of a transition between labels that a rule forbids (float32). A text whose labels have to
# break a rule then still has best labels: those that break the fewest.
FORBIDDEN = -1e5


def lowest(dtype: Any) -> float:
    """Return the score of what is masked or impossible: -3e4 in float16, -1e9 in others."""
    return -3e4 if keras.backend.standardize_dtype(dtype) == "float16" else -1e9


def is_masked(scores: Tensor | np.ndarray, dtype: Any = "float16") -> Any:
    """Return where scores are `lowest`, or a sum with it: bool of the same shape.

    Args:
        scores: tensor or array, of any float dtype. NaN counts as masked.
        dtype: of the scores when they were masked; "float16" fits all. With "float32" the limit is
            -5e8 instead of -1e4, for sums of log-probabilities, which have no bound.
    """
    limit = -1e4 if keras.backend.standardize_dtype(dtype) == "float16" else -5e8
    return ~(scores > limit)
