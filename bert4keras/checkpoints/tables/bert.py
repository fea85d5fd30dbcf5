"""BERT, and RoBERTa or MiniLM with the same names."""

from __future__ import annotations

from bert4keras.checkpoints.table import TRANSPOSE, Ignored, Rename, Row, Table

DENSE = ("kernel", "bias")
NORM = ("gamma", "beta")


def _rows(weight: str, tensor: str, variables: tuple[str, ...]) -> tuple[Row, ...]:
    return tuple(Row(f"{weight}/{name}", f"{tensor}/{name}") for name in variables)


_EMBEDDINGS = (
    Row("Embedding-Token/embeddings", "bert/embeddings/word_embeddings", per_token=True),
    Row("Embedding-Segment/embeddings", "bert/embeddings/token_type_embeddings"),
    Row("Embedding-Position/embeddings", "bert/embeddings/position_embeddings"),
    *_rows("Embedding-Norm", "bert/embeddings/LayerNorm", NORM),
    *_rows("Embedding-Mapping", "bert/encoder/embedding_hidden_mapping_in", DENSE),
)

_OURS, _THEIRS = "Transformer-{i}", "bert/encoder/layer_{i}"
_ATTENTION = f"{_OURS}-MultiHeadSelfAttention"
_BLOCK = (
    *_rows(f"{_ATTENTION}/query", f"{_THEIRS}/attention/self/query", DENSE),
    *_rows(f"{_ATTENTION}/key", f"{_THEIRS}/attention/self/key", DENSE),
    *_rows(f"{_ATTENTION}/value", f"{_THEIRS}/attention/self/value", DENSE),
    *_rows(f"{_ATTENTION}/output", f"{_THEIRS}/attention/output/dense", DENSE),
    *_rows(f"{_ATTENTION}-Norm", f"{_THEIRS}/attention/output/LayerNorm", NORM),
    *_rows(f"{_OURS}-FeedForward/inner", f"{_THEIRS}/intermediate/dense", DENSE),
    *_rows(f"{_OURS}-FeedForward/output", f"{_THEIRS}/output/dense", DENSE),
    *_rows(f"{_OURS}-FeedForward-Norm", f"{_THEIRS}/output/LayerNorm", NORM),
)

_HEADS = (
    *_rows("Pooler-Dense", "bert/pooler/dense", DENSE),
    Row("NSP-Proba/kernel", "cls/seq_relationship/output_weights", TRANSPOSE),
    Row("NSP-Proba/bias", "cls/seq_relationship/output_bias"),
    *_rows("MLM-Dense", "cls/predictions/transform/dense", DENSE),
    *_rows("MLM-Norm", "cls/predictions/transform/LayerNorm", NORM),
    Row("MLM-Bias/bias", "cls/predictions/output_bias", per_token=True),
)

_SLOT = "state of the optimizer that wrote the checkpoint"
# TensorFlow names a slot `<variable>/<slot>`; the last component decides.
GOOGLE_IGNORED = (
    *(
        Ignored(f"*/{slot}", _SLOT)
        for slot in ("adam_m", "adam_v", "lamb_m", "lamb_v", "Adam", "Adam_[0-9]", "AdamW")
    ),
    *(Ignored(f"*/{slot}", _SLOT) for slot in ("AdamW_[0-9]", "Momentum", "LAMB", "LAMB_[0-9]")),
    Ignored("*beta[12]_power", _SLOT),
    Ignored("*/ExponentialMovingAverage", "moving average of a weight"),
    Ignored("global_step", "number of training steps done"),
)

GOOGLE = Table("BERT, Google names", _EMBEDDINGS + _BLOCK + _HEADS, GOOGLE_IGNORED, format="google")

_TO_HUGGINGFACE = (
    Rename(r"/kernel$", "/weight", TRANSPOSE),  # torch keeps (out, in)
    Rename(r"/gamma$", "/weight"),
    Rename(r"/beta$", "/bias"),
    Rename(r"_embeddings$", r"\g<0>/weight"),
    Rename(r"/output_weights$", "/weight"),
    Rename(r"/output_bias$", "/bias"),
    Rename(r"/layer_\{i\}/", "/layer/{i}/"),
    Rename(r"/", "."),
)

HUGGINGFACE = GOOGLE.renamed(
    "BERT, Hugging Face names",
    _TO_HUGGINGFACE,
    format="huggingface",
    ignored=(
        Ignored("bert.embeddings.position_ids", "constant 0, 1, 2, ..."),
        Ignored("bert.embeddings.token_type_ids", "constant 0, 0, 0, ..."),
        Ignored(
            "cls.predictions.decoder.weight",
            "tied copy of the word embeddings",
            copy_of="bert.embeddings.word_embeddings.weight",
            used_with="cls.predictions.bias",
        ),
        Ignored(
            "cls.predictions.decoder.bias",
            "tied copy of the output bias",
            copy_of="cls.predictions.bias",
            used_with="cls.predictions.bias",
        ),
    ),
)

TABLES = (HUGGINGFACE, GOOGLE)
