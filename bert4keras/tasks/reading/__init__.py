"""Extractive question answering: models, data sets, decoding and metrics."""

from __future__ import annotations

from .dgcnn import DGCNN, AttentionPooling, DilatedGatedConvolution, build_dgcnn
from .metrics import (
    cmrc2018,
    cmrc_em,
    cmrc_f1,
    no_answer_threshold,
    squad,
    squad_em,
    squad_f1,
    webqa,
    webqa_em,
    webqa_f1,
)
from .readers import read_json_questions, read_questions, read_squad, read_subjqa, read_webqa
from .samples import Answer, Question
from .span import SpanExtraction, SpanLoss
from .task import ExtractiveQA

__all__ = [
    "DGCNN",
    "Answer",
    "AttentionPooling",
    "DilatedGatedConvolution",
    "ExtractiveQA",
    "Question",
    "SpanExtraction",
    "SpanLoss",
    "build_dgcnn",
    "cmrc2018",
    "cmrc_em",
    "cmrc_f1",
    "no_answer_threshold",
    "read_json_questions",
    "read_questions",
    "read_squad",
    "read_subjqa",
    "read_webqa",
    "squad",
    "squad_em",
    "squad_f1",
    "webqa",
    "webqa_em",
    "webqa_f1",
]
