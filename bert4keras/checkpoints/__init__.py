"""Checkpoints of other programs, both ways: `load`, `save`, `convert`."""

from __future__ import annotations

from ..registry import TABLES, register_tables
from .convert import Conversion, convert
from .errors import CheckpointError
from .presets import PRESETS, fetch
from .readers import CheckpointReader, open_checkpoint
from .table import Ignored, Rename, WeightMap, WeightTable
from .tensor_match import TensorMatch, match_tensors
from .tensor_transform import IDENTITY, TRANSPOSE, slice_of
from .transfer import LoadReport, load, save
from .writers import write_safetensors, write_tensorflow

__all__ = [
    "IDENTITY",
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
    "write_safetensors",
    "write_tensorflow",
]
