"""Word segmentation of Chinese: a BERT of characters and a CRF over B, M, E and S.

Task: where the words of a text begin and end. The encoder is small and has random weights; beside
      its output the scores see the two characters around each border, as embeddings of pairs of
      characters (`Bigrams`; `--bigrams 0` leaves them out). Full-width letters and digits are read
      as half-width ones. `--model DIR` takes a pretrained encoder instead, without the pairs.
Data: examples/datasets/segmentation (made from templates for this project, Apache-2.0), or your own
      text with blanks between words, *.xz too, such as SIGHAN 2005 (research only).
Command: python examples/task_cws_crf.py
         python examples/task_cws_crf.py --train pku_train.utf8 --valid pd_feb.utf8 \
             --test pku_test_gold.utf8 --epochs 8 --batch-size 32 --bigrams 131072
Seen: segmentation, seed 1: test F1 0.9950, new words 0.9677 (the longest match with the training
      words: 0.7952, 0); 69 s on one CPU core (JAX).
"""

from __future__ import annotations

import re
import sys
import time
from pathlib import Path

import common
import entities
import keras
from keras import ops

from bert4keras.tasks.tagging import (
    ConditionalRandomField,
    LabelledSpan,
    allowed_transitions,
    segmentation_scores,
    tag_names,
)


def read(path: Path, limit: int | None = None) -> list[entities.Sentence]:
    """Lines of words; a word is an entity without a type."""
    with common.opened(path) as lines:
        rows = [words for line in lines if (words := line.split())]
    if rows and sum(map(len, rows)) == len(rows):
        sys.exit(f"{path} has no blanks between words.")
    tagged = sum(bool(re.search("./[A-Za-z]+$", word)) for words in rows for word in words)
    if tagged > 0.5 * sum(map(len, rows)):
        sys.exit(f"{path} has tags behind its words, as in 我/r: take them off.")
    found = []
    for words in rows[:limit]:
        text, places = "", []
        for word in words:
            places.append(LabelledSpan(len(text), len(text) + len(word), ""))
            text += word
        found.append(entities.Sentence(text, places))
    return found if found else sys.exit(f"{path} has no words.")


def words_of(text: str, found: list[LabelledSpan]) -> list[str]:
    """The words of a text; characters that none of those found covers stand alone."""
    words, place = [], 0
    for start, end, _ in found:
        words += [*text[place:start], text[start:end]]
        place = end
    return [*words, *text[place:]]


class Bigrams(keras.layers.Layer):
    """Embeddings of a character with the one before and the one behind: (B, T) to (B, T, 2D).

    A pair's row is its number modulo the number of rows, so that some pairs share one.
    """

    def __init__(self, vocab_size: int, rows: int, dim: int, **kwargs):
        super().__init__(**kwargs)
        # Both odd, so that the second of a pair counts in every row.
        self.vocab_size, self.rows = vocab_size | 1, rows | 1
        self.embedding = keras.layers.Embedding(self.rows, dim, embeddings_initializer="zeros")

    def call(self, token_ids):
        pairs = token_ids[:, :-1] * self.vocab_size + token_ids[:, 1:]
        pairs = self.embedding(ops.pad(pairs % self.rows, [[0, 0], [1, 1]]))
        return ops.concatenate([pairs[:, :-1], pairs[:, 1:]], -1)


def build(options, train) -> entities.Tagger:
    """The model within a tagger, and its loss."""
    sizes = {"hidden_size": options.hidden_size, "num_hidden_layers": options.layers}
    bert, tokenizer = entities.encoder(options, train, **sizes)
    tags = tag_names([""], "BMES", outside=False)
    tagger = entities.Tagger(tokenizer, tags, "BMES", options.maxlen, options.batch_size)
    x, inputs = bert.output, common.inputs(bert)
    if options.bigrams and not options.model:
        pairs = Bigrams(tokenizer.vocab_size, options.bigrams, 64, name="Bigrams")(inputs[0])
        x = keras.layers.Concatenate()([x, pairs])
        x = keras.layers.Dropout(0.2)(x)
        x = keras.layers.Dense(2 * options.hidden_size, activation="relu", name="Mixed")(x)
    x = keras.layers.Dense(len(tags), name="Scores")(keras.layers.Dropout(0.2)(x))
    crf = ConditionalRandomField(allowed=allowed_transitions(tags, "BMES"), name="CRF")
    tagger.model, tagger.decode = keras.Model(inputs, crf(x)), crf.decode
    return tagger, crf.loss


@common.script
def main() -> None:
    defaults = {"epochs": 8, "learning_rate": 1e-3, "batch_size": 16, "maxlen": 256}
    parser = entities.arguments(__doc__, "segmentation", **defaults)
    parser.add_argument("--hidden-size", type=int, default=128)
    parser.add_argument("--layers", type=int, default=2)
    parser.add_argument("--bigrams", type=int, default=2**14, help="rows for pairs of characters")
    options = parser.parse_args()
    small = ["hidden_size", "layers", "bigrams"]
    parser.refuse(small, options.model is not None, "on a pretrained --model")
    keras.utils.set_random_seed(options.seed)
    train, valid, test = entities.load(options, read, labels=None)
    vocabulary = {text[start:end] for text, places, _ in train for start, end, _ in places}
    started = time.perf_counter()
    tagger, loss = build(options, train)

    def scores(found, rows):
        pairs = list(zip(found, rows, strict=True))
        found = [words_of(row.text, entities) for entities, row in pairs]
        wanted = [words_of(row.text, row.entities) for row in rows]
        return segmentation_scores(found, wanted, vocabulary)

    few = common.first_rows(valid, 2000)
    seconds = tagger.fit(train, loss, lambda: {"f1": scores(tagger.predict(few), few).f1}, options)
    found = tagger.predict(test)
    for name, result in {
        "the longest match with the training words": entities.longest_match(train, test),
        "the model": found,
    }.items():
        s = scores(result, test)
        oov = "none" if s.oov_recall is None else f"{s.oov_recall:.4f}"
        print(f"test F1 of {name} {s.f1:.4f} (precision {s.precision:.4f}, recall {s.recall:.4f}, ")
        print(f"    recall of the {s.oov_rate:.2%} of words that are new: {oov})")
    print(f"{time.perf_counter() - started:.0f} s, {1000 * seconds:.0f} ms a step")
    for row, places in zip(test[:3], found, strict=False):
        print(" ".join(words_of(row.text, places)))


if __name__ == "__main__":
    main()
