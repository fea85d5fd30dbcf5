"""What the examples of relation extraction share: reading, training, scores and a baseline."""

from __future__ import annotations

import collections
import itertools
import json
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import common
import entities
import keras

from bert4keras.data import DataGenerator, read_json_rows, strQ2B
from bert4keras.tasks.relations import Triple, find_triples, token_triples, triple_scores

Strings = tuple[str, str, str]


class Sample(NamedTuple):
    """A text and its triples (subject, relation, object)."""

    text: str
    triples: list[Strings]


def read(path: Path, limit: int | None = None) -> list[Sample]:
    """Samples of a JSON file, a list or one object a line, *.xz too.

    WebNLG as CasRel's authors give it: {"text", "triple_list": [[subject, relation, object]]}.
    DuIE: {"text", "spo_list": [{"subject", "predicate", "object"}]}; in its second version an
    object is itself {slot: value}, of which `@value` stands for the predicate and every other
    slot for `predicate_slot`.

    Raises:
        SystemExit: a file that cannot be read, or a row that is wrong; names file and row.
    """
    with common.exits():
        rows = read_json_rows(path)
    found = []
    for where, row in rows[:limit]:
        try:
            found.append(Sample(row["text"], list(triples_of(row))))
            strings = [found[-1].text, *itertools.chain(*found[-1].triples)]
            if not all(isinstance(string, str) for string in strings):
                raise TypeError
        except (KeyError, TypeError, ValueError, AttributeError):
            sys.exit(
                f"{where}: expected text and triple_list or spo_list, not "
                f"{json.dumps(row, ensure_ascii=False)[:100]}"
            )
    common.check_spelling(path, (relation for row in found for _, relation, _ in row.triples))
    return found or sys.exit(f"{path} has no rows.")


def triples_of(row: dict) -> Iterable[Strings]:
    """The triples of a row in one of the formats; what is empty is left out."""
    if "triple_list" in row:
        for subject, relation, target in row["triple_list"]:
            yield subject, relation, target
        return
    for item in row["spo_list"]:
        slots = item["object"]
        for slot, value in (slots if isinstance(slots, dict) else {"@value": slots}).items():
            relation = item["predicate"] + (f"_{slot}" if slot != "@value" else "")
            if value:
                yield item["subject"], relation, value


def labels(sample: Sample) -> list[str]:
    """The relations of its triples."""
    return [relation for _, relation, _ in sample.triples]


class Extractor:
    """What a script's model needs around it.

    Args:
        options: of the command line.
        train: samples, whose relations are the model's.
        **sizes: of the small model with random weights.
    """

    def __init__(self, options, train: Sequence[Sample], **sizes):
        self.options = options
        self.bert, self.tokenizer = entities.encoder(options, train, **sizes)
        self.relations = sorted({relation for sample in train for _, relation, _ in sample.triples})
        self.characters = bool(options.model is None and self.tokenizer._pre_tokenize)

    def encode(self, texts: Sequence[str]) -> list[tuple]:
        """Token ids, segment ids and offsets of each text."""
        texts = [strQ2B(text) for text in texts] if self.characters else list(texts)
        how = {"maxlen": self.options.maxlen, "return_offsets": True}
        return list(zip(*self.tokenizer.encode_batch(texts, **how), strict=True))

    def tokens(self, samples: Sequence[Sample]) -> list[tuple[list, list, list[Triple]]]:
        """Token ids, segment ids and triples of tokens; says how many triples are lost."""
        found, kept = [], 0
        for sample, row in zip(samples, self.encode([s.text for s in samples]), strict=True):
            ids, segments, offsets = row
            triples = token_triples(find_triples(sample.text, sample.triples), offsets)
            found.append((ids, segments, triples))
            kept += len(triples)
        total = sum(len(sample.triples) for sample in samples)
        print(f"{kept} of {total} triples are in the first {self.options.maxlen} tokens")
        return found

    def extract(self, texts: Sequence[str], decode: Callable) -> list[list[Strings]]:
        """Triples of strings of each text.

        Args:
            decode: function (inputs, offsets) -> triples of the texts of a batch.
        """
        rows, found = self.encode(texts), [[]] * len(texts)
        order = sorted(range(len(texts)), key=lambda i: len(rows[i][0]))
        size = self.options.batch_size
        for some in (order[i : i + size] for i in range(0, len(order), size)):
            batch = DataGenerator(
                [(tuple(rows[i][:2]),) for i in some],
                size,
                encode=lambda row: row,
                shuffle=False,
                buckets=range(8, self.options.maxlen + 8, 8),
            )
            results = decode(batch[0][0], [rows[i][2] for i in some])
            for i, triples in zip(some, results, strict=True):
                found[i] = [triple.strings(texts[i]) for triple in triples]
        return found


def run(
    options,
    model: keras.Model,
    loss: Any,
    batches: DataGenerator,
    extract: Callable[[Sequence[str]], list],
    samples: Sequence[Sequence[Sample]],
) -> None:
    """Train, choose the epoch, and print the scores on the test sentences beside the baseline's.

    Args:
        extract: function texts -> triples of each.
        samples: those of training, validation and test.
    """

    def scores(some: Sequence[Sample], found=None):
        wanted = [sample.triples for sample in some]
        return triple_scores(found or extract([sample.text for sample in some]), wanted)

    started, (train, valid, test) = time.perf_counter(), samples
    evaluate = lambda: {"f1": scores(valid).f1}  # noqa: E731
    common.fine_tune(model, batches, evaluate, options, loss)
    texts = [sample.text for sample in test]
    found = extract(texts)
    for name, triples in (("dictionary", dictionary(train, texts)), ("model", found)):
        precision, recall, f1 = scores(test, triples)[:3]
        print(f"test: {name}: precision {precision:.4f}, recall {recall:.4f}, F1 {f1:.4f}")
    print(f"{texts[0]}\n  {found[0]}\n{time.perf_counter() - started:.0f} s")


def dictionary(train: Sequence[Sample], texts: Sequence[str]) -> list[list[Strings]]:
    """Baseline: names of the training triples that stand in a text, and the likeliest relation.

    That is the one of the two names in training; of names that were not together, the one in which
    they were most often subject and object.
    """
    pairs: dict[tuple[str, str], collections.Counter] = collections.defaultdict(collections.Counter)
    subjects: dict[str, collections.Counter] = collections.defaultdict(collections.Counter)
    objects: dict[str, collections.Counter] = collections.defaultdict(collections.Counter)
    for subject, relation, target in (triple for sample in train for triple in sample.triples):
        pairs[subject, target][relation] += 1
        subjects[subject][relation] += 1
        objects[target][relation] += 1

    def relation(subject: str, target: str) -> str | None:
        counts = pairs.get((subject, target)) or collections.Counter(
            {r: n * objects[target][r] for r, n in subjects[subject].items()}
        )
        (best, count), *_ = counts.most_common(1)
        return best if count else None

    found = []
    for text in texts:
        words = set(text.split())
        here = [
            [n for n in names if (n in words if n.isascii() and " " not in n else n in text)]
            for names in (subjects, objects)
        ]
        candidates = [(s, relation(s, o), o) for s in here[0] for o in here[1] if s != o]
        found.append([triple for triple in candidates if triple[1]])
    return found
