r"""Convert questions about a table to SQL: one pass over question and headers, four heads (NL2SQL).

The heads predict the selected columns, their aggregates and the conditions. If the table has rows,
values become cells, and queries that return nothing are skipped (execution-guided decoding).
Files have the format of WikiSQL or of TableQA; the tables, train.tables.jsonl or
train.headers.jsonl, are beside train.jsonl.
    python task_nl2sql.py
    python task_nl2sql.py --train train.jsonl.xz --valid dev.jsonl.xz --test test.jsonl.xz \
        --epochs 1 --batch-size 32 --maxlen 256 --head-rate 10
Seen: shipped data, MiniLM, seed 1: test logical form 0.4938, execution 0.5750 (names of columns and
cells looked for: 0.1625, 0.2062); 225 s on one CPU core (JAX). WikiSQL: 0.6409, 45 min.
"""

import argparse
import sys
from pathlib import Path

import keras

from bert4keras import tasks
from bert4keras.data import read_parts
from bert4keras.optimizers import ExtendedOptimizer, LearningRateMultipliers, warm_up
from bert4keras.tasks.sql import read_table_questions
from bert4keras.training import Evaluator

DATA = Path(__file__).parent / "datasets" / "tables"

parser = argparse.ArgumentParser(
    description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
)
parser.add_argument(
    "--checkpoint",
    default="minilm-l6",
    help="directory, hf://org/name, minilm-l6 or multilingual-e5-small (default: %(default)s)",
)
parser.add_argument("--train", type=Path, default=DATA / "train.jsonl", help="see above")
parser.add_argument("--valid", type=Path, help="(default: a tenth of --train, or the shipped file)")
parser.add_argument("--test", type=Path, help="(default: a tenth of --train, or the shipped file)")
parser.add_argument(
    "--predict", type=Path, help="questions about the first test table, one a line: print answers"
)
parser.add_argument("--save", type=Path, help="directory for the trained task")
parser.add_argument("--epochs", type=int, default=5, help="(default: %(default)s)")
parser.add_argument("--batch-size", type=int, default=16, help="(default: %(default)s)")
parser.add_argument("--learning-rate", type=float, default=1e-4, help="(default: %(default)s)")
parser.add_argument(
    "--head-rate", type=float, default=1, help="times it for the heads (default: 1)"
)
parser.add_argument(
    "--maxlen", type=int, default=128, help="tokens of a question and its headers (default: 128)"
)
parser.add_argument("--seed", type=int, default=1, help="(default: %(default)s)")
parser.add_argument("--limit", type=int, help="train on only so many rows")
options = parser.parse_args()
keras.utils.set_random_seed(options.seed)

if options.train == DATA / "train.jsonl":
    options.valid = options.valid or DATA / "valid.jsonl"
    options.test = options.test or DATA / "test.jsonl"
train, valid, test = read_parts(
    read_table_questions, options.train, options.valid, options.test, options.seed
)
train = train[: options.limit]
print(f"{len(train)}, {len(valid)} and {len(test)} questions")

most = max(len(sample.sql.sel) for sample in train)
task = tasks.TableQA.build(options.checkpoint, max_select=most, maxlen=options.maxlen)
batches = task.batches(train, options.batch_size, shuffle=True, seed=options.seed)
steps = options.epochs * len(batches)
rate = warm_up(options.learning_rate, steps // 10, steps)
optimizer = keras.optimizers.AdamW(rate, weight_decay=0.01)
optimizer = ExtendedOptimizer(optimizer, [LearningRateMultipliers({"^SQL/": options.head_rate})])
task.model.compile(optimizer, task.loss)
task.model.fit(
    batches,
    epochs=options.epochs,
    verbose="auto" if sys.stdout.isatty() else 2,
    callbacks=[Evaluator(lambda: task.evaluate(valid))],
)

print("test:", task.evaluate(test))
for sample in test[:3]:
    print(sample.question, task(sample.asked), sep="\n  ")
if options.save:
    task.save(options.save)
if options.predict:
    for line in options.predict.read_text(encoding="utf-8").splitlines():
        print(task((line, test[0].table)))
