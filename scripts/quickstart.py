"""From pretrained weights to predictions: fine-tune BERT to tell praise from complaint.

    scripts/quickstart                                  train, save, reload, predict
    scripts/quickstart "A film I will see again."       the same, on your own sentences
    scripts/quickstart --predict "Never again."         only predict, with the model saved before

Task and data: short English reviews, praise or complaint, examples/datasets/reviews (written for
this project). The same model is also trained from random weights, to show what pretraining gives.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
DATA = ROOT / "examples" / "datasets" / "reviews"
LABELS = ("complaint", "praise")
MAXLEN, BATCH_SIZE, LEARNING_RATE = 64, 16, 1e-4
SENTENCES = (
    "I laughed, I cried, and I have already bought a second copy for my mother.",
    "Two weeks of waiting for a lamp that flickers.",
    "The waiter was friendly, but the food was cold and the bill was wrong.",
    "Not once did it let me down on the whole journey.",
)


def read(split: str) -> list[tuple[str, int]]:
    """Return the (text, label) pairs of a split: "train", "valid" or "test"."""
    lines = (DATA / f"{split}.tsv").read_text(encoding="utf-8").splitlines()
    pairs = [line.rsplit("\t", 1) for line in lines if line.strip()]
    return [(text, int(label)) for text, label in pairs]


def batches(tokenizer, pairs, shuffle=False):
    """Return a generator of ((token_ids, segment_ids), labels) over (text, label) pairs."""
    from bert4keras.data import DataGenerator

    def encode_batch(samples):
        token_ids, segment_ids = tokenizer.encode_batch([s[0] for s in samples], maxlen=MAXLEN)
        return [((t, s), p[1]) for t, s, p in zip(token_ids, segment_ids, samples, strict=True)]

    return DataGenerator(
        pairs, BATCH_SIZE, encode_batch=encode_batch, shuffle=shuffle, buckets=2, seed=0
    )


def build(source: Path):
    """Return a classifier on BERT: a checkpoint's directory, or a config for random weights."""
    import keras

    from bert4keras.layers import MaskedMeanPooling
    from bert4keras.models import build_transformer_model

    bert = build_transformer_model(source)
    x = MaskedMeanPooling(name="Mean-Pooling")([bert.output, bert.input[0]])
    x = keras.layers.Dropout(0.1, name="Classifier-Dropout")(x)
    x = keras.layers.Dense(len(LABELS), activation="softmax", name="Classifier")(x)
    return keras.Model(bert.input, x)


def train(source: Path, tokenizer, epochs: int):
    """Fine-tune a classifier; return it, its history by epoch, and its accuracy on the test."""
    import keras

    keras.utils.set_random_seed(42)
    model = build(source)
    data = batches(tokenizer, read("train"), shuffle=True)
    steps = epochs * len(data)
    rate = keras.optimizers.schedules.CosineDecay(
        0.0, steps - steps // 10, warmup_target=LEARNING_RATE, warmup_steps=max(1, steps // 10)
    )
    model.compile(
        optimizer=keras.optimizers.AdamW(rate, weight_decay=0.01),
        loss="sparse_categorical_crossentropy",
        metrics=["accuracy"],
    )
    valid = batches(tokenizer, read("valid"))
    moving = 1 if sys.stdout.isatty() else 2  # a bar is for a terminal
    history = model.fit(data, validation_data=valid, epochs=epochs, verbose=moving)
    _, accuracy = model.evaluate(batches(tokenizer, read("test")), verbose=0)
    return model, history.history, accuracy


def draw(path: Path, runs: dict[str, tuple[dict, float]]) -> None:
    """Draw the learning curves of `runs`: name -> (history, accuracy on the test)."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt
    from matplotlib.ticker import MaxNLocator, PercentFormatter

    figure, axes = plt.subplots(1, 2, figsize=(10, 5), layout="constrained")
    for color, (name, (history, accuracy)) in zip(("C0", "C1"), runs.items(), strict=True):
        for axis, key in zip(axes, ("accuracy", "loss"), strict=True):
            epochs = range(1, len(history[key]) + 1)
            axis.plot(epochs, history[key], "o--", color=color, alpha=0.5, label=f"{name}, train")
            axis.plot(epochs, history[f"val_{key}"], "o-", color=color, label=f"{name}, valid")
        label = f"{name}, test: {accuracy:.1%}"
        axes[0].axhline(accuracy, color=color, linestyle=":", linewidth=1.5, label=label)
    axes[0].set(title="Accuracy", ylim=(None, 1.02))
    axes[0].yaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
    axes[1].set(title="Loss (cross-entropy, nats)", ylim=(0, None))
    for axis in axes:
        axis.set_xlabel("epoch")
        axis.xaxis.set_major_locator(MaxNLocator(integer=True))
        axis.grid(alpha=0.3)
    # Below the axes, where it hides no curve; both panels have the same lines.
    handles, names = axes[0].get_legend_handles_labels()
    figure.legend(handles, names, loc="outside lower center", ncols=2, fontsize="small")
    figure.suptitle("Review classification: pretrained MiniLM against random weights")
    figure.savefig(path, dpi=120)
    plt.close(figure)


def run_main_job(arguments: argparse.Namespace) -> None:
    """Train with pretrained and with random weights, save, compare, draw; then predict."""
    from bert4keras.checkpoints import fetch

    started = time.perf_counter()
    checkpoint, output = fetch("minilm-l6"), arguments.output
    output.mkdir(parents=True, exist_ok=True)

    from bert4keras.tokenizers import Tokenizer

    tokenizer = Tokenizer.from_pretrained(checkpoint)
    runs = {}
    for name, source in (("pretrained", checkpoint), ("random", checkpoint / "config.json")):
        print(f"\nFine-tuning from {name} weights, {arguments.epochs} epochs", flush=True)
        model, history, accuracy = train(source, tokenizer, arguments.epochs)
        runs[name] = history, accuracy
        if name == "pretrained":
            save(model, checkpoint, output)
    draw(output / "learning_curve.png", runs)
    size = len(read("test"))
    print(f"\nAccuracy on {size} test sentences")
    for name, (_, accuracy) in runs.items():
        print(f"  {name + ' weights':<20} {accuracy:6.1%}")
    print(f"Model:          {output / 'model.keras'}")
    print(f"Learning curve: {output / 'learning_curve.png'}")
    print(f"Time:           {time.perf_counter() - started:.0f} s", flush=True)

    print("\nPredictions of the saved model, loaded in a fresh process", flush=True)
    command = [sys.executable, __file__, "--predict", "--output", str(output)]
    command += ["--backend", arguments.backend, "--", *(arguments.sentences or SENTENCES)]
    if subprocess.run(command).returncode:
        sys.exit("error: the saved model could not be used; see above.")


def save(model, checkpoint: Path, output: Path) -> None:
    """Save the model, and all that prediction needs, in `output`."""
    from bert4keras import save_model

    save_model(model, output / "model.keras")
    shutil.copy(checkpoint / "vocab.txt", output)
    shutil.copy(checkpoint / "tokenizer.json", output)
    (output / "labels.json").write_text(json.dumps(LABELS), encoding="utf-8")


def predict(arguments: argparse.Namespace) -> None:
    """Classify the sentences with the model saved in the output directory."""
    path = arguments.output / "model.keras"
    if not path.is_file():
        sys.exit(f"error: there is no model in {arguments.output}; run scripts/quickstart first.")
    import keras
    import numpy as np

    import bert4keras  # noqa: F401 - keras finds the layers of the file by their names
    from bert4keras.data import sequence_padding
    from bert4keras.tokenizers import Tokenizer

    sentences = arguments.sentences or list(SENTENCES)
    labels = json.loads((arguments.output / "labels.json").read_text(encoding="utf-8"))
    tokenizer = Tokenizer.from_pretrained(arguments.output)
    model = keras.saving.load_model(path, compile=False)
    token_ids, segment_ids = tokenizer.encode_batch(sentences, maxlen=MAXLEN)
    inputs = [np.asarray(sequence_padding(ids), "int32") for ids in (token_ids, segment_ids)]
    for sentence, row in zip(sentences, model.predict(inputs, verbose=0), strict=True):
        best = int(row.argmax())
        print(f"  {labels[best]:<10} {row[best]:6.1%}  {sentence}")


def parse(argv: list[str] | None = None) -> argparse.Namespace:
    """Read the arguments of the command line."""
    parser = argparse.ArgumentParser(
        prog="scripts/quickstart",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    backend = os.environ.get("KERAS_BACKEND", "tensorflow")
    parser.add_argument("sentences", nargs="*", help="sentences to classify at the end")
    parser.add_argument("--predict", action="store_true", help="use the saved model, do not train")
    parser.add_argument("--epochs", type=int, default=4, help="epochs of either training (4)")
    parser.add_argument(
        "--output",
        type=lambda text: Path(text).expanduser().resolve(),
        default=ROOT / "outputs" / "quickstart",
        metavar="DIR",
        help="where to save the model and the picture (outputs/quickstart)",
    )
    parser.add_argument(
        "--backend", choices=("tensorflow", "jax", "torch"), default=backend, help="of Keras"
    )
    arguments = parser.parse_args(argv)
    if arguments.backend not in ("tensorflow", "jax", "torch"):  # argparse does not check defaults
        parser.error(f"KERAS_BACKEND names the unknown backend {arguments.backend!r}")
    if arguments.epochs < 1:
        parser.error(f"--epochs must be at least 1, not {arguments.epochs}")
    if arguments.output.exists() and not arguments.output.is_dir():
        parser.error(f"--output {arguments.output} is a file; a directory is needed")
    if any(not sentence.strip() for sentence in arguments.sentences):
        parser.error("a sentence to classify is empty")
    return arguments


def main() -> None:
    """Run the command line."""
    arguments = parse()
    os.environ["KERAS_BACKEND"] = arguments.backend
    try:
        predict(arguments) if arguments.predict else run_main_job(arguments)
    except (OSError, ValueError) as error:
        sys.exit(f"error: {error}")


if __name__ == "__main__":
    main()
