"""Getting data into models: padding, batches, text and file helpers. Needs no model code."""

from __future__ import annotations

import numpy as np

from bert4keras.data.branching import Branched, branch
from bert4keras.data.files import LineFile, open
from bert4keras.data.generator import DataGenerator
from bert4keras.data.masking import join_words, mask_tokens, word_pieces
from bert4keras.data.packing import Packed, pack
from bert4keras.data.padding import sequence_padding, truncate_sequences
from bert4keras.data.permutation import ordered_inputs, permute_tokens, random_ranks
from bert4keras.data.splits import split
from bert4keras.data.text import (
    is_string,
    longest_common_subsequence,
    longest_common_substring,
    lowercase_and_normalize,
    strQ2B,
    text_segmentate,
)
from bert4keras.data.text_files import (
    DataFileError,
    is_header,
    parse_json,
    read_json_rows,
    read_lines,
    read_table,
    read_text,
)

__all__ = [
    "Branched",
    "DataFileError",
    "DataGenerator",
    "LineFile",
    "Packed",
    "branch",
    "is_header",
    "is_string",
    "join_words",
    "longest_common_subsequence",
    "longest_common_substring",
    "lowercase_and_normalize",
    "mask_tokens",
    "open",
    "ordered_inputs",
    "pack",
    "parse_json",
    "permute_tokens",
    "random_ranks",
    "read_json_rows",
    "read_lines",
    "read_table",
    "read_text",
    "sequence_padding",
    "split",
    "strQ2B",
    "text_segmentate",
    "to_array",
    "truncate_sequences",
    "word_pieces",
]


def to_array(*args) -> np.ndarray | list[np.ndarray]:
    """Turn `args` into arrays: one array for one argument, else a list of them."""
    arrays = [np.asarray(a) for a in args]
    return arrays[0] if len(arrays) == 1 else arrays
