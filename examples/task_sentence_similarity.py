"""Tell whether two sentences mean the same, with a cross-encoder that reads both as one text.

Data: examples/datasets/sentence_pairs (English, written for this project, Apache-2.0), or your own
pairs with a label 0 or 1 or a grade: TSV or CSV `first<TAB>second<TAB>label` with or without a
header, the files of STS-B (GLUE), LCQMC and Quora, JSON lines with `sentence1`, `sentence2` and
`label` (AFQMC); also packed as .gz or .xz. Grades are divided by the highest.
Command: python examples/task_sentence_similarity.py
         python examples/task_sentence_similarity.py --checkpoint hf://hfl/chinese-macbert-base \
             --train afqmc/train.json --valid afqmc/dev.json --test afqmc/dev.json
Seen: test accuracy 0.8688 (either label for all: 0.5000), seed 1, 90 s of one CPU core (torch).
"""

import argparse
import json
import sys
from pathlib import Path

import keras

from bert4keras import tasks
from bert4keras.data import read_lines, read_parts
from bert4keras.optimizers import warm_up
from bert4keras.tasks.similarity import read_scored_pairs
from bert4keras.training import Evaluator

DATA = Path(__file__).parent / "datasets" / "sentence_pairs"

parser = argparse.ArgumentParser(
    description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
)
parser.add_argument(
    "--checkpoint",
    default="minilm-l6",
    help="directory, hf://org/name, minilm-l6 or multilingual-e5-small (default: %(default)s)",
)
parser.add_argument(
    "--train", type=Path, default=DATA / "train.tsv", help="pairs (default: %(default)s)"
)
parser.add_argument("--valid", type=Path, help="pairs that choose the epoch (default: see --test)")
parser.add_argument(
    "--test", type=Path, help="pairs (default: those beside the shipped file, a tenth of one's own)"
)
parser.add_argument("--columns", type=int, nargs=3, help="first, second, label; from 0")
parser.add_argument("--predict", type=Path, help="text file, a pair a line, separated by a tab")
parser.add_argument("--save", type=Path, help="directory for the trained task")
parser.add_argument("--epochs", type=int, default=6)
parser.add_argument("--batch-size", type=int, default=16)
parser.add_argument("--learning-rate", type=float, default=1e-4, help="of 12 layers better 5e-5")
parser.add_argument("--maxlen", type=int, default=128, help="tokens of a pair")
parser.add_argument("--limit", type=int, help="train on only so many pairs")
parser.add_argument("--seed", type=int, default=1)
options = parser.parse_args()
keras.utils.set_random_seed(options.seed)


def read(path):
    return read_scored_pairs(path, options.columns)


if options.train == DATA / "train.tsv":
    options.valid = options.valid or DATA / "valid.tsv"
    options.test = options.test or DATA / "test.tsv"
train, valid, test = read_parts(read, options.train, options.valid, options.test, options.seed)
highest = max(score for _, score in train) or 1.0
train, valid, test = (
    [(texts, score / highest) for texts, score in x] for x in (train, valid, test)
)
train = train[: options.limit]
print(f"{len(train)} pairs to train on, {len(valid)} to choose the epoch, {len(test)} to test on")

task = tasks.Reranker.build(options.checkpoint, maxlen=options.maxlen)
batches = task.batches(train, options.batch_size, shuffle=True, seed=options.seed)
steps = options.epochs * len(batches)
rate = warm_up(options.learning_rate, steps // 10, steps)
optimizer = keras.optimizers.AdamW(rate, weight_decay=0.01, global_clipnorm=1.0)
task.model.compile(optimizer, task.loss)
task.model.fit(
    batches,
    epochs=options.epochs,
    callbacks=[Evaluator(lambda: task.evaluate(valid))],
    verbose="auto" if sys.stdout.isatty() else 2,
)

print("test:", ", ".join(f"{name} {value:.4f}" for name, value in task.evaluate(test).items()))
for pair, label in test[:3]:
    print(f"{task(pair):.3f} (label {label:g})  {pair[0]} | {pair[1]}")
if options.save:
    task.save(options.save)
if options.predict:
    pairs = [tuple(line.split("\t")) for line in read_lines(options.predict)]
    for pair, score in zip(pairs, task.predict(pairs), strict=True):
        print(json.dumps({"texts": pair, "score": score}, ensure_ascii=False))
