"""Text classification: fine-tune a pretrained encoder on texts with a label.

Data: the shipped reviews (praise or complaint), or a file of your own with any labels:
`text<TAB>label`, `*.csv` or JSON lines `{"text": ..., "label": ...}`; `*.gz` and `*.xz` too. A
header is optional. For texts that are not English: `--checkpoint multilingual-e5-small`.
    python examples/task_sentence_classification.py
    python examples/task_sentence_classification.py --train mine.tsv --save classifier
Seen: test accuracy 0.8000 (most frequent label 0.5000), seed 1, 49 s of one CPU core (torch).
"""

import argparse
import json
import sys
from pathlib import Path

import keras

from bert4keras.data import read_lines, read_parts
from bert4keras.optimizers import warm_up
from bert4keras.tasks import TextClassifier
from bert4keras.tasks.classification import read_labelled_texts
from bert4keras.training import Evaluator

DATA = Path(__file__).parent / "datasets" / "reviews"

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
parser.add_argument("--checkpoint", default="minilm-l6", help="directory, hf://org/name or name")
parser.add_argument("--train", type=Path, default=DATA / "train.tsv", help="default: %(default)s")
parser.add_argument("--valid", type=Path, help="default: beside the shipped file, else a tenth")
parser.add_argument("--test", type=Path, help="default: beside the shipped file, else a tenth")
parser.add_argument("--encoding", help="of the files, such as GB18030 (default: UTF-8)")
parser.add_argument("--predict", type=Path, help="text file, one a line: print JSON lines")
parser.add_argument("--save", type=Path, help="directory for the trained task")
parser.add_argument("--epochs", type=int, default=4, help="default: %(default)s")
parser.add_argument("--batch-size", type=int, default=16, help="default: %(default)s")
parser.add_argument("--learning-rate", type=float, default=1e-4, help="of 12 layers better 5e-5")
parser.add_argument("--maxlen", type=int, default=64, help="tokens a window, default: %(default)s")
parser.add_argument("--limit", type=int, help="train on only so many texts")
parser.add_argument("--seed", type=int, default=1, help="default: %(default)s")
options = parser.parse_args()
keras.utils.set_random_seed(options.seed)


def read(path):
    return read_labelled_texts(path, encoding=options.encoding)


# Data. A tenth of the user's file each is held out for validation and test, unless files are given.
if options.train == DATA / "train.tsv":
    options.valid = options.valid or DATA / "valid.tsv"
    options.test = options.test or DATA / "test.tsv"
train, valid, test = read_parts(read, options.train, options.valid, options.test)
labels = sorted({label for _, label in train})
train = train[: options.limit]
print(f"{len(train)} texts to train on, labels: {', '.join(labels)}")

# Model: the encoder, and the new head that its family has.
task = TextClassifier.build(options.checkpoint, labels, maxlen=options.maxlen)
batches = task.batches(train, options.batch_size, shuffle=True, seed=options.seed)
steps = options.epochs * len(batches)
rate = warm_up(options.learning_rate, steps // 10, steps)
optimizer = keras.optimizers.AdamW(rate, weight_decay=0.01, global_clipnorm=1.0)
task.model.compile(optimizer, task.loss)

# Training; the weights of the epoch that is best on the valid texts stay.
task.model.fit(
    batches,
    epochs=options.epochs,
    verbose=1 if sys.stdout.isatty() else 2,
    callbacks=[Evaluator(lambda: task.evaluate(valid))],
)
scores = task.evaluate(test)
print("test:", {name: round(score, 4) for name, score in scores.items()})
for text, label in test[:3]:
    print(f"{text}\n  {task(text)}; right is {label}")

if options.predict:
    texts = [line for line in read_lines(options.predict, options.encoding) if line.strip()]
    for text, answer in zip(texts, task.predict(texts), strict=True):
        row = {"text": text, "label": answer.label, "score": round(answer.score, 4)}
        print(json.dumps(row, ensure_ascii=False))
if options.save:
    task.save(options.save)
