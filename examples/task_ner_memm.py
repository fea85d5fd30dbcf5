"""Named entities: a softmax, an MEMM, a bidirectional MEMM and a CRF compared on one encoder.

Task: as `task_ner_crf.py`, with the same data and options. Each head is trained with each seed;
      the table gives the mean F1 and the time of a training step of the last epoch.
Data: as for `task_ner_crf.py`.
Command: python examples/task_ner_memm.py [--head bi-memm] [--seeds 3] [--decode local]
         python examples/task_ner_memm.py --train eng.train --valid eng.testa --test eng.testb \
             --epochs 3 --learning-rate 1e-4 --batch-size 32 --maxlen 128 --seeds 3
Seen: entities, seed 1: test F1 of a softmax 0.8670, of the bidirectional MEMM 0.9458 (longest
      match: 0.5667); 3 min on one CPU core (JAX). CoNLL-2003 by the second command with all heads
      and --epochs 1, mean of three seeds: softmax 0.7997, MEMM 0.8385, bidirectional MEMM 0.8391,
      CRF 0.8417; no head takes measurably longer a step.
"""

from __future__ import annotations

import statistics
import time

import common
import entities
import keras
import numpy as np

from bert4keras.tasks.tagging import (
    ConditionalRandomField,
    MaximumEntropyMarkovModel,
    allowed_transitions,
    entity_scores,
)

HEADS = ("softmax", "memm", "bi-memm", "crf")


class Softmax:
    """Each tag by itself; the same interface as the other heads."""

    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True, ignore_class=-1)

    def __call__(self, x):
        return x

    def decode(self, scores, mask):
        return list(scores.argmax(-1))


def make_head(name: str, tags, options):
    """A head and what decodes its scores."""
    if name == "softmax":
        head = Softmax()
        return head, head.decode
    if name == "crf":
        head = ConditionalRandomField(
            options.lr_multiplier, allowed=allowed_transitions(tags, "BIO"), name="CRF"
        )
        return head, head.decode
    head = MaximumEntropyMarkovModel(
        options.lr_multiplier,
        hidden_dim=options.hidden_dim,
        bidirectional=name == "bi-memm",
        name="MEMM",
    )
    return head, lambda scores, mask: head.decode(scores, mask, method=options.decode)


def run(name: str, data, seed: int, options) -> tuple[float, float]:
    """F1 on the test set and seconds of a training step."""
    keras.utils.set_random_seed(seed)
    train, valid, test = data
    bert, tokenizer = entities.encoder(options, train)
    tags = entities.entity_tags(train, "BIO")
    tagger = entities.Tagger(tokenizer, tags, "BIO", options.maxlen, options.batch_size)
    head, tagger.decode = make_head(name, tags, options)
    x = keras.layers.Dropout(0.1)(bert.output)
    x = keras.layers.Dense(len(tags), name="Scores")(x)
    tagger.model = keras.Model(common.inputs(bert), head(x))

    def f1(rows) -> float:
        return entity_scores(tagger.predict(rows), [row.entities for row in rows]).micro.f1

    seconds = tagger.fit(train, head.loss, lambda: {"f1": f1(valid)}, options, seed)
    return f1(test), seconds


@common.script
def main() -> None:
    defaults = {"epochs": 12, "learning_rate": 1e-3, "batch_size": 16, "maxlen": 128}
    parser = entities.arguments(__doc__, "entities", **defaults)
    parser.add_argument("--head", nargs="+", choices=HEADS, default=["softmax", "bi-memm"])
    parser.add_argument("--seeds", type=int, default=1, help="how many, from --seed on")
    parser.add_argument("--decode", choices=["score", "local"], default="score")
    parser.add_argument("--hidden-dim", type=int, help="rank of the MEMM's transitions")
    parser.add_argument("--lr-multiplier", type=float, default=100, help="of the transitions")
    options = parser.parse_args()
    heads = set(options.head)
    parser.refuse(["decode", "hidden_dim"], not heads & {"memm", "bi-memm"}, "without an MEMM")
    parser.refuse(["lr_multiplier"], heads == {"softmax"}, "on a softmax, without transitions")
    data = entities.load(options, entities.read)
    started, results = time.perf_counter(), {name: [] for name in options.head}
    for seed in range(options.seed, options.seed + options.seeds):
        for name in options.head:
            f1, seconds = run(name, data, seed, options)
            results[name].append((f1, seconds))
            print(f"{name}, seed {seed}: F1 {f1:.4f}, {1000 * seconds:.0f} ms a step")
    train, _, test = data
    guess = entity_scores(entities.longest_match(train, test), [row.entities for row in test])
    print(f"test F1 of the longest match with the training entities {guess.micro.f1:.4f}")
    print("| head | test F1, mean | lowest | highest | ms a step |\n|---|---|---|---|---|")
    for name, pairs in results.items():
        f1s, times = zip(*pairs, strict=True)
        numbers = f"{np.mean(f1s):.4f} | {min(f1s):.4f} | {max(f1s):.4f}"
        print(f"| {name} | {numbers} | {1000 * statistics.median(times):.0f} |")
    print(f"{time.perf_counter() - started:.0f} s")


if __name__ == "__main__":
    main()
