"""Classification and regression of texts and pairs of texts."""

from __future__ import annotations

from .metrics import classification_scores, multi_label_scores, regression_scores
from .multi_sample_dropout import MultiSampleDropout
from .task import Classification, TextClassifier

__all__ = [
    "Classification",
    "MultiSampleDropout",
    "TextClassifier",
    "classification_scores",
    "multi_label_scores",
    "regression_scores",
]
