"""Titles for short texts: one BERT reads the text and writes its title (UniLM).

The text is segment 0, with attention in both directions; the title is segment 1, written from left
to right. A pretrained model keeps only the tokens that occur in the training texts.

Data: examples/datasets/titles (Chinese, made from templates, Apache-2.0), or your own: TSV
`title<TAB>text`, or JSON lines with "title" and "content" (CSL, LCSTS, ...); *.xz and *.gz too.
    python examples/task_seq2seq_title.py [--random-weights]
    python task_seq2seq_title.py --train mine.tsv --predict texts.txt --save titles
Seen: seed 1, --random-weights, beam search: ROUGE-L 0.847, BLEU 0.712 (the first sentence: 0.211,
0.124); 2 min on one CPU core (torch).
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
parser.add_argument("--train", type=Path, default=DATA / "train.tsv", help="(default: %(default)s)")
parser.add_argument("--valid", type=Path, help="default: beside the shipped file, else a tenth")
parser.add_argument("--test", type=Path, help="default: beside the shipped file, else a tenth")
parser.add_argument("--predict", type=Path, help="texts, one a line: their titles as JSON lines")
parser.add_argument("--save", type=Path, help="directory for the trained task")
parser.add_argument("--epochs", type=int, help="5, from random weights 15")
parser.add_argument("--batch-size", type=int, default=16)
parser.add_argument("--learning-rate", type=float, help="2e-4, from random weights 1e-3")
parser.add_argument("--maxlen", type=int, default=128, help="tokens of text and title together")
parser.add_argument("--title", type=int, default=32, help="most tokens of a title")
parser.add_argument("--seed", type=int, default=1)
parser.add_argument("--limit", type=int, help="train on only so many rows")
options = parser.parse_args()
options.epochs = options.epochs or (5 if options.checkpoint else 15)
options.learning_rate = options.learning_rate or (2e-4 if options.checkpoint else 1e-3)
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
    bert, tokenizer = tasks.from_scratch(texts, application="unilm", with_mlm="linear")
    task = tasks.Generator(tokenizer, bert, **settings)

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
