"""Data for models: padding, batches, masking, packing, files and text. Needs no model code."""

from __future__ import annotations

from .generator import DataGenerator
from .line_file import LineFile, open
from .masking import join_words, mask_tokens, word_pieces
from .packing import PackedRows, pack
from .padding import sequence_padding
from .permutation import ordered_inputs, permute_tokens, random_ranks
from .shared_prefix import PackedCandidates, pack_candidates
from .splits import read_parts, split
from .text_files import (
    DataFileError,
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
    "join_words",
    "mask_tokens",
    "open",
    "ordered_inputs",
    "pack",
    "pack_candidates",
    "parse_json_text",
    "permute_tokens",
    "random_ranks",
    "read_json_rows",
    "read_lines",
    "read_parts",
    "read_table",
    "read_text",
    "sequence_padding",
    "split",
    "word_pieces",
]
