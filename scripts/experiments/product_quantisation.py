"""Search among codes of a few bytes in place of 384 floats: recall, bytes and speed.

  float   the vectors themselves, which define the ten right neighbours of each query
  kmeans  product quantisation, codebooks by k-means (Jegou et al. 2011)
  vq      product quantisation, codebooks by the moving averages of latent.VectorQuantizer

recall@10 is the share of the ten nearest texts of a query that are among the ten found; recall
10@100, the share among the hundred found, is what an exact ranking of these could reach. Queries
are texts of the same sets that are not in the index. A seed chooses the training sample and the
start.

Command: python scripts/experiments/product_quantisation.py --texts texts.txt --vectors vectors.npy
The file has one text a line; the first `--queries` are the queries. The vectors are made once and
kept in `vectors.npy`.
"""

import argparse
import time
from pathlib import Path

import numpy as np

from bert4keras.data import read_lines
from bert4keras.tasks import SentenceEncoder
from bert4keras.tasks.similarity import ProductQuantizer, VectorIndex

METHODS = ("kmeans", "vq")

parser = argparse.ArgumentParser(
    description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
)
parser.add_argument("--checkpoint", default="minilm-l6")
parser.add_argument("--texts", type=Path, required=True)
parser.add_argument("--vectors", type=Path, required=True)
parser.add_argument("--queries", type=int, default=1000)
parser.add_argument("--limit", type=int, help="vectors of the index (default: all)")
parser.add_argument("--bytes", type=int, nargs="+", default=(48, 24))
parser.add_argument("--methods", nargs="+", choices=METHODS, default=METHODS)
parser.add_argument("--epochs", type=int, default=10)
parser.add_argument("--seeds", type=int, nargs="+", default=(0, 1, 2))
options = parser.parse_args()


def load_vectors() -> np.ndarray:
    """Return the texts' vectors, which are encoded if they are not on the disk yet."""
    if not options.vectors.exists():
        encoder = SentenceEncoder.build(options.checkpoint, maxlen=64)
        np.save(options.vectors, encoder.predict(list(read_lines(options.texts))))
    return np.load(options.vectors)


def recall(right: np.ndarray, found: np.ndarray) -> float:
    """Return the share of right neighbours (Q, 10) that are among those found (Q, k)."""
    return float(
        np.mean([np.isin(one, other).mean() for one, other in zip(right, found, strict=True)])
    )


def measure(index: VectorIndex, queries: np.ndarray, right: np.ndarray | None) -> tuple:
    """Return recall@10 and 10@100, and queries a second in batches of 256 and one by one."""
    start = time.perf_counter()
    found = index.search(queries, 100).indices
    together = len(queries) / (time.perf_counter() - start)
    start = time.perf_counter()
    for query in queries[:50]:
        index.search(query[None], 10)
    single = 50 / (time.perf_counter() - start)
    right = found[:, :10] if right is None else right
    return recall(right, found[:, :10]), recall(right, found), together, single


def row(name: str, size: int, results: list, seconds: list) -> None:
    """Print a row of the table: means, and standard deviations over the seeds."""
    mean, deviation = np.mean(results, axis=0), np.std(results, axis=0)
    recalls = " | ".join(f"{mean[k]:.4f} ± {deviation[k]:.4f}" for k in (0, 1))
    print(
        f"| {name} | {size} | {recalls} | {mean[2]:.0f} | {mean[3]:.0f} | {np.mean(seconds):.0f} |",
        flush=True,
    )


vectors = load_vectors()
queries, corpus = vectors[: options.queries], vectors[options.queries :][: options.limit]
print(f"{len(corpus)} vectors of {corpus.shape[1]} floats, {len(queries)} queries\n")
print("| vectors | bytes | recall@10 | recall 10@100 | queries/s | one by one | training, s |")
print("|---|---|---|---|---|---|---|")
exact = VectorIndex(corpus)
right = exact.search(queries, 10).indices
row("float", 4 * corpus.shape[1], [measure(exact, queries, right)], [0])
for size in options.bytes:
    for method in options.methods:
        results, seconds = [], []
        for seed in options.seeds:
            start = time.perf_counter()
            quantizer = ProductQuantizer(size, method, seed).fit(exact.vectors, options.epochs)
            seconds.append(time.perf_counter() - start)
            index = VectorIndex(corpus, compression=quantizer)
            results.append(measure(index, queries, right))
        row(method, size, results, seconds)
