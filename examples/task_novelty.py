"""Novelty detection: which texts are unlike those that are known?

The detector sees known texts only, and gets a threshold at which 5 % of them are taken for foreign.
Data: the shipped sentences on twelve topics are known, the shipped reviews foreign; or your own
files, one text a line, of which columns after a tab are ignored; `*.gz` and `*.xz` too.
    python examples/task_novelty.py
    python examples/task_novelty.py --method realnvp --picture roc.png
    python examples/task_novelty.py --known questions.txt --foreign others.txt --save novelty
Chinese (needs a checkpoint that knows it), reviews against sentences of another kind:
    python examples/task_novelty.py --checkpoint multilingual-e5-small \\
        --known examples/datasets/reviews_zh/train.tsv --foreign examples/datasets/corpus_zh.txt
Seen: AUROC 0.9820 by neighbours; 3.8 % false alarms, 87 % of the reviews found; seed 1, 17 s of a
CPU core (torch).
"""

import argparse
from pathlib import Path

import keras

from bert4keras.data import read_lines, split
from bert4keras.display import plot_roc
from bert4keras.tasks import NoveltyDetector
from bert4keras.tasks.novelty import METHODS, roc_curve

DATA = Path(__file__).parent / "datasets"

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
parser.add_argument("--checkpoint", default="minilm-l6", help="directory, hf://org/name or name")
parser.add_argument("--known", type=Path, default=DATA / "topics" / "train.tsv", help="known texts")
parser.add_argument("--foreign", type=Path, default=DATA / "reviews" / "test.tsv", help="others")
parser.add_argument(
    "--method",
    choices=[name for name in METHODS if name not in ("softmax", "energy", "lipschitz")],
    default="neighbours",
    help="default: %(default)s; methods that compare labels are not offered here",
)
parser.add_argument("--false-alarm-rate", type=float, default=0.05, help="default: %(default)s")
parser.add_argument("--maxlen", type=int, default=64, help="tokens a window, default: %(default)s")
parser.add_argument("--limit", type=int, help="read only so many texts of each file")
parser.add_argument("--picture", type=Path, help="write the ROC curve (needs matplotlib)")
parser.add_argument("--save", type=Path, help="directory for the fitted detector")
parser.add_argument("--seed", type=int, default=1, help="default: %(default)s")
options = parser.parse_args()
keras.utils.set_random_seed(options.seed)


def read_texts(path: Path) -> list[str]:
    texts = [line.split("\t")[0] for line in read_lines(path) if line.strip()]
    return list(dict.fromkeys(texts))[: options.limit]


# Data. A fifth of the known texts is for the test; `fit` holds out others for the threshold.
known, test = split(read_texts(options.known), (0.2,))
foreign = read_texts(options.foreign)
print(f"{len(known)} known texts; test: {len(test)} known, {len(foreign)} foreign")

detector = NoveltyDetector.build(
    options.checkpoint, options.method, options.false_alarm_rate, maxlen=options.maxlen
)
detector.fit(known)
scores = detector.evaluate(test, foreign)
print("test:", {name: round(score, 4) for name, score in scores.items()})
for text in (*test[:2], *foreign[:2]):
    print(f"{text}\n  {detector(text)}")

if options.save:
    detector.save(options.save)
if options.picture:
    answers = detector.predict(test), detector.predict(foreign)
    axes = plot_roc(*roc_curve(*([one.score for one in part] for part in answers)))
    axes.set_title(f"AUROC {scores['auroc']:.3f}")
    axes.figure.savefig(options.picture)
