"""Entity linking: find the entity of a knowledge base that a name in a text means, if any.

The names of all entities are searched in the text. For each name a pretrained encoder reads the
text, followed by all candidates, which do not see each other; an empty candidate means "none of
these" (NIL). Files have one JSON object per line, or are those of CCKS 2019:
    --kb     {"id": "7", "name": "Paris", "names": ["Paris"], "facts": [["kind", "city"]]}
    --train  {"text": "In Paris.", "links": [{"start": 3, "end": 8, "entity": "7"}]}
AIDA-CoNLL, whose mentions and candidates are given: --aida FILE --conll DIRECTORY.
Seen: knowledge_base, seed 1: test F1 0.7285 (first candidate of each name: 0.2700).
"""

import argparse
import dataclasses
import json
import sys
from pathlib import Path

import keras

from bert4keras.data import read_lines, read_parts
from bert4keras.optimizers import warm_up
from bert4keras.tasks import EntityLinker
from bert4keras.tasks.linking import read_aida, read_knowledge_base, read_linked_texts
from bert4keras.training import Evaluator

DATA = Path(__file__).parent / "datasets" / "knowledge_base"

parser = argparse.ArgumentParser(
    description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
)
parser.add_argument(
    "--checkpoint", default="minilm-l6", help="directory, hf://org/name or name (%(default)s)"
)
parser.add_argument("--kb", type=Path, default=DATA / "kb.jsonl", help="default: %(default)s")
parser.add_argument("--train", type=Path, default=DATA / "train.jsonl", help="default: %(default)s")
parser.add_argument("--valid", type=Path, help="default: valid.jsonl beside the shipped --train,")
parser.add_argument("--test", type=Path, help="and test.jsonl; else a tenth of --train each")
parser.add_argument("--aida", type=Path, help="in place of these: mentions and their candidates,")
parser.add_argument(
    "--conll", type=Path, help="and the directory of eng.train, eng.testa, eng.testb"
)
parser.add_argument("--predict", type=Path, help="texts, one per line: print their links as JSON")
parser.add_argument("--save", type=Path, help="directory for the trained linker")
parser.add_argument("--epochs", type=int, default=3)
parser.add_argument("--batch-size", type=int, default=16)
parser.add_argument("--learning-rate", type=float, default=1e-4)
parser.add_argument("--maxlen", type=int, default=80, help="tokens of the text and a description")
parser.add_argument("--description", type=int, default=32, help="tokens read of an entity")
parser.add_argument("--seed", type=int, default=1)
parser.add_argument("--limit", type=int, help="train on only so many texts")
options = parser.parse_args()
keras.utils.set_random_seed(options.seed)

if options.aida:
    parts = [read_aida(options.aida, options.conll, p) for p in ("train", "testa", "testb")]
    (train, valid, test), base = [texts for texts, _ in parts], parts[0][1]
else:
    if options.train == DATA / "train.jsonl":
        options.valid = options.valid or DATA / "valid.jsonl"
        options.test = options.test or DATA / "test.jsonl"
    paths = options.train, options.valid, options.test
    train, valid, test = read_parts(read_linked_texts, *paths, options.seed)
    base = read_knowledge_base(options.kb)
    base, dropped = base.without_common_names(train)
    print(f"{base}; mostly ordinary words and not looked for: {', '.join(dropped) or '-'}")

linker = EntityLinker.build(
    options.checkpoint,
    base,
    description=options.description,
    nil=not options.aida,  # in AIDA the right entity is always among the candidates
    maxlen=options.maxlen,
)
batches = linker.batches(train[: options.limit], options.batch_size, shuffle=True)
steps = len(batches) * options.epochs
optimizer = keras.optimizers.AdamW(warm_up(options.learning_rate, steps // 10, steps))
linker.model.compile(optimizer, linker.loss)
linker.model.fit(
    batches,
    epochs=options.epochs,
    callbacks=[Evaluator(lambda: linker.evaluate(valid))],
    verbose="auto" if sys.stdout.isatty() else 2,
)

print("test:", ", ".join(f"{name} {value:.4f}" for name, value in linker.evaluate(test).items()))
for text, answer in zip(test[:3], linker.predict([t.document for t in test[:3]]), strict=True):
    print(text.text)
    for link in answer:
        print(f"  {link.text}: {base[link.entity].text if link.entity else 'nothing known'}")
if options.predict:
    for links in linker.stream(read_lines(options.predict)):
        print(json.dumps([dataclasses.asdict(link) for link in links], ensure_ascii=False))
if options.save:
    linker.save(options.save)
