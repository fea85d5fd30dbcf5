"""Do two sentences mean the same? A sentence encoder before and after fine-tuning.

Task: sentence similarity. A sentence becomes a vector, the mean of its token vectors, and two are
said to mean the same if the cosine of their vectors is large. "Before" takes the vectors as they
are, with the threshold that is best on the training pairs; "after" has learned vectors and
threshold together (a siamese encoder, Reimers and Gurevych 2019, arXiv:1908.10084). The encoder
stays one of single sentences, so that a search compares vectors computed in advance.

Data: examples/datasets/sentence_pairs (English, written for this project, Apache-2.0), or your own
TSV, `first<TAB>second<TAB>label` with labels 0 and 1 and an optional header, also xz-compressed.
Labels of more than two grades, such as 0 to 5 of STS-B (CC BY-SA 4.0), are learned as shares of
the highest; then the score is Spearman's rank correlation of cosine and label.
Command: python examples/task_sentence_similarity.py
         python examples/task_sentence_similarity.py --train sts-train.tsv --valid sts-dev.tsv \
             --test sts-test.tsv --columns 5 6 4
Seen: sentence_pairs, seed 1: test accuracy 0.5813 before and 0.8187 after training (most frequent
      label 0.5000), 90 s on 4 CPU cores (TensorFlow). STS-B test by the second command: rank
      correlation 0.8203 before training; the training itself was not run on it.
"""

from __future__ import annotations

import argparse
import time

import common
import keras
import numpy as np

from bert4keras.data import DataGenerator
from bert4keras.layers import MaskedMeanPooling
from bert4keras.models import build_transformer_model
from bert4keras.tasks.similarity import spearman
from bert4keras.tokenizers import Tokenizer

STEEPNESS = 10.0  # of the probability as a function of the cosine, at the start


def build(directory, maxlen: int) -> tuple[keras.Model, keras.Model]:
    """A model from a pair to the cosine of its vectors, and one from there to a probability."""
    bert = build_transformer_model(directory)
    common.check_room(bert, maxlen)
    inputs = common.inputs(bert)
    x = MaskedMeanPooling(name="Mean-Pooling")([bert.output, inputs[0]])
    encoder = keras.Model(inputs, x, name="Sentence-Encoder")
    first, second = (
        [keras.Input((None,), dtype="int32", name=f"{side}-{x.name}") for x in inputs]
        for side in ("First", "Second")
    )
    cosine = keras.layers.Dot(1, normalize=True, name="Cosine")([encoder(first), encoder(second)])
    same = keras.layers.Dense(1, activation="sigmoid", name="Same")(cosine)
    return keras.Model([*first, *second], cosine), keras.Model([*first, *second], same)


def best_threshold(cosines: np.ndarray, same: np.ndarray) -> float:
    """The cosine from which on it is best to say "the same", half-way between two that occur."""
    order = np.argsort(cosines)
    # If the first k are said to differ: those among them that do, and the rest that do not.
    right = np.cumsum([0, *~same[order]]) + np.cumsum([0, *same[order][::-1]])[::-1]
    k = int(right.argmax())
    edges = [-1.0, *cosines[order], 1.0]
    return float(edges[k] + edges[k + 1]) / 2


def read_arguments() -> argparse.Namespace:
    parser = common.arguments(__doc__, data="sentence_pairs", epochs=6)
    parser.add_argument(
        "--columns", type=int, nargs=3, default=(0, 1, 2), help="first, second, label; from 0"
    )
    return parser.parse_args()


@common.script
def main() -> None:
    options = read_arguments()
    keras.utils.set_random_seed(options.seed)
    directory = options.model or common.default_model()
    tokenizer = Tokenizer.from_pretrained(directory)
    train, valid, test = common.splits(
        options,
        lambda path: common.read_tsv(path, options.columns, number=float),
        labels=lambda row: row[2:],
        check=common.grades,
    )
    highest = max(label for *_, label in train) or 1.0
    graded = any(label not in (0, highest) for *_, label in train)

    def encode(sample):
        first, second, label = sample
        first, second = (tokenizer.encode(text, maxlen=options.maxlen) for text in (first, second))
        return (*first, *second), label / highest

    def batches(rows, shuffle=False):
        return DataGenerator(
            rows, options.batch_size, encode=encode, shuffle=shuffle, seed=options.seed
        )

    cosine, model = build(directory, options.maxlen)

    def score(rows, threshold) -> float:
        """Accuracy, or for graded labels the rank correlation, of the cosines."""
        found = cosine.predict(batches(rows), verbose=0)[:, 0]
        labels = np.array([label for *_, label in rows])
        if graded:
            return spearman(found, labels)
        return np.mean((found >= threshold) == (labels > highest / 2))

    def learned_threshold() -> float:
        slope, offset = (float(np.squeeze(w)) for w in model.get_layer("Same").get_weights())
        return -offset / slope

    name = "rank correlation" if graded else "accuracy"
    started = time.perf_counter()
    same = np.array([label for *_, label in train]) > highest / 2
    threshold = best_threshold(cosine.predict(batches(train), verbose=0)[:, 0], same)
    if not graded:
        guess = np.mean([(label > 0) == (np.mean(same) >= 0.5) for *_, label in test])
        print(f"test accuracy of the most frequent training label {guess:.4f}")
    print(f"test {name} before training {score(test, threshold):.4f}")

    model.get_layer("Same").set_weights(
        [np.array([[STEEPNESS]]), np.array([-STEEPNESS * threshold])]
    )
    common.fine_tune(
        model,
        batches(train, shuffle=True),
        lambda: {name: score(valid, learned_threshold())},
        options,
        "binary_crossentropy",
    )
    seconds = time.perf_counter() - started
    print(f"test {name} after training {score(test, learned_threshold()):.4f}, {seconds:.0f} s")


if __name__ == "__main__":
    main()
