"""Write a good review or a bad one: a language model under a condition.

Task: language modelling under a label, which reaches the model through all its LayerNorms
      (`layer_norm_cond`). Whether it heeds the label is measured twice: by Bayes' rule the model
      is a classifier of real reviews (which label makes this text more probable?), and a naive
      Bayes classifier, trained on real reviews, is asked for the labels of written ones.
Data: examples/datasets/reviews (written for this project, Apache-2.0); `--train`, `--valid`
      (trained on too: nothing is chosen) and `--test` take files of text<TAB>label, 0 or 1.
Command: python examples/task_conditional_language_model.py [--model DIR] [--train FILE ...]
Seen: by its likelihoods 0.6750 of 160 test reviews get their label (naive Bayes 0.6687, chance 0.5,
      one standard error 0.04). The texts written are poor: naive Bayes agrees on 0.51 of them
      only. From MiniLM (Apache-2.0); 73 s on one CPU core (TensorFlow).
"""

from __future__ import annotations

from pathlib import Path

import common
import keras
import numpy as np

from bert4keras.data import DataGenerator
from bert4keras.generation import BannedTokens, BeamSearch, NoRepeatNGram, Sample, generate
from bert4keras.models import build_transformer_model
from bert4keras.tokenizers import Tokenizer

SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
LABELS = {1: "good", 0: "bad"}


def begin(directory: Path, texts: list[str]) -> tuple[Tokenizer, keras.Model]:
    """A checkpoint with the tokens of these texts alone, whose norms get a condition."""
    tokenizer = Tokenizer.from_pretrained(directory)
    special = [tokenizer.vocab[token] for token in SPECIAL]
    used = {i for ids in tokenizer.encode_batch(texts)[0] for i in ids}
    keep = special + sorted(used.difference(special))
    kept = {token: i for i, token in enumerate(tokenizer.ids_to_tokens(keep))}
    model = build_transformer_model(
        directory,
        application="lm",
        with_mlm="linear",
        layer_norm_cond=len(LABELS),
        keep_tokens=keep,
        ignore=["MLM-*"],  # a checkpoint without this head will do: that part starts anew
    )
    return Tokenizer.from_pretrained(directory, token_dict=kept), model


def condition(label: int) -> np.ndarray:
    """A label as the vector that the norms see."""
    return np.eye(len(LABELS), dtype="float32")[label]


def batches(tokenizer: Tokenizer, rows: list, options, shuffle: bool = False) -> DataGenerator:
    """Batches of tokens under their label, and for each token the one that follows."""

    def encode(sample):
        ids, segments = tokenizer.encode(sample[0], maxlen=options.maxlen)
        return (ids[:-1], segments[:-1], condition(sample[1])), ids[1:]

    how = {"encode": encode, "shuffle": shuffle, "seed": options.seed, "buckets": 4}
    return DataGenerator(rows, options.batch_size, **how)


def log_likelihoods(model: keras.Model, data: DataGenerator) -> np.ndarray:
    """log p(text | label), in nats, of each text under the label it comes with: (N,)."""
    found = []
    for inputs, labels in data:
        scores = model.predict_on_batch(list(inputs)).astype("float64")
        scores -= np.logaddexp.reduce(scores, axis=-1, keepdims=True)
        gold = np.take_along_axis(scores, np.maximum(labels, 0)[..., None], -1)[..., 0]
        found.append(np.where(labels >= 0, gold, 0.0).sum(-1))
    return np.concatenate(found)


def accuracy(model: keras.Model, tokenizer: Tokenizer, rows: list, options) -> float:
    """Share of texts that are more probable under their own label than under the other."""
    under = [
        log_likelihoods(model, batches(tokenizer, [(text, label) for text, _ in rows], options))
        for label in sorted(LABELS)
    ]
    chosen = np.argmax(under, axis=0)
    return float(np.mean(chosen == [label for _, label in rows]))


def naive_bayes(tokenizer: Tokenizer, rows: list):
    """A function from token ids to a label, by how often each token occurs under both."""
    counts = np.ones((len(LABELS), tokenizer.vocab_size))
    for text, label in rows:
        np.add.at(counts[label], tokenizer.encode(text)[0], 1)
    weights = np.log(counts / counts.sum(-1, keepdims=True))
    return lambda ids: int(weights[:, ids].sum(-1).argmax())


def write(model: keras.Model, tokenizer: Tokenizer, label: int, strategy, n: int) -> list:
    """Reviews under a label, as lists of token ids."""
    special = (tokenizer.vocab.get(token) for token in SPECIAL if token != "[SEP]")
    banned = BannedTokens(tuple(i for i in special if i is not None))
    return generate(
        model,
        [[tokenizer.token_start_id]],
        n,
        tokenizer.token_end_id,
        strategy,
        processors=(banned, NoRepeatNGram(3)),
        inputs={"condition": condition(label)[None]},
    ).token_ids[0]


@common.script
def main() -> None:
    parser = common.arguments(__doc__, "reviews", epochs=4)
    options = parser.parse_args()
    keras.utils.set_random_seed(options.seed)
    read = lambda path: common.read_tsv(path, (0, 1))  # noqa: E731
    how = {"labels": lambda row: row[1:], "check": common.classes}
    train, valid, test = common.splits(options, read, **how)
    train += valid  # nothing is chosen by it, so it may teach
    print(f"the {len(valid)} rows of valid are trained on, too")
    wrong = {label for _, label in (*train, *test)} - set(LABELS)
    if wrong:
        parser.error(f"labels must be 0 or 1, but there is {min(wrong)}")
    tokenizer, model = begin(options.model or common.default_model(), [text for text, _ in train])
    data = batches(tokenizer, train, options, shuffle=True)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True, ignore_class=-1)
    model.compile(common.adamw(options.learning_rate, options.epochs * len(data)), loss)
    model.fit(data, epochs=options.epochs, verbose=2)

    most, judge = np.mean([label for _, label in test]), naive_bayes(tokenizer, train)
    right = accuracy(model, tokenizer, test, options)
    judged = np.mean([judge(tokenizer.encode(text)[0]) == label for text, label in test])
    print(f"label of {len(test)} held-out reviews, by the likelihoods: {right:.4f} right", end=" ")
    print(f"(naive Bayes {judged:.4f}, most frequent label {max(most, 1 - most):.4f})")
    agreed, most_new = [], options.maxlen // 2
    for label, name in LABELS.items():
        (best_one,) = write(model, tokenizer, label, BeamSearch(4), most_new)
        drawn = write(model, tokenizer, label, Sample(top_p=0.9, n=50, seed=1), most_new)
        agreed += [judge(ids) == label for ids in drawn]
        print(f"a {name} review:")
        for ids in (best_one, *drawn[20:23]):
            print("  " + tokenizer.decode(ids))
    print(f"of {len(agreed)} reviews written, naive Bayes agrees on {np.mean(agreed):.2f}")


if __name__ == "__main__":
    main()
