"""Classification and regression of texts and pairs of texts."""

from __future__ import annotations

from .gan_bert import GANBERT
from .metrics import classification_scores, multi_label_scores, regression_scores
from .multi_sample_dropout import MultiSampleDropout
from .readers import LabelledText, read_labelled_texts
from .task import Classification, TextClassifier

__all__ = [
    "GANBERT",
    "Classification",
    "LabelledText",
    "MultiSampleDropout",
    "TextClassifier",
    "classification_scores",
    "multi_label_scores",
    "read_labelled_texts",
    "regression_scores",
]
