"""Baseline of relation extraction: pairs of names that were seen in training.

Command: python scripts/experiments/relation_baseline.py TRAIN TEST
"""

from __future__ import annotations

import argparse
import collections
from collections.abc import Sequence

from bert4keras.tasks.relations import RelationSample, read_relations, triple_scores

Strings = tuple[str, str, str]


def dictionary(train: Sequence[RelationSample], texts: Sequence[str]) -> list[list[Strings]]:
    """Baseline: names of the training triples that occur in a text, with the likeliest relation.

    For two names seen together in training it is their relation there; for others, the one in which
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


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("train", help="file of bert4keras.tasks.relations.read_relations")
    parser.add_argument("test")
    options = parser.parse_args()
    train, test = read_relations(options.train), read_relations(options.test)
    found = dictionary(train, [text for text, _ in test])
    precision, recall, f1 = triple_scores(found, [triples for _, triples in test])[:3]
    print(f"precision {precision:.4f}, recall {recall:.4f}, F1 {f1:.4f}")


if __name__ == "__main__":
    main()
