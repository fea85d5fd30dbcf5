"""Named entity recognition with a CRF: one tag per token, and learned scores of tag transitions.

Finds persons, places, organisations, ... as characters [start, end) of a text, with type and
probability. Long texts are read in overlapping windows.

Data: examples/datasets/entities (Chinese, made from templates for this project, Apache-2.0), or
    your own: JSON lines {"text": ..., "entities": [[start, end, label], ...]}, end exclusive;
    CLUENER's; or columns, token first and tag last (CoNLL-2003, MSRA, Weibo); also compressed.
Command: python examples/task_ner_crf.py [--random-weights]
    python task_ner_crf.py --train eng.train --valid eng.testa --test eng.testb --units word \
        --checkpoint minilm-l6 --epochs 3 --learning-rate 1e-4 --batch-size 32
Seen: entities, seed 1: test F1 0.9694, 3 min on one CPU core; with --random-weights 0.9256, 66 s
    (torch).
"""

import argparse
import json
import sys
from pathlib import Path

import keras

from bert4keras import tasks
from bert4keras.data import read_parts
from bert4keras.optimizers import warm_up
from bert4keras.tasks.tagging import read_entities
from bert4keras.training import Evaluator

DATA = Path(__file__).parent / "datasets" / "entities"
ENCODER = "multilingual-e5-small-zh-en"
KINDS = "directory, hf://org/name or name"

parser = argparse.ArgumentParser(
    description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
)
parser.add_argument(
    "--checkpoint", type=tasks.checkpoint_argument, default=ENCODER, help=f"{KINDS} (%(default)s)"
)
parser.add_argument(
    "--random-weights", dest="checkpoint", action="store_const", const=None, help="no checkpoint"
)
parser.add_argument(
    "--train",
    type=Path,
    default=DATA / "train.json",
    help="JSON lines or columns (default: %(default)s)",
)
parser.add_argument("--valid", type=Path, help="to choose the epoch (default: a tenth of --train)")
parser.add_argument("--test", type=Path, help="to report on (default: a tenth of --train)")
parser.add_argument("--predict", type=Path, help="texts, one per line: print answers as JSON")
parser.add_argument("--save", type=Path, help="directory for the trained task")
parser.add_argument("--scheme", choices=["BIO", "BIOES", "BMES", "IOB1"], default="BIO")
parser.add_argument("--units", choices=["token", "word"], default="token", help="what is tagged")
parser.add_argument("--epochs", type=int, help="4, from random weights 12")
parser.add_argument("--batch-size", type=int, default=16)
parser.add_argument("--learning-rate", type=float, help="2e-4, from random weights 1e-3")
parser.add_argument("--maxlen", type=int, default=128, help="tokens of a window")
parser.add_argument("--limit", type=int, help="train on only so many rows")
parser.add_argument("--seed", type=int, default=1)
options = parser.parse_args()
options.epochs = options.epochs or (4 if options.checkpoint else 12)
options.learning_rate = options.learning_rate or (2e-4 if options.checkpoint else 1e-3)
keras.utils.set_random_seed(options.seed)

if options.train == DATA / "train.json":
    options.valid = options.valid or DATA / "valid.json"
    options.test = options.test or DATA / "test.json"
train, valid, test = read_parts(
    read_entities, options.train, options.valid, options.test, options.seed
)
train = train[: options.limit]

checkpoint, tokenizer = options.checkpoint, None
if checkpoint is None:
    checkpoint, tokenizer = tasks.from_scratch((row.text for row in train), maxlen=options.maxlen)
labels = sorted({label for row in train for _, _, label in row.entities})
how = {"maxlen": options.maxlen, "tokenizer": tokenizer}
task = tasks.Tagger.build(checkpoint, labels, "crf", options.scheme, options.units, **how)

batches = task.batches(train, options.batch_size, shuffle=True, seed=options.seed)
steps = options.epochs * len(batches)
rate = warm_up(options.learning_rate, steps // 10, steps)
task.model.compile(keras.optimizers.AdamW(rate, weight_decay=0.01), task.loss)
evaluator = Evaluator(lambda: task.evaluate(valid)["f1"])
verbose = "auto" if sys.stdout.isatty() else 2
task.model.fit(batches, epochs=options.epochs, callbacks=[evaluator], verbose=verbose)

for name, value in task.evaluate(test).items():
    print(f"test {name} {value:.4f}")
for row in test[:3]:
    print(row.text, *task(row), sep="\n    ")
if options.save:
    task.save(options.save)
if options.predict:
    texts = options.predict.read_text(encoding="utf-8").splitlines()
    for text, found in zip(texts, task.stream(texts), strict=True):
        rows = [[e.start, e.end, e.label, round(e.score, 4)] for e in found]
        print(json.dumps({"text": text, "entities": rows}, ensure_ascii=False))
