"""What the examples that write titles share: reading texts with titles, training, scores."""

from __future__ import annotations

import argparse
import re
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import common
import keras

from bert4keras.data import DataGenerator
from bert4keras.generation import BannedTokens, BeamSearch, Greedy, generate
from bert4keras.tasks.generation import bleu, rouge
from bert4keras.tokenizers import Tokenizer

Row = tuple[str, str]  # title, text


def read(path: Path, limit: int | None = None) -> list[Row]:
    """Titles and texts; a first line of names of columns is skipped."""
    rows = [(title, text) for title, text in common.table_rows(path, "title<TAB>text")]
    for title, text in rows:
        if not text.strip():
            sys.exit(f"{path}: there is no text to the title {title!r}")
    return rows[:limit]


class Writer:
    """A model that writes titles; the base class of those with a model.

    Args:
        model: with a language-model head.
        tokenizer: its tokenizer.
    """

    def __init__(self, model: keras.Model, tokenizer: Tokenizer, options: argparse.Namespace):
        self.model, self.tokenizer, self.options = model, tokenizer, options
        special = {getattr(tokenizer, f"token_{name}") for name in ("pad", "unk", "start", "mask")}
        never = tokenizer.tokens_to_ids(sorted(special & set(tokenizer.vocab)))
        self.banned = BannedTokens(tuple(never))

    def encode(self, row: Row) -> tuple:
        """Inputs and labels of a title and a text."""
        text, _ = self.tokenizer.encode(row[1], maxlen=self.options.maxlen)
        begins = self.tokenizer.token_start is not None
        title, _ = self.tokenizer.encode(row[0], maxlen=self.options.title + begins)
        return self.sample(text, title[begins:-1])

    def sample(self, text: list[int], title: list[int]) -> tuple:
        """Inputs and labels; the title is without special tokens."""
        raise NotImplementedError

    def write(self, texts: list[str], strategy) -> list[str]:
        """The title of each text."""
        ids, _ = self.tokenizer.encode_batch(texts, maxlen=self.options.maxlen)
        found = [""] * len(ids)
        order = sorted(range(len(ids)), key=lambda i: len(ids[i]))
        end, how = self.tokenizer.token_end_id, {"processors": [self.banned]}
        for some in (order[i : i + 64] for i in range(0, len(ids), 64)):
            prompts = [ids[i] for i in some]
            titles = generate(self.model, prompts, self.options.title, end, strategy, **how).best
            for i, title in zip(some, titles, strict=True):
                found[i] = self.tokenizer.decode(title)
        return found


def scores(titles: list[str], rows: Sequence[Row]) -> dict[str, float]:
    """ROUGE and BLEU of characters (of Chinese; else of words)."""
    wanted = [row[0].lower() for row in rows]
    titles = [title.lower() for title in titles]
    return {**rouge(titles, wanted), "bleu": bleu(titles, wanted)}


def arguments(doc: str, data: str = "titles", **defaults) -> argparse.ArgumentParser:
    """The arguments of a script that writes."""
    parser = common.arguments(doc, data, "none, random weights", **defaults)
    parser.add_argument("--title", type=int, default=32, help="longest text written, in tokens")
    return parser


def first_words(train: Sequence[Row], texts: Sequence[str]) -> dict[str, list[str]]:
    """What one might take for a title without a model."""
    size = round(sum(len(title) for title, _ in train) / len(train))
    return {
        "first sentence": [re.split(r"[。！？!?]", text, maxsplit=1)[0] for text in texts],
        f"first {size} characters": [text[:size] for text in texts],
    }


def train_and_report(
    make: Callable[[list[Row], argparse.Namespace], Writer],
    options: argparse.Namespace,
    read: Callable[[Path], list[Row]] = read,
    baselines: Callable[[list[Row], list[str]], dict[str, list[str]]] = first_words,
) -> None:
    """What the scripts do: train a writer, and print its scores beside those of baselines.

    Args:
        make: makes a writer for the rows to train on.
        options: of `arguments`.
        read: reads a file.
        baselines: texts written without a model, of the rows to train on and the test texts.
    """
    keras.utils.set_random_seed(options.seed)
    train, valid, test = common.splits(options, read)
    started, writer = time.perf_counter(), make(train, options)
    common.check_room(writer.model, options.maxlen + options.title)
    how = {"encode": writer.encode, "shuffle": True, "seed": options.seed}
    batches = DataGenerator(train, options.batch_size, **how)
    texts, few = [text for _, text in test], common.first_rows(valid, 200)
    evaluate = lambda: scores(writer.write([t for _, t in few], Greedy()), few)  # noqa: E731
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True, ignore_class=-1)
    common.fine_tune(writer.model, batches, evaluate, options, loss)

    found = baselines(train, texts)
    found |= {str(way): writer.write(texts, way) for way in (Greedy(), BeamSearch(4))}
    for name, titles in found.items():
        figures = ", ".join(f"{key} {value:.4f}" for key, value in scores(titles, test).items())
        print(f"test: {name}: {figures}")
    print(f"{texts[0]}\n  {titles[0]}\n{time.perf_counter() - started:.0f} s")
