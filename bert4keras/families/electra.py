"""ELECTRA: a discriminator that detects replaced tokens, and the generator that replaces them."""

from __future__ import annotations

import dataclasses
from typing import ClassVar

from ..checkpoints.entries import TRAINING_STATE, rows, tied
from ..checkpoints.table import Ignored, Rename
from ..config import TransformerConfig
from ..models.pretraining_heads import activation_of, dense
from ..models.task_heads import TaskHead, TaskHeads
from ..models.transformer import Transformer
from ..registry import register_model
from ..tokenizers.defaults import TokenizerDefaults
from . import bert


@dataclasses.dataclass(frozen=True)
class ELECTRAConfig(TransformerConfig):
    """ELECTRA's keys that do not affect the encoder."""

    ignored_keys: ClassVar[frozenset] = frozenset(
        """summary_activation summary_last_dropout summary_type summary_use_proj
        embedding_dropout""".split()
    )


@dataclasses.dataclass(frozen=True)
class ELECTRAGeneratorConfig(ELECTRAConfig):
    """The generator's config. Other programs have one `model_type` for both models."""

    export_as: ClassVar[str] = "electra"


_ENCODER = (
    bert.GOOGLE.without("Pooler-Dense/*", "NSP-Proba/*")
    .renamed(
        "ELECTRA",
        (
            Rename(r"^bert/encoder/embedding_hidden_mapping_in", "electra/embeddings_project"),
            Rename(r"^bert/", "electra/"),
            Rename(r"^cls/predictions/output_bias", "generator_lm_head/output_bias"),
            Rename(r"^cls/predictions/(transform/)?", "generator_predictions/"),
        ),
        root="electra",
        roots=(),
    )
    .extended(
        *rows("Discriminator-Dense", "discriminator_predictions/dense"),
        *rows("Discriminator-Prediction", "discriminator_predictions/dense_prediction"),
    )
)

_TO_GOOGLE = (
    Rename(r"^generator_lm_head/", "generator_predictions/"),
    Rename(r"/dense_prediction/", "/dense_1/"),
)
GOOGLE = _ENCODER.renamed(
    "ELECTRA discriminator, Google names",
    _TO_GOOGLE,
    ignored=(
        *TRAINING_STATE,
        Ignored("generator/*", "of the generator; model='electra_generator' loads it"),
    ),
)
# The generator has its own blocks, and shares the discriminator's embeddings.
_GOOGLE_GENERATOR = _ENCODER.renamed(
    "ELECTRA generator, Google names",
    (*_TO_GOOGLE, Rename(r"^electra/(encoder|embeddings_project)/", r"generator/\1/")),
    ignored=(
        *TRAINING_STATE,
        Ignored("electra/encoder/*", "of the discriminator; model='electra' loads it"),
        Ignored("electra/embeddings_project/*", "of the discriminator; model='electra' loads it"),
    ),
)

HUGGINGFACE = _ENCODER.renamed(
    "ELECTRA, Hugging Face names",
    bert.TO_HUGGINGFACE,
    format="huggingface",
    ignored=(
        *bert.huggingface_ignored("electra")[:2],
        tied(
            "generator_lm_head.weight",
            "electra.embeddings.word_embeddings.weight",
            "generator_lm_head.bias",
            "tied copy of the word embeddings",
        ),
    ),
)

TABLES = (HUGGINGFACE, GOOGLE)
_GENERATOR_TABLES = (HUGGINGFACE, _GOOGLE_GENERATOR)


TOKENIZER = TokenizerDefaults("ElectraTokenizer", bert_vocab=True)


HEADS = TaskHeads(TaskHead("classifier.out_proj", "first", "classifier.dense", "gelu"))


@register_model("electra", tables=TABLES, tokenizer=TOKENIZER, heads=HEADS)
class ELECTRA(Transformer):
    """The discriminator; `with_discriminator` adds the probability that a token was replaced.

    Source: Clark et al., ELECTRA, 2020 (arXiv:2003.10555).
    """

    config_class = ELECTRAConfig
    config: ELECTRAConfig

    def apply_discriminator(self, x):
        config = self.config
        x = dense(self, x, "Discriminator-Dense", config.hidden_size, config.hidden_act)
        activation = activation_of(self.pretraining_heads.with_discriminator, "sigmoid")
        return dense(self, x, "Discriminator-Prediction", 1, activation)


@register_model("electra_generator", tables=_GENERATOR_TABLES)
class ELECTRAGenerator(ELECTRA):
    """The generator. Only the names in Google's checkpoints differ from the discriminator's."""

    config_class = ELECTRAGeneratorConfig
    config: ELECTRAGeneratorConfig
