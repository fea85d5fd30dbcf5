"""Inputs that are the same for every side; numpy and the standard library only."""

from __future__ import annotations

import csv
import json
import lzma
from pathlib import Path

import numpy as np

MINILM_CONFIG = {  # the sizes of MiniLM-L6-H384
    "attention_probs_dropout_prob": 0.1,
    "hidden_act": "gelu",
    "hidden_dropout_prob": 0.1,
    "hidden_size": 384,
    "initializer_range": 0.02,
    "intermediate_size": 1536,
    "layer_norm_eps": 1e-12,
    "max_position_embeddings": 512,
    "model_type": "bert",
    "num_attention_heads": 12,
    "num_hidden_layers": 6,
    "type_vocab_size": 2,
    "vocab_size": 30522,
}
BATCH, LENGTH = 16, 128
EPOCH_BATCH, EPOCH_MAXLEN = 32, 128
LEARNING_RATE = 5e-5
PROMPT, NEW_TOKENS = 32, 64
LABELLED_BATCH, LABELS = 32, 9
HEAD_STEPS = 4  # times as many steps an epoch for a head without encoder, whose steps are short


def batch(batches: int = 1) -> dict[str, np.ndarray]:
    """Return random (B, 128) inputs: rows of 64 to 128 tokens, then padding (id 0)."""
    rng = np.random.default_rng(7)
    rows = BATCH * batches
    lengths = rng.integers(LENGTH // 2, LENGTH + 1, rows)
    lengths[::BATCH] = LENGTH  # every batch has a row of full length
    mask = (np.arange(LENGTH) < lengths[:, None]).astype(np.int32)
    token_ids = rng.integers(1000, MINILM_CONFIG["vocab_size"], (rows, LENGTH)) * mask
    return {
        "token_ids": token_ids.astype(np.int32),
        "segment_ids": np.zeros((rows, LENGTH), np.int32),
        "mask": mask,
        "labels": rng.integers(0, 2, rows).astype(np.int32),
    }


def labelling(batches: int = 1) -> dict[str, np.ndarray]:
    """Return random features (B, 128, 64), scores of 9 labels, labels and scores of label pairs."""
    rng = np.random.default_rng(13)
    shape = (LABELLED_BATCH * batches, LENGTH)
    return {
        "features": rng.normal(size=(*shape, 64)).astype(np.float32),
        "emissions": rng.normal(size=(*shape, LABELS)).astype(np.float32),
        "labels": rng.integers(0, LABELS, shape).astype(np.int32),
        "transitions": rng.normal(size=(LABELS, LABELS)).astype(np.float32),
    }


def prompts(length: int = PROMPT) -> np.ndarray:
    """Return random prompts (4, length)."""
    rng = np.random.default_rng(11)
    return rng.integers(1000, MINILM_CONFIG["vocab_size"], (4, length)).astype(np.int32)


def read_labelled(path: Path, limit: int) -> list[tuple[str, int]]:
    """Return the first rows of a table with a text and a label column (.tsv, .tsv.xz)."""
    opener = lzma.open if path.suffix == ".xz" else open
    with opener(path, "rt", encoding="utf-8") as file:
        rows = csv.reader(file, delimiter="\t", quoting=csv.QUOTE_NONE)
        header = next(rows)
        text = next(i for i, name in enumerate(header) if name in ("sentence", "text"))
        label = header.index("label")
        table = [(row[text].strip(), int(row[label])) for row in rows]
    # a fixed sample of the whole file, since neighbouring rows may be alike
    order = np.random.default_rng(7).permutation(len(table))[:limit]
    return [table[i] for i in order]


def read_samples(path: str | Path) -> tuple[list[str], list[int]]:
    """Return the texts and labels that the benchmark wrote for its workers."""
    rows = json.loads(Path(path).read_text(encoding="utf-8"))
    return [text for text, _ in rows], [label for _, label in rows]
