"""BERT, and models of the same structure: Chinese RoBERTa, MiniLM."""

from __future__ import annotations

from ..checkpoints.entries import NORM, TRAINING_STATE, rows, tied
from ..checkpoints.table import Ignored, Rename, WeightMap, WeightTable
from ..checkpoints.tensor_transform import TRANSPOSE
from ..models.task_heads import TaskHead, TaskHeads
from ..models.transformer import Transformer
from ..registry import register_model
from ..tokenizers.defaults import TokenizerDefaults

_EMBEDDINGS = (
    WeightMap("Embedding-Token/embeddings", "bert/embeddings/word_embeddings", per_token=True),
    WeightMap("Embedding-Segment/embeddings", "bert/embeddings/token_type_embeddings"),
    WeightMap("Embedding-Position/embeddings", "bert/embeddings/position_embeddings"),
    *rows("Embedding-Norm", "bert/embeddings/LayerNorm", NORM),
    *rows("Embedding-Mapping", "bert/encoder/embedding_hidden_mapping_in"),
)

_OURS, _THEIRS = "Transformer-{i}", "bert/encoder/layer_{i}"
_ATTENTION = f"{_OURS}-MultiHeadSelfAttention"
_BLOCK = (
    *rows(f"{_ATTENTION}/query", f"{_THEIRS}/attention/self/query"),
    *rows(f"{_ATTENTION}/key", f"{_THEIRS}/attention/self/key"),
    *rows(f"{_ATTENTION}/value", f"{_THEIRS}/attention/self/value"),
    *rows(f"{_ATTENTION}/output", f"{_THEIRS}/attention/output/dense"),
    *rows(f"{_ATTENTION}-Norm", f"{_THEIRS}/attention/output/LayerNorm", NORM),
    *rows(f"{_OURS}-FeedForward/inner", f"{_THEIRS}/intermediate/dense"),
    *rows(f"{_OURS}-FeedForward/output", f"{_THEIRS}/output/dense"),
    *rows(f"{_OURS}-FeedForward-Norm", f"{_THEIRS}/output/LayerNorm", NORM),
)

_HEADS = (
    *rows("Pooler-Dense", "bert/pooler/dense"),
    WeightMap("NSP-Proba/kernel", "cls/seq_relationship/output_weights", TRANSPOSE),
    WeightMap("NSP-Proba/bias", "cls/seq_relationship/output_bias"),
    *rows("MLM-Dense", "cls/predictions/transform/dense"),
    *rows("MLM-Norm", "cls/predictions/transform/LayerNorm", NORM),
    WeightMap("MLM-Bias/bias", "cls/predictions/output_bias", per_token=True),
)

GOOGLE = WeightTable(
    "BERT, Google names", _EMBEDDINGS + _BLOCK + _HEADS, TRAINING_STATE, format="google"
)

TO_HUGGINGFACE = (
    Rename(r"/kernel$", "/weight", TRANSPOSE),  # torch stores kernels as (out, in)
    Rename(r"/gamma$", "/weight"),
    Rename(r"/beta$", "/bias"),
    Rename(r"_embeddings$", r"\g<0>/weight"),
    Rename(r"/output_weights$", "/weight"),
    Rename(r"/output_bias$", "/bias"),
    Rename(r"/layer_\{i\}/", "/layer/{i}/"),
    Rename(r"/", "."),
)


def huggingface_ignored(root: str) -> tuple[Ignored, ...]:
    """Return the entries for tensors of a BERT-like Hugging Face checkpoint that are no weights.

    Args:
        root: first component of the names of the encoder's tensors.
    """
    return (
        Ignored(f"{root}.embeddings.position_ids", "constant 0, 1, 2, ..."),
        Ignored(f"{root}.embeddings.token_type_ids", "constant 0, 0, 0, ..."),
        tied(
            "cls.predictions.decoder.weight",
            f"{root}.embeddings.word_embeddings.weight",
            "cls.predictions.bias",
            "tied copy of the word embeddings",
        ),
        tied(
            "cls.predictions.decoder.bias",
            "cls.predictions.bias",
            "cls.predictions.bias",
            "tied copy of the output bias",
        ),
    )


HUGGINGFACE = GOOGLE.renamed(
    "BERT, Hugging Face names",
    TO_HUGGINGFACE,
    format="huggingface",
    ignored=huggingface_ignored("bert"),
)

TABLES = (HUGGINGFACE, GOOGLE)

TOKENIZER = TokenizerDefaults("BertTokenizer", bert_vocab=True)


HEADS = TaskHeads(TaskHead("classifier", "pooler"))


@register_model(
    "bert", "roberta_as_bert", "minilm", tables=TABLES, tokenizer=TOKENIZER, heads=HEADS
)
class BERT(Transformer):
    """Post-norm encoder with learned positions and segments: the base assembler, unchanged.

    Source: Devlin et al., BERT, 2018 (arXiv:1810.04805).
    """
