"""Entity linking without a pretrained encoder: names found and linked by one model of LSTMs.

Task: entity linking. The names of all entities, as a trie, find what may be a mention; the model,
      which reads characters (words, in Latin letters), says which of these are mentions, and of a
      mention and an entity's description, each attending to the other, whether they are the same;
      nothing likely is no link (NIL). Training shows of each mention one entity of that name an
      epoch, a wrong one half of the time.
Data: examples/datasets/knowledge_base (English, made from templates, Apache-2.0), or a knowledge
      base and texts as of CCKS 2019, for which the model was made, with word vectors if you like.
Command: python examples/task_entity_linking_2019.py
         python examples/task_entity_linking_2019.py --kb kb_data --train train.json \
             --valid valid.json --test develop.json --vectors word2vec.txt --units 64
Seen: SEEN
"""

from __future__ import annotations

import itertools
import random
import re
import time
from collections import Counter
from pathlib import Path

import common
import keras
import numpy as np
from linking import NIL, Candidate, Mention, Text, WordVectors, load, scores

from bert4keras.data import DataGenerator, sequence_padding
from bert4keras.decoding import match_flags
from bert4keras.heads import build_joint_linking

TOKEN = re.compile(r"[0-9A-Za-z\u00c0-\u024f]+|\S")
FIRST = 3  # token ids below: padding, unknown, unknown and capitalised


def places(text: str) -> list[tuple[int, int]]:
    """Start and end of each token of a text."""
    return [token.span() for token in TOKEN.finditer(text)]


class Linker:
    """A model that finds mentions and says what they mean.

    Args:
        texts: to train on, with what may be mentions and their candidates.
        options: see `main`.
    """

    def __init__(self, texts: list[Text], options):
        self.options, self.random = options, random.Random(options.seed)
        known = {c.text for text in texts for m in text.mentions for c in m.candidates}
        counts = Counter(itertools.chain(*map(TOKEN.findall, known)))
        for text in texts:  # without the names: they are as unknown as others will be
            ends = [0, *(place for m in text.mentions for place in m[:2]), None]
            for start, end in zip(ends[::2], ends[1::2], strict=True):
                counts.update(TOKEN.findall(text.text[start:end]))
        words = sorted(word for word, count in counts.items() if count >= options.rare)
        self.ids = {word: number for number, word in enumerate(words, FIRST)}
        self.words = WordVectors(options.vectors) if options.vectors else None
        vectors, size = self.words.vectors if self.words else None, options.units
        self.model = build_joint_linking(
            FIRST + len(words), 2, vectors, 2 * size, size, dropout=options.dropout
        )
        self.mentions, self.same = map(self.model.get_layer, ("Mentions", "Same-Entity"))
        # The text alone is enough for the mentions.
        inputs, outputs = self.model.inputs, self.model.outputs
        self.finder = keras.Model(inputs[: 3 if self.words else 2], outputs[0])
        self.matcher = keras.Model(inputs, outputs[1])

    def numbers(self, text: str) -> list[np.ndarray]:
        """Ids of the tokens of a text and, with word vectors, of the words in which they begin."""
        tokens = list(TOKEN.finditer(text))
        ids = [self.ids.get(t.group(), 1 + t.group()[0].isupper()) for t in tokens]
        words = [self.words.numbers(text)[[t.start() for t in tokens]]] if self.words else []
        return [np.array(ids, "int32"), *words]

    def about(self, text: Text) -> list[np.ndarray]:
        """Ids of a text, and which tokens begin and end a name."""
        ids, *words = self.numbers(text.text)
        return [ids, match_flags([m[:2] for m in text.mentions], places(text.text)), *words]

    def encode(self, pair: tuple[Text, Mention, Candidate]) -> tuple[np.ndarray, ...]:
        """Inputs of a mention and a candidate."""
        text, mention, candidate = pair
        tokens = TOKEN.findall(candidate.text.lower())[: self.options.description]
        description = [array[: self.options.description] for array in self.numbers(candidate.text)]
        own, shared = TOKEN.findall(text.text.lower()), []
        for n in (1, 2):  # tokens of the text, and pairs of them, that the description has, too
            runs = {tuple(tokens[i : i + n]) for i in range(len(tokens))}
            shared.append([tuple(own[i : i + n]) in runs for i in range(len(own))])
        place = match_flags([mention[:2]], places(text.text)).argmax(0)
        return (*self.about(text), place, *description, np.array(shared, "float32").T)

    def sample(self, example: tuple[Text, Mention, set]) -> tuple:
        """Inputs and labels of a mention and one of its candidates, right as often as wrong."""
        text, mention, spans = example
        right = [c for c in mention.candidates if c.entity == mention.gold]
        wrong = [c for c in mention.candidates if c.entity != mention.gold]
        draw_right = right and (not wrong or self.random.random() < 0.5)
        candidate = self.random.choice(right if draw_right else wrong)
        inputs = self.encode((text, mention, candidate))
        labels = match_flags(spans, places(text.text))
        return inputs, (labels, int(candidate.entity == mention.gold))

    def chances(self, texts: list[Text]) -> list[tuple[str, float]]:
        """For each name the likeliest entity and its probability, 0 for what is no mention."""
        columns = zip(*map(self.about, texts), strict=True)
        batch = [sequence_padding(list(column)) for column in columns]
        found = self.mentions.decode(self.finder.predict(batch, batch_size=64, verbose=0))
        keys, pairs = [], []
        for number, (text, spans) in enumerate(zip(texts, found, strict=True)):
            ends = places(text.text)
            spans = {(ends[first][0], ends[end - 1][1]) for first, end in spans}
            for mention in (m for m in text.mentions if m[:2] in spans):
                keys += [((number, mention[:2]), c.entity) for c in mention.candidates]
                pairs += [(text, mention, c) for c in mention.candidates]
        best = {}
        if pairs:
            rows = DataGenerator(pairs, 64, encode=lambda pair: (self.encode(pair),), shuffle=False)
            best = self.same.decode(self.matcher.predict(rows, verbose=0), keys, threshold=0.0)
        asked = ((number, m[:2]) for number, text in enumerate(texts) for m in text.mentions)
        return [best.get(key, (NIL, 0.0)) for key in asked]


def linked(found: list[tuple[str, float]], threshold: float) -> list[str]:
    """The entities that are likely enough, NIL for the others."""
    return [entity if chance >= threshold else NIL for entity, chance in found]


def main() -> None:
    defaults = {"epochs": 8, "learning_rate": 3e-3, "maxlen": 160, "batch_size": 32}
    parser = common.arguments(__doc__, "knowledge_base", "", **defaults)
    parser.add_argument("--kb", type=Path, default=common.DATASETS / "knowledge_base" / "kb.jsonl")
    parser.add_argument("--vectors", type=Path, help="word vectors, text format of word2vec")
    parser.add_argument("--units", type=int, default=32, help="of each direction of an LSTM")
    parser.add_argument("--description", type=int, default=48, help="tokens of an entity")
    parser.add_argument("--dropout", type=float, default=0.2)
    parser.add_argument("--rare", type=int, default=5, help="tokens met less often are unknown")
    parser.set_defaults(aida=None)
    options = parser.parse_args()
    keras.utils.set_random_seed(options.seed)
    started, (gold, (train, valid, test)) = time.perf_counter(), load(options)
    linker, learnt = Linker(train, options), []
    for wanted, text in zip(gold[0], train, strict=True):
        mentions = [m for m in text.mentions if m.end <= options.maxlen]
        text = Text(text.text[: options.maxlen], "", mentions)
        spans = {m[:2] for m in wanted.mentions} & {m[:2] for m in mentions}
        learnt += [(text, mention, spans) for mention in mentions if mention[:2] in spans]
    how = {"encode": linker.sample, "shuffle": True, "seed": options.seed, "cache": False}
    batches = DataGenerator(learnt, options.batch_size, buckets=[16, 32, 64, 128, 256], **how)

    def choose() -> tuple[dict[str, float], float]:
        """Figures on the valid texts, at the best threshold, and that."""
        found = linker.chances(valid)
        tried = [(scores(gold[1], valid, linked(found, t)), t) for t in np.arange(0.05, 1, 0.05)]
        return max(tried, key=lambda pair: pair[0]["f1"])

    losses = [linker.mentions.loss, linker.same.loss]
    common.fine_tune(linker.model, batches, lambda: choose()[0], options, losses)
    (_, threshold), found = choose(), linker.chances(test)
    first = [m.candidates[0].entity for text in test for m in text.mentions]
    for name, entities in {"first candidate": first, "model": linked(found, threshold)}.items():
        figures = scores(gold[2], test, entities)
        print(f"test: {name}: " + ", ".join(f"{k} {v:.4f}" for k, v in figures.items()))
    print(f"from a probability of {threshold:.2f} on; {time.perf_counter() - started:.0f} s")


if __name__ == "__main__":
    main()
