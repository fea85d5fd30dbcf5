"""Checkpoints of other programs, both ways: `load`, `save`, `convert`."""

from __future__ import annotations

from ..registry import TABLES, register_tables
from .convert import Conversion, convert
from .errors import CheckpointError
from .presets import PRESETS, fetch
from .readers import CheckpointReader, open_checkpoint
from .table import Ignored, Rename, WeightMap, WeightTable
from .tensor_match import TensorMatch, match_tensors
from .tensor_transform import TRANSPOSE, slice_of
from .transfer import LoadReport, load, save

__all__ = [
    "PRESETS",
    "TABLES",
    "TRANSPOSE",
    "CheckpointError",
    "CheckpointReader",
    "Conversion",
    "Ignored",
    "LoadReport",
    "Rename",
    "TensorMatch",
    "WeightMap",
    "WeightTable",
    "convert",
    "fetch",
    "load",
    "match_tensors",
    "open_checkpoint",
    "register_tables",
    "save",
    "slice_of",
]
