#!/usr/bin/env python
"""Compare training techniques with the same plain training, over several seeds.

    cd scripts/experiments
    python compare_techniques.py --train train.tsv.xz --test dev.tsv.xz --sizes 200 1000
    python compare_techniques.py ... --results FILE.jsonl      # continues where it stopped

A technique and the plain run of a seed have the same training texts, in the same batches, the same
new weights and the same number of updates. The last weights are scored; nothing is chosen on the
test texts. With `vat`, each batch also has as many texts without labels. With
`--characters` the encoder is small and has random weights. Grades from 0 to 1 (`--graded`) are
scored by Spearman's rank correlation, else accuracy is counted. Batches are of texts of similar
length, as `DataGenerator` makes them; `--pool 1` mixes all lengths.
"""

from __future__ import annotations

import argparse
import collections
import json
import math
import statistics
import sys
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import keras
import numpy as np

from bert4keras import tasks
from bert4keras.data import DataGenerator
from bert4keras.data.bucketing import epoch_batches
from bert4keras.layers import MaskedMeanPooling
from bert4keras.optimizers import (
    EMA,
    ExtendedOptimizer,
    LearningRateMultipliers,
    Lookahead,
    apply_ema_weights,
    layerwise_decay,
    warm_up,
)
from bert4keras.tasks.classification import read_labelled_texts
from bert4keras.tasks.similarity import spearman
from bert4keras.training import FGM, PGD, VAT, GradientPenalty, Mixup, RDrop, RegularizedModel

REVIEWS = Path(__file__).resolve().parents[2] / "examples" / "datasets" / "reviews"
OBJECTIVES = {
    "plain": None,
    "fgm": FGM(0.5),
    "fgm-author": FGM(0.5, clean=False),
    "pgd": PGD(0.5),
    "gradient-penalty": GradientPenalty(1.0),
    "vat": VAT(),
    "r-drop": RDrop(4.0),
    "mixup": Mixup(1.0),
}
EXTENSIONS: dict[str, Callable[[keras.Model], list]] = {
    "lookahead": lambda model: [Lookahead(5, 0.5)],
    "ema": lambda model: [EMA(0.98)],
    "layerwise": lambda model: [LearningRateMultipliers(layerwise_decay(model, 0.8))],
}
NAMES = [*OBJECTIVES, *EXTENSIONS]


def number_of_texts(text: str) -> float:
    return math.inf if text == "all" else int(text)


def read_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--train", type=Path, help="(default: the reviews)")
    parser.add_argument("--test", type=Path, help="needed with --train")
    parser.add_argument("--columns", type=int, nargs="+", help="text(s), label (default: found)")
    parser.add_argument("--graded", type=float, help="labels are grades, this the highest")
    parser.add_argument("--checkpoint", default="minilm-l6", help="directory, hf://, or name")
    parser.add_argument("--characters", action="store_true", help="a small model, random weights")
    parser.add_argument(
        "--sizes", nargs="+", type=number_of_texts, default=[200], help='numbers of texts, or "all"'
    )
    parser.add_argument("--techniques", nargs="+", choices=NAMES, default=NAMES)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--batch-size", type=int, default=16)
    parser.add_argument("--learning-rate", type=float, default=5e-5)
    parser.add_argument("--maxlen", type=int, default=64)
    parser.add_argument("--buckets", type=int, default=8, help="padded lengths, each compiled once")
    parser.add_argument("--pool", type=int, default=8, help="batches sorted by length together")
    parser.add_argument("--test-limit", type=int, help="score only so many test texts")
    parser.add_argument("--results", type=Path, help="JSON lines of the runs, read and added to")
    options = parser.parse_args()
    if (options.train is None) != (options.test is None):
        parser.error("--train and --test need each other: the default is of another task")
    options.train = options.train or REVIEWS / "train.tsv"
    options.test = options.test or REVIEWS / "test.tsv"
    return options


def read(path: Path, options: argparse.Namespace) -> list[tuple]:
    """Return rows of text(s) and label, a grade or the name of a class."""
    pair = options.columns is not None and len(options.columns) == 3
    problem = "regression" if options.graded else "single_label"
    found = read_labelled_texts(path, problem, pair, options.columns)
    return [(*(text if pair else [text]), label) for text, label in found]


class Experiment:
    """A data set, an encoder, and the training of one technique on it."""

    def __init__(self, options: argparse.Namespace):
        self.options = options
        self.train, self.test = read(options.train, options), read(options.test, options)
        if not options.graded:
            names = sorted({row[-1] for row in self.train})
            ids = {name: i for i, name in enumerate(names)}
            self.train, self.test = (
                [(*row[:-1], ids[row[-1]]) for row in rows] for rows in (self.train, self.test)
            )
        self.test = self.test[: options.test_limit]
        print(f"{len(self.train)} texts to train on, {len(self.test)} to test on", flush=True)
        self.test.sort(key=length)  # batches of similar length
        self.lengths = np.array([length(row) for row in self.train])
        self.classes = 1 if options.graded else len(names)
        self.tokenizer = self.make_encoder()[1]

    def make_encoder(self) -> tuple:
        """Return a new encoder, with the same weights each time unless they are random."""
        if self.options.characters:
            return tasks.from_scratch((row[0] for row in self.train), maxlen=self.options.maxlen)
        tokenizer, bert = tasks.open_encoder(self.options.checkpoint)
        return bert, tokenizer

    def model(self) -> keras.Model:
        bert, _ = self.make_encoder()
        x = MaskedMeanPooling(name="Mean-Pooling")(bert.output)
        x = keras.layers.Dropout(0.1)(x)
        activation = "sigmoid" if self.options.graded else "softmax"
        return keras.Model(
            bert.input, keras.layers.Dense(self.classes, activation, name="Classifier")(x)
        )

    def target(self, label: float, one_hot: bool) -> Any:
        if self.options.graded:
            return np.array([label / self.options.graded], "float32")
        return np.eye(self.classes, dtype="float32")[label] if one_hot else label

    def batches(self, rows: list[tuple], size: int, one_hot: bool = False) -> DataGenerator:
        def encode_batch(rows):
            columns = [list(column) for column in list(zip(*rows, strict=True))[:-1]]
            pairs = self.tokenizer.encode_batch(*columns, maxlen=self.options.maxlen)
            targets = [self.target(row[-1], one_hot) for row in rows]
            return [((i, s), y) for i, s, y in zip(*pairs[:2], targets, strict=True)]

        # The same lengths in all runs, so that each length is compiled only once.
        buckets = [
            math.ceil(self.options.maxlen * i / self.options.buckets)
            for i in range(1, self.options.buckets + 1)
        ]
        return DataGenerator(rows, size, encode_batch=encode_batch, shuffle=False, buckets=buckets)

    def rows(self, size: int, seed: int, hidden: bool) -> list[tuple]:
        """Return the batches of a run, in order; a hidden label is -1."""
        random = np.random.default_rng([seed, size])
        order = random.permutation(len(self.train))
        labelled, others = order[:size], order[size:] if size < len(order) else order
        unlabelled = np.random.default_rng([seed, size, 1])  # the order of the others stays
        batch, rows = self.options.batch_size, []
        for _ in range(self.options.epochs):
            some = random.permutation(labelled)[: size // batch * batch]
            batches = epoch_batches(self.lengths[some], batch, self.options.pool, random)
            batches = [some[places] for places in batches]
            added = self.of_like_length(unlabelled.choice(others, len(some)), batches)
            for indices, unseen in zip(batches, added, strict=True):
                rows += [self.train[i] for i in indices]
                if hidden:
                    rows += [(*self.train[i][:-1], -1) for i in unseen]
        return rows

    def of_like_length(self, texts: np.ndarray, batches: list[np.ndarray]) -> np.ndarray:
        """Return as many texts for each batch, the longest for the batch with the longest."""
        texts = texts[np.argsort(self.lengths[texts], kind="stable")]
        longest = [self.lengths[indices].max() for indices in batches]
        return texts.reshape(len(batches), -1)[np.argsort(np.argsort(longest, kind="stable"))]

    def compiled(self, name: str, steps: int) -> keras.Model:
        """Return a model that trains with the technique."""
        model = self.model()
        optimizer = keras.optimizers.AdamW(
            warm_up(self.options.learning_rate, max(1, steps // 10), steps), weight_decay=0.01
        )
        optimizer.exclude_from_weight_decay(var_names=["bias", "gamma", "beta"])
        if name in EXTENSIONS:
            optimizer = ExtendedOptimizer(optimizer, EXTENSIONS[name](model))
        technique = OBJECTIVES.get(name)
        loss = "binary_crossentropy" if self.options.graded else "sparse_categorical_crossentropy"
        if isinstance(technique, Mixup) and not self.options.graded:
            loss = "categorical_crossentropy"
        model = RegularizedModel(model, [technique]) if technique else model
        model.compile(optimizer, loss)
        return model

    def runs(self, name: str, size: int, seeds: Iterable[int]) -> Iterable[dict]:
        """Train and score once for each seed; the compiled functions are made only once."""
        options, hidden = self.options, name == "vat"
        steps = options.epochs * (size // options.batch_size)
        model = self.compiled(name, steps)
        model.optimizer.build(model.trainable_variables)
        fresh = [keras.ops.convert_to_numpy(variable) for variable in model.optimizer.variables]
        weights = model.get_weights()
        test = self.batches(self.test, 64)
        for seed in seeds:
            keras.utils.set_random_seed(seed)
            self.restart(model, weights, fresh, seed)
            rows = self.rows(size, seed, hidden)
            batches = self.batches(rows, options.batch_size * (1 + hidden), name == "mixup")
            started = time.perf_counter()
            model.fit(batches, epochs=1, verbose=0, shuffle=False)
            seconds = time.perf_counter() - started
            if name == "ema":
                apply_ema_weights(model)
            score = self.score(model.predict(test, verbose=0))
            yield {"technique": name, "size": size, "seed": seed, "score": score, "s": seconds}

    def restart(self, model: keras.Model, weights: list, fresh: list, seed: int) -> None:
        """Reset everything to its state before training, with a new head and new random states."""
        model.set_weights(weights)
        for variable, value in zip(model.optimizer.variables, fresh, strict=True):
            variable.assign(value)
        kernel = model.get_layer("Classifier").kernel
        kernel.assign(keras.initializers.GlorotUniform(seed)(kernel.shape))
        if self.options.characters:
            random = np.random.default_rng(seed)
            for variable in model.trainable_variables:
                if len(variable.shape) > 1 and variable is not kernel:
                    variable.assign(
                        random.permuted(keras.ops.convert_to_numpy(variable), axis=None)
                    )
        for number, variable in enumerate(model.non_trainable_variables):
            if "seed_generator" in variable.path:
                variable.assign(np.array([seed, number], "uint32"))

    def score(self, found: np.ndarray) -> float:
        labels = [row[-1] for row in self.test]
        if self.options.graded:
            return float(spearman(found[:, 0], labels))
        return float(np.mean(found.argmax(axis=1) == labels))

    def usual(self) -> float:
        """Return the accuracy of the most frequent training label."""
        label = collections.Counter(row[-1] for row in self.train).most_common(1)[0][0]
        return float(np.mean([row[-1] == label for row in self.test]))


def length(row: tuple) -> int:
    """Return the number of characters of a row's texts."""
    return sum(map(len, row[:-1]))


def table(runs: list[dict], names: Iterable[str]) -> str:
    """Return mean and deviation of each technique, and of its differences from plain training."""
    lines = [
        "| texts | technique | mean | std | against plain, mean | std | seeds |",
        "|---" * 7 + "|",
    ]
    for size in sorted({run["size"] for run in runs}):
        scores = collections.defaultdict(dict)
        for run in runs:
            if run["size"] == size:
                scores[run["technique"]][run["seed"]] = run["score"]
        for name in names:
            if not scores[name]:
                continue
            values, plain = scores[name], scores["plain"]
            gains = [values[seed] - plain[seed] for seed in values if seed in plain]
            numbers = [*moments(list(values.values())), *moments(gains if name != "plain" else [])]
            lines.append(f"| {size} | {name} | {' | '.join(numbers)} | {len(values)} |")
    return "\n".join(lines)


def moments(values: list[float]) -> list[str]:
    if not values:
        return ["", ""]
    spread = f"{statistics.stdev(values):.4f}" if len(values) > 1 else ""
    return [f"{statistics.mean(values):.4f}", spread]


def main() -> None:
    options = read_arguments()
    graded = {"vat", "r-drop"} & set(options.techniques) if options.graded else ()
    names = [name for name in options.techniques if name not in graded]
    if graded:
        print(f"left out, since they compare classes: {', '.join(sorted(graded))}")
    experiment = Experiment(options)
    runs = []
    if options.results and options.results.exists():
        runs = [json.loads(line) for line in options.results.read_text().splitlines()]
    for size in options.sizes:
        size = min(size, len(experiment.train))
        if size < options.batch_size:
            sys.exit(f"{size} texts are no batch: --batch-size is {options.batch_size}.")
        for name in names:
            done = {r["seed"] for r in runs if r["technique"] == name and r["size"] == size}
            seeds = [seed for seed in range(1, options.seeds + 1) if seed not in done]
            for run in experiment.runs(name, size, seeds) if seeds else ():
                runs.append(run)
                print(
                    "{technique}, {size}, seed {seed}: {score:.4f}, {s:.0f} s".format(**run),
                    flush=True,
                )
                if options.results:
                    with options.results.open("a") as file:
                        file.write(json.dumps(run) + "\n")
    if not options.graded:
        print(f"the most frequent training label: {experiment.usual():.4f}")
    print(table(runs, names))


if __name__ == "__main__":
    main()
