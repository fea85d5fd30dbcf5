"""Checkpoints of other programs, both ways: `load`, `save`, `convert`."""

from __future__ import annotations

from .convert import Conversion, convert
from .errors import CheckpointError
from .inventory import Inventory, take_inventory
from .presets import PRESETS, fetch
from .readers import Reader, open_checkpoint
from .table import IDENTITY, TRANSPOSE, Ignored, Rename, WeightMap, WeightTable, slice_of
from .tables import TABLES, register_tables
from .transfer import Report, load, save
from .writers import replacing, write_safetensors, write_tensorflow

__all__ = [
    "IDENTITY",
    "PRESETS",
    "TABLES",
    "TRANSPOSE",
    "CheckpointError",
    "Conversion",
    "Ignored",
    "Inventory",
    "Reader",
    "Rename",
    "Report",
    "WeightMap",
    "WeightTable",
    "convert",
    "fetch",
    "load",
    "open_checkpoint",
    "register_tables",
    "replacing",
    "save",
    "slice_of",
    "take_inventory",
    "write_safetensors",
    "write_tensorflow",
]
