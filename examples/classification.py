"""What the examples of training techniques share: one classifier, trained with them or without."""

from __future__ import annotations

import argparse
import collections
import time
from collections.abc import Callable, Mapping, Sequence

import common
import keras
import numpy as np

from bert4keras.data import DataGenerator
from bert4keras.layers import MaskedMeanPooling
from bert4keras.models import build_transformer_model
from bert4keras.tokenizers import Tokenizer
from bert4keras.training import Regularized

Row = tuple[str, int]


def arguments(description: str, seeds: bool = True, **defaults) -> argparse.ArgumentParser:
    """The parser of such an example: `common.arguments` on the reviews, and mostly `--seeds`."""
    parser = common.arguments(description, data="reviews", **defaults)
    if seeds:
        parser.add_argument("--seeds", type=int, default=1, help="so many seeds, from --seed on")
    parser.add_argument("--dropout", type=float, help="of the encoder (default: the checkpoint's)")
    return parser


class Classifier:
    """Texts of a label, and the accuracy on the test file of models trained on some of them.

    Args:
        options: of `arguments`.
        unlabelled: whether a training row with a negative label is one without.
    """

    def __init__(self, options: argparse.Namespace, unlabelled: bool = False):
        self.options = options
        self.directory = options.model or common.default_model()
        self.tokenizer = Tokenizer.from_pretrained(self.directory)

        def check(parts, name):
            train = [row for row in parts["train"] if row[1] >= 0 or not unlabelled]
            self.classes = common.classes({**parts, "train": train}, name)

        label = common.class_or_none if unlabelled else int
        self.train, self.valid, self.test = common.splits(
            options,
            lambda path: common.read_tsv(path, (0, 1), number=label),
            lambda row: row[1:],
            check=check,
        )

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

    def model(self, **config) -> tuple[keras.Model, keras.Model]:
        """The pretrained encoder, the mean of its vectors and a softmax; and the encoder alone."""
        config = {"dropout_rate": self.options.dropout, **config}
        bert = build_transformer_model(self.directory, **config)
        common.check_room(bert, self.options.maxlen)
        inputs = common.inputs(bert)
        x = MaskedMeanPooling(name="Mean-Pooling")([bert.output, inputs[0]])
        x = keras.layers.Dropout(0.1, name="Classifier-Dropout")(x)
        x = keras.layers.Dense(self.classes, "softmax", name="Classifier", dtype="float32")(x)
        return keras.Model(inputs, x), bert

    def accuracy(self, model: keras.Model, rows: Sequence[Row]) -> float:
        """Share of the labels that have the highest probability."""
        found = model.predict(self.batches(rows), verbose=0).argmax(axis=1)
        return float(np.mean(found == [label for _, label in rows]))

    def fit(
        self,
        model: keras.Model,
        seed: int,
        rows: Sequence[Row] | None = None,
        epochs: int | None = None,
        optimizer: Callable[[keras.Model, int], keras.optimizers.Optimizer] | None = None,
    ) -> None:
        """Train; the weights of the epoch that is best on the valid file stay.

        Args:
            rows: to train on (default: the training file).
            optimizer: makes one of the model and the number of steps (default: `common.adamw`).
        """
        options = argparse.Namespace(**vars(self.options))
        options.epochs = epochs or options.epochs
        batches = self.batches(self.train if rows is None else rows, seed)
        made = optimizer and optimizer(model, options.epochs * len(batches))
        evaluate = lambda: {"accuracy": self.accuracy(model, self.valid)}  # noqa: E731
        common.fine_tune(model, batches, evaluate, options, optimizer=made)

    def score(self, seed: int, techniques: Sequence = (), **how) -> float:
        """Test accuracy of a new model after `fit`, to which `how` goes."""
        keras.utils.set_random_seed(seed)
        model, _ = self.model()
        if techniques:
            model = Regularized(model, techniques)
        self.fit(model, seed, **how)
        return self.accuracy(model, self.test)

    def compare(self, runs: Mapping[str, Mapping]) -> dict[str, list[float]]:
        """Train and test each run with each seed, and print the scores.

        Args:
            runs: arguments of `score` less the seed, by what to call the run.
        """
        scores = {}
        for name, run in runs.items():
            started = time.perf_counter()
            seeds = range(self.options.seed, self.options.seed + self.options.seeds)
            scores[name] = [self.score(seed=seed, **run) for seed in seeds]
            seconds = (time.perf_counter() - started) / len(seeds)
            print(f"{name}: {seconds:.0f} s a seed", flush=True)
        self.print_guess()
        for name, values in scores.items():
            print(f"test accuracy, {name}: {summary(values)}")
        return scores

    def print_guess(self) -> None:
        """Print the score of always saying the most frequent label."""
        guess = collections.Counter(label for _, label in self.train).most_common(1)[0][0]
        share = np.mean([label == guess for _, label in self.test])
        print(f"test accuracy of the most frequent training label {share:.4f}")


def summary(values: Sequence[float]) -> str:
    """A score, or of several the mean, the standard deviation and each one."""
    if len(values) == 1:
        return f"{values[0]:.4f}"
    each = " ".join(f"{value:.4f}" for value in values)
    return f"{np.mean(values):.4f} +- {np.std(values, ddof=1):.4f} ({each})"
