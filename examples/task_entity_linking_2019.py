"""Entity linking without a pretrained encoder: names found and linked by one model of LSTMs.

Task: entity linking. The names of all entities, as a trie, find what may be a mention; the model,
      which reads characters (words, in Latin letters), says which of these are mentions, and of a
      mention and an entity's description, each attending to the other, whether they are the same;
      nothing likely is no link (NIL). Training shows of each mention one entity of that name an
      epoch, a wrong one half of the time.
Data: examples/datasets/knowledge_base (English, made from templates, Apache-2.0), or a knowledge
      base and texts as of CCKS 2019, for which the model was made, and word vectors.
Command: python examples/task_entity_linking_2019.py
         python examples/task_entity_linking_2019.py --kb kb_data --train train.json \
             --valid valid.json --test develop.json --vectors word2vec.txt --units 64
Seen: knowledge_base, seed 1: test F1 0.4425 (first entity of each name found: 0.2700), 66 s of one
      CPU core (TensorFlow). The test has sentences of its own, and no pretrained model is there to
      know their words; `task_entity_linking.py` has one.
"""

from __future__ import annotations

import random
import time
from pathlib import Path

import common
import keras
import linking
import numpy as np
from linking import NIL, Candidate, Mention, Text, tokens

from bert4keras.data import DataGenerator, sequence_padding
from bert4keras.tasks.linking import build_joint_linking, name_boundary_flags

FIRST = 3  # token ids below: padding, unknown, unknown and capitalised


class Linker:
    """A model that finds mentions and says what they mean.

    Args:
        texts: to train on, with what may be mentions and their candidates.
        options: see `main`.
    """

    def __init__(self, texts: list[Text], options):
        self.options, self.random = options, random.Random(options.seed)
        known = linking.frequent_tokens(texts, options.rare)
        self.ids = {token: number for number, token in enumerate(known, FIRST)}
        self.words = linking.WordVectors(options.vectors) if options.vectors else None
        vectors, size = self.words.vectors if self.words else None, options.units
        self.model = build_joint_linking(
            FIRST + len(known), 2, vectors, embedding_size=2 * size, units=size, dropout=0.5
        )
        self.mentions, self.same = map(self.model.get_layer, ("Mentions", "Same-Entity"))
        # The text alone is enough for the mentions.
        inputs, (mentions, same) = self.model.inputs, self.model.outputs
        self.finder = keras.Model(inputs[: 3 if self.words else 2], mentions)
        self.matcher = keras.Model(inputs, same)

    def numbers(self, text: str) -> list[np.ndarray]:
        """Ids of the tokens of a text and, with word vectors, of the words in which they begin."""
        places = tokens(text)
        ids = [self.ids.get(text[a:b], 1 + text[a].isupper()) for a, b in places]
        words = [self.words.numbers(text)[[a for a, _ in places]]] if self.words else []
        return [np.array(ids, "int32"), *words]

    def about(self, text: Text) -> list[np.ndarray]:
        """Ids of a text, and which tokens begin and end a name."""
        ids, *words = self.numbers(text.text)
        return [ids, name_boundary_flags([m[:2] for m in text.mentions], tokens(text.text)), *words]

    def encode(self, pair: tuple[Text, Mention, Candidate]) -> tuple[np.ndarray, ...]:
        """Inputs of a mention and a candidate."""
        text, mention, candidate = pair
        description = [array[: self.options.description] for array in self.numbers(candidate.text)]
        place = name_boundary_flags([mention[:2]], tokens(text.text)).argmax(0)
        return (
            *self.about(text),
            place,
            *description,
            linking.shared_tokens(text.text, candidate.text),
        )

    def sample(self, example: tuple[Text, Mention, set]) -> tuple:
        """Inputs and labels of a mention and one of its candidates, right as often as wrong."""
        text, mention, spans = example
        right = [c for c in mention.candidates if c.entity == mention.gold]
        wrong = [c for c in mention.candidates if c.entity != mention.gold]
        draw_right = right and (not wrong or self.random.random() < 0.5)
        candidate = self.random.choice(right if draw_right else wrong)
        labels = (name_boundary_flags(spans, tokens(text.text)), int(candidate.entity == mention.gold))
        return self.encode((text, mention, candidate)), labels

    def chances(self, texts: list[Text]) -> list[tuple[str, float]]:
        """For each name the likeliest entity and its probability, 0 for what is no mention."""
        columns = zip(*map(self.about, texts), strict=True)
        batch = [sequence_padding(list(column)) for column in columns]
        found = self.mentions.decode(self.finder.predict(batch, batch_size=64, verbose=0))
        keys, pairs = [], []
        for number, (text, spans) in enumerate(zip(texts, found, strict=True)):
            ends = tokens(text.text)
            spans = {(ends[first][0], ends[end - 1][1]) for first, end in spans}
            for mention in (m for m in text.mentions if m[:2] in spans):
                keys += [((number, mention[:2]), c.entity) for c in mention.candidates]
                pairs += [(text, mention, c) for c in mention.candidates]
        if not pairs:
            return [(NIL, 0.0) for text in texts for _ in text.mentions]
        rows = DataGenerator(pairs, 64, encode=lambda pair: (self.encode(pair),), shuffle=False)
        best = self.same.decode(self.matcher.predict(rows, verbose=0), keys, threshold=0.0)
        asked = ((number, m[:2]) for number, text in enumerate(texts) for m in text.mentions)
        return [best.get(key, (NIL, 0.0)) for key in asked]


@common.script
def main() -> None:
    defaults = {"epochs": 8, "learning_rate": 2e-3, "maxlen": 160, "batch_size": 32}
    parser = common.arguments(__doc__, "knowledge_base", "", **defaults)
    parser.add_argument("--kb", type=Path, default=common.DATASETS / "knowledge_base" / "kb.jsonl")
    parser.add_argument("--vectors", type=Path, help="word vectors, text format of word2vec")
    parser.add_argument("--units", type=int, default=32, help="of each direction of an LSTM")
    parser.add_argument("--description", type=int, default=48, help="tokens of an entity")
    parser.add_argument("--rare", type=int, default=5, help="tokens met less often are unknown")
    parser.set_defaults(aida=None, conll=None)
    options, started = parser.parse_args(), time.perf_counter()
    linking.check_options(parser, options)
    keras.utils.set_random_seed(options.seed)
    gold, (train, valid, test) = linking.load(options)
    linker, learnt = Linker(train, options), []
    for wanted, text in zip(gold[0], train, strict=True):
        mentions = [m for m in text.mentions if m.end <= options.maxlen]
        text = Text(text.text[: options.maxlen], "", mentions)
        spans = {m[:2] for m in wanted.mentions} & {m[:2] for m in mentions}
        learnt += [(text, mention, spans) for mention in mentions if mention[:2] in spans]
    how = {"encode": linker.sample, "shuffle": True, "seed": options.seed, "cache": False}
    batches = DataGenerator(learnt, options.batch_size, buckets=[16, 32, 64, 128, 256], **how)
    choose = lambda: linking.best_threshold(gold[1], valid, linker.chances(valid))  # noqa: E731
    losses = [linker.mentions.loss, linker.same.loss]
    common.fine_tune(linker.model, batches, lambda: choose()[1], options, losses)
    (threshold, _), found = choose(), linker.chances(test)
    first = [m.candidates[0].entity for text in test for m in text.mentions]
    named = {"first candidate": first, "model": linking.likely(found, threshold)}
    for name, entities in named.items():
        figures = linking.scores(gold[2], test, entities)
        print(f"test: {name}: " + ", ".join(f"{k} {v:.4f}" for k, v in figures.items()))
    print(f"from a probability of {threshold:.2f} on; {time.perf_counter() - started:.0f} s")


if __name__ == "__main__":
    main()
