"""Named entities with GlobalPointer: every pair of tokens is scored as first and last of a name.

Task: find persons, places, organisations, ... in a text, as characters [start, end) and a type,
      also names within names. A text longer than --maxlen is cut there. Chinese is learnt from
      random weights, its vocabulary the characters of the training text, unless `--model DIR` names
      a pretrained encoder.
Data: examples/datasets/entities (Chinese, made from templates for this project, Apache-2.0), or
      your own, *.xz too: JSON lines as those or as CLUENER's (no licence stated), or columns, token
      first and tag last, such as CoNLL-2003 (by agreement with Reuters) or MSRA (by agreement).
Command: python examples/task_ner_global_pointer.py
         ... --efficient takes `EfficientGlobalPointer`, --no-rotary leaves positions out.
Seen: entities, seed 1: test F1 0.9735 (the longest match with the training entities: 0.5667); 83 s
      on one CPU core (JAX).
"""

from __future__ import annotations

import time

import common
import entities
import keras

from bert4keras.data import DataGenerator, strQ2B
from bert4keras.display import entities_to_ansi
from bert4keras.tasks.alignment import align
from bert4keras.tasks.span_matrix import span_pairs, sparse_pairs
from bert4keras.tasks.tagging import EfficientGlobalPointer, GlobalPointer, entity_scores


class Reader:
    """Texts to token ids and back to entities.

    Args:
        labels: types of entities, in the order of the heads.
    """

    def __init__(self, tokenizer, labels: list[str], options):
        self.tokenizer, self.labels, self.options = tokenizer, labels, options

    def encode(self, sentences) -> list[tuple]:
        """Token ids, segment ids and offsets of each text."""
        texts = [sentence.text for sentence in sentences]
        if self.tokenizer._pre_tokenize:  # the vocabulary of characters is half-width
            texts = [strQ2B(text) for text in texts]
        how = {"maxlen": self.options.maxlen, "return_offsets": True}
        return list(zip(*self.tokenizer.encode_batch(texts, **how), strict=True))

    def batches(self, sentences) -> DataGenerator:
        """Batches with labels, for training; says how many entities these can tell."""
        rows, kept = [], 0
        for sentence, (ids, segments, offsets) in zip(
            sentences, self.encode(sentences), strict=True
        ):
            end = max((b for _, b in offsets), default=0)
            found, lost = align(sentence.entities, offsets, overlap=True, length=end)
            kept += len(sentence.entities) - len(lost)
            rows.append(((ids, segments), span_pairs(found, self.labels)))
        print(f"{kept} of {sum(len(s.entities) for s in sentences)} entities come back")
        most = max(len(sparse_pairs(pairs, len(self.labels))[0]) for _, pairs in rows)
        encode = lambda row: (row[0], sparse_pairs(row[1], len(self.labels), most))  # noqa: E731
        how = {"encode": encode, "shuffle": True, "seed": self.options.seed}
        return DataGenerator(rows, self.options.batch_size, **how)

    def read(self, model: keras.Model, sentences, **decoding) -> list[list]:
        """Entities of each text."""
        rows, found = self.encode(sentences), [[]] * len(sentences)
        order = sorted(range(len(rows)), key=lambda i: len(rows[i][0]))
        size = 2 * self.options.batch_size
        for some in entities.chunks(order, size):
            how = {"encode": lambda i: (rows[i][:2],), "shuffle": False}
            lengths = range(16, self.options.maxlen + 16, 16)
            batch = DataGenerator(some, size, buckets=lengths, **how)[0]
            scores, offsets = model.predict_on_batch(batch[0]), [rows[i][2] for i in some]
            decoded = GlobalPointer.decode(scores, offsets, self.labels, **decoding)
            for i, spans in zip(some, decoded, strict=True):
                found[i] = spans
        return found


@common.script
def main() -> None:
    defaults = {"epochs": 10, "learning_rate": 1e-3, "batch_size": 16, "maxlen": 128}
    parser = entities.arguments(__doc__, "entities", **defaults)
    parser.add_argument("--head-size", type=int, default=64)
    parser.add_argument("--efficient", action="store_true")
    parser.add_argument("--no-rotary", action="store_true")
    parser.add_argument("--flat", action="store_true", help="keep no name that overlaps a better")
    options = parser.parse_args()
    keras.utils.set_random_seed(options.seed)
    train, valid, test = entities.load(options, entities.read)
    started = time.perf_counter()
    bert, tokenizer = entities.encoder(options, train)
    labels = sorted({entity.label for sentence in train for entity in sentence.entities})
    reader = Reader(tokenizer, labels, options)

    cls = EfficientGlobalPointer if options.efficient else GlobalPointer
    head = cls(len(labels), options.head_size, not options.no_rotary, name="Spans")
    x, inputs = keras.layers.Dropout(0.1)(bert.output), common.inputs(bert)
    model = keras.Model(inputs, head([x, inputs[0]]))

    def scores(rows):
        found = reader.read(model, rows, nested=not options.flat)
        return entity_scores(found, [row.entities for row in rows])

    evaluate = lambda: {"f1": scores(valid).micro.f1}  # noqa: E731
    common.fine_tune(model, reader.batches(train), evaluate, options, head.sparse_loss)
    guess = entity_scores(entities.longest_match(train, test), [row.entities for row in test])
    found = scores(test)
    for label, s in found.types.items():
        print(f"  {label}: precision {s.precision:.4f}, recall {s.recall:.4f}, F1 {s.f1:.4f}")
    print(f"test F1 of the longest match with the training entities {guess.micro.f1:.4f}")
    print(f"test precision {found.micro.precision:.4f}, recall {found.micro.recall:.4f}")
    print(f"test F1 {found.micro.f1:.4f}, {time.perf_counter() - started:.0f} s")
    for row, spans in zip(test[:3], reader.read(model, test[:3]), strict=True):
        print(common.coloured(entities_to_ansi(row.text, spans, labels)))


if __name__ == "__main__":
    main()
