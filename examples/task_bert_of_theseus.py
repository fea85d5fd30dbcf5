"""BERT-of-Theseus: half of the blocks, which take the place of the others while they learn.

Task: praise or complaint, as in task_sentence_classification.py, by a model of 3 blocks instead of
6; with your own files, any number of classes.
Data: examples/datasets/reviews (English, written for this project, Apache-2.0), or your own TSV,
`text<TAB>label` with labels 0, 1, ... and an optional header, also xz-compressed.
Command: python examples/task_bert_of_theseus.py
         python examples/task_bert_of_theseus.py --layers 3 1  # each from the one before it
Seen: test accuracy 0.7875 with 6 blocks; 3 blocks by replacement 0.7625, after fine-tuning 0.8000;
      the baseline 0.8063 (most frequent label 0.5000; one standard error is 0.03, so that here
      nothing is gained or lost). Seed 1, TensorFlow, 41 min on a tenth of a CPU core.

The predecessor is fine-tuned. Then its modules are replaced at random by the successor's blocks,
at a rate that rises in a line from --rate to 1, and the successor is fine-tuned alone. The baseline
has the same first blocks of the pretrained model, fine-tuned directly for all of these epochs.
"""

from __future__ import annotations

import argparse
import itertools
import sys
import time

import common
import keras
import numpy as np

from bert4keras.data import DataGenerator
from bert4keras.layers import MaskedMeanPooling
from bert4keras.models import build_transformer_model
from bert4keras.tokenizers import Tokenizer
from bert4keras.training import Theseus


def read_arguments() -> argparse.Namespace:
    parser = common.arguments(__doc__, data="reviews")
    parser.add_argument("--layers", type=int, nargs="+", default=[3], help="of each successor")
    parser.add_argument("--rate", type=float, default=0.3, help="chance of a block at first")
    return parser.parse_args()


class Experiment:
    """Data, and what is trained on it."""

    def __init__(self, options: argparse.Namespace):
        self.options, self.started = options, time.perf_counter()
        self.directory = options.model or common.default_model()
        self.tokenizer = Tokenizer.from_pretrained(self.directory)
        rows = common.splits(options, lambda path: common.read_tsv(path, (0, 1), options.limit))
        self.classes = 1 + max(label for split in rows for _, label in split)
        train, valid, test = rows
        self.train = self.batches(train, shuffle=True)
        self.valid, self.test = self.batches(valid), self.batches(test)

    def batches(self, rows: list, shuffle: bool = False) -> DataGenerator:
        def encode_batch(samples):
            texts, labels = zip(*samples, strict=True)
            ids, segments = self.tokenizer.encode_batch(list(texts), maxlen=self.options.maxlen)
            return list(zip(zip(ids, segments, strict=True), labels, strict=True))

        options = {"shuffle": shuffle, "seed": self.options.seed}
        return DataGenerator(rows, self.options.batch_size, encode_batch=encode_batch, **options)

    def classifier(self, **options) -> tuple[keras.Model, keras.Model]:
        """A classifier on the pretrained blocks, and its encoder."""
        bert = build_transformer_model(self.directory, **options)
        x = MaskedMeanPooling(name="Mean-Pooling")([bert.output, bert.input[0]])
        x = keras.layers.Dropout(0.1, name="Dropout")(x)
        x = keras.layers.Dense(self.classes, activation="softmax", name="Classifier")(x)
        return keras.Model(bert.input, x), bert

    def accuracy(self, model: keras.Model, rows: DataGenerator) -> float:
        found = model.predict(rows, verbose=0).argmax(axis=1)
        return float(np.mean(found == [label for _, label in rows.data]))

    def fit(self, model: keras.Model, epochs: int | None = None) -> None:
        """Train; the epoch that is best on the validation data stays."""
        options = argparse.Namespace(**{**vars(self.options)})
        options.epochs = options.epochs if epochs is None else epochs
        common.fine_tune(
            model, self.train, lambda: {"accuracy": self.accuracy(model, self.valid)}, options
        )

    def report(self, name: str, model: keras.Model) -> None:
        score = self.accuracy(model, self.test)
        print(
            f"{name}: test accuracy {score:.4f}, {model.count_params():,} weights, "
            f"{time.perf_counter() - self.started:.0f} s so far",
            flush=True,
        )


def main() -> None:
    options = read_arguments()
    keras.utils.set_random_seed(options.seed)
    experiment = Experiment(options)
    model, bert = experiment.classifier()
    depths = [bert.config.num_hidden_layers, *options.layers]
    for before, after in itertools.pairwise(depths):
        if not 0 < after < before or before % after:
            sys.exit(f"--layers {after}: must be less than {before} and divide it.")
    experiment.fit(model)
    experiment.report(f"predecessor, {bert.config.num_hidden_layers} blocks", model)
    # At the end of the replacement phase only the successor is left.
    rate = keras.optimizers.schedules.PolynomialDecay(
        options.rate, options.epochs * len(experiment.train), end_learning_rate=1.0
    )
    for number, layers in enumerate(options.layers, 1):
        theseus = Theseus(model, bert, layers, rate=rate, seed=options.seed)
        experiment.fit(theseus.model)
        model, bert = theseus.successor()
        experiment.report(f"successor, {layers} blocks, by replacement", model)
        experiment.fit(model)
        experiment.report(f"successor, {layers} blocks, fine-tuned after it", model)
        direct, _ = experiment.classifier(num_hidden_layers=layers)
        experiment.fit(direct, epochs=options.epochs * (1 + 2 * number))
        experiment.report(f"baseline, first {layers} blocks fine-tuned directly", direct)
    labels = [label for _, label in experiment.test.data]
    frequent = np.bincount([label for _, label in experiment.train.data]).argmax()
    print(f"test accuracy of the most frequent training label {np.mean(labels == frequent):.4f}")


if __name__ == "__main__":
    main()
