"""Data for models: padding, batches, masking, packing, files and text. Needs no model code."""

from __future__ import annotations

import numpy as np

from .generator import DataGenerator
from .line_file import LineFile, open
from .masking import join_words, mask_tokens, word_pieces
from .packing import PackedRows, pack
from .padding import sequence_padding, truncate_sequences
from .permutation import ordered_inputs, permute_tokens, random_ranks
from .shared_prefix import PackedCandidates, pack_candidates
from .splits import split
from .text import (
    is_string,
    longest_common_subsequence,
    longest_common_substring,
    lowercase_and_normalize,
    strQ2B,
    text_segmentate,
)
from .text_blocks import read_blocks
from .text_files import (
    DataFileError,
    is_header,
    parse_json_text,
    read_json_rows,
    read_lines,
    read_table,
    read_text,
)

__all__ = [
    "DataFileError",
    "DataGenerator",
    "LineFile",
    "PackedCandidates",
    "PackedRows",
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
    "pack_candidates",
    "parse_json_text",
    "permute_tokens",
    "random_ranks",
    "read_blocks",
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
    """Convert arguments to arrays: one array for one argument, else a list of arrays."""
    arrays = [np.asarray(a) for a in args]
    return arrays[0] if len(arrays) == 1 else arrays
