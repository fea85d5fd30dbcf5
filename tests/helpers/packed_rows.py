"""Small packed rows for the pretraining objectives, and a tiny config."""

from __future__ import annotations

import numpy as np
from keras import ops

from bert4keras import Tokenizer
from bert4keras.pretraining import TokenRows

SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
PAD, _, CLS, SEP, MASK = range(5)
_LETTERS = [*map(chr, range(97, 117))]
TOKENIZER = Tokenizer([*SPECIAL, *_LETTERS, ".", *(f"[unused{i}]" for i in range(1, 9))])
END = TOKENIZER.vocab["."]
FIRST_SENTINEL = END + 1
CONFIG = {"vocab_size": TOKENIZER.vocab_size, "hidden_size": 8, "num_hidden_layers": 2}
CONFIG |= {"num_attention_heads": 2, "intermediate_size": 12, "max_position": 64}
CONFIG |= {"initializer_range": 0.4, "pad_token_id": PAD, "dropout_rate": 0.0}
CONFIG |= {"attention_dropout_rate": 0.0}


def make_rows(batch: int, length: int, lengths=(5, 14), letters: int = 20, seed: int = 0):
    """Rows of texts with `lengths` tokens (from, to) of single-token words, [CLS] and [SEP].

    About each fifth token of a text is the end of a sentence; no two of them are neighbours.
    """
    rng = np.random.default_rng(seed)
    ids, documents = np.zeros((2, batch, length), "int32")
    words = np.full((batch, length), -1, "int32")
    for row in range(batch):
        at, number = 0, 0
        while (n := int(rng.integers(*lengths))) + 2 <= length - at:
            text = rng.integers(5, 5 + letters, n)
            text[3::5] = END
            inside = slice(at + 1, at + 1 + n)
            number += 1
            ids[row, at], ids[row, inside], ids[row, at + n + 1] = CLS, text, SEP
            documents[row, at : at + n + 2] = number
            words[row, inside] = np.arange(at, at + n)
            at += n + 2
    return TokenRows(ids, documents, words)


def outputs(model, inputs) -> np.ndarray | dict:
    """Outputs of a model on arrays by name, uncompiled."""
    found = model({name: ops.convert_to_tensor(x) for name, x in inputs.items()}, training=False)
    if isinstance(found, dict):
        return {name: ops.convert_to_numpy(x) for name, x in found.items()}
    return ops.convert_to_numpy(found)


def cross_entropy(logits: np.ndarray, targets: np.ndarray) -> float:
    """Mean of -log softmax at the targets of 0 or more."""
    shifted = logits - logits.max(axis=-1, keepdims=True)
    scores = shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True))
    picked = np.take_along_axis(scores, np.maximum(targets, 0)[..., None], axis=-1)[..., 0]
    return float(-picked[targets >= 0].mean())
