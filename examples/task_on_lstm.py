"""Trees of sentences from raw texts: a language model of ON-LSTM layers, without a treebank.

Each token gets a syntax distance, how much of its state the model forgets there. A sentence is
split at the largest distance, recursively; the tree is printed as brackets and as a drawing.

Data: examples/datasets/segmentation (made from templates for this project, Apache-2.0): Chinese
    sentences, whose blanks between words are only read to score the trees; or your own texts in any
    language, one a line (--train).
Command: python examples/task_on_lstm.py
    python task_on_lstm.py --train mine.txt --parse "The cat sat on the mat." --save parser
Seen: test perplexity 10.06 a character; 0.3732 of the words are constituents (random trees:
    0.3199), seed 1, 62 s of a CPU core, JAX.
"""

import argparse
import sys
from pathlib import Path

import keras
import numpy as np

from bert4keras import tasks
from bert4keras.data import read_lines, split
from bert4keras.tasks.parsing import build_tree, unlabelled_scores, word_constituents

DATA = Path(__file__).parent / "datasets" / "segmentation"

parser = argparse.ArgumentParser(
    description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
)
parser.add_argument("--train", type=Path, help="texts, one a line (default: the shipped ones)")
parser.add_argument("--parse", nargs="+", default=["老师喜欢这个大学生。", "市长昨天参加了会议。"])
parser.add_argument("--save", type=Path, help="directory for the trained task")
parser.add_argument("--epochs", type=int, default=12)
parser.add_argument("--batch-size", type=int, default=16)
parser.add_argument("--learning-rate", type=float, default=5e-3)
parser.add_argument("--units", type=int, default=64, help="units of each layer")
parser.add_argument("--levels", type=int, default=8, help="levels of the units")
parser.add_argument("--layers", type=int, default=2)
parser.add_argument("--seed", type=int, default=1)
parser.add_argument("--limit", type=int, help="train on only so many texts")
options = parser.parse_args()
keras.utils.set_random_seed(options.seed)

if options.train:
    train, test = split([line for line in read_lines(options.train) if line.strip()], (0.1,))
    gold = []
else:
    parts = [read_lines(DATA / f"{name}.txt") for name in ("train", "test")]
    known, gold = ([word_constituents(line.split()) for line in part] for part in parts)
    train, test = ([text for text, _ in part] for part in (known, gold))
train = train[: options.limit]

sizes = {"hidden_size": options.units, "levels": options.levels, "num_layers": options.layers}
task = tasks.SentenceParser.build(train, **sizes)
optimizer = keras.optimizers.Adam(options.learning_rate, global_clipnorm=1.0)
task.model.compile(optimizer, task.loss)
batches = task.batches(train, options.batch_size, shuffle=True, seed=options.seed)
task.model.fit(batches, epochs=options.epochs, verbose="auto" if sys.stdout.isatty() else 2)

print(f"test: perplexity {task.evaluate(test)['perplexity']:.2f}")
if gold:  # of how many words the tree makes one constituent
    chance = np.random.default_rng(options.seed)
    trees = [build_tree(chance.random(len(words.words))) for _, words in gold]
    recall = unlabelled_scores(trees, [words.spans for _, words in gold])["recall"]
    print(f"words found {task.evaluate(gold)['recall']:.4f} (random trees {recall:.4f})")
for parse in task(options.parse):
    print(f"\n{parse.brackets}\n{parse}")
if options.save:
    task.save(options.save)
