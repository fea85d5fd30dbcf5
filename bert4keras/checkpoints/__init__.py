"""Checkpoints of other programs, both ways: `load`, `save`, `convert`."""

from __future__ import annotations

from bert4keras.checkpoints.convert import Conversion, convert
from bert4keras.checkpoints.errors import CheckpointError
from bert4keras.checkpoints.inventory import Inventory, take_inventory
from bert4keras.checkpoints.named import NAMED, fetch
from bert4keras.checkpoints.readers import Reader, open_checkpoint
from bert4keras.checkpoints.table import IDENTITY, TRANSPOSE, Ignored, Rename, Row, Table, part
from bert4keras.checkpoints.tables import TABLES, register_tables
from bert4keras.checkpoints.transfer import Report, load, save
from bert4keras.checkpoints.writers import replacing, write_safetensors, write_tensorflow

__all__ = [
    "IDENTITY",
    "NAMED",
    "TABLES",
    "TRANSPOSE",
    "CheckpointError",
    "Conversion",
    "Ignored",
    "Inventory",
    "Reader",
    "Rename",
    "Report",
    "Row",
    "Table",
    "convert",
    "fetch",
    "load",
    "open_checkpoint",
    "part",
    "register_tables",
    "replacing",
    "save",
    "take_inventory",
    "write_safetensors",
    "write_tensorflow",
]
