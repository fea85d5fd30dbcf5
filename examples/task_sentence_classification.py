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
"""

from __future__ import annotations

import collections
import time

import common
import keras

from bert4keras.data import DataGenerator
from bert4keras.layers import MaskedMeanPooling
from bert4keras.models import build_transformer_model
from bert4keras.tokenizers import Tokenizer


def main() -> None:
    options = common.arguments(__doc__, data="reviews").parse_args()
    keras.utils.set_random_seed(options.seed)
    directory = options.model or common.default_model()
    tokenizer = Tokenizer.from_pretrained(directory)
    train, valid, test = (
        common.read_tsv(path, (0, 1), options.limit)
        for path in (options.train, options.valid, options.test)
    )

    def encode_batch(samples):
        ids, segments = tokenizer.encode_batch([s[0] for s in samples], maxlen=options.maxlen)
        return [((i, g), s[1]) for i, g, s in zip(ids, segments, samples, strict=True)]

    def batches(rows, shuffle=False):
        return DataGenerator(
            rows, options.batch_size, encode_batch=encode_batch, shuffle=shuffle, seed=options.seed
        )

    bert = build_transformer_model(directory)
    x = MaskedMeanPooling(name="Mean-Pooling")([bert.output, bert.input[0]])
    x = keras.layers.Dropout(0.1)(x)
    classes = 1 + max(label for _, label in train)
    x = keras.layers.Dense(classes, activation="softmax", name="Classifier")(x)
    model = keras.Model(bert.input, x)

    def accuracy(rows) -> float:
        return model.evaluate(rows, verbose=0, return_dict=True)["accuracy"]

    started = time.perf_counter()
    valid, test_batches = batches(valid), batches(test)
    common.fine_tune(
        model, batches(train, shuffle=True), lambda: {"accuracy": accuracy(valid)}, options
    )
    frequent = collections.Counter(label for _, label in train).most_common(1)[0][0]
    guess = sum(label == frequent for _, label in test) / len(test)
    print(f"test accuracy of the most frequent training label {guess:.4f}")
    print(f"test accuracy {accuracy(test_batches):.4f}, {time.perf_counter() - started:.0f} s")


if __name__ == "__main__":
    main()
