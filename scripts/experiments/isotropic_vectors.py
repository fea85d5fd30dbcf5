"""Compare sentence vectors as they are, whitened, and mapped by a flow: rank correlation on STS.

For each block of the encoder that is pooled: plain vectors; whitening, with the number of
dimensions that the development pairs choose; and each flow, trained on the training texts without
labels, with several seeds. Every number is Spearman's correlation of cosines and grades.

Command: python scripts/experiments/isotropic_vectors.py --train train.tsv --valid dev.tsv \
             --test test.tsv
Seen on STS-B: docs/latent.md.
"""

import argparse
import time
from pathlib import Path

import keras
import numpy as np

from bert4keras.tasks.similarity import (
    FLOWS,
    SentenceEncoder,
    Whitening,
    fit_flow,
    pairwise_similarity,
    read_scored_pairs,
    spearman,
)

parser = argparse.ArgumentParser(
    description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
)
parser.add_argument("--checkpoint", default="minilm-l6")
for name in ("train", "valid", "test"):
    parser.add_argument(f"--{name}", type=Path, required=True)
parser.add_argument("--columns", type=int, nargs=3)
parser.add_argument("--layers", type=int, nargs="+", default=[-1, 3, 1])
parser.add_argument("--flows", nargs="+", choices=FLOWS, default=list(FLOWS))
parser.add_argument("--blocks", type=int, default=4, help="blocks of a flow")
parser.add_argument("--epochs", type=int, default=20, help="at most")
parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
options = parser.parse_args()

PARTS = ("train", "valid", "test")
pairs = {name: read_scored_pairs(getattr(options, name), options.columns) for name in PARTS}
texts = list(dict.fromkeys(x for part in pairs.values() for pair in part for x in pair.texts))
rows = {text: row for row, text in enumerate(texts)}
train = [rows[text] for text in dict.fromkeys(x for pair in pairs["train"] for x in pair.texts)]


def scores(vectors):
    """Return the correlations on the development and the test pairs."""
    found = []
    for part in ("valid", "test"):
        sides = [vectors[[rows[pair.texts[k]] for pair in pairs[part]]] for k in range(2)]
        grades = [pair.score for pair in pairs[part]]
        found.append(spearman(pairwise_similarity(*sides), grades))
    return np.array(found)


def report(layer, method, found, start, note=""):
    """Print a row of the table: mean and standard deviation over the seeds."""
    found, seconds = np.atleast_2d(found), time.time() - start
    means, deviations = found.mean(0), found.std(0, ddof=1) if len(found) > 1 else (0, 0)
    cells = [f"{m:.4f} ± {d:.4f}" for m, d in zip(means, deviations, strict=True)]
    print(f"| {layer} | {method} | {' | '.join(cells)} | {seconds:.0f} s | {note}", flush=True)


for layer in options.layers:
    start = time.time()
    encoder = SentenceEncoder.build(options.checkpoint, "mean", layer=layer)
    vectors = encoder.predict(texts, progress=False)
    report(layer, "plain", scores(vectors), start)
    start = time.time()
    tried = {}
    for dim in (64, 128, 256, None):
        tried[dim] = scores(Whitening.fit(vectors[train], dim)(vectors))
    best = max(tried, key=lambda dim: tried[dim][0])
    report(layer, "whitened", tried[best], start, f"{best or 'all'} dimensions")
    report(layer, "whitened, all dimensions", tried[None], start)
    for name in options.flows:
        start, found, energies = time.time(), [], []
        for seed in options.seeds:
            keras.utils.set_random_seed(seed)
            flow = fit_flow(vectors[train], FLOWS[name](options.blocks), options.epochs)
            found.append(scores(flow.transform(vectors)))
            energies.append(min(flow.history.history["val_loss"]))
        note = f"held-out energy {np.mean(energies):.1f}"
        report(layer, name, found, start, note)
