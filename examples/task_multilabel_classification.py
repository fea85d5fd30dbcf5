"""Classification with any number of labels per text: ZLPR beside one sigmoid per label.

Task: all topics of a message, which may have none. ZLPR is given its labels as zeros and ones
      (dense), as indices (sparse: the same numbers, without a row as long as the list of labels) or
      smoothed (soft); the binary cross-entropy (bce) is the baseline with the same model.
Data: examples/datasets/topics (English, made from templates for this project, Apache-2.0), or your
      own TSV, `text<TAB>label, label, ...`, *.xz too.
Command: python examples/task_multilabel_classification.py [--objectives bce dense sparse soft]
Seen: topics, seed 1: test F1 0.9587 by ZLPR, 0.9535 by the binary cross-entropy (0.9514 with soft
      labels; all topics for every text: 0.2738); 3 min each on one busy CPU core (JAX).
"""

from __future__ import annotations

import collections
import itertools
import re
import sys
import time
from pathlib import Path

import common
import keras
import numpy as np

from bert4keras.data import DataGenerator
from bert4keras.layers import MaskedMeanPooling
from bert4keras.losses import (
    multilabel_categorical_crossentropy,
    sparse_multilabel_categorical_crossentropy,
)
from bert4keras.models import build_transformer_model
from bert4keras.tasks.tagging import entity_scores
from bert4keras.tokenizers import Tokenizer

LOSSES = {
    "bce": keras.losses.BinaryCrossentropy(from_logits=True),
    "dense": multilabel_categorical_crossentropy,
    "sparse": sparse_multilabel_categorical_crossentropy,
    "soft": multilabel_categorical_crossentropy,
}


def read(path: Path) -> list[tuple[str, list[str]]]:
    """Texts and their labels; a first line of names of columns is skipped."""
    rows = common.table_rows(path, "text<TAB>label, label, ...")
    split = [re.split("[,，]", cell) for _, cell in rows]
    labels = [list(dict.fromkeys(filter(None, map(str.strip, parts)))) for parts in split]
    common.check_spelling(path, itertools.chain(*labels))
    return [(text, found) for (text, _), found in zip(rows, labels, strict=True)]


def encoded(labels: list[str], names: list[str], objective: str, smoothing: float, most: int):
    """The labels of a text as the objective wants them."""
    places = [names.index(label) for label in labels if label in names]
    if objective == "sparse":
        return np.array(places + [-1] * (most - len(places)), "int32")
    dense = np.zeros(len(names), "float32")
    dense[places] = 1
    return dense * (1 - smoothing) + smoothing / 2 if objective == "soft" else dense


def f1(found: list[list[str]], rows) -> float:
    """Micro-averaged over all labels of all texts."""
    pairs = [
        [[(label,) for label in some] for some in (ours, row[1])]
        for ours, row in zip(found, rows, strict=True)
    ]
    return entity_scores([ours for ours, _ in pairs], [theirs for _, theirs in pairs]).micro.f1


def frequent(rows) -> list[str]:
    """Baseline: the most frequent labels, as many as are best for the training texts."""
    counts = collections.Counter(label for _, labels in rows for label in labels)
    ordered = [label for label, _ in counts.most_common()]
    candidates = [ordered[:k] for k in range(1, len(ordered) + 1)]
    return max(candidates, key=lambda labels: f1([labels] * len(rows), rows))


def train_and_test(objective: str, rows: list[list], names: list[str], options) -> float:
    """F1 on the test texts after training."""
    keras.utils.set_random_seed(options.seed)
    train, valid, test = rows
    directory = options.model or common.default_model()
    bert, tokenizer = build_transformer_model(directory), Tokenizer.from_pretrained(directory)
    common.check_room(bert, options.maxlen)
    inputs = common.inputs(bert)
    x = MaskedMeanPooling(name="Mean-Pooling")([bert.output, inputs[0]])
    x = keras.layers.Dropout(0.1)(x)
    model = keras.Model(inputs, keras.layers.Dense(len(names), name="Classifier")(x))
    most = max(1, *(len(labels) for _, labels in train))

    def batches(some, shuffle=False):
        def encode_batch(samples):
            ids = tokenizer.encode_batch([text for text, _ in samples], maxlen=options.maxlen)
            ys = [encoded(y, names, objective, options.smoothing, most) for _, y in samples]
            return [((i, g), y) for i, g, y in zip(*ids, ys, strict=True)]

        how = {"encode_batch": encode_batch, "shuffle": shuffle, "seed": options.seed}
        return DataGenerator(some, options.batch_size, **how)

    def predicted(some) -> list[list[str]]:
        scores = model.predict(batches(some), verbose=0)
        return [[names[k] for k in np.flatnonzero(row > 0)] for row in scores]

    evaluate = lambda: {"f1": f1(predicted(valid), valid)}  # noqa: E731
    common.fine_tune(model, batches(train, True), evaluate, options, LOSSES[objective])
    return f1(predicted(test), test)


@common.script
def main() -> None:
    parser = common.arguments(__doc__, "topics", epochs=5, learning_rate=2e-4, maxlen=64)
    parser.add_argument("--objectives", nargs="+", choices=LOSSES, default=["bce", "dense"])
    parser.add_argument("--smoothing", type=float, default=0.05, help="of the soft labels")
    options = parser.parse_args()
    rows = common.splits(options, read, labels=lambda row: row[1])
    names = sorted({label for _, labels in rows[0] for label in labels})
    if not names:
        sys.exit(f"{options.train} has no labels.")
    always = frequent(rows[0])
    print(f"test F1 of {', '.join(always)} for all: {f1([always] * len(rows[2]), rows[2]):.4f}")
    for objective in options.objectives:
        started = time.perf_counter()
        score = train_and_test(objective, rows, names, options)
        print(f"test F1 with {objective}: {score:.4f}, {time.perf_counter() - started:.0f} s")


if __name__ == "__main__":
    main()
