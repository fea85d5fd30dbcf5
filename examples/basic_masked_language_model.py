"""Fill in a [MASK] with a masked language model.

Without --checkpoint a small model is trained on the spot, from random weights, on --train: a text
file, one text a line. It shows how, and knows little beyond those lines. A checkpoint with a
masked-language-model head answers at once, and is trained further only if --train is given.
Command: python basic_masked_language_model.py [--checkpoint DIR] [--text "A [MASK] day."]
Data: corpus_en.txt (English, written for this project, Apache-2.0).
Seen (seed 1): of the words hidden in the training lines 0.47 found, in other lines 0.16; 68 s of
one CPU core (torch).
"""

import argparse
import re
import sys
from pathlib import Path

import keras

from bert4keras.data import read_lines, split
from bert4keras.models import build_transformer_model
from bert4keras.optimizers import warm_up
from bert4keras.tasks import FillMask
from bert4keras.tokenizers import Tokenizer

DATA = Path(__file__).parent / "datasets" / "corpus_en.txt"

parser = argparse.ArgumentParser(
    description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
)
parser.add_argument("--checkpoint", help="directory or hf://org/name (default: a new small model)")
parser.add_argument("--train", type=Path, help=f"one text a line (default: {DATA})")
parser.add_argument("--text", action="append", help="text with [MASK]s; may be given repeatedly")
parser.add_argument("--predict", type=Path, help="texts with [MASK]s, one a line")
parser.add_argument("--save", type=Path, help="directory for the trained task")
parser.add_argument("--epochs", type=int, help="default: 200, of a --checkpoint 3")
parser.add_argument("--batch-size", type=int, default=16)
parser.add_argument("--learning-rate", type=float, help="default: 2e-3, of a --checkpoint 2e-5")
parser.add_argument("--maxlen", type=int, default=64, help="tokens of a window")
parser.add_argument("--seed", type=int, default=1)
parser.add_argument("--limit", type=int, help="train on so many lines only")
options = parser.parse_args()
keras.utils.set_random_seed(options.seed)

texts = list(options.text or [])
if options.predict:
    texts += [line for line in read_lines(options.predict) if line.strip()]
lines = []
if options.train or not (options.checkpoint and texts):
    lines = [line for line in read_lines(options.train or DATA) if line.strip()][: options.limit]

if options.checkpoint:
    task = FillMask.build(options.checkpoint, maxlen=options.maxlen)
else:  # a small one whose vocabulary are the words of the data
    words = dict.fromkeys(re.findall(r"\w+|[^\w\s]", " ".join(lines).lower()))
    tokenizer = Tokenizer(
        ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *words], do_lower_case=True
    )
    sizes = {"hidden_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4}
    sizes |= {"intermediate_size": 128, "max_position": options.maxlen}
    config = {"model_type": "bert", "vocab_size": tokenizer.vocab_size, **sizes}
    bert = build_transformer_model(config, with_mlm="linear")
    task = FillMask.build(bert, tokenizer=tokenizer, maxlen=options.maxlen)

if options.train or not options.checkpoint:
    train, valid = split(lines, (0.1,), options.seed)
    epochs = options.epochs or (3 if options.checkpoint else 200)
    batches = task.batches(train, options.batch_size, shuffle=True, seed=options.seed)
    rate = options.learning_rate or (2e-5 if options.checkpoint else 2e-3)
    rate = warm_up(rate, epochs * len(batches) // 10, epochs * len(batches))
    task.model.compile(keras.optimizers.AdamW(rate), task.loss)
    task.model.fit(batches, epochs=epochs, verbose="auto" if sys.stdout.isatty() else 2)
    for name, part in (("train", train), ("valid", valid)):
        scores = task.evaluate(part)
        print(f"{name}: " + ", ".join(f"{key} {value:.4f}" for key, value in scores.items()))

if not texts:  # three lines of the data, two words of each hidden
    texts = [re.sub(r"\b\w{4,}\b", "[MASK]", line, count=2) for line in lines[:3]]
for text, answer in zip(texts, task.predict(texts), strict=True):
    print(text)
    print("  " + (", ".join(map(str, answer)) if isinstance(answer, list) else str(answer)))
if options.save:
    task.save(options.save)
