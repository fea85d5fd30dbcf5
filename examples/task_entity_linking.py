"""Which entity does a name mean? Names found in a text, linked to a knowledge base or to nothing.

Task: entity linking. The names of all entities, as a trie, find mentions; names that are nearly
      always ordinary words are dropped. For each mention an encoder reads the text and, after it,
      all candidates as branches that see the text and not each other, so that a pair of text and
      candidate costs only the candidate. A branch without text means "none of these" (NIL). The
      other candidates of a name are the negatives: hard ones.
Data: examples/datasets/knowledge_base (English, made from templates, Apache-2.0), or a knowledge
      base and texts as of CCKS 2019; or AIDA-CoNLL, whose mentions and candidates are given
      (annotations CC BY-SA 3.0; the text, CoNLL-2003, is for research).
Command: python examples/task_entity_linking.py [--kb FILE --train FILE --valid FILE --test FILE]
         python examples/task_entity_linking.py --aida aida_mentions_candidates.jsonl.xz \
             --conll conll2003_en --epochs 1 --batch-size 32
Seen: knowledge_base, seed 1: test F1 0.7285 (first candidate of each name: 0.2700); 14 min on one
      busy CPU core (JAX). AIDA, testb: accuracy 0.9127 (first candidate: 0.8014); 40 min.
"""

from __future__ import annotations

import functools
import random
import time
from pathlib import Path

import common
import keras
import numpy as np
from linking import NIL, Candidate, Mention, Text, check_options, load, scores

from bert4keras.data import DataGenerator, branch
from bert4keras.models import build_transformer_model
from bert4keras.tasks.linking import CandidateRanking
from bert4keras.tokenizers import Tokenizer

Sample = tuple[Text, Mention]
NOTHING = Candidate(NIL, "")


class Linker:
    """A model that ranks candidates.

    Args:
        directory: checkpoint of the encoder.
        options: maxlen (tokens of the text), description (of a candidate), negatives, seed.
    """

    def __init__(self, directory: Path, options):
        self.tokenizer, self.options = Tokenizer.from_pretrained(directory), options
        self.random = random.Random(options.seed)
        bert = build_transformer_model(directory, application="branches")
        starts = keras.Input((None,), dtype="int32", name="Candidate-Starts")
        features = keras.Input((None, 2), name="Candidate-Features")
        self.head = CandidateRanking(name="Candidate-Ranking")
        scores = self.head([bert.output, starts, features])
        self.model = keras.Model([*bert.inputs, starts, features], scores)

    def trunk(self, text: Text, mention: Mention) -> list[int]:
        """Ids of the name, and of the text around it after what the text is about."""
        name = text.text[mention.start : mention.end]
        around = 3 * self.options.maxlen  # characters on either side, of which what fits is taken
        left = text.text[max(0, mention.start - around) : mention.start]
        right = text.text[mention.end : mention.end + around]
        topic, left, right = (
            self.tokenizer.encode(part)[0][1:-1] for part in (text.topic, left, right)
        )
        begin = self.tokenizer.encode(name)[0]
        room = max(8, self.options.maxlen - len(begin))
        topic = topic[: room // 3]
        half = (room - len(topic)) // 2
        left = left[-max(half, room - len(topic) - len(right)) :]
        right = right[: room - len(topic) - len(left)]
        mark = [self.tokenizer.token_end_id]
        return [*begin, *topic, *mark, *left, *begin[1:-1], *right, *mark]

    def candidates(self, mention: Mention, train: bool) -> list[Candidate]:
        """What is ranked: nothing, and some or all candidates; in training the gold one, too."""
        found = mention.candidates[:24]
        if train:
            gold = [c for c in mention.candidates if c.entity == mention.gold]
            others = [c for c in mention.candidates if c.entity != mention.gold]
            likely = others[: 2 * self.options.negatives]
            found = gold + self.random.sample(likely, min(len(likely), self.options.negatives))
        return [NOTHING, *found] if self.options.nil else found

    def encode(self, sample: Sample, train: bool = False):
        """Inputs of a mention, and which candidate it means; -1 if that is not among them."""
        text, mention = sample
        name = text.text[mention.start : mention.end].casefold()
        ranked = self.candidates(mention, train)
        how = {"maxlen": self.options.description, "truncate": True}
        texts = [self.tokenizer.encode(c.text, **how)[0] for c in ranked]
        row = branch(self.trunk(text, mention), texts)
        features = [(c.prior, float(c.text.casefold() == name)) for c in ranked]
        names = [c.entity for c in ranked]
        label = names.index(mention.gold) if mention.gold in names else -1
        return (*row[:3], row.starts, np.array(features, "float32")), label

    def link(self, samples: list[Sample]) -> list[str]:
        """The entity that each mention means."""
        rows = DataGenerator(samples, 64, encode=self.encode, shuffle=False)
        best = self.head.decode(self.model.predict(rows, verbose=0))
        ranked = [self.candidates(mention, train=False) for _, mention in samples]
        return [c[place].entity for c, (place, _) in zip(ranked, best, strict=True)]


@common.script
def main() -> None:
    defaults = {"epochs": 3, "learning_rate": 1e-4, "maxlen": 48, "batch_size": 16}
    parser = common.arguments(__doc__, "knowledge_base", **defaults)
    parser.add_argument("--kb", type=Path, default=common.DATASETS / "knowledge_base" / "kb.jsonl")
    parser.add_argument("--aida", type=Path, help="mentions and candidates of AIDA-CoNLL")
    parser.add_argument("--conll", type=Path, help="directory of eng.train, eng.testa, eng.testb")
    parser.add_argument("--negatives", type=int, default=4, help="wrong candidates in training")
    parser.add_argument("--description", type=int, default=32, help="tokens of a candidate")
    options = parser.parse_args()
    check_options(parser, options)
    options.nil = not options.aida  # whose mentions all have their entity among the candidates
    keras.utils.set_random_seed(options.seed)
    gold, (train, valid, test) = load(options)
    linker, started = Linker(options.model or common.default_model(), options), time.perf_counter()
    pairs = lambda texts: [(text, m) for text in texts for m in text.mentions]  # noqa: E731
    learnt = [x for x in pairs(train) if len(x[1].candidates) + options.nil > 1]
    encode = functools.partial(linker.encode, train=True)
    batches = DataGenerator(learnt, options.batch_size, encode=encode, shuffle=True, seed=1)
    evaluate = lambda: scores(gold[1], valid, linker.link(pairs(valid)))  # noqa: E731
    common.fine_tune(linker.model, batches, evaluate, options, linker.head.loss)
    found = linker.link(pairs(test))
    for name, entities in {
        "first candidate": [m.candidates[0].entity for _, m in pairs(test)],
        "model": found,
    }.items():
        figures = scores(gold[2], test, entities)
        print(f"test: {name}: " + ", ".join(f"{k} {v:.4f}" for k, v in figures.items()))
    for (text, mention), entity in list(zip(pairs(test), found, strict=True))[:3]:
        name = text.text[mention.start : mention.end]
        means = next((c.text for c in mention.candidates if c.entity == entity), "nothing known")
        print(f"{text.text}\n  {name}: {means}")
    print(f"{time.perf_counter() - started:.0f} s")


if __name__ == "__main__":
    main()
