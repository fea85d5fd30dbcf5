"""Multi-label classification: any number of labels for a text, trained with ZLPR.

ZLPR ranks the labels of a text above 0 and all others below, so no threshold has to be chosen.
Data: the shipped messages and their topics, or a file of your own: `text<TAB>label, label, ...`
(nothing behind the tab: no label), `*.csv`, or JSON lines `{"text": ..., "labels": [...]}`; `*.gz`
and `*.xz` too. For texts that are not English: `--checkpoint multilingual-e5-small`.
    python examples/task_multilabel_classification.py
    python examples/task_multilabel_classification.py --train mine.tsv --save topics
Seen: test F1 0.9649 (all topics for every text: 0.2734), seed 1, 73 s of a CPU core (torch).
"""

import argparse
import json
import sys
from pathlib import Path

import keras

from bert4keras.data import read_lines, read_parts
from bert4keras.optimizers import warm_up
from bert4keras.tasks import TextClassifier, open_encoder
from bert4keras.tasks.classification import read_labelled_texts
from bert4keras.training import Evaluator

DATA = Path(__file__).parent / "datasets" / "topics"

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
parser.add_argument("--checkpoint", default="minilm-l6", help="directory, hf://org/name or name")
parser.add_argument("--train", type=Path, default=DATA / "train.tsv", help="default: %(default)s")
parser.add_argument("--valid", type=Path, help="default: beside the shipped file, else a tenth")
parser.add_argument("--test", type=Path, help="default: beside the shipped file, else a tenth")
parser.add_argument("--predict", type=Path, help="text file, one a line: print JSON lines")
parser.add_argument("--save", type=Path, help="directory for the trained task")
parser.add_argument("--epochs", type=int, default=5, help="default: %(default)s")
parser.add_argument("--batch-size", type=int, default=16, help="default: %(default)s")
parser.add_argument("--learning-rate", type=float, default=2e-4, help="default: %(default)s")
parser.add_argument("--maxlen", type=int, default=64, help="tokens a window, default: %(default)s")
parser.add_argument("--limit", type=int, help="train on only so many texts")
parser.add_argument("--seed", type=int, default=1, help="default: %(default)s")
options = parser.parse_args()
keras.utils.set_random_seed(options.seed)


def read(path):
    return read_labelled_texts(path, "multi_label")


if options.train == DATA / "train.tsv":
    options.valid = options.valid or DATA / "valid.tsv"
    options.test = options.test or DATA / "test.tsv"
train, valid, test = read_parts(read, options.train, options.valid, options.test)
labels = sorted({label for _, some in train for label in some})
train = train[: options.limit]
print(f"{len(train)} texts to train on, {len(labels)} labels: {', '.join(labels)}")

# Our own model, on the mean of all vectors; `TextClassifier.build` has the family's head.
tokenizer, bert = open_encoder(options.checkpoint)
x = keras.layers.GlobalAveragePooling1D()(bert.output)  # leaves padding out
x = keras.layers.Dense(len(labels))(keras.layers.Dropout(0.1)(x))
model = keras.Model(bert.input, x)
task = TextClassifier(tokenizer, model, labels, "multi_label", options.maxlen)
batches = task.batches(train, options.batch_size, shuffle=True, seed=options.seed)
steps = options.epochs * len(batches)
rate = warm_up(options.learning_rate, steps // 10, steps)
optimizer = keras.optimizers.AdamW(rate, weight_decay=0.01, global_clipnorm=1.0)
task.model.compile(optimizer, task.loss)  # ZLPR
task.model.fit(
    batches,
    epochs=options.epochs,
    verbose=1 if sys.stdout.isatty() else 2,
    callbacks=[Evaluator(lambda: task.evaluate(valid))],
)

scores = task.evaluate(test)
print("test:", {name: round(score, 4) for name, score in scores.items()})
for text, names in test[:3]:
    print(f"{text}\n  {task(text)!r}; right is {names}")

if options.predict:
    texts = [line for line in read_lines(options.predict) if line.strip()]
    for text, answer in zip(texts, task.predict(texts), strict=True):
        print(json.dumps({"text": text, "labels": answer.label}, ensure_ascii=False))
if options.save:
    task.save(options.save)
