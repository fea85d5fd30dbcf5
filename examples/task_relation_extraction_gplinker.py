"""Relation extraction with GPLinker: scores of all pairs of tokens as names and as their links.

Task: all triples (subject, relation, object) of a sentence; names may take part in several, and
      may lie inside one another. English: MiniLM, or --model. Chinese: a small model from random
      weights, or --model.
Data: examples/datasets/relations (Chinese, made from templates for this project, Apache-2.0), or
      your own in the format of WebNLG (CC BY-NC-SA 4.0) or DuIE, see `relations.read`.
Command: python examples/task_relation_extraction_gplinker.py
Seen: relations, seed 1: test F1 of the triples 0.9593 (pairs of names seen in training: 0.1232); 3
      min on one CPU core (JAX).
"""

from __future__ import annotations

import common
import entities
import keras
import relations

from bert4keras.data import DataGenerator
from bert4keras.tasks.relations import GPLinker, linker_pairs
from bert4keras.tasks.span_matrix import sparse_pairs


@common.script
def main() -> None:
    defaults = {"epochs": 20, "learning_rate": 1e-3, "batch_size": 16, "maxlen": 64}
    parser = entities.arguments(__doc__, "relations", **defaults)
    parser.add_argument("--head-size", type=int, default=64)
    parser.add_argument(
        "--efficient", action="store_true", help="one product for all relations, for many of them"
    )
    options = parser.parse_args()
    keras.utils.set_random_seed(options.seed)
    samples = entities.load(options, relations.read, relations.labels)
    extractor = relations.Extractor(options, samples[0])
    names, bert = extractor.relations, extractor.bert

    head = GPLinker(len(names), options.head_size, options.efficient, name="Linker")
    inputs = common.inputs(bert)
    model = keras.Model(inputs, head([bert.output, inputs[0]]))

    rows = [(i, g, linker_pairs(t, names)) for i, g, t in extractor.tokens(samples[0])]
    most = max(len(sparse_pairs(pairs, 2 + 2 * len(names))[0]) for _, _, pairs in rows)
    encode = lambda row: (row[:2], sparse_pairs(row[2], 2 + 2 * len(names), most))  # noqa: E731
    how = {"encode": encode, "shuffle": True, "seed": options.seed}
    batches = DataGenerator(rows, options.batch_size, **how)

    def extract(texts):
        def decode(inputs, offsets):
            return head.decode(model.predict_on_batch(inputs), offsets, names)

        return extractor.extract(texts, decode)

    relations.run(options, model, head.sparse_loss, batches, extract, samples)


if __name__ == "__main__":
    main()
