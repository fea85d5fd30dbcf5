"""Write a good review or a bad one: a language model under a condition.

The label reaches the model through all its LayerNorms (`conditions` of `Generator`). Whether it
heeds the label is measured by Bayes' rule: which label makes a held-out review more probable?

Data: examples/datasets/reviews (written for this project, Apache-2.0), or your own: TSV of
text<TAB>label with any labels.
    python examples/task_conditional_language_model.py [--checkpoint NAME]
    python task_conditional_language_model.py --train mine.tsv --save reviewer
Seen: from MiniLM 0.675 of 160 test reviews get their label (naive Bayes 0.669, chance 0.5, one
standard error 0.04); 73 s on one CPU core (TensorFlow), of an earlier version.
"""

import argparse
import sys
from pathlib import Path

import keras

from bert4keras import tasks
from bert4keras.data import split
from bert4keras.generation import NoRepeatNGram, Sample
from bert4keras.optimizers import warm_up
from bert4keras.tasks.generation import read_text_pairs

DATA = Path(__file__).parent / "datasets" / "reviews"

parser = argparse.ArgumentParser(
    description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
)
parser.add_argument(
    "--checkpoint", default="minilm-l6", help="directory or hf://org/name (default: %(default)s)"
)
parser.add_argument("--train", type=Path, default=DATA / "train.tsv", help="(default: %(default)s)")
parser.add_argument("--test", type=Path, help="default: beside the shipped file, else a tenth")
parser.add_argument("--save", type=Path, help="directory for the trained task")
parser.add_argument("--epochs", type=int, default=4)
parser.add_argument("--batch-size", type=int, default=16)
parser.add_argument("--learning-rate", type=float, default=1e-4)
parser.add_argument("--maxlen", type=int, default=128, help="tokens of a text")
parser.add_argument("--longest", type=int, default=32, help="most tokens to write")
parser.add_argument("--seed", type=int, default=1)
parser.add_argument("--limit", type=int, help="train on only so many rows")
options = parser.parse_args()
keras.utils.set_random_seed(options.seed)
train = read_text_pairs(options.train)
if options.train.parent == DATA:
    train += read_text_pairs(DATA / "valid.tsv")  # nothing is chosen by it, so it may teach
    options.test = options.test or DATA / "test.tsv"
if options.test:
    test = read_text_pairs(options.test)
else:
    train, test = split(train, (0.1,))
train = train[: options.limit]
labels = sorted({label for _, label in train})

task = tasks.Generator.build(
    options.checkpoint,
    application="lm",
    texts=[text for text, _ in train],
    conditions=labels,
    maxlen=options.maxlen,
    max_new_tokens=options.longest,
    truncate="right",
    strategy=Sample(top_p=0.9, seed=options.seed),
    processors=[NoRepeatNGram(3)],
)
rows = [tasks.Prompt(text, condition=label) for text, label in train]
batches = task.batches(rows, options.batch_size, shuffle=True, seed=options.seed)
steps = options.epochs * len(batches)
rate = warm_up(options.learning_rate, steps // 10, steps)
task.model.compile(keras.optimizers.AdamW(rate, weight_decay=0.01), task.loss)
verbose = "auto" if sys.stdout.isatty() else 2
task.model.fit(batches, epochs=options.epochs, verbose=verbose)

under = [
    task.log_probabilities([tasks.Prompt(text, condition=label) for text, _ in test])
    for label in labels
]
right = 0
for (_, label), *scores in zip(test, *under, strict=True):
    totals = [score.sum() for score in scores]
    right += labels[totals.index(max(totals))] == label
print(f"label of {len(test)} held-out texts, by their likelihoods: {right / len(test):.4f} right")
for label in labels:
    print(f"a text under {label!r}:")
    for text in task(tasks.Prompt("", condition=label), n=3):
        print(f"  {text}")
if options.save:
    task.save(options.save)
