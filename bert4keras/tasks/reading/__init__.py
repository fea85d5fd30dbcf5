"""Extractive question answering: models, data sets, decoding and metrics."""

from __future__ import annotations

from .answers import (
    PassageAnswers,
    ScoredSpan,
    aggregate_answers,
    best_spans,
    read_answers,
    read_probabilities,
)
from .dgcnn import DGCNN, AttentionPooling, DilatedGatedConvolution, build_dgcnn
from .matching import mark_matches, match_features
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
from .readers import read_json_questions, read_questions, read_squad, read_subjqa, read_webqa
from .samples import Answer, Question
from .span import SpanExtraction, SpanLoss
from .task import ExtractiveQA
from .windows import PassageWindow, encode_passages

__all__ = [
    "DGCNN",
    "Answer",
    "AttentionPooling",
    "DilatedGatedConvolution",
    "ExtractiveQA",
    "PassageAnswers",
    "PassageWindow",
    "Question",
    "ScoredSpan",
    "SpanExtraction",
    "SpanLoss",
    "aggregate_answers",
    "best_spans",
    "build_dgcnn",
    "cmrc2018",
    "cmrc_em",
    "cmrc_f1",
    "cmrc_segment",
    "encode_passages",
    "mark_matches",
    "match_features",
    "no_answer_threshold",
    "read_answers",
    "read_json_questions",
    "read_probabilities",
    "read_questions",
    "read_squad",
    "read_subjqa",
    "read_webqa",
    "squad",
    "squad_em",
    "squad_f1",
    "squad_normalize",
    "webqa",
    "webqa_em",
    "webqa_f1",
    "webqa_normalize",
]
