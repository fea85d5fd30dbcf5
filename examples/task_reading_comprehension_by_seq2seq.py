"""Question answering by generation: the model reads question and passage and writes the answer.

It is one UniLM model. `SpansOfPrompt` restricts the answer to a span of the passage, or to the
empty text, which means "no answer".

Data: examples/datasets/reading (Chinese, made from templates, Apache-2.0), or files in the format
of SQuAD or CMRC 2018; *.xz and *.gz too.
    python examples/task_reading_comprehension_by_seq2seq.py [--random-weights]
    python task_reading_comprehension_by_seq2seq.py --train mine.json --save reader
Seen: EM 0.220, F1 0.325 (baseline, words of the nearest sentence that the question lacks: 0.023,
0.136); 206 s on one CPU core (JAX), by an earlier version with random weights.
"""

import argparse
import json
import sys
from pathlib import Path

import keras

from bert4keras import tasks
from bert4keras.data import read_parts, read_text
from bert4keras.generation import SpansOfPrompt
from bert4keras.optimizers import warm_up
from bert4keras.training import Evaluator

DATA = Path(__file__).parent / "datasets" / "reading"
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
    "--train", type=Path, default=DATA / "train.json", help="(default: %(default)s)"
)
parser.add_argument("--valid", type=Path, help="default: beside the shipped file, else a tenth")
parser.add_argument("--test", type=Path, help="default: beside the shipped file, else a tenth")
parser.add_argument("--save", type=Path, help="directory for the trained task")
parser.add_argument("--epochs", type=int, help="4, from random weights 12")
parser.add_argument("--batch-size", type=int, default=16)
parser.add_argument("--learning-rate", type=float, help="2e-4, from random weights 1e-3")
parser.add_argument("--maxlen", type=int, default=256, help="tokens of all three")
parser.add_argument("--answer", type=int, default=16, help="maximum tokens of an answer")
parser.add_argument("--seed", type=int, default=1)
parser.add_argument("--limit", type=int, help="train on only so many rows")
options = parser.parse_args()
options.epochs = options.epochs or (4 if options.checkpoint else 12)
options.learning_rate = options.learning_rate or (2e-4 if options.checkpoint else 1e-3)
keras.utils.set_random_seed(options.seed)


def read(path: Path) -> list[tuple[str, str, str]]:
    """Passage, question and answer ("" where there is none) of each question."""
    rows = []
    for article in json.loads(read_text(path))["data"]:
        for paragraph in article["paragraphs"]:
            for asked in paragraph["qas"]:
                answers = [answer["text"] for answer in asked.get("answers") or []]
                rows.append((paragraph["context"], asked["question"], (answers or [""])[0]))
    return rows


if options.train == DATA / "train.json":
    options.valid = options.valid or DATA / "valid.json"
    options.test = options.test or DATA / "test.json"
train, valid, test = read_parts(read, options.train, options.valid, options.test)
train = train[: options.limit]
print(f"{len(train)} training, {len(valid)} validation, {len(test)} test rows")

texts = [text for row in train for text in row]
settings = {"maxlen": options.maxlen, "max_new_tokens": options.answer, "truncate": "right"}
if options.checkpoint:
    task = tasks.Generator.build(options.checkpoint, texts=texts, **settings)
else:
    bert, tokenizer = tasks.from_scratch(texts, application="unilm", with_mlm="linear")
    task = tasks.Generator(tokenizer, bert, **settings)
task.processors = [SpansOfPrompt(task.tokenizer.token_end_id, options.answer)]
train, valid, test = (
    [((question, passage), answer) for passage, question, answer in rows]
    for rows in (train, valid, test)
)

batches = task.batches(train, options.batch_size, shuffle=True, seed=options.seed)
steps = options.epochs * len(batches)
rate = warm_up(options.learning_rate, steps // 10, steps)
task.model.compile(keras.optimizers.AdamW(rate, weight_decay=0.01), task.loss)
task.model.fit(
    batches,
    epochs=options.epochs,
    verbose="auto" if sys.stdout.isatty() else 2,
    callbacks=[Evaluator(lambda: task.evaluate(valid[:200])["exact_match"])],
)

scores = task.evaluate(test)
print("test:", ", ".join(f"{name} {value:.4f}" for name, value in scores.items()))
for (question, passage), answer in test[:3]:
    found = task((question, passage))
    print(f"{passage}\n  {question} {found} ({found.score:.3f}; wanted: {answer})")
if options.save:
    task.save(options.save)
