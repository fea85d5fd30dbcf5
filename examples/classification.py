"""What the examples of regularisation share: one classifier, with techniques and without."""

from __future__ import annotations

import argparse
import collections
import time
from collections.abc import Mapping, Sequence

import common
import keras
import numpy as np

from bert4keras.data import DataGenerator
from bert4keras.layers import MaskedMeanPooling
from bert4keras.models import build_transformer_model
from bert4keras.tokenizers import Tokenizer
from bert4keras.training import Regularized

Row = tuple[str, int]


def arguments(description: str, **defaults) -> argparse.ArgumentParser:
    """The parser of such an example: `common.arguments` on the reviews, and `--seeds`."""
    parser = common.arguments(description, data="reviews", **defaults)
    parser.add_argument("--seeds", type=int, default=1, help="so many seeds, from --seed on")
    parser.add_argument("--dropout", type=float, help="of the encoder (default: the checkpoint's)")
    return parser


class Classifier:
    """Texts of a label, and the accuracy on the test file of models trained on some of them.

    Args:
        options: of `arguments`.
    """

    def __init__(self, options: argparse.Namespace):
        self.options = options
        self.directory = options.model or common.default_model()
        self.tokenizer = Tokenizer.from_pretrained(self.directory)
        self.train, self.valid, self.test = common.splits(
            options, lambda path: common.read_tsv(path, (0, 1), options.limit)
        )
        rows = (*self.train, *self.valid, *self.test)
        self.classes = 1 + max(label for _, label in rows)

    def batches(self, rows: Sequence[Row], seed: int | None = None) -> DataGenerator:
        """Token ids, segment ids and labels; shuffled if there is a seed."""

        def encode_batch(samples):
            texts = [text for text, _ in samples]
            ids, segments = self.tokenizer.encode_batch(texts, maxlen=self.options.maxlen)
            pairs = zip(ids, segments, samples, strict=True)
            return [((i, g), label) for i, g, (_, label) in pairs]

        return DataGenerator(
            rows,
            self.options.batch_size,
            encode_batch=encode_batch,
            shuffle=seed is not None,
            seed=seed or 0,
        )

    def model(self) -> keras.Model:
        """The pretrained encoder, the mean of its vectors and a softmax."""
        bert = build_transformer_model(self.directory, dropout_rate=self.options.dropout)
        x = MaskedMeanPooling(name="Mean-Pooling")([bert.output, bert.input[0]])
        x = keras.layers.Dropout(0.1, name="Classifier-Dropout")(x)
        x = keras.layers.Dense(self.classes, "softmax", name="Classifier", dtype="float32")(x)
        return keras.Model(bert.input, x)

    def score(
        self,
        techniques: Sequence,
        seed: int,
        rows: Sequence[Row] | None = None,
        epochs: int | None = None,
    ) -> float:
        """Test accuracy after training, with the weights of the best epoch on the valid file."""
        keras.utils.set_random_seed(seed)
        model = self.model()
        if techniques:
            model = Regularized(model, techniques)
        valid, test = self.batches(self.valid), self.batches(self.test)

        def accuracy(batches):
            found = model.predict(batches, verbose=0).argmax(axis=1)
            return float(np.mean(found == [label for _, label in batches.data]))

        options = argparse.Namespace(**vars(self.options))
        options.epochs = epochs or options.epochs
        batches = self.batches(self.train if rows is None else rows, seed)
        common.fine_tune(model, batches, lambda: {"accuracy": accuracy(valid)}, options)
        return accuracy(test)

    def compare(self, runs: Mapping[str, Mapping]) -> dict[str, list[float]]:
        """Train and test each run with each seed, and print the scores.

        Args:
            runs: arguments of `score` less the seed, by what to call the run.
        """
        guess = collections.Counter(label for _, label in self.train).most_common(1)[0][0]
        share = np.mean([label == guess for _, label in self.test])
        scores = {}
        for name, run in runs.items():
            started = time.perf_counter()
            seeds = range(self.options.seed, self.options.seed + self.options.seeds)
            scores[name] = [self.score(seed=seed, **run) for seed in seeds]
            seconds = (time.perf_counter() - started) / len(seeds)
            print(f"{name}: {seconds:.0f} s a seed", flush=True)
        print(f"test accuracy of the most frequent training label {share:.4f}")
        for name, values in scores.items():
            print(f"test accuracy, {name}: {summary(values)}")
        return scores


def summary(values: Sequence[float]) -> str:
    """A score, or of several the mean, the standard deviation and each one."""
    if len(values) == 1:
        return f"{values[0]:.4f}"
    each = " ".join(f"{value:.4f}" for value in values)
    return f"{np.mean(values):.4f} +- {np.std(values, ddof=1):.4f} ({each})"
