"""Sentence classification: fine-tune a pretrained encoder on texts with a label.

Task: praise or complaint; with your own files, any number of classes.
Data: examples/datasets/reviews (English, written for this project, Apache-2.0), or your own TSV,
`text<TAB>label` with labels 0, 1, ... and an optional header, also xz-compressed, such as SST-2
(of GLUE, whose terms name no licence for it).
Command: python examples/task_sentence_classification.py
         python examples/task_sentence_classification.py --train train.tsv.xz --valid dev.tsv.xz \
             --test dev.tsv.xz --epochs 2 --learning-rate 5e-5 --batch-size 32 --seed 1
Seen: reviews, seed 1: test accuracy 0.7875 (most frequent label 0.5000), 44 s on 4 CPU cores
      (TensorFlow). SST-2 by the second command (the dev set chooses the epoch and is reported):
      0.9025, and 0.8911 and 0.9048 with seeds 2 and 3; 30 min each on 4 busy CPU cores (JAX).
Against overfitting: --label-smoothing 0.1, --focal 2 (Keras' focal loss), --dropout-samples 5.
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
from bert4keras.tasks.classification import MultiSampleDropout
from bert4keras.tokenizers import Tokenizer


def read_arguments() -> argparse.Namespace:
    parser = common.arguments(__doc__, data="reviews")
    parser.add_argument("--dropout-samples", type=int, default=1, help="masks a training step")
    parser.add_argument("--label-smoothing", type=float, default=0.0, help="0 to 1")
    parser.add_argument("--focal", type=float, default=0.0, help="gamma of the focal loss")
    return parser.parse_args()


@common.script
def main() -> None:
    options = read_arguments()
    keras.utils.set_random_seed(options.seed)
    directory = options.model or common.default_model()
    tokenizer = Tokenizer.from_pretrained(directory)
    train, valid, test = common.splits(
        options,
        lambda path: common.read_tsv(path, (0, 1)),
        labels=lambda row: row[1:],
        check=common.classes,
    )
    classes = 1 + max(label for _, label in (*train, *valid, *test))
    loss, targets = "sparse_categorical_crossentropy", np.arange(classes)
    if options.label_smoothing or options.focal:
        # With gamma 0 it is the cross entropy.
        loss = keras.losses.CategoricalFocalCrossentropy(
            alpha=1.0, gamma=options.focal, label_smoothing=options.label_smoothing
        )
        targets = np.eye(classes)

    def encode_batch(samples):
        ids, segments = tokenizer.encode_batch([s[0] for s in samples], maxlen=options.maxlen)
        return [((i, g), targets[s[1]]) for i, g, s in zip(ids, segments, samples, strict=True)]

    def batches(rows, shuffle=False):
        return DataGenerator(
            rows, options.batch_size, encode_batch=encode_batch, shuffle=shuffle, seed=options.seed
        )

    bert = build_transformer_model(directory)
    common.check_room(bert, options.maxlen)
    inputs = common.inputs(bert)
    x = MaskedMeanPooling(name="Mean-Pooling")([bert.output, inputs[0]])
    x = MultiSampleDropout(classes, options.dropout_samples, rate=0.1, name="Classifier")(x)
    model = keras.Model(inputs, x)

    def accuracy(rows: DataGenerator) -> float:
        found = model.predict(rows, verbose=0).argmax(axis=1)
        return np.mean(found == [label for _, label in rows.data])

    started = time.perf_counter()
    valid, test_batches = batches(valid), batches(test)
    common.fine_tune(
        model, batches(train, shuffle=True), lambda: {"accuracy": accuracy(valid)}, options, loss
    )
    frequent = collections.Counter(label for _, label in train).most_common(1)[0][0]
    guess = sum(label == frequent for _, label in test) / len(test)
    print(f"test accuracy of the most frequent training label {guess:.4f}")
    print(f"test accuracy {accuracy(test_batches):.4f}, {time.perf_counter() - started:.0f} s")


if __name__ == "__main__":
    main()
