"""Classification and regression of texts and pairs of texts."""

from __future__ import annotations

from .metrics import classification_scores, multi_label_scores, regression_scores
from .task import Classification, TextClassifier

__all__ = [
    "Classification",
    "TextClassifier",
    "classification_scores",
    "multi_label_scores",
    "regression_scores",
]
