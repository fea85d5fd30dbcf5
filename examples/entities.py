"""What the examples of relations share: options, samples and a small encoder."""

from __future__ import annotations

import argparse
import collections
from collections.abc import Iterable, Sequence

import common

from bert4keras.config import TransformerConfig
from bert4keras.data import strQ2B
from bert4keras.models import build_transformer_model
from bert4keras.tokenizers import Tokenizer

SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]"]


def arguments(description: str, data: str, **defaults):
    """As `common.arguments`, with the models of `encoder`."""
    kind = "MiniLM for English, a small model with random weights for Chinese"
    return common.arguments(description, data, kind, **defaults)


def load(options: argparse.Namespace, reader, labels) -> list[list]:
    """Sentences to train, to choose the epoch and to test."""
    return common.splits(options, reader, labels)


def encoder(options: argparse.Namespace, sentences: Iterable, **sizes):
    """A model and its tokenizer: of `--model`, MiniLM, or one of characters for Chinese."""
    counts = collections.Counter(char for s in sentences for char in strQ2B(s.text).lower())
    chinese = sum(n for char, n in counts.items() if char >= "\u3400") > 0.2 * counts.total()
    if options.model or not chinese:
        directory = options.model or common.default_model()
        bert = build_transformer_model(directory)
        common.check_room(bert, options.maxlen)
        return bert, Tokenizer.from_pretrained(directory)
    # Characters that occur once are unknown, so that the unknown one is trained.
    used = sorted(char for char, n in counts.items() if n > 1 and not char.isspace())
    tokenizer = Characters(used)
    config = {"hidden_size": 128, "num_hidden_layers": 2, "num_attention_heads": 4, **sizes}
    config |= {"intermediate_size": 4 * config["hidden_size"], "max_position": options.maxlen}
    config |= {"vocab_size": tokenizer.vocab_size, "initializer_range": 0.05}
    # NEZHA has relative positions, with which a small model soon learns to look at neighbours.
    return build_transformer_model(TransformerConfig(**config), model="nezha"), tokenizer


class Characters(Tokenizer):
    """A tokenizer of single characters, full-width ones read as half-width."""

    def __init__(self, characters: Iterable[str]):
        super().__init__([*SPECIAL, *characters], do_lower_case=True, pre_tokenize=list)

    def encode_batch(self, firsts, *args, **options):
        return super().encode_batch([strQ2B(text) for text in firsts], *args, **options)


def chunks(items: Sequence, size: int) -> list[Sequence]:
    """Parts of `size` items."""
    return [items[start : start + size] for start in range(0, len(items), size)]
