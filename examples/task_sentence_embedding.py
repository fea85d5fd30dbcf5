"""Sentence vectors: trained with or without labels, compared, and searched.

The cosine of two sentences' vectors should rank pairs as people do. `--objective cosent` learns
that from scored pairs (Su 2022, kexue.fm/archives/8847), `simcse` from sentences only, each paired
with itself under another dropout (Gao et al. 2021, arXiv:2104.08821). `--code-size 48` keeps a code
of 48 bytes of each vector in the index instead of 384 floats (product quantisation).
Data: examples/datasets/sentence_pairs (English, written for this project, Apache-2.0), or your own
pairs with a label or grade: TSV or CSV `first<TAB>second<TAB>label` with or without a header, STS-B
(GLUE), JSON lines with `sentence1`, `sentence2` and `label`; also packed as .gz or .xz.
Command: python examples/task_sentence_embedding.py
         python examples/task_sentence_embedding.py --columns 5 6 4 --train sts-train.tsv.xz \
             --valid sts-dev.tsv.xz --test sts-test.tsv.xz --epochs 4 --learning-rate 1e-4
"""

import argparse
import json
import sys
from pathlib import Path

import keras

from bert4keras import tasks
from bert4keras.data import read_lines, read_parts
from bert4keras.optimizers import warm_up
from bert4keras.tasks.similarity import ProductQuantizer, read_scored_pairs
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
parser.add_argument("--objective", choices=("cosent", "simcse"), default="cosent")
parser.add_argument(
    "--train", type=Path, default=DATA / "train.tsv", help="pairs (default: %(default)s)"
)
parser.add_argument("--valid", type=Path, help="pairs that choose the epoch (default: see --test)")
parser.add_argument(
    "--test", type=Path, help="pairs (default: those beside the shipped file, a tenth of one's own)"
)
parser.add_argument("--columns", type=int, nargs=3, help="first, second, label; from 0")
parser.add_argument("--predict", type=Path, help="text file, a query a line: nearest sentences")
parser.add_argument(
    "--code-size", type=int, help="bytes of a vector in the index, such as 48 (default: floats)"
)
parser.add_argument("--save", type=Path, help="directory for the trained task")
parser.add_argument("--epochs", type=int, default=4)
parser.add_argument("--batch-size", type=int, default=32)
parser.add_argument("--learning-rate", type=float, default=5e-5)
parser.add_argument("--maxlen", type=int, default=64)
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
train = train[: options.limit]
texts = list(dict.fromkeys(text for pair, _ in train for text in pair))
print(f"{len(train)} pairs to train on, {len(valid)} to choose the epoch, {len(test)} to test on")

encoder = tasks.SentenceEncoder.build(options.checkpoint, maxlen=options.maxlen)
print(f"test, before training: spearman {encoder.evaluate(test)['spearman']:.4f}")
samples = train if options.objective == "cosent" else texts
batches = encoder.batches(samples, options.batch_size, shuffle=True, seed=options.seed)
steps = options.epochs * len(batches)
rate = warm_up(options.learning_rate, steps // 10, steps)
model = encoder.training_model(options.objective)
model.compile(
    keras.optimizers.AdamW(rate, weight_decay=0.01),
    encoder.loss if options.objective == "cosent" else None,
)
model.fit(
    batches,
    epochs=options.epochs,
    callbacks=[Evaluator(lambda: encoder.evaluate(valid))],
    verbose="auto" if sys.stdout.isatty() else 2,
)

print(f"test, after training: spearman {encoder.evaluate(test)['spearman']:.4f}")
compression = ProductQuantizer(options.code_size) if options.code_size else None
index = encoder.index(texts, compression=compression)
print(f"nearest to {test[0].texts[0]!r}:", *index.search(test[0].texts[0], k=3), sep="\n  ")
if options.save:
    encoder.save(options.save)
    index.save(options.save / "index.npz")
if options.predict:
    queries = read_lines(options.predict)
    for query, found in zip(queries, index.search(queries, k=3), strict=True):
        nearest = [{"text": one.text, "score": one.score} for one in found]
        print(json.dumps({"query": query, "nearest": nearest}, ensure_ascii=False))
