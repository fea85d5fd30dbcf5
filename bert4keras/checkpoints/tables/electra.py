"""ELECTRA: discriminator and generator, Google's names and Hugging Face's."""

from __future__ import annotations

from ..table import Ignored, Rename
from . import bert
from .common import TRAINING_STATE, rows, tied

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
    ignored=(*TRAINING_STATE, Ignored("generator/*", "the generator; model='electra_generator'")),
)
# The generator has blocks of its own, and the discriminator's embeddings.
GOOGLE_GENERATOR = _ENCODER.renamed(
    "ELECTRA generator, Google names",
    (*_TO_GOOGLE, Rename(r"^electra/(encoder|embeddings_project)/", r"generator/\1/")),
    ignored=(
        *TRAINING_STATE,
        Ignored("electra/encoder/*", "the discriminator; model='electra'"),
        Ignored("electra/embeddings_project/*", "the discriminator; model='electra'"),
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
GENERATOR_TABLES = (HUGGINGFACE, GOOGLE_GENERATOR)
