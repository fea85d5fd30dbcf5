"""The ancestor's import path for text, file and data helpers; the code lives in bert4keras.data."""

from __future__ import annotations

from bert4keras.data import (
    DataGenerator,
    is_string,
    longest_common_subsequence,
    longest_common_substring,
    lowercase_and_normalize,
    open,
    sequence_padding,
    strQ2B,
    text_segmentate,
    to_array,
    truncate_sequences,
)

__all__ = [
    "DataGenerator",
    "is_string",
    "longest_common_subsequence",
    "longest_common_substring",
    "lowercase_and_normalize",
    "open",
    "sequence_padding",
    "strQ2B",
    "text_segmentate",
    "to_array",
    "truncate_sequences",
]
