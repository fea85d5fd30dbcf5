r"""Relation extraction with CasRel: first the subjects, then the objects of each by predicate.

It finds all triples (subject, predicate, object) of a sentence; entities may be part of several
triples. Training uses one subject per sentence, drawn anew in every epoch. Files have the format of
DuIE ({"text", "spo_list"}) or of WebNLG in CasRel's repository ({"text", "triple_list"}), with one
object per line or one array.
    python task_relation_extraction_casrel.py [--random-weights]
    python task_relation_extraction_casrel.py --checkpoint minilm-l6 --train train_triples.json \
        --valid val_triples.json --test test_triples.json --learning-rate 2e-4
Seen: shipped data, --random-weights, seed 1: test F1 of the triples 0.8307 (pairs of
names seen in training: 0.1232); 2 min on one CPU core (JAX).
"""

import argparse
import json
import sys
from pathlib import Path

import keras

from bert4keras import tasks
from bert4keras.data import read_parts
from bert4keras.optimizers import warm_up
from bert4keras.tasks.relations import read_relations
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
parser.add_argument("--train", type=Path, default=DATA / "train.json", help="see above")
parser.add_argument("--valid", type=Path, help="(default: a tenth of --train, or the shipped file)")
parser.add_argument("--test", type=Path, help="(default: a tenth of --train, or the shipped file)")
parser.add_argument("--predict", type=Path, help="texts, one per line: print triples as JSON")
parser.add_argument("--save", type=Path, help="directory for the trained task")
parser.add_argument("--epochs", type=int, help="8, from random weights 20")
parser.add_argument("--batch-size", type=int, default=16, help="(default: %(default)s)")
parser.add_argument("--learning-rate", type=float, help="2e-4, from random weights 1e-3")
parser.add_argument("--maxlen", type=int, default=64, help="tokens of a window (default: 64)")
parser.add_argument("--seed", type=int, default=1, help="(default: %(default)s)")
parser.add_argument("--limit", type=int, help="train on only so many rows")
options = parser.parse_args()
options.epochs = options.epochs or (8 if options.checkpoint else 20)
options.learning_rate = options.learning_rate or (2e-4 if options.checkpoint else 1e-3)
keras.utils.set_random_seed(options.seed)

if options.train == DATA / "train.json":
    options.valid = options.valid or DATA / "valid.json"
    options.test = options.test or DATA / "test.json"
train, valid, test = read_parts(
    read_relations, options.train, options.valid, options.test, options.seed
)
train = train[: options.limit]
predicates = sorted({predicate for sample in train for _, predicate, _ in sample.triples})
print(f"{len(train)}, {len(valid)} and {len(test)} texts, {len(predicates)} predicates")

checkpoint, tokenizer = options.checkpoint, None
if not checkpoint:
    checkpoint, tokenizer = tasks.from_scratch([text for text, _ in train], maxlen=options.maxlen)
extractor = tasks.RelationExtractor.build(
    checkpoint,
    predicates,
    head="casrel",
    maxlen=options.maxlen,
    tokenizer=tokenizer,
)
batches = extractor.batches(train, options.batch_size, shuffle=True, seed=options.seed)
steps = options.epochs * len(batches)
rate = warm_up(options.learning_rate, steps // 10, steps)
extractor.model.compile(keras.optimizers.AdamW(rate, weight_decay=0.01), extractor.loss)
extractor.model.fit(
    batches,
    epochs=options.epochs,
    verbose="auto" if sys.stdout.isatty() else 2,
    callbacks=[Evaluator(lambda: extractor.evaluate(valid))],
)

print("test:", extractor.evaluate(test))
for text, _ in test[:3]:
    print(text, *extractor(text), sep="\n  ")
if options.save:
    extractor.save(options.save)
if options.predict:
    for line in options.predict.read_text(encoding="utf-8").splitlines():
        triples = [relation.strings() for relation in extractor(line)]
        print(json.dumps({"text": line, "triples": triples}, ensure_ascii=False))
