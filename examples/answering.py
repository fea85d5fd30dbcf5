"""What the examples that write answers share: a model and its tokens, training, scores."""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Sequence

import common
import keras
import reading
from characters import SPECIAL, begin_alike, pretrained, small_bert, tokenizer_of
from reading import Row

from bert4keras.data import DataGenerator

LOSS = keras.losses.SparseCategoricalCrossentropy(from_logits=True, ignore_class=-1)


class Reader:
    """A model and its tokenizer; the base class of those that answer.

    Args:
        train: rows, whose characters make the vocabulary (of a pretrained model they are kept).
        application: the mask of the model.
        small: makes a small model for so many tokens, which takes the place of `options.model`.
    """

    def __init__(
        self,
        train: Sequence[Row],
        options: argparse.Namespace,
        application: str,
        small: Callable[[int], keras.Model],
    ):
        texts = [text for row in train for text in (row.question, row.context)]
        if options.model:
            made = pretrained(options.model, texts, application)
            self.model, self.tokenizer = made
        else:
            self.tokenizer = tokenizer_of(texts, [*SPECIAL, "[MASK]"])
            self.model = small(self.tokenizer.vocab_size)
        self.options, self.end = options, self.tokenizer.token_end_id

    def passages(self, rows: Sequence[Row], room: int) -> tuple[list, list]:
        """The tokens of the passage of each row, at most `room`, and where each stands in it."""
        ids, _, spans = self.tokenizer.encode_batch(
            [row.context for row in rows], room + 2, return_offsets=True, truncate=True
        )
        return [row[1:-1] for row in ids], [row[1:-1] for row in spans]

    def tokens(self, text: str, room: int) -> list[int]:
        """The tokens of a text, at most `room`, without special ones."""
        return self.tokenizer.encode(text, maxlen=room + 2, truncate=True)[0][1:-1]


def writing_bert(vocab_size: int) -> keras.Model:
    """A small UniLM with random weights, save those of `begin_alike`."""
    model = small_bert(vocab_size)
    begin_alike(model)
    return model


def parse(doc: str, **defaults) -> argparse.Namespace:
    """The arguments of a script, and a seed set."""
    parser = common.arguments(doc, "reading", "none, random weights", **defaults)
    parser.add_argument("--answer", type=int, default=12, help="longest answer, in tokens")
    parser.add_argument("--question", type=int, default=40, help="longest question, in tokens")
    options = parser.parse_args()
    if options.maxlen < options.question + 2 * options.answer + 4:
        parser.error("--maxlen leaves no room for a passage beside --question and --answer")
    keras.utils.set_random_seed(options.seed)
    return options


def train_and_report(
    make: Callable[[list[Row], argparse.Namespace], Reader], doc: str, **defaults
) -> None:
    """Train a reader that has `encode(row)` and `answer(rows)`, and print its scores.

    Args:
        make: makes a reader for the rows to train on.
        doc: docstring of the script.
        defaults: of its arguments.
    """
    options = parse(doc, **defaults)
    train, valid, test = reading.splits(options)
    known = [row for row in train if row.target is not None]
    if len(known) < len(train):
        print(f"{len(train) - len(known)} rows of train are left out: their answer stands nowhere")
    train = known
    started, reader = time.perf_counter(), make(train, options)
    common.check_room(reader.model, options.maxlen)
    how = {"encode": reader.encode, "shuffle": True, "seed": options.seed, "buckets": 4}
    batches = DataGenerator(train, options.batch_size, **how)
    few = common.first_rows(valid, 300)
    evaluate = lambda: reading.scores(reader.answer(few), few)  # noqa: E731
    common.fine_tune(reader.model, batches, evaluate, options, LOSS)

    reading.report("nearest sentence", [reading.nearest_sentence(row) for row in test], test)
    reading.report("what the question lacks", [reading.plain_answer(row) for row in test], test)
    found = reader.answer(test)
    reading.report("model", found, test)
    for row, text in list(zip(test, found, strict=True))[:3]:
        print(f"{row.question} {text or '(none)'} (right: {row.target or '(none)'})")
    print(f"{time.perf_counter() - started:.0f} s")
