"""Titles for short texts: T5's encoder reads the text, its decoder writes the title.

Seq2seq by an encoder-decoder with relative positions. Without --checkpoint a small T5.1.1 starts
from random weights; a pretrained T5 or mT5 (hf://org/name, a directory) keeps of its vocabulary
what the training texts need.

Data: examples/datasets/titles (Chinese, made from templates, Apache-2.0), or your own, in the
formats of task_seq2seq_title.py, which does the same with one BERT.
    python examples/task_seq2seq_title_t5.py [--checkpoint NAME --learning-rate 2e-4]
    python task_seq2seq_title_t5.py --train mine.tsv --predict texts.txt --save titles
Seen: ROUGE-L 0.778, BLEU 0.625 (the first sentence: 0.211, 0.124); 221 s on one CPU core (JAX), of
an earlier version with the same model and data.
"""

import argparse
import json
import sys
from pathlib import Path

import keras

from bert4keras import tasks
from bert4keras.data import read_lines, read_parts
from bert4keras.generation import BeamSearch, Greedy
from bert4keras.optimizers import warm_up
from bert4keras.tasks.generation import read_text_pairs
from bert4keras.training import Evaluator

DATA = Path(__file__).parent / "datasets" / "titles"

parser = argparse.ArgumentParser(
    description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
)
parser.add_argument("--checkpoint", help="T5 or mT5: directory or hf://org/name (default: none)")
parser.add_argument("--train", type=Path, default=DATA / "train.tsv", help="(default: %(default)s)")
parser.add_argument("--valid", type=Path, help="default: beside the shipped file, else a tenth")
parser.add_argument("--test", type=Path, help="default: beside the shipped file, else a tenth")
parser.add_argument("--predict", type=Path, help="texts, one a line: their titles as JSON lines")
parser.add_argument("--save", type=Path, help="directory for the trained task")
parser.add_argument("--epochs", type=int, default=15)
parser.add_argument("--batch-size", type=int, default=16)
parser.add_argument("--learning-rate", type=float, default=1e-3)
parser.add_argument("--maxlen", type=int, default=128, help="tokens of a text")
parser.add_argument("--title", type=int, default=32, help="most tokens of a title")
parser.add_argument("--seed", type=int, default=1)
parser.add_argument("--limit", type=int, help="train on only so many rows")
options = parser.parse_args()
keras.utils.set_random_seed(options.seed)


def read(path: Path) -> list[tuple[str, str]]:
    """Texts with their titles; the titles come first in a table."""
    return read_text_pairs(path, columns=(1, 0))


if options.train == DATA / "train.tsv":
    options.valid = options.valid or DATA / "valid.tsv"
    options.test = options.test or DATA / "test.tsv"
train, valid, test = read_parts(read, options.train, options.valid, options.test)
train = train[: options.limit]
print(f"{len(train)} training, {len(valid)} validation, {len(test)} test rows")

texts = [text for pair in train for text in pair]
settings = {"maxlen": options.maxlen, "max_new_tokens": options.title, "truncate": "right"}
if options.checkpoint:
    task = tasks.Generator.build(options.checkpoint, texts=texts, **settings)
else:
    t5, tokenizer = tasks.from_scratch(texts, model="t5.1.1", with_mlm="linear")
    task = tasks.Generator(tokenizer, t5, **settings)

batches = task.batches(train, options.batch_size, shuffle=True, seed=options.seed)
steps = options.epochs * len(batches)
rate = warm_up(options.learning_rate, steps // 10, steps)
task.model.compile(keras.optimizers.AdamW(rate, weight_decay=0.01), task.loss)
task.model.fit(
    batches,
    epochs=options.epochs,
    verbose="auto" if sys.stdout.isatty() else 2,
    callbacks=[Evaluator(lambda: task.evaluate(valid)["rouge_l"])],
)

for strategy in (Greedy(), BeamSearch(4)):
    scores = task.evaluate(test, strategy=strategy)
    print(f"test, {strategy}:", ", ".join(f"{name} {value:.4f}" for name, value in scores.items()))
task.strategy = BeamSearch(4)  # is saved with it
for text, title in test[:3]:
    print(f"{text}\n  {task(text)} (wanted: {title})")
if options.predict:
    for text in read_lines(options.predict):
        print(json.dumps({"text": text, "title": task(text).text}, ensure_ascii=False))
if options.save:
    task.save(options.save)
