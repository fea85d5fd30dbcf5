"""Compare ways to score pairs of sentences with one encoder: rank correlation on test pairs.

  before        the encoder's vectors as they are
  first-last    the mean of the first and the last block's vectors
  whitening     vectors made uncorrelated (Su et al. 2021, arXiv:2103.15316); no labels
  joint-cosine  both sentences read as one text, scored by the cosine of its halves (CoSENT)

Command: python scripts/experiments/sentence_vectors.py --train train.tsv --test test.tsv
Seen, with the example that this comes from, on examples/datasets/sentence_pairs: before 0.0260,
whitening -0.1794. On STS-B: before 0.8203; joint-cosine, 2 epochs, 0.8193.
"""

import argparse
from pathlib import Path

import keras

from bert4keras import tasks
from bert4keras.data import DataGenerator
from bert4keras.losses import cosent
from bert4keras.tasks.similarity import (
    SentenceEncoder,
    Whitening,
    joint_cosine_model,
    read_scored_pairs,
    spearman,
    whitened_encoder,
)

METHODS = ("before", "first-last", "whitening", "joint-cosine")

parser = argparse.ArgumentParser(
    description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
)
parser.add_argument("--checkpoint", default="minilm-l6")
parser.add_argument("--train", type=Path, required=True)
parser.add_argument("--test", type=Path, required=True)
parser.add_argument("--columns", type=int, nargs=3)
parser.add_argument("--methods", nargs="+", choices=METHODS, default=METHODS)
parser.add_argument("--dim", type=int, help="dimensions that whitening keeps (default: all)")
parser.add_argument("--epochs", type=int, default=4)
parser.add_argument("--learning-rate", type=float, default=5e-5)
parser.add_argument("--seed", type=int, default=1)
options = parser.parse_args()

train, test = (read_scored_pairs(path, options.columns) for path in (options.train, options.test))
texts = list(dict.fromkeys(text for pair, _ in train for text in pair))
for method in options.methods:
    keras.utils.set_random_seed(options.seed)
    if method == "joint-cosine":
        tokenizer, bert = tasks.open_encoder(options.checkpoint)
        model = joint_cosine_model(bert)
        model.compile(keras.optimizers.AdamW(options.learning_rate), cosent)

        def encode(sample, tokenizer=tokenizer):
            return tuple(tokenizer.encode(*sample.texts, maxlen=128)), sample.score

        model.fit(
            DataGenerator(train, 32, encode=encode, shuffle=True, seed=options.seed),
            epochs=options.epochs,
            verbose=2,
        )
        found = model.predict(DataGenerator(test, 64, encode=encode, shuffle=False), verbose=0)
        score = spearman(found[:, 0], [sample.score for sample in test])
    else:
        pooling = "first-last" if method == "first-last" else "mean"
        encoder = SentenceEncoder.build(options.checkpoint, pooling)
        if method == "whitening":
            whitening = Whitening.fit(encoder.predict(texts), options.dim)
            whitened = whitened_encoder(encoder.model, whitening)
            encoder = SentenceEncoder(encoder.tokenizer, whitened)
        score = encoder.evaluate(test)["spearman"]
    print(f"{method}: {score:.4f}", flush=True)
