"""Vectors of sentences, made better in several ways, and a search with them.

Task: the cosine of two sentences' vectors shall rank pairs as people do; the score is Spearman's
rank correlation of both on the test pairs. `--method`, one or more of:
  before         the pretrained encoder as it is, the baseline
  whitening      its vectors, made uncorrelated (Su et al. 2021, arXiv:2103.15316); no labels
  simcse         in-batch negatives, dropout making the partner (Gao et al. 2021, arXiv:2104.08821);
                 no labels but those of the validation pairs, which choose the epoch
  cosent         ranks the training pairs by their labels (Su 2022, kexue.fm/archives/8847)
  cross-encoder  no vectors: reads both sentences as one text, in both orders; slow to search with
  joint-cosine   a cross-encoder by the cosine of the two sentences' parts of the one text
Data: examples/datasets/sentence_pairs (English, written for this project, Apache-2.0), or your own
TSV with columns first, second, label or grade, also xz-compressed, such as STS-B (CC BY-SA 4.0).
Command: python examples/task_sentence_embedding.py
         python examples/task_sentence_embedding.py --columns 5 6 4 --train sts-train.tsv.xz \
             --valid sts-dev.tsv.xz --test sts-test.tsv.xz --method cross-encoder \
             --epochs 4 --learning-rate 1e-4
Seen: sentence_pairs, seed 1: before 0.0260, whitening -0.1794, simcse 0.3245, cosent 0.4127; 3 min
      on one CPU core. STS-B, second command: 0.8207, dev 0.8595; 18 min.
"""

from __future__ import annotations

import argparse
import time

import common
import keras
import numpy as np

from bert4keras.data import DataGenerator
from bert4keras.losses import cosent
from bert4keras.models import build_transformer_model
from bert4keras.tasks import similarity
from bert4keras.tasks.similarity import VectorIndex, Whitening, spearman
from bert4keras.tokenizers import Tokenizer

METHODS = ("before", "whitening", "simcse", "cosent", "cross-encoder", "joint-cosine")


class Similarity:
    """The data, and what each method makes of them; `options` are those of the command line."""

    def __init__(self, options: argparse.Namespace):
        self.options = options
        self.directory = options.model or common.default_model()
        self.tokenizer = Tokenizer.from_pretrained(self.directory)
        read = lambda path: common.read_tsv(path, options.columns, number=float)  # noqa: E731
        check = common.grades if set(options.method) - set(METHODS[:3]) else None
        parts = common.splits(options, read, lambda row: row[2:], check=check)
        self.train, self.valid, self.test = parts
        self.highest = max(label for *_, label in self.train) or 1.0
        self.texts = list(dict.fromkeys(text for row in self.train for text in row[:2]))

    def backbone(self) -> keras.Model:
        bert = common.check_room(build_transformer_model(self.directory), self.options.maxlen)
        self.columns = len(bert.inputs)  # RoBERTa has no segment ids
        return bert

    def batches(self, rows, encode, shuffle=False) -> DataGenerator:
        how = {"encode": encode, "shuffle": shuffle, "seed": self.options.seed}
        return DataGenerator(rows, self.options.batch_size, **how)

    def text(self, text: str) -> tuple:
        return (self.tokenizer.encode(text, maxlen=self.options.maxlen)[: self.columns],)

    def pair(self, row) -> tuple:
        return (*self.text(row[0])[0], *self.text(row[1])[0]), row[2]

    def joined(self, row) -> tuple:
        ids = self.tokenizer.encode(*row[:2], maxlen=self.options.maxlen)
        return ids[: self.columns], row[2] / self.highest

    def vectors(self, encoder: keras.Model, texts) -> np.ndarray:
        return encoder.predict(self.batches(texts, self.text), verbose=0)

    def fit(self, model: keras.Model, data: DataGenerator, score, loss=None) -> float:
        """Train, and return the score on the test pairs."""
        evaluate = lambda: {"valid rank correlation": score(self.valid)}  # noqa: E731
        common.fine_tune(model, data, evaluate, self.options, loss)
        return score(self.test)

    def by_vectors(self, method: str) -> tuple[float, keras.Model]:
        """Score on the test pairs, and the encoder."""
        encoder = similarity.sentence_encoder(self.backbone(), self.options.pooling)
        if method == "whitening":
            whitening = Whitening.fit(self.vectors(encoder, self.texts), self.options.dim)
            encoder = similarity.whitened_encoder(encoder, whitening)
        cosine = similarity.cosine_model(encoder)

        def score(rows) -> float:
            found = cosine.predict(self.batches(rows, self.pair), verbose=0)
            return spearman(found, [label for *_, label in rows])

        if method == "simcse":
            data = self.batches(self.texts, self.text, shuffle=True)
            return self.fit(similarity.contrastive_model(encoder, texts=1), data, score), encoder
        if method == "cosent":
            data = self.batches(self.train, self.pair, shuffle=True)
            return self.fit(cosine, data, score, cosent), encoder
        return score(self.test), encoder

    def by_reading(self, method: str) -> float:
        """Score on the test pairs of a model that reads both texts as one."""
        backbone = self.backbone()
        if method == "joint-cosine":
            model, loss = similarity.joint_cosine_model(backbone), cosent
        else:
            model = similarity.cross_encoder(backbone, pooling=self.options.pooling)
            loss = "binary_crossentropy"

        def score(rows) -> float:
            orders = (rows, [(second, first, label) for first, second, label in rows])
            found = [model.predict(self.batches(r, self.joined), verbose=0) for r in orders]
            return spearman(np.mean(found, axis=0), [label for *_, label in rows])

        return self.fit(model, self.batches(self.train, self.joined, shuffle=True), score, loss)


@common.script
def main() -> None:
    parser = common.arguments(__doc__, "sentence_pairs", learning_rate=5e-5, batch_size=32)
    parser.add_argument("--method", nargs="+", choices=METHODS, default=METHODS[:4])
    parser.add_argument("--columns", type=int, nargs=3, default=(0, 1, 2), help="from 0")
    parser.add_argument("--pooling", choices=("mean", "first", "first-last"), default="mean")
    parser.add_argument("--dim", type=int, help="dimensions that whitening keeps (default: all)")
    parser.add_argument("--query", default="The train did not come on time.")
    options = parser.parse_args()
    parser.refuse(["dim"], "whitening" not in options.method, "without whitening")
    parser.refuse(["query"], not set(options.method) & set(METHODS[:4]), "without vectors")
    task, encoder, kind = Similarity(options), None, ""
    for method in options.method:
        keras.utils.set_random_seed(options.seed)
        started = time.perf_counter()
        if method in METHODS[4:]:
            score = task.by_reading(method)
        else:
            (score, encoder), kind = task.by_vectors(method), method
        seconds = time.perf_counter() - started
        print(f"test rank correlation, {method}: {score:.4f}, {seconds:.0f} s", flush=True)
    if encoder is not None:
        index = VectorIndex(task.vectors(encoder, task.texts), task.texts)
        scores, places = index.search(task.vectors(encoder, [options.query]), k=3)
        print(f"of {len(index)} training sentences nearest to {options.query!r}, by {kind}:")
        print(*(f"  {s:.3f}  {index.texts[i]}" for s, i in zip(*scores, *places)), sep="\n")  # noqa: B905


if __name__ == "__main__":
    main()
