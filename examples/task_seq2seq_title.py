"""Titles for short texts: one BERT reads the text and writes the title (UniLM).

Task: the text is segment 0, which sees itself both ways, the title segment 1, which is written
      from left to right. Without an argument a small model is trained from random weights, whose
      vocabulary is the characters of the training text. `--model DIR` takes a pretrained BERT and
      keeps of its vocabulary what the training text needs (`keep_tokens`).
Data: examples/datasets/titles (Chinese, made from templates for this project, Apache-2.0), or your
      own TSV, `title<TAB>text`, *.xz too, such as LCSTS (research only) or CSL (Apache-2.0). Of one
      file given as --train, a tenth each becomes the other two.
Command: python examples/task_seq2seq_title.py [--model DIR --learning-rate 5e-5]
             [--train train.tsv.xz --valid val.tsv.xz --test test.tsv.xz] [--epochs N]
Seen: titles, seed 1, beam search: ROUGE-1 0.849, ROUGE-2 0.776, ROUGE-L 0.849, BLEU 0.716 (greedily
      0.856, 0.782, 0.856, 0.732; the first sentence: 0.221, 0.150, 0.211, 0.124). 100 s on one CPU
      core (TensorFlow).
"""

from __future__ import annotations

import lzma
import re
import sys
import time
from pathlib import Path

import common
import keras

from bert4keras.config import TransformerConfig
from bert4keras.data import DataGenerator
from bert4keras.generation import BannedTokens, BeamSearch, Greedy, generate
from bert4keras.metrics import bleu, rouge
from bert4keras.models import build_transformer_model
from bert4keras.tokenizers import Tokenizer

SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]"]


def read(path: Path, limit: int | None) -> list[tuple[str, str]]:
    """Titles and texts."""
    try:
        with (lzma.open if path.suffix == ".xz" else open)(path, "rt", encoding="utf-8") as lines:
            rows = [line.rstrip("\n").split("\t") for line in lines if line.strip()]
    except (OSError, UnicodeDecodeError, lzma.LZMAError) as error:
        sys.exit(f"{path} cannot be read: {error}")
    for number, row in enumerate(rows, 1):
        if len(row) != 2 or not all(part.strip() for part in row):
            sys.exit(f"{path}, row {number}: expected title<TAB>text, not {row}")
    return rows[:limit]


def characters(rows) -> tuple[keras.Model, Tokenizer]:
    """A small model with random weights; a word of Latin letters is spelt: w ##o ##r ##d."""
    used = sorted(set("".join(part for row in rows for part in row).lower()) - set(" \t\u3000"))
    inner = ["##" + char for char in used if char.isascii() and char.isalnum()]
    tokenizer = Tokenizer([*SPECIAL, *used, *inner], do_lower_case=True)
    config = TransformerConfig(
        vocab_size=tokenizer.vocab_size,
        hidden_size=128,
        num_hidden_layers=2,
        num_attention_heads=4,
        intermediate_size=512,
        max_position=512,
        initializer_range=0.05,
    )
    return build_transformer_model(config, application="unilm", with_mlm="linear"), tokenizer


def pretrained(directory: Path, rows) -> tuple[keras.Model, Tokenizer]:
    """A pretrained model with the special tokens and those of the training text."""
    tokenizer = Tokenizer.from_pretrained(directory)
    texts = [part for row in rows for part in row]
    keep = set(tokenizer.tokens_to_ids(SPECIAL))
    keep = sorted(keep.union(*tokenizer.encode_batch(texts)[0]))
    print(f"{len(keep)} of {tokenizer.vocab_size} tokens kept")
    options = {"keep_tokens": keep, "with_mlm": "linear", "ignore": ["MLM-*"]}
    model = build_transformer_model(directory, application="unilm", **options)
    return model, Tokenizer.from_pretrained(directory, keep_tokens=keep)


class Writer:
    """A model that writes titles.

    Args:
        rows: to train on.
    """

    def __init__(self, rows, options):
        made = pretrained(options.model, rows) if options.model else characters(rows)
        self.model, self.tokenizer = made
        self.options = options
        never = self.tokenizer.tokens_to_ids(["[PAD]", "[UNK]", "[CLS]"])
        self.banned = BannedTokens(tuple(never))

    def encode(self, row):
        """Inputs and labels of a title and a text."""
        text, _ = self.tokenizer.encode(row[1], maxlen=self.options.maxlen)
        title, _ = self.tokenizer.encode(row[0], maxlen=self.options.title + 1)
        return common.unilm_sample(text, title[1:-1], self.tokenizer)

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


def scores(titles: list[str], rows) -> dict[str, float]:
    """ROUGE and BLEU of characters (of Chinese; else of words)."""
    wanted = [row[0].lower() for row in rows]
    titles = [title.lower() for title in titles]
    return {**rouge(titles, wanted), "bleu": bleu(titles, wanted)}


def main() -> None:
    defaults = {"epochs": 15, "learning_rate": 1e-3, "maxlen": 100}
    parser = common.arguments(__doc__, "titles", "none, random weights", **defaults)
    parser.set_defaults(valid=None, test=None)
    parser.add_argument("--title", type=int, default=32, help="longest title, in tokens")
    options = parser.parse_args()
    keras.utils.set_random_seed(options.seed)
    train, valid, test = common.splits(options, lambda path: read(path, options.limit))
    started, writer = time.perf_counter(), Writer(train, options)
    how = {"encode": writer.encode, "shuffle": True, "seed": options.seed}
    batches = DataGenerator(train, options.batch_size, **how)
    texts, few = [text for _, text in test], valid[:200]
    evaluate = lambda: scores(writer.write([t for _, t in few], Greedy()), few)  # noqa: E731
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True, ignore_class=-1)
    common.fine_tune(writer.model, batches, evaluate, options, loss)

    size = round(sum(len(title) for title, _ in train) / len(train))
    found = {"first sentence": [re.split(r"[。！？!?]", text, maxsplit=1)[0] for text in texts]}
    found[f"first {size} characters"] = [text[:size] for text in texts]
    found |= {str(way): writer.write(texts, way) for way in (Greedy(), BeamSearch(4))}
    for name, titles in found.items():
        figures = ", ".join(f"{key} {value:.4f}" for key, value in scores(titles, test).items())
        print(f"test: {name}: {figures}")
    print(f"{texts[0]}\n  {titles[0]}\n{time.perf_counter() - started:.0f} s")


if __name__ == "__main__":
    main()
