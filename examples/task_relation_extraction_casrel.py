"""Relation extraction with CasRel: first the subjects, then for each its objects by relation.

Task: all triples (subject, relation, object) of a sentence; names may take part in several.
      English: MiniLM, or --model. Chinese: a small model from random weights, or --model.
Data: examples/datasets/relations (Chinese, made from templates for this project, Apache-2.0), or
      your own in the format of WebNLG (CC BY-NC-SA 4.0) or DuIE, see `relations.read`.
Command: python examples/task_relation_extraction_casrel.py
Seen: relations, seed 1: test F1 of the triples 0.8307 (pairs of names seen in training: 0.1232); 2
      min on one CPU core (JAX).
"""

from __future__ import annotations

import common
import entities
import keras
import numpy as np
import relations

from bert4keras.data import DataGenerator
from bert4keras.tasks.relations import CasRel, casrel_labels


class Samples:
    """Inputs and labels, with a subject drawn anew every time.

    Half of the draws take start and end of a subject independently, so that the model also learns
    that what is no subject has no objects.
    """

    def __init__(self, names: list[str], seed: int):
        self.names, self.rng = names, np.random.default_rng(seed)

    def __call__(self, row) -> tuple:
        ids, segments, triples = row
        subjects = sorted({triple.subject for triple in triples}) or [(0, 1)]
        start, end = subjects[self.rng.integers(len(subjects))]
        if self.rng.random() < 0.5:
            later = [other for _, other in subjects if other > start]
            end = later[self.rng.integers(len(later))]
        labels = casrel_labels(triples, (start, end), len(ids), self.names)
        return (ids, segments, [start, end - 1]), labels


@common.script
def main() -> None:
    defaults = {"epochs": 20, "learning_rate": 1e-3, "batch_size": 16, "maxlen": 64}
    options = entities.arguments(__doc__, "relations", **defaults).parse_args()
    keras.utils.set_random_seed(options.seed)
    samples = entities.load(options, relations.read, relations.labels)
    extractor = relations.Extractor(options, samples[0])
    names, bert = extractor.relations, extractor.bert

    head = CasRel(len(names), bert.config.pad_token_id, name="CasRel")
    subject = keras.Input((2,), dtype="int32")
    inputs = common.inputs(bert)
    encoder = keras.Model(inputs, bert.output)
    model = keras.Model([*inputs, subject], head([bert.output, inputs[0], subject]))
    how = {"encode": Samples(names, options.seed), "shuffle": True, "seed": options.seed}
    rows = extractor.tokens(samples[0])
    batches = DataGenerator(rows, options.batch_size, cache=False, **how)

    def extract(texts):
        def decode(inputs, offsets):
            return head.decode(encoder.predict_on_batch(inputs), inputs[0], offsets, names)

        return extractor.extract(texts, decode)

    relations.run(options, model, head.loss, batches, extract, samples)


if __name__ == "__main__":
    main()
