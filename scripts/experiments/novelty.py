"""Compare novelty methods on CLINC150: 150 intents are known, out-of-scope questions are foreign.

An encoder with a linear classifier on its mean vector is fine-tuned on the intents, once for each
seed. Its vectors and scores of all questions are kept in a folder, and every method works on them:
it learns from the training questions, its options are those of the highest AUROC between the
validation questions of the intents and the 100 out-of-scope ones, and it is scored once on the
test questions. Needs matplotlib for --picture.

Command: python scripts/experiments/novelty.py --data data_full.json --vectors clinc --seeds 1 2 3
"""

import argparse
import itertools
import json
import time
from pathlib import Path

import keras
import numpy as np

from bert4keras.data import read_lines
from bert4keras.optimizers import warm_up
from bert4keras.tasks import TextClassifier, open_encoder
from bert4keras.tasks.novelty import METHODS, Encodings, auroc, novelty_scores, roc_curve
from bert4keras.tasks.novelty.methods import make_method
from bert4keras.tasks.similarity import sentence_encoder

PARTS = ("train", "val", "test", "oos_val", "oos_test")
# Options that are tried on the validation questions, besides the defaults.
OPTIONS = {"neighbours": {"k": [1, 5, 20, 50]}, "lipschitz": {"bound": [1, 4, 16]}}
DENSITY_OPTIONS = {"dim": [32, 128]}
PLAIN = ("softmax", "energy", "mahalanobis", "neighbours")

parser = argparse.ArgumentParser(
    description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
)
parser.add_argument("--data", type=Path, required=True, help="data_full.json, or *.xz, *.gz")
parser.add_argument("--vectors", type=Path, required=True, help="folder for the vectors")
parser.add_argument("--checkpoint", default="minilm-l6")
parser.add_argument("--methods", nargs="+", default=None, help="default: all")
parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
parser.add_argument("--epochs", type=int, default=2, help="of fine-tuning")
parser.add_argument("--learning-rate", type=float, default=3e-4, help="of fine-tuning")
parser.add_argument("--batch-size", type=int, default=64, help="of fine-tuning")
parser.add_argument("--frozen", type=int, default=3, help="lowest blocks that are not trained")
parser.add_argument("--precision", default="mixed_bfloat16", help="of fine-tuning")
parser.add_argument("--picture", type=Path, help="draw the ROC curves of the first seed")
options = parser.parse_args()


def fine_tune(data: dict[str, list], path: Path, seed: int) -> None:
    """Train a classifier of the intents; write its vectors and scores of all questions."""
    keras.utils.set_random_seed(seed)
    labels = sorted({label for _, label in data["train"]})
    keras.config.set_dtype_policy(options.precision)
    tokenizer, bert = open_encoder(options.checkpoint)
    pooled = sentence_encoder(bert, "mean").output
    dropped = keras.layers.Dropout(0.1)(pooled)
    scores = keras.layers.Dense(len(labels), name="Intent", dtype="float32")(dropped)
    keras.config.set_dtype_policy("float32")
    frozen = ("Embedding", *(f"Transformer-{i}-" for i in range(options.frozen)))
    for layer in bert.layers:
        if layer.name.startswith(frozen) and options.frozen:
            layer.trainable = False
    task = TextClassifier(tokenizer, keras.Model(bert.inputs, scores), labels, maxlen=40)
    batches = task.batches(data["train"], options.batch_size, shuffle=True, seed=seed)
    steps = options.epochs * len(batches)
    rate = warm_up(options.learning_rate, steps // 10, steps)
    task.model.compile(keras.optimizers.AdamW(rate, weight_decay=0.01), task.loss)
    task.model.fit(batches, epochs=options.epochs, verbose=2)

    reader = TextClassifier(tokenizer, task.model, labels, maxlen=40)
    reader.run = keras.Model(bert.inputs, [pooled, scores]).predict_on_batch
    reader.decode = lambda outputs, encoded: outputs[0]
    arrays = {}
    for part in PARTS:
        found = reader.predict([text for text, _ in data[part]])
        for k, name in enumerate(("vectors", "scores")):
            arrays[f"{part}_{name}"] = np.stack([row[k] for row in found]).astype("float32")
        arrays[f"{part}_labels"] = np.array(
            [labels.index(label) if label in labels else -1 for _, label in data[part]]
        )
    np.savez(path, **arrays)


def candidates(name: str) -> list[dict]:
    """Return the options of a method that are compared on the validation questions."""
    tried = OPTIONS.get(name) or ({} if name in PLAIN else DENSITY_OPTIONS)
    return [dict(zip(tried, values, strict=True)) for values in itertools.product(*tried.values())]


def fitted(name: str, chosen: dict, parts: dict[str, Encodings], labels: np.ndarray, seed: int):
    keras.utils.set_random_seed(seed)
    method = make_method(name, chosen)
    method.fit(parts["train"], labels)
    return method


options.vectors.mkdir(parents=True, exist_ok=True)
questions = json.loads("\n".join(read_lines(options.data)))
names = options.methods or list(METHODS)
results: dict[str, list] = {name: [] for name in names}
curves, chosen = {}, {}
for number, seed in enumerate(options.seeds):
    path = options.vectors / f"{seed}.npz"
    if not path.exists():
        start = time.time()
        fine_tune(questions, path, seed)
        print(f"seed {seed}: fine-tuned and encoded in {time.time() - start:.0f} s", flush=True)
    with np.load(path) as arrays:
        parts = {p: Encodings(arrays[f"{p}_vectors"], arrays[f"{p}_scores"]) for p in PARTS}
        labels, wanted = arrays["train_labels"], arrays["test_labels"]
    accuracy = (parts["test"].scores.argmax(1) == wanted).mean()
    print(f"seed {seed}: test accuracy {accuracy:.4f}", flush=True)
    for name in names:
        start = time.time()
        if name not in chosen:  # on the first seed; the others use the same options
            found = []
            for tried in candidates(name):
                method = fitted(name, tried, parts, labels, seed)
                area = auroc(method.score(parts["val"]), method.score(parts["oos_val"]))
                found.append((area, method, tried))
            _, method, chosen[name] = max(found, key=lambda one: one[0])
        else:
            method = fitted(name, chosen[name], parts, labels, seed)
        known, foreign = method.score(parts["test"]), method.score(parts["oos_test"])
        results[name].append(list(novelty_scores(known, foreign).values()))
        if not number:
            curves[name] = roc_curve(known, foreign)
        shown = " ".join(f"{value:.4f}" for value in results[name][-1])
        print(f"  {name} {chosen[name]}: {shown}, {time.time() - start:.0f} s", flush=True)

print("\n| method | options | AUROC | AUPR | FPR at 95 % recall |\n|---|---|---|---|---|")
for name, rows in results.items():
    means, spread = np.mean(rows, axis=0), np.std(rows, axis=0)
    cells = " | ".join(f"{m:.4f} ± {s:.4f}" for m, s in zip(means, spread, strict=True))
    print(f"| {name} | {chosen[name] or ''} | {cells} |")

if options.picture:
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(5.5, 5), layout="constrained")
    for name, (false, found) in curves.items():
        axes.plot(false, found, label=name, linewidth=1.2)
    axes.set(xlabel="false alarms", ylabel="recall of foreign questions", xlim=(0, 0.4))
    axes.legend(fontsize=8)
    figure.savefig(options.picture, dpi=80)
