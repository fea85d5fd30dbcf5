"""Text from triples: one BERT reads what is known and writes it as a sentence (UniLM).

(subject, relation, object) triples, written out one behind the other, are what is read.

Data: examples/datasets/relations (Chinese, made from templates, Apache-2.0), or your own, one JSON
object a line in the format of DuIE: {"text": ..., "spo_list": [{"subject": ..., "predicate": ...,
"object": ...}]}; *.xz and *.gz too.
    python examples/task_triples_to_text.py [--random-weights]
    python task_triples_to_text.py --train mine.json --save triples
Seen: beam search: BLEU 0.419, ROUGE-L 0.606 (the triples themselves: 0.292, 0.553); 4 min on one
CPU core (JAX), of an earlier version with random weights. WebNLG from MiniLM with --limit 2500
--epochs 4: BLEU 0.168, ROUGE-L 0.361 (random weights 0.023, 0.226), of that version too.
"""

import argparse
import sys
from pathlib import Path

import keras

from bert4keras import tasks
from bert4keras.data import DataFileError, read_json_rows, read_parts
from bert4keras.generation import BeamSearch, Greedy
from bert4keras.optimizers import warm_up
from bert4keras.training import Evaluator

DATA = Path(__file__).parent / "datasets" / "relations"
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
parser.add_argument("--epochs", type=int, help="5, from random weights 12")
parser.add_argument("--batch-size", type=int, default=16)
parser.add_argument("--learning-rate", type=float, help="2e-4, from random weights 1e-3")
parser.add_argument("--maxlen", type=int, default=192, help="tokens of triples and text")
parser.add_argument("--longest", type=int, default=64, help="most tokens of a text")
parser.add_argument("--seed", type=int, default=1)
parser.add_argument("--limit", type=int, help="train on only so many rows")
options = parser.parse_args()
options.epochs = options.epochs or (5 if options.checkpoint else 12)
options.learning_rate = options.learning_rate or (2e-4 if options.checkpoint else 1e-3)
keras.utils.set_random_seed(options.seed)


def read(path: Path) -> list[tuple[str, str]]:
    """The triples of each row as one line, and its text."""
    pairs = []
    for where, row in read_json_rows(path):
        try:
            triples = [(t["subject"], t["predicate"], t["object"]) for t in row["spo_list"]]
            # DuIE 2.0 keeps several objects of a relation under names; "@value" is the main one.
            triples = [(s, p, o["@value"] if isinstance(o, dict) else o) for s, p, o in triples]
            source = " ; ".join(" | ".join(triple) for triple in triples)
            pairs.append((source, row["text"]))
        except (KeyError, TypeError) as error:
            raise DataFileError(f"{where}: no text or triples: {error}") from None
    return [(source, text) for source, text in pairs if source]


if options.train == DATA / "train.json":
    options.valid = options.valid or DATA / "valid.json"
    options.test = options.test or DATA / "test.json"
train, valid, test = read_parts(read, options.train, options.valid, options.test)
train = train[: options.limit]
print(f"{len(train)} training, {len(valid)} validation, {len(test)} test rows")

texts = [text for pair in train for text in pair]
settings = {"maxlen": options.maxlen, "max_new_tokens": options.longest, "truncate": "right"}
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
    callbacks=[Evaluator(lambda: task.evaluate(valid)["bleu"])],
)

for strategy in (Greedy(), BeamSearch(4)):
    scores = task.evaluate(test, strategy=strategy)
    print(f"test, {strategy}:", ", ".join(f"{name} {value:.4f}" for name, value in scores.items()))
task.strategy = BeamSearch(4)  # is saved with it
for triples, text in test[:3]:
    print(f"{triples}\n  {task(triples)} (wanted: {text})")
if options.save:
    task.save(options.save)
