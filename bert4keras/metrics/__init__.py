"""How good predictions are: of generated text, of answers. Needs no model code."""

from __future__ import annotations

from .bleu import bleu, sentence_bleu
from .correlation import pearson, ranks, spearman
from .entities import EntityScore, EntityScores, entity_scores, tag_scores
from .labels import BinaryAccuracy, SparseCategoricalAccuracy
from .linking import linking_scores
from .perplexity import perplexity, perplexity_of_losses
from .reading import (
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
from .rouge import RougeScore, rouge, rouge_l, rouge_n
from .segmentation import SegmentationScore, segmentation_scores
from .sql import same_result, sql_accuracy
from .streaming import Perplexity
from .triples import triple_scores
from .words import exact_match, words

__all__ = [
    "BinaryAccuracy",
    "EntityScore",
    "EntityScores",
    "Perplexity",
    "RougeScore",
    "SegmentationScore",
    "SparseCategoricalAccuracy",
    "bleu",
    "cmrc2018",
    "cmrc_em",
    "cmrc_f1",
    "cmrc_segment",
    "entity_scores",
    "exact_match",
    "linking_scores",
    "no_answer_threshold",
    "pearson",
    "perplexity",
    "perplexity_of_losses",
    "ranks",
    "rouge",
    "rouge_l",
    "rouge_n",
    "same_result",
    "segmentation_scores",
    "sentence_bleu",
    "spearman",
    "sql_accuracy",
    "squad",
    "squad_em",
    "squad_f1",
    "squad_normalize",
    "tag_scores",
    "triple_scores",
    "webqa",
    "webqa_em",
    "webqa_f1",
    "webqa_normalize",
    "words",
]
