"""Facts about the tokenizer of a model family that the files of a checkpoint leave open."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any


@dataclasses.dataclass(frozen=True)
class TokenizerDefaults:
    """Facts about the tokenizer of a model family, passed to `register_model`.

    A tokenizer.json describes a tokenizer completely. The other formats do not: a SentencePiece
    model or a vocab.json has no special tokens, and a vocab.txt does not say how it is used.

    Attributes:
        class_name: class of the tokenizer in transformers, such as `"AlbertTokenizer"`.
        options: arguments of `TokenizerBase` (special tokens, template), without which neither a
            SentencePiece model nor a vocab.json can be read.
        sentencepiece: function of tokenizer_config.json that returns further arguments of
            `SpTokenizer`; None if the family has no SentencePiece model.
        model_file: file name of the SentencePiece model, if no other family uses that name.
        byte_level_bpe: True if vocab.json and merges.txt hold byte-level BPE.
        bert_vocab: True if a vocab.txt is read exactly as BERT's.
        word_splitter: Python expression that splits a text into words before the vocabulary is
            used, such as `"jieba.cut(text)"`. The caller must pass `pre_tokenize` then.
        aliases: other model types with the same tokenizer.
        other_classes: classes of other families that the files of this one may name.
    """

    class_name: str
    options: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    sentencepiece: Callable[[Mapping[str, Any]], dict[str, Any]] | None = None
    model_file: str | None = None
    byte_level_bpe: bool = False
    bert_vocab: bool = False
    word_splitter: str | None = None
    aliases: tuple[str, ...] = ()
    other_classes: tuple[str, ...] = ()


def special_tokens(
    start: str | None, end: str | None, pad: str | None, unk: str | None, mask: str | None
) -> dict[str, str | None]:
    """Return the arguments of `TokenizerBase` that name the special tokens; None: no such token."""
    names = ("token_start", "token_end", "token_pad", "token_unk", "token_mask")
    return dict(zip(names, (start, end, pad, unk, mask), strict=True))
