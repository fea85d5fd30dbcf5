"""Rows that each pretraining objective corrupts in a second of processor time.

python scripts/experiments/objective_speed.py
"""

from __future__ import annotations

import argparse
import time

import numpy as np

from bert4keras import Tokenizer
from bert4keras.pretraining import PRETRAINING_OBJECTIVES, TokenRows

parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
parser.add_argument("--rows", type=int, default=256)
parser.add_argument("--length", type=int, default=512, help="tokens of a row")
parser.add_argument("--document", type=int, default=100, help="tokens of a document")
parser.add_argument("--repeats", type=int, default=5, help="the fastest counts")
options = parser.parse_args()

special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *(f"[unused{i}]" for i in range(1, 100))]
tokenizer = Tokenizer([*special, ".", *(f"word{i}" for i in range(20000))])
rng = np.random.default_rng(0)
count = options.length // options.document
size, end = options.document, tokenizer.vocab["."]
ids = rng.integers(end + 1, tokenizer.vocab_size, (options.rows, count, size))
ids[:, :, 20::20] = end
ids[:, :, 0], ids[:, :, -1] = tokenizer.token_start_id, tokenizer.token_end_id
words = np.tile(np.arange(count * size).reshape(count, size), (options.rows, 1, 1))
words[:, :, [0, -1]] = -1
padding = ((0, 0), (0, options.length - count * size))
documents = np.repeat(np.arange(1, count + 1), size)[None].repeat(options.rows, 0)
rows = TokenRows(
    np.pad(ids.reshape(options.rows, -1), padding).astype("int32"),
    np.pad(documents, padding).astype("int32"),
    np.pad(words.reshape(options.rows, -1), padding, constant_values=-1).astype("int32"),
)
for name, objective in PRETRAINING_OBJECTIVES.items():
    made, seconds = objective(tokenizer), []
    for _ in range(options.repeats):
        start = time.process_time()
        made.corrupt(rows, rng)
        seconds.append(time.process_time() - start)
    print(f"{name:16}{options.rows / min(seconds):8.0f} rows/s")
