"""Novelty detection: texts that are unlike the known ones."""

from __future__ import annotations

from . import densities, distances  # noqa: F401  # imported for the methods that they register
from .answers import Novelty
from .calibration import Calibration
from .densities import register_density
from .methods import METHODS, Encodings, NoveltyMethod, register_method
from .metrics import aupr, auroc, fpr_at_recall, novelty_scores, roc_curve
from .task import NoveltyDetector

__all__ = [
    "METHODS",
    "Calibration",
    "Encodings",
    "Novelty",
    "NoveltyDetector",
    "NoveltyMethod",
    "aupr",
    "auroc",
    "fpr_at_recall",
    "novelty_scores",
    "register_density",
    "register_method",
    "roc_curve",
]
