"""Named entities: an encoder, scores of tags, and a CRF that knows which tag may follow which.

Task: find persons, places, organisations, ... in a text, as characters [start, end) and a type.
      Where the corpus gives words, the first token of each is tagged; long texts are read in
      overlapping windows and decoded as one. Chinese is learnt from random weights, its vocabulary
      the characters of the training text, unless `--model DIR` names a pretrained encoder.
Data: examples/datasets/entities (Chinese, made from templates for this project, Apache-2.0), or
      your own, *.xz too: JSON lines as those or as CLUENER's (no licence stated), or columns, token
      first and tag last, such as CoNLL-2003 (by agreement with Reuters) or MSRA (by agreement).
Command: python examples/task_ner_crf.py
         python examples/task_ner_crf.py --train eng.train --valid eng.testa --test eng.testb \
             --epochs 3 --learning-rate 1e-4 --batch-size 32 --maxlen 128
         ... --picture FILE.png draws which tag follows which;
         ... --check tells which entities the tags cannot give back and how many tokens are
         unknown to the vocabulary, and trains nothing.
Seen: entities, seed 1: test F1 0.9256 (the longest match with the training entities: 0.5667); 75 s
      on one CPU core (JAX).
"""

from __future__ import annotations

import time
from pathlib import Path

import common
import entities
import keras

from bert4keras.display import entities_to_ansi, plot_transitions
from bert4keras.tasks.tagging import ConditionalRandomField, allowed_transitions, entity_scores


@common.script
def main() -> None:
    defaults = {"epochs": 12, "learning_rate": 1e-3, "batch_size": 16, "maxlen": 128}
    parser = entities.arguments(__doc__, "entities", **defaults)
    parser.add_argument("--scheme", default="BIO", choices=["BIO", "BIOES", "BMES"])
    parser.add_argument("--lr-multiplier", type=float, default=100, help="of the transitions")
    parser.add_argument("--check", action="store_true", help="only decode(encode(entities))")
    parser.add_argument("--picture", type=Path, help="draw the transitions here (matplotlib)")
    options = parser.parse_args()
    parser.refuse(["picture"], options.check, "with --check, which trains nothing")
    keras.utils.set_random_seed(options.seed)
    train, valid, test = entities.load(options, entities.read)
    started = time.perf_counter()
    bert, tokenizer = entities.encoder(options, train)
    tags = entities.entity_tags(train, options.scheme)
    size = options.maxlen, options.batch_size
    tagger = entities.Tagger(tokenizer, tags, options.scheme, *size)
    if options.check:
        for name, rows in {"train": train, "valid": valid, "test": test}.items():
            unknown = f"{entities.unknown_share(tagger, rows):.1%} of the tokens are unknown"
            print(f"{name}: {entities.round_trip(tagger, rows)}; {unknown}")
        return

    allowed = allowed_transitions(tags, options.scheme)
    crf = ConditionalRandomField(options.lr_multiplier, allowed=allowed, name="CRF")
    x, inputs = keras.layers.Dropout(0.1)(bert.output), common.inputs(bert)
    x = crf(keras.layers.Dense(len(tags), name="Scores")(x))
    tagger.model, tagger.decode = keras.Model(inputs, x), crf.decode

    def scores(rows):
        return entity_scores(tagger.predict(rows), [row.entities for row in rows])

    seconds = tagger.fit(train, crf.loss, lambda: {"f1": scores(valid).micro.f1}, options)
    guess = entity_scores(entities.longest_match(train, test), [row.entities for row in test])
    found = scores(test)
    for label, s in found.types.items():
        print(f"  {label}: precision {s.precision:.4f}, recall {s.recall:.4f}, F1 {s.f1:.4f}")
    print(f"test F1 of the longest match with the training entities {guess.micro.f1:.4f}")
    print(f"test precision {found.micro.precision:.4f}, recall {found.micro.recall:.4f}")
    print(f"test F1 {found.micro.f1:.4f}, {time.perf_counter() - started:.0f} s, ", end="")
    print(f"{1000 * seconds:.0f} ms a step")
    for row, predicted in zip(test[:3], tagger.predict(test[:3]), strict=True):
        print(common.coloured(entities_to_ansi(row.text, predicted, sorted(found.types))))
    if options.picture:
        learnt = keras.ops.convert_to_numpy(crf.transitions)
        plot_transitions(learnt, tags).figure.savefig(options.picture)


if __name__ == "__main__":
    main()
