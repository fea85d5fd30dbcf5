"""Losses that Keras lacks, and versions of its losses that ignore positions without a label."""

from __future__ import annotations

from .focal import binary_focal_crossentropy, sparse_categorical_focal_crossentropy
from .labels import BinaryCrossentropy, SparseCategoricalCrossentropy
from .similarity import CoSENT, cosent, in_batch_negatives
from .zlpr import (
    globalpointer_crossentropy,
    multilabel_categorical_crossentropy,
    sparse_globalpointer_crossentropy,
    sparse_multilabel_categorical_crossentropy,
)

__all__ = [
    "BinaryCrossentropy",
    "CoSENT",
    "SparseCategoricalCrossentropy",
    "binary_focal_crossentropy",
    "cosent",
    "globalpointer_crossentropy",
    "in_batch_negatives",
    "multilabel_categorical_crossentropy",
    "sparse_categorical_focal_crossentropy",
    "sparse_globalpointer_crossentropy",
    "sparse_multilabel_categorical_crossentropy",
]
