"""Entity linking without a pretrained encoder: an LSTM model finds mentions and links them.

The model was made for CCKS 2019 (https://kexue.fm/archives/6919), with vectors of Chinese words. It
predicts which names in a text are mentions and compares each mention with the entities of that
name: text and description attend to each other. If no entity is probable, there is no link (NIL).
Files have one JSON object per line, or are those of CCKS 2019:
    --kb     {"id": "7", "name": "Paris", "names": ["Paris"], "facts": [["kind", "city"]]}
    --train  {"text": "In Paris.", "links": [{"start": 3, "end": 8, "entity": "7"}]}
Seen: knowledge_base, seed 1: test F1 0.3795 (first entity of each name: 0.2700), 134 s.
The test sentences are not in training; the encoder of `task_entity_linking.py` knows their words.
"""

import argparse
import dataclasses
import json
import sys
from pathlib import Path

import keras

from bert4keras.data import read_lines, read_parts
from bert4keras.optimizers import warm_up
from bert4keras.tasks import CCKS2019Linker
from bert4keras.tasks.linking import read_knowledge_base, read_linked_texts, read_word_vectors
from bert4keras.training import Evaluator

DATA = Path(__file__).parent / "datasets" / "knowledge_base"

parser = argparse.ArgumentParser(
    description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
)
parser.add_argument("--kb", type=Path, default=DATA / "kb.jsonl", help="default: %(default)s")
parser.add_argument("--train", type=Path, default=DATA / "train.jsonl", help="default: %(default)s")
parser.add_argument("--valid", type=Path, help="default: valid.jsonl beside the shipped --train,")
parser.add_argument("--test", type=Path, help="and test.jsonl; else a tenth of --train each")
parser.add_argument("--vectors", type=Path, help="word vectors, text format of word2vec")
parser.add_argument("--predict", type=Path, help="texts, one per line: print their links as JSON")
parser.add_argument("--save", type=Path, help="directory for the trained linker")
parser.add_argument("--epochs", type=int, default=8)
parser.add_argument("--batch-size", type=int, default=32)
parser.add_argument("--learning-rate", type=float, default=2e-3)
parser.add_argument("--maxlen", type=int, default=160, help="tokens of the text around a name")
parser.add_argument("--description", type=int, default=48, help="tokens read of an entity")
parser.add_argument("--units", type=int, default=32, help="width of each direction of an LSTM")
parser.add_argument("--rare", type=int, default=5, help="rarer tokens are unknown")
parser.add_argument("--seed", type=int, default=1)
parser.add_argument("--limit", type=int, help="train on only so many texts")
options = parser.parse_args()
keras.utils.set_random_seed(options.seed)

if options.train == DATA / "train.jsonl":
    options.valid = options.valid or DATA / "valid.jsonl"
    options.test = options.test or DATA / "test.jsonl"
paths = options.train, options.valid, options.test
train, valid, test = read_parts(read_linked_texts, *paths, options.seed)
base = read_knowledge_base(options.kb)
train = train[: options.limit]
base, dropped = base.without_common_names(train)
print(f"{base}; mostly ordinary words and not looked for: {', '.join(dropped) or '-'}")

linker = CCKS2019Linker.build(
    train,
    base,
    word_vectors=read_word_vectors(options.vectors) if options.vectors else None,
    units=options.units,
    min_count=options.rare,
    description=options.description,
    maxlen=options.maxlen,
)
batches = linker.batches(train, options.batch_size, shuffle=True, seed=options.seed)
steps = len(batches) * options.epochs
optimizer = keras.optimizers.AdamW(warm_up(options.learning_rate, steps // 10, steps))
linker.model.compile(optimizer, linker.loss)


def evaluate() -> dict[str, float]:
    linker.tune_threshold(valid)
    return linker.evaluate(valid)


linker.model.fit(
    batches,
    epochs=options.epochs,
    callbacks=[Evaluator(evaluate)],
    verbose="auto" if sys.stdout.isatty() else 2,
)

print(f"from a probability of {linker.tune_threshold(valid):.2f} on:")
print("test:", ", ".join(f"{name} {value:.4f}" for name, value in linker.evaluate(test).items()))
for text, answer in zip(test[:3], linker.predict([t.text for t in test[:3]]), strict=True):
    print(text.text)
    for link in answer:
        print(f"  {link.text}: {base[link.entity].text if link.entity else 'nothing known'}")
if options.predict:
    for links in linker.stream(read_lines(options.predict)):
        print(json.dumps([dataclasses.asdict(link) for link in links], ensure_ascii=False))
if options.save:
    linker.save(options.save)
