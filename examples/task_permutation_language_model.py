"""A language model in any order: train it in random ones, fill texts in whichever you like.

Task: permutation language modelling of characters by a small BERT, from random weights, in both
readings: one stream whose rows are told the position to predict, and two streams as in XLNet. The
loss is that of held-out texts in random orders, the entropy what a model without context can reach.
Data: the English texts of examples/datasets (written for this project, Apache-2.0) in pieces of 30
      characters, 9 of 10 texts to train on. `--text` takes any file with one text a line, *.xz
      too; of a line of json its `paragraphs`.
Command: python examples/task_permutation_language_model.py [--text FILE] [--epochs N]
Seen: entropy 2.981 nats a character; two streams 2.299, and 0.37 of the characters left out of
      held-out texts found (the most frequent one: 0.15); one stream, which learns more slowly,
      2.782 and 0.17 to 0.21. 180 s on 4 CPU cores of a busy machine (TensorFlow).
"""

from __future__ import annotations

import collections
import time
from pathlib import Path

import common
import keras
import numpy as np

from bert4keras.config import TransformerConfig
from bert4keras.data import DataGenerator, permute_tokens, read_lines, sequence_padding
from bert4keras.models import TwoStream, build_transformer_model, fill_gaps

SPECIAL = ["[PAD]", "[CLS]", "[SEP]", "[MASK]", "[UNK]"]
PAD, CLS, SEP, MASK, UNK = range(len(SPECIAL))
FILES = ["corpus_en.txt", "reviews/train.tsv", "sentence_pairs/train.tsv"]
TARGETS = {"custom_position_ids": True, "hierarchical_position": True}
READINGS = {
    "one stream": {"application": "permutation", **TARGETS},
    "two streams": {"application": TwoStream(MASK)},
}


def read(path: Path) -> list[str]:
    """The texts of a file; of a table its columns of text."""
    with common.exits():
        rows = [line.strip() for line in read_lines(path) if line.strip()]
    if rows and rows[0].startswith('{"'):
        rows = common.json_rows(path, "paragraphs", kind=list)
        return ["".join(map(str, row)) for (row,) in rows]
    return [part for row in rows for part in row.split("\t") if not part.isdigit()]


def encode(texts: list[str], vocabulary: dict[str, int], maxlen: int) -> list[list[int]]:
    """Character ids between [CLS] and [SEP], in pieces."""
    n = maxlen - 2
    pieces = [text[i : i + n] for text in texts for i in range(0, max(1, len(text) - 9), n)]
    return [[CLS, *(vocabulary.get(char, UNK) for char in piece), SEP] for piece in pieces]


def permuted(ids, config: TransformerConfig, rng: np.random.Generator, reading: str):
    """Inputs and labels of texts in a random order."""
    one = config.max_position if reading == "one stream" else None
    how = {"special_ids": (PAD, CLS, SEP), "max_position": one, "pad_token_id": PAD}
    return permute_tokens(ids, np.zeros_like(ids), rng, **how)


def train(reading: str, texts: list[list[int]], config: TransformerConfig, options) -> keras.Model:
    """A model whose every epoch reads the texts in orders of its own."""
    keras.utils.set_random_seed(options.seed)
    model = build_transformer_model(config, with_mlm="linear", **READINGS[reading])
    rng = np.random.default_rng(options.seed)
    data = DataGenerator(
        [np.array(ids) for ids in texts],
        batch_size=16,
        encode=lambda ids: permuted(ids, config, rng, reading),
        shuffle=True,
        seed=options.seed,
        buckets=4,
        cache=False,
    )
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True, ignore_class=-1)
    model.compile(common.adamw(1e-3, options.epochs * len(data)), loss)
    model.fit(data, epochs=options.epochs, verbose=2)
    return model


def loss_per_token(model: keras.Model, ids: np.ndarray, reading: str) -> float:
    """Mean of -log p, in nats, over all characters in one random order per text."""
    inputs, labels = permuted(ids, model.config, np.random.default_rng(0), reading)
    scores = model.predict(list(inputs), verbose=0).astype("float64")
    scores -= scores.max(-1, keepdims=True)
    scores -= np.log(np.exp(scores).sum(-1, keepdims=True))
    return -float(np.take_along_axis(scores, labels[..., None], -1)[labels >= 0].mean())


def entropy(ids: np.ndarray) -> float:
    """Entropy of single characters, in nats."""
    shares = np.unique(ids[ids > SEP], return_counts=True)[1] / np.sum(ids > SEP)
    return -float(np.sum(shares * np.log(shares)))


@common.script
def main() -> None:
    parser = common.arguments(__doc__, pretrained="")
    parser.add_argument("--text", type=Path, help="one text a line")
    parser.add_argument("--epochs", type=int, default=15)
    parser.add_argument("--maxlen", type=int, default=32, help="of a piece")
    parser.add_argument("--seed", type=int, default=1)
    common.add_limits(parser)
    options = parser.parse_args()
    paths = [options.text] if options.text else [common.DATASETS / file for file in FILES]
    texts = list(dict.fromkeys(text for path in paths for text in read(path)))
    np.random.default_rng(0).shuffle(texts)
    if not (tenth := len(texts) // 10):
        parser.error(f"{len(texts)} texts are too few: at least 10 are needed")
    parts = {"train": texts[tenth:], "test": texts[:tenth]}
    texts, held_out = common.shown(options, parts, common.origins(parts, paths))
    counts = collections.Counter("".join(texts)).most_common(5000)
    vocabulary = {char: i for i, char in enumerate([*SPECIAL, *(char for char, _ in counts)])}
    tokens = sequence_padding(encode(held_out, vocabulary, options.maxlen))
    config = TransformerConfig(
        vocab_size=len(vocabulary),
        hidden_size=128,
        num_hidden_layers=2,
        num_attention_heads=4,
        intermediate_size=256,
        max_position=options.maxlen,
        initializer_range=0.05,
    )
    chars = list(vocabulary)
    print(f"entropy of single characters {entropy(tokens):.3f} nats")
    gaps = (np.random.default_rng(0).random(tokens.shape) < 0.2) & (tokens > SEP)
    frequent = (tokens[gaps] == vocabulary[counts[0][0]]).mean()
    for reading in READINGS:
        start = time.time()
        model = train(reading, encode(texts, vocabulary, options.maxlen), config, options)
        seconds, loss = time.time() - start, loss_per_token(model, tokens, reading)
        print(f"{reading}: held-out loss {loss:.3f} nats per character after {seconds:.0f} s")
        print("  " + "".join("_" if g else chars[i] for i, g in show(tokens, gaps)))
        how = {"rng": np.random.default_rng(0), "banned_ids": range(len(SPECIAL))}
        for order in ("left", "right", "random"):
            filled = fill_gaps(model, tokens, gaps, np.zeros_like(tokens), order, **how)
            text = "".join(chars[i] for i, _ in show(filled, gaps))
            share = (filled == tokens)[gaps].mean()
            print(f"  {text}  ({order}; {share:.2f} right, most frequent {frequent:.2f})")


def show(tokens: np.ndarray, gaps: np.ndarray) -> list[tuple[int, bool]]:
    """Ids of the first text's characters, and whether each was a gap."""
    return [(i, gap) for i, gap in zip(tokens[0], gaps[0], strict=True) if i > SEP]


if __name__ == "__main__":
    main()
