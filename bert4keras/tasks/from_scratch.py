"""A small encoder, or a vocabulary, for data without a pretrained model or a first try."""

from __future__ import annotations

import collections
from collections.abc import Iterable
from typing import Any

from ..data.text import lowercase_and_normalize
from ..models import Backbone, build_transformer_model
from ..tokenizers import Tokenizer
from ..tokenizers.characters import is_cjk
from .words import words

_SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")


def from_scratch(
    texts: Iterable[str],
    hidden_size: int = 128,
    num_hidden_layers: int = 2,
    num_attention_heads: int = 4,
    maxlen: int = 512,
    min_count: int = 2,
    **options: Any,
) -> tuple[Backbone, Tokenizer]:
    """Build a small encoder of characters, whose vocabulary comes from the given texts.

    Its positions are relative (NEZHA), with which a small model soon learns to use neighbours.

    Args:
        texts: texts that it will be trained on.
        hidden_size, num_hidden_layers, num_attention_heads: sizes of the encoder.
        maxlen: largest number of tokens of an input.
        min_count: rarer characters become `[UNK]`, so that the vector of `[UNK]` is trained too.
        **options: of `build_transformer_model`.

    Returns:
        (backbone, tokenizer), for `Task.build(backbone, tokenizer=tokenizer, ...)`.

    Raises:
        ValueError: no character occurs `min_count` times.
    """
    counts = collections.Counter(char for text in texts for char in text.lower())
    used = sorted(c for c, n in counts.items() if n >= min_count and not c.isspace())
    if not used:
        raise ValueError(f"no character of the texts occurs {min_count} times.")
    inside = [f"##{char}" for char in used if not is_cjk(char)]  # within a word, as in WordPiece
    tokenizer = Tokenizer([*_SPECIAL, *used, *inside], do_lower_case=True)
    config = {  # the other options are the family's defaults
        "vocab_size": tokenizer.vocab_size,
        "hidden_size": hidden_size,
        "num_hidden_layers": num_hidden_layers,
        "num_attention_heads": num_attention_heads,
        "intermediate_size": 4 * hidden_size,
        "max_position": maxlen,
        "initializer_range": 0.05,
    }
    return build_transformer_model(config, **{"model": "nezha", **options}), tokenizer


def word_tokenizer(
    texts: Iterable[str], min_count: int = 2, max_words: int | None = None
) -> Tokenizer:
    """Make a tokenizer whose tokens are whole words; each Chinese character is one.

    Args:
        texts: texts to count words in.
        min_count: rarer words become `[UNK]`, so that the vector of `[UNK]` is trained too.
        max_words: largest number of words, the most frequent ones; None: no limit.

    Raises:
        ValueError: no word occurs `min_count` times.
    """
    counts = collections.Counter(w for text in texts for w in words(lowercase_and_normalize(text)))
    found = [word for word, n in counts.most_common(max_words) if n >= min_count]
    if not found:
        raise ValueError(f"no word of the texts occurs {min_count} times: lower min_count.")
    found = [word for word in found if word not in _SPECIAL]
    return Tokenizer([*_SPECIAL, *found], do_lower_case=True)
