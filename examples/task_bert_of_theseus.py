"""BERT-of-Theseus: a classifier of half as many blocks grows up inside a fine-tuned one.

The predecessor is fine-tuned. Then its modules are replaced at random by the successor's blocks,
at a rate that rises from `--rate` to 1, and the successor is fine-tuned by itself.
Data: the shipped reviews (praise or complaint), or a file of your own with any labels:
`text<TAB>label`, `*.csv` or JSON lines `{"text": ..., "label": ...}`; `*.gz` and `*.xz` too.
    python examples/task_bert_of_theseus.py
    python examples/task_bert_of_theseus.py --layers 2 --train mine.tsv --save small
Seen: test accuracy 0.8125, of 6 blocks 0.7875, on the mean of all vectors; seed 1, 5 min.
"""

import argparse
import sys
from pathlib import Path

import keras

from bert4keras.data import read_parts
from bert4keras.optimizers import warm_up
from bert4keras.tasks import TextClassifier, open_encoder
from bert4keras.tasks.classification import read_labelled_texts
from bert4keras.training import Evaluator, Theseus

DATA = Path(__file__).parent / "datasets" / "reviews"

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
parser.add_argument("--checkpoint", default="minilm-l6", help="directory, hf://org/name or name")
parser.add_argument("--train", type=Path, default=DATA / "train.tsv", help="default: %(default)s")
parser.add_argument("--valid", type=Path, help="default: beside the shipped file, else a tenth")
parser.add_argument("--test", type=Path, help="default: beside the shipped file, else a tenth")
parser.add_argument("--save", type=Path, help="directory for the trained task")
parser.add_argument("--layers", type=int, default=3, help="blocks of the successor")
parser.add_argument("--rate", type=float, default=0.3, help="chance of a new block at first")
parser.add_argument("--epochs", type=int, default=4, help="default: %(default)s")
parser.add_argument("--batch-size", type=int, default=16, help="default: %(default)s")
parser.add_argument("--learning-rate", type=float, default=1e-4, help="default: %(default)s")
parser.add_argument("--maxlen", type=int, default=64, help="tokens a window, default: %(default)s")
parser.add_argument("--limit", type=int, help="train on only so many texts")
parser.add_argument("--seed", type=int, default=1, help="default: %(default)s")
options = parser.parse_args()
keras.utils.set_random_seed(options.seed)

if options.train == DATA / "train.tsv":
    options.valid = options.valid or DATA / "valid.tsv"
    options.test = options.test or DATA / "test.tsv"
train, valid, test = read_parts(read_labelled_texts, options.train, options.valid, options.test)
labels = sorted({label for _, label in train})
train = train[: options.limit]


def fit(task: TextClassifier) -> TextClassifier:
    """Train a classifier; the weights of its best epoch stay."""
    batches = task.batches(train, options.batch_size, shuffle=True, seed=options.seed)
    steps = options.epochs * len(batches)
    rate = warm_up(options.learning_rate, steps // 10, steps)
    task.model.compile(keras.optimizers.AdamW(rate, weight_decay=0.01), task.loss)
    task.model.fit(
        batches,
        epochs=options.epochs,
        verbose=1 if sys.stdout.isatty() else 2,
        callbacks=[Evaluator(lambda: task.evaluate(valid))],
    )
    print(f"{task.model.count_params():,} weights, test: {task.evaluate(test)}")
    return task


tokenizer, bert = open_encoder(options.checkpoint)
predecessor = TextClassifier.build(bert, labels, maxlen=options.maxlen, tokenizer=tokenizer)
fit(predecessor)

# At the end of this phase only the successor's blocks are left.
steps = options.epochs * -(-len(train) // options.batch_size)
rate = keras.optimizers.schedules.PolynomialDecay(options.rate, steps, end_learning_rate=1.0)
theseus = Theseus(predecessor.model, bert, options.layers, rate=rate, seed=options.seed)
fit(TextClassifier(tokenizer, theseus.model, labels, maxlen=options.maxlen))

small, _ = theseus.successor()
task = fit(TextClassifier(tokenizer, small, labels, maxlen=options.maxlen))

for text, label in test[:3]:
    print(f"{text}\n  {task(text)}; right is {label}")

if options.save:
    task.save(options.save)
