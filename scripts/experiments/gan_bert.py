#!/usr/bin/env python
"""Compare GAN-BERT with plain training on few labels, over several seeds.

    cd scripts/experiments
    python gan_bert.py --data trec_ganbert
    python gan_bert.py --data trec_ganbert --fine-tune --methods plain gan --unlabelled 500 --watch

The folder holds labeled.tsv, unlabeled.tsv and test.tsv (or *.xz) with a header, one `label text` a
line: https://github.com/crux82/ganbert. All methods see the same batches, in which labelled
questions come `--repeat` times; plain training ignores the others. Without `--fine-tune` the
encoder is frozen, so its vectors are computed once, and the methods train the head. The last
weights are scored; nothing is chosen on the test questions. `--watch` prints after each epoch the
loss, and of 64 texts without a label and 64 generated vectors what the critic sees.
"""

from __future__ import annotations

import argparse
import functools
import json
import lzma
import statistics
import time
from pathlib import Path

import keras
import numpy as np

from bert4keras.latent import GLANN
from bert4keras.tasks import SentenceEncoder, TextClassifier
from bert4keras.tasks.classification import GANBERT

METHODS: dict[str, dict] = {
    "plain": {"weight": 0.0},
    "gan": {},
    "kl": {"divergence": "kl"},
    "reverse_kl": {"divergence": "reverse_kl"},
    "js": {"divergence": "js"},
    "pearson": {"divergence": "pearson"},
    "squared_hellinger": {"divergence": "squared_hellinger"},
    "o-gan": {"correlation": 1.0},
    "glann": {"latent_size": 16},
}


def read_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--checkpoint", default="minilm-l6", help="directory, hf://, or name")
    parser.add_argument("--methods", nargs="+", choices=METHODS, default=list(METHODS))
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3, 4, 5])
    parser.add_argument("--fine-tune", action="store_true", help="train the encoder too")
    parser.add_argument(
        "--unlabelled", type=int, help="so many texts without a label; default: all"
    )
    parser.add_argument("--repeat", type=int, default=10, help="of a labelled text in an epoch")
    parser.add_argument("--epochs", type=int, default=5)
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--learning-rate", type=float, default=1e-3)
    parser.add_argument("--maxlen", type=int, default=32)
    parser.add_argument("--watch", action="store_true", help="print what the players do")
    parser.add_argument("--vectors", type=Path, help="*.npy: keeps the vectors of the encoder")
    parser.add_argument("--results", type=Path, help="JSON lines; runs in it are not repeated")
    return parser.parse_args()


def read(folder: Path, name: str) -> list[tuple[str, str]]:
    """Return (text, label) of each line of a file of GAN-BERT."""
    path = folder / f"{name}.tsv"
    if not path.exists():
        path = path.with_name(f"{name}.tsv.xz")
    with (lzma.open if path.suffix == ".xz" else open)(path, "rt", encoding="utf-8") as lines:
        rows = [line.strip().split(" ", 1) for line in lines][1:]
    return [(row[1], row[0]) for row in rows if len(row) == 2]


def vectors_of(encoder: SentenceEncoder, texts: list[str], path: Path | None) -> np.ndarray:
    if path is not None and path.exists():
        return np.load(path)
    vectors = encoder.predict(texts)
    if path is not None:
        np.save(path, vectors)
    return vectors


def with_head(x, y, classes: int) -> keras.Model:
    """Return a classifier: one hidden layer, as in the paper, on the vectors y."""
    y = keras.layers.Dropout(0.1)(y)
    y = keras.layers.Dense(y.shape[-1], "leaky_relu", name="features")(y)
    y = keras.layers.Dropout(0.1)(y)
    return keras.Model(x, keras.layers.Dense(classes, dtype="float32", name="Classifier")(y))


@functools.lru_cache(maxsize=1)
def fitted_glann(seed: int, vectors: bytes, size: int) -> GLANN:
    x = np.frombuffer(vectors, "float32").reshape(-1, size)
    glann = GLANN(len(x), size, latent_size=16)
    glann.initialize_codes(x)
    glann.compile(keras.optimizers.Adam(1e-3), "mse")
    glann.fit(np.arange(len(x)), x, batch_size=128, epochs=30, verbose=0)
    return glann


def gan_bert(model: keras.Model, method: str, seed: int, vectors: np.ndarray) -> GANBERT:
    options = dict(METHODS[method])
    if method == "glann":
        generator = fitted_glann(seed, vectors.tobytes(), vectors.shape[1]).generator
        generator.trainable = False
        options["generator"] = generator
    return GANBERT(model, **options)


class Watch(keras.callbacks.Callback):
    """Print what the critic sees: v(h) of texts and of generated vectors, and how they vary.

    Args:
        inputs: of texts without a label, as the model takes them.
    """

    def __init__(self, inputs):
        super().__init__()
        self.inputs = inputs

    def on_epoch_end(self, epoch, logs=None):
        model = self.model
        real = model._untracked.encoder(self.inputs, training=False)
        fake = model.generator(keras.random.normal((len(real), model.latent_size), seed=0))
        row = {"epoch": epoch + 1, "loss": logs["loss"]}
        for name, vectors in (("text", real), ("fake", fake)):
            features, v, _ = (keras.ops.convert_to_numpy(x) for x in model.judge(vectors))
            vectors = keras.ops.convert_to_numpy(vectors)
            row |= {f"v({name})": v.mean(), f"wrong({name})": ((v > 0) == (name == "fake")).mean()}
            # Between texts, over the coordinates; the centre is what the matching term compares.
            row |= {
                f"spread({name})": vectors.std(0).mean(),
                f"norm({name})": np.abs(vectors).mean(),
            }
            row[f"features({name})"] = features.std(0).mean()
        print("  ", {name: round(float(x), 3) for name, x in row.items()}, flush=True)


class Questions:
    """The questions of the folder, their vectors, and one run of a method on them."""

    def __init__(self, options: argparse.Namespace):
        self.options = options
        self.labelled, others, self.test = (
            read(options.data, name) for name in ("labeled", "unlabeled", "test")
        )
        self.labels = sorted({label for _, label in self.labelled})
        known = [text for text, _ in [*self.labelled, *others]]
        others = others[: options.unlabelled]
        self.watched = [text for text, _ in others[:64]]
        self.rows = self.labelled * options.repeat + [(text, None) for text, _ in others]
        share = np.mean([label in self.labels for _, label in self.test])
        print(f"{len(self.labelled)} with one of {len(self.labels)} labels, {len(others)} without")
        print(f"{len(self.test)} to test, {share:.3f} of them with one of these labels")
        self.encoder = SentenceEncoder.build(options.checkpoint, maxlen=options.maxlen)
        self.start = self.encoder.model.get_weights()
        texts = list(dict.fromkeys([*known, *(text for text, _ in self.test)]))
        vectors = vectors_of(self.encoder, texts, options.vectors)
        seen = vectors[: len(set(known))]
        # Two coordinates of MiniLM are constant.
        vectors = (vectors - seen.mean(0)) / (seen.std(0) + 1e-6)
        self.vectors = dict(zip(texts, vectors.astype("float32"), strict=True))
        self.trained = list(dict.fromkeys(text for text, _ in self.rows))

    def run(self, method: str, seed: int) -> float:
        """Return the accuracy of a method."""
        keras.utils.set_random_seed(seed)
        found = (self.fine_tuned if self.options.fine_tune else self.frozen)(method, seed)
        return float(np.mean([a == b for a, (_, b) in zip(found, self.test, strict=True)]))

    def frozen(self, method: str, seed: int) -> list[str]:
        """Return the labels that a head finds which was trained on the frozen encoder."""
        inputs, tests = (
            np.stack([self.vectors[text] for text, _ in rows]) for rows in (self.rows, self.test)
        )
        numbers = {label: number for number, label in enumerate(self.labels)}
        y = np.array([numbers.get(label, -1) for _, label in self.rows])
        x = keras.Input(inputs.shape[1:])
        vectors = np.stack([self.vectors[text] for text in self.trained])
        model = gan_bert(with_head(x, x, len(self.labels)), method, seed, vectors)
        loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        model.compile(keras.optimizers.Adam(self.options.learning_rate), loss)
        watched = np.stack([self.vectors[text] for text in self.watched])
        watch = [Watch(watched)] if self.options.watch else []
        epochs = self.options.epochs
        model.fit(inputs, y, self.options.batch_size, epochs, verbose=0, callbacks=watch)
        return [self.labels[i] for i in model.predict(tests, verbose=0).argmax(1)]

    def fine_tuned(self, method: str, seed: int) -> list[str]:
        """Return the labels that an encoder finds which was trained with its head."""
        bert = self.encoder.model
        bert.set_weights(self.start)
        vectors = self.encoder.predict(self.trained)
        classifier = with_head(bert.input, bert.output, len(self.labels))
        maxlen = self.options.maxlen
        task = TextClassifier(self.encoder.tokenizer, classifier, self.labels, maxlen=maxlen)
        model = gan_bert(task.model, method, seed, vectors)
        rate = self.options.learning_rate
        model.compile(keras.optimizers.AdamW(rate, weight_decay=0.01), task.loss)
        batches = task.batches(self.rows, self.options.batch_size, shuffle=True, seed=seed)
        watched = task.batches([(text, None) for text in self.watched], 64)[0][0]
        watch = [Watch(watched)] if self.options.watch else []
        model.fit(batches, epochs=self.options.epochs, verbose=0, callbacks=watch)
        return [answer.label for answer in task.predict([text for text, _ in self.test])]


def main() -> None:
    options = read_arguments()
    questions = Questions(options)
    scores: dict[str, list[float]] = {}
    done = {}
    if options.results and options.results.exists():
        lines = options.results.read_text(encoding="utf-8").splitlines()
        done = {(row["method"], row["seed"]): row["accuracy"] for row in map(json.loads, lines)}
    for seed in options.seeds:
        for method in options.methods:
            begin = time.perf_counter()
            if (method, seed) not in done:
                done[method, seed] = questions.run(method, seed)
                seconds = round(time.perf_counter() - begin)
                row = {"method": method, "seed": seed, "accuracy": done[method, seed]}
                print(json.dumps({**row, "seconds": seconds}), flush=True)
                if options.results:
                    with open(options.results, "a", encoding="utf-8") as file:
                        file.write(json.dumps(row) + "\n")
            scores.setdefault(method, []).append(done[method, seed])
    print("| method | accuracy | standard deviation | seeds |\n|---|---|---|---|")
    for method, found in scores.items():
        spread = statistics.stdev(found) if len(found) > 1 else float("nan")
        print(f"| {method} | {statistics.mean(found):.3f} | {spread:.3f} | {len(found)} |")


if __name__ == "__main__":
    main()
