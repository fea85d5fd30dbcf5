"""Answers to questions, read off a text."""

from __future__ import annotations

from .answers import (
    Answer,
    Reading,
    ScoredSpan,
    best_spans,
    read_answers,
    vote,
)
from .dgcnn import (
    DGCNN,
    AttentionPooling,
    DilatedGatedConvolution,
    build_dgcnn,
    match_features,
)
from .metrics import (
    cmrc2018,
    cmrc_em,
    cmrc_f1,
    cmrc_segment,
    no_answer_threshold,
    squad,
    squad_em,
    squad_f1,
    squad_normalize,
    webqa,
    webqa_em,
    webqa_f1,
    webqa_normalize,
)
from .span import (
    SpanExtraction,
)
from .windows import (
    Window,
    central_window,
    cut_windows,
    read_windows,
)

__all__ = [
    "DGCNN",
    "Answer",
    "AttentionPooling",
    "DilatedGatedConvolution",
    "Reading",
    "ScoredSpan",
    "SpanExtraction",
    "Window",
    "best_spans",
    "build_dgcnn",
    "central_window",
    "cmrc2018",
    "cmrc_em",
    "cmrc_f1",
    "cmrc_segment",
    "cut_windows",
    "match_features",
    "no_answer_threshold",
    "read_answers",
    "read_windows",
    "squad",
    "squad_em",
    "squad_f1",
    "squad_normalize",
    "vote",
    "webqa",
    "webqa_em",
    "webqa_f1",
    "webqa_normalize",
]
