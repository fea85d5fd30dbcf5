"""Chinese word segmentation: a CRF over the tags B, M, E and S of characters.

Finds where the words of a text begin and end, with a probability for each word.

Data: examples/datasets/segmentation (made from templates for this project, Apache-2.0), or your
    own lines of words separated by blanks, such as SIGHAN 2005 (research only); also compressed.
Command: python examples/task_cws_crf.py [--random-weights]
    python task_cws_crf.py --train pku_train.utf8 --test pku_test_gold.utf8 --batch-size 32
Seen: segmentation, seed 1, random weights: test F1 0.9950, 69 s (with embeddings of pairs of
    characters) on one CPU core (JAX), before the script was rewritten on `tasks`.
"""

import argparse
import json
import sys
from pathlib import Path

import keras

from bert4keras import tasks
from bert4keras.data import read_parts
from bert4keras.optimizers import warm_up
from bert4keras.tasks.tagging import read_segmented, segmentation_scores
from bert4keras.training import Evaluator

DATA = Path(__file__).parent / "datasets" / "segmentation"
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
    default=DATA / "train.txt",
    help="words separated by blanks (default: %(default)s)",
)
parser.add_argument("--valid", type=Path, help="to choose the epoch (default: a tenth of --train)")
parser.add_argument("--test", type=Path, help="to report on (default: a tenth of --train)")
parser.add_argument("--predict", type=Path, help="texts, one per line: print answers as JSON")
parser.add_argument("--save", type=Path, help="directory for the trained task")
parser.add_argument("--epochs", type=int, help="4, from random weights 8")
parser.add_argument("--batch-size", type=int, default=16)
parser.add_argument("--learning-rate", type=float, help="2e-4, from random weights 1e-3")
parser.add_argument("--maxlen", type=int, default=256, help="tokens of a window")
parser.add_argument("--limit", type=int, help="train on only so many rows")
parser.add_argument("--seed", type=int, default=1)
options = parser.parse_args()
options.epochs = options.epochs or (4 if options.checkpoint else 8)
options.learning_rate = options.learning_rate or (2e-4 if options.checkpoint else 1e-3)
keras.utils.set_random_seed(options.seed)

if options.train == DATA / "train.txt":
    options.valid = options.valid or DATA / "valid.txt"
    options.test = options.test or DATA / "test.txt"
train, valid, test = read_parts(
    read_segmented, options.train, options.valid, options.test, options.seed
)
train = train[: options.limit]

checkpoint, tokenizer = options.checkpoint, None
if checkpoint is None:
    checkpoint, tokenizer = tasks.from_scratch((row.text for row in train), maxlen=options.maxlen)
task = tasks.WordSegmenter.build(checkpoint, head="crf", maxlen=options.maxlen, tokenizer=tokenizer)

batches = task.batches(train, options.batch_size, shuffle=True, seed=options.seed)
steps = options.epochs * len(batches)
rate = warm_up(options.learning_rate, steps // 10, steps)
task.model.compile(keras.optimizers.AdamW(rate, weight_decay=0.01), task.loss)
evaluator = Evaluator(lambda: task.evaluate(valid)["f1"])
verbose = "auto" if sys.stdout.isatty() else 2
task.model.fit(batches, epochs=options.epochs, callbacks=[evaluator], verbose=verbose)


def words(row):
    return [row.text[start:end] for start, end, _ in row.entities]


found = [[word.text for word in answer] for answer in task.predict([row.text for row in test])]
known = {word for row in train for word in words(row)}
scores = segmentation_scores(found, [words(row) for row in test], known)
print(*(f"test {name} {value}" for name, value in scores._asdict().items()), sep="\n")
for answer in found[:3]:
    print(" ".join(answer))

if options.save:
    task.save(options.save)
if options.predict:
    texts = options.predict.read_text(encoding="utf-8").splitlines()
    for found in task.stream(texts):
        print(json.dumps([word.text for word in found], ensure_ascii=False))
