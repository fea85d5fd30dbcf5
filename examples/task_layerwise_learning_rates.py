"""Layer-wise learning rates: fine-tune the lower layers of an encoder more slowly.

Task: sentence classification, with the same rate for all layers against rates that fall with the
distance from the output (`layerwise_decay`), same seeds.
Data: examples/datasets/reviews (English, written for this project, Apache-2.0), or your own TSV,
`text<TAB>label` with labels 0, 1, ... and an optional header, also xz-compressed.
Command: python examples/task_layerwise_learning_rates.py
         python examples/task_layerwise_learning_rates.py --decays 1 0.9 0.7 --seeds 5
Seen: not measured yet.
"""

from __future__ import annotations

import argparse
import collections
import time

import common
import keras
import numpy as np

from bert4keras.data import DataGenerator
from bert4keras.layers import MaskedMeanPooling
from bert4keras.models import build_transformer_model
from bert4keras.optimizers import Extended, RateByPath, WeightDecay, layerwise_decay, warm_up
from bert4keras.tokenizers import Tokenizer
from bert4keras.training import Evaluator


def read_arguments() -> argparse.Namespace:
    parser = common.arguments(__doc__, data="reviews")
    parser.add_argument("--decays", type=float, nargs="+", default=[1.0, 0.8], help="1: one rate")
    parser.add_argument("--seeds", type=int, default=1, help="how many, from --seed on")
    return parser.parse_args()


def build(directory, classes: int) -> keras.Model:
    bert = build_transformer_model(directory)
    x = MaskedMeanPooling(name="Mean-Pooling")([bert.output, bert.input[0]])
    x = keras.layers.Dropout(0.1)(x)
    return keras.Model(bert.input, keras.layers.Dense(classes, "softmax", name="Classifier")(x))


def make_optimizer(model: keras.Model, rate: float, decay: float, steps: int) -> Extended:
    return Extended(
        keras.optimizers.Adam(warm_up(rate, steps // 10, steps)),
        [WeightDecay(0.01), RateByPath(layerwise_decay(model, decay))],
    )


def main() -> None:
    options = read_arguments()
    directory = options.model or common.default_model()
    tokenizer = Tokenizer.from_pretrained(directory)
    train, valid, test = (
        common.read_tsv(path, (0, 1), options.limit)
        for path in (options.train, options.valid, options.test)
    )
    classes = 1 + max(label for _, label in (*train, *valid, *test))

    def encode_batch(samples):
        ids, segments = tokenizer.encode_batch([s[0] for s in samples], maxlen=options.maxlen)
        return [((i, g), s[1]) for i, g, s in zip(ids, segments, samples, strict=True)]

    def batches(rows, **how) -> DataGenerator:
        how = {"shuffle": False, **how}
        return DataGenerator(rows, options.batch_size, encode_batch=encode_batch, **how)

    def accuracy(model: keras.Model, rows: DataGenerator) -> float:
        found = model.predict(rows, verbose=0).argmax(axis=1)
        return float(np.mean(found == [label for _, label in rows.data]))

    def score(decay: float, seed: int) -> float:
        """Test accuracy of the epoch that is best on the validation set."""
        keras.utils.set_random_seed(seed)
        model = build(directory, classes)
        rows = batches(train, shuffle=True, seed=seed)
        optimizer = make_optimizer(model, options.learning_rate, decay, options.epochs * len(rows))
        model.compile(optimizer, "sparse_categorical_crossentropy")
        kept = Evaluator(lambda: accuracy(model, valid_batches), verbose=0)
        model.fit(rows, epochs=options.epochs, callbacks=[kept], verbose=0)
        return accuracy(model, test_batches)

    valid_batches, test_batches, started = batches(valid), batches(test), time.perf_counter()
    frequent = collections.Counter(label for _, label in train).most_common(1)[0][0]
    print(f"most frequent label {sum(label == frequent for _, label in test) / len(test):.4f}")
    seeds = range(options.seed, options.seed + options.seeds)
    for decay in options.decays:
        scores = [score(decay, seed) for seed in seeds]
        print(
            f"decay {decay:<5g} test accuracy {np.mean(scores):.4f}",
            f"(sd {np.std(scores):.4f}, seeds {seeds.start} to {seeds.stop - 1})",
            f"{time.perf_counter() - started:.0f} s",
            flush=True,
        )


if __name__ == "__main__":
    main()
