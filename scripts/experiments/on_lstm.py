"""Compare ON-LSTM with LSTM as language models, and the trees of ON-LSTM with words or a treebank.

Both have the same embedding, layers, units, dropout and batches. Trees are compared on constituents
without labels, of at least two words and without the whole sentence; of Chinese, the words are
characters and the constituents words. Nothing is chosen by the test files.

  on-lstm k     distances of layer k, split before the largest one ("biased": the paper's rule)
  random        random distances, the same two rules
  right, left   right-branching and left-branching trees
  pmi           distance = -log p(b after a) / p(b), of the training texts

Command: python scripts/experiments/on_lstm.py --train TEXTS --test TEXTS --trees GOLD --out FILE
TEXTS: one text a line, with or without blanks between Chinese words, or a table (.csv) with a
column "review". GOLD: a treebank (.conllu), or Chinese with blanks between words. A run adds a line
of JSON to FILE; --table only prints the means and standard deviations of its lines. --time prints
the time of a training step of both (64 rows of 48 tokens, 3,000 tokens in the vocabulary) instead.
"""

import argparse
import collections
import csv
import itertools
import json
import math
import re
import statistics
import time
from pathlib import Path

import keras
import numpy as np

from bert4keras.data import read_lines, read_text
from bert4keras.losses import SparseCategoricalCrossentropy
from bert4keras.tasks.generation import perplexity
from bert4keras.tasks.generation.scoring import TokenScorer
from bert4keras.tasks.parsing import (
    SentenceParser,
    build_tree,
    on_lstm_language_model,
    read_treebank,
    recurrent_language_model,
    tree_of_words,
    unlabelled_scores,
    word_constituents,
)
from bert4keras.tasks.words import words

parser = argparse.ArgumentParser(
    description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
)
parser.add_argument("--train", type=Path, nargs="+", default=[])
parser.add_argument("--test", type=Path, nargs="+", default=[])
parser.add_argument("--trees", type=Path)
parser.add_argument("--out", type=Path, default=Path("on_lstm.jsonl"))
parser.add_argument("--cells", nargs="+", choices=("on-lstm", "lstm"), default=["on-lstm", "lstm"])
parser.add_argument("--seeds", type=int, nargs="+", default=[1])
parser.add_argument("--limit", type=int, default=30000, help="sentences to train on")
parser.add_argument("--test-limit", type=int, default=2000, help="sentences, and trees, to test")
parser.add_argument("--epochs", type=int, default=4)
parser.add_argument("--units", type=int, default=128)
parser.add_argument("--levels", type=int, default=16)
parser.add_argument("--layers", type=int, default=3)
parser.add_argument("--dropout", type=float, default=0.1)
parser.add_argument("--dropconnect", type=float, default=0.0)
parser.add_argument("--min-count", type=int, default=3)
parser.add_argument("--save", type=Path, help="directory for the parsers")
parser.add_argument("--table", action="store_true")
parser.add_argument("--time", action="store_true")
options = parser.parse_args()


def sentences(path):
    """Return the sentences of a file that have 3 to 46 words or characters."""
    if path.name.split(".")[1] == "csv":
        texts = [row["review"] for row in csv.DictReader(read_text(path).splitlines())]
    else:
        texts = [
            re.sub(r"(?<=[^\x00-\xff])\s+|\s+(?=[^\x00-\xff])", "", x) for x in read_lines(path)
        ]
    found = [s for text in texts for s in re.split(r"(?<=[.!?])\s+|(?<=[。！？；])", text)]
    return list(dict.fromkeys(s.strip() for s in found if 3 <= len(words(s)) <= 46))


def gold_trees(path):
    """Return pairs (text, constituents) of a treebank, or of Chinese with blanks between words."""
    if ".conllu" in path.name:
        samples = read_treebank(path)
    else:
        samples = []
        for line in read_lines(path):
            for part in re.split(r"(?<=[。！？；])\s+", line):
                samples.append(word_constituents(part.split()))
    kept = [(text, gold) for text, gold in samples if 3 <= len(gold.words) <= 46]
    return [(text, gold) for text, gold in kept if len(set(text)) > 1]


def without_whole(spans, gold):
    return set(spans) - {(0, len(gold.words))}


def score(trees, gold):
    found = unlabelled_scores(
        [without_whole(tree, g) for tree, g in zip(trees, gold, strict=True)],
        [without_whole(g.spans, g) for g in gold],
    )
    return {name: found[name] for name in ("f1", "recall")}


def area_under_curve(parses, gold):
    """Return P(distance at a boundary of constituents > distance inside the smallest ones)."""
    values, labels = [], []
    for parse, g in zip(parses, gold, strict=True):
        inside = {k for s, e in g.spans for k in range(s + 1, e)}
        found = {start: d for (start, _), d in zip(parse.offsets, parse.distances, strict=True)}
        for k, (start, _) in enumerate(g.words):
            if k and start in found:
                values.append(found[start])
                labels.append(k not in inside)
    ranks = np.argsort(np.argsort(values)) + 1
    labels = np.array(labels)
    positive = labels.sum()
    area = ranks[labels].sum() - positive * (positive + 1) / 2
    return float(area / (positive * (len(labels) - positive)))


def tree_scores(task, samples):
    """Return the scores of each layer with both rules, and of the baselines."""
    texts, gold = [text for text, _ in samples], [g for _, g in samples]
    found, chinese = {}, ".conllu" not in options.trees.name
    for task.layer in range(options.layers):
        parses = task.predict(texts)
        for biased, name in ((False, ""), (True, ", biased")):
            trees = [tree_of_words(p, g.words, biased) for p, g in zip(parses, gold, strict=True)]
            found[f"on-lstm {task.layer + 1}{name}"] = score(trees, gold)
        if chinese:
            found[f"on-lstm {task.layer + 1}"]["auc"] = area_under_curve(parses, gold)
    return found


def baseline_scores(samples, train, seed):
    gold, rng = [g for _, g in samples], np.random.default_rng(seed)
    lengths = [len(g.words) for g in gold]
    pmi = mutual_information(train)
    found = {
        "right": score([[(k, n) for k in range(n - 1)] for n in lengths], gold),
        "left": score([[(0, n - k) for k in range(n - 1)] for n in lengths], gold),
        "pmi": score([build_tree(pmi([t[a:b] for a, b in g.words])) for t, g in samples], gold),
    }
    for biased, name in ((False, ""), (True, ", biased")):
        trees = [build_tree(rng.random(n), biased) for n in lengths]
        found[f"random{name}"] = score(trees, gold)
    return found


def mutual_information(texts):
    """Return a function from words to their distances, of counts in texts."""
    single, pairs = collections.Counter(), collections.Counter()
    for text in texts:
        units = words(text.lower())
        single.update(units)
        pairs.update(itertools.pairwise(units))
    total = sum(single.values())

    def distances(units):
        units = [unit.lower() for unit in units]
        found = [0.0]
        for a, b in itertools.pairwise(units):
            joint = (pairs[a, b] + 0.01) / total
            found.append(-math.log(joint / ((single[a] + 1) * (single[b] + 1)) * total**2))
        return found

    return distances


def perplexity_of(model, task, texts):
    rows = [task.training_row(*row) for row in task.training_rows(texts)]
    return perplexity(TokenScorer(model, True, task.encoder.padding)(rows, 64))


def lstm_language_model(vocab_size):
    layers = [
        keras.layers.LSTM(options.units, return_sequences=True) for _ in range(options.layers)
    ]
    return recurrent_language_model(vocab_size, layers, options.units, options.dropout)


def time_steps(vocab_size=3000, repeats=7):
    """Print the median time of a training step of both, which take turns."""
    sizes = {"hidden_size": options.units, "levels": options.levels, "num_layers": options.layers}
    models = {
        "on-lstm": on_lstm_language_model(vocab_size, dropout=options.dropout, **sizes),
        "lstm": lstm_language_model(vocab_size),
    }
    ids = np.random.default_rng(0).integers(1, vocab_size, (64, 48))
    seconds = {name: [] for name in models}
    for number in range(repeats + 2):
        for name, model in models.items():
            if number == 0:
                model.compile("adam", SparseCategoricalCrossentropy(from_logits=True))
            start = time.perf_counter()
            model.train_on_batch(ids, ids)
            if number > 1:  # the first steps compile
                seconds[name].append(time.perf_counter() - start)
    for name, found in seconds.items():
        print(f"{keras.backend.backend()} {name}: {1000 * statistics.median(found):.0f} ms a step")


def run(cell, seed, train, test, samples):
    keras.utils.set_random_seed(seed)
    sizes = {"hidden_size": options.units, "levels": options.levels, "num_layers": options.layers}
    task = SentenceParser.build(
        train,
        options.min_count,
        maxlen=48,
        dropout=options.dropout,
        recurrent_dropconnect=options.dropconnect,
        **sizes,
    )
    model = task.model if cell == "on-lstm" else lstm_language_model(task.tokenizer.vocab_size)
    batches = task.batches(train, 64, shuffle=True, seed=seed, buckets=[24, 48])
    rate = keras.optimizers.schedules.CosineDecay(3e-3, options.epochs * len(batches))
    model.compile(keras.optimizers.Adam(rate, global_clipnorm=1.0), task.loss)
    start = time.time()
    model.fit(batches, epochs=options.epochs, verbose=2)
    row = {"cell": cell, "seed": seed, "weights": model.count_params()}
    row |= {"vocabulary": task.tokenizer.vocab_size, "sentences": len(train)}
    row |= {"seconds": round(time.time() - start), "perplexity": perplexity_of(model, task, test)}
    if cell == "on-lstm":
        row["trees"] = {**baseline_scores(samples, train, seed), **tree_scores(task, samples)}
        if options.save:
            task.save(options.save / f"{options.out.stem}-{seed}")
    return row


def mean(values):
    spread = f" ± {statistics.stdev(values):.3f}" if len(values) > 1 else ""
    return f"{statistics.mean(values):.3f}{spread}"


def print_table():
    rows = [json.loads(line) for line in read_lines(options.out)]
    for cell in ("on-lstm", "lstm"):
        some = [row for row in rows if row["cell"] == cell]
        if some:
            numbers = [mean([row[key] for row in some]) for key in ("perplexity", "seconds")]
            print(
                f"{cell}: {len(some)} seeds, {some[0]['weights']:,} weights, perplexity, seconds:"
            )
            print("   ", *numbers)
    trees = [row["trees"] for row in rows if "trees" in row]
    for name in trees[0] if trees else ():
        keys = trees[0][name]
        print(f"{name:18}", *(f"{key} {mean([t[name][key] for t in trees])}" for key in keys))


if options.time:
    time_steps()
elif not options.table:
    train = [sentence for path in options.train for sentence in sentences(path)]
    order = np.random.default_rng(0).permutation(len(train))[: options.limit]
    train = [train[i] for i in order]
    known = set(train)
    test = [s for path in options.test for s in sentences(path) if s not in known]
    test = test[: options.test_limit]
    samples = gold_trees(options.trees)[: options.test_limit]
    count = sum(len(words(text)) for text in train)
    print(
        f"{len(train)} sentences, {count} words; {len(test)} test sentences; {len(samples)} trees"
    )
    for seed in options.seeds:
        for cell in options.cells:
            line = json.dumps(run(cell, seed, train, test, samples), ensure_ascii=False)
            with options.out.open("a", encoding="utf-8") as file:
                file.write(line + "\n")
if not options.time:
    print_table()
