"""Vocabularies for pretraining: one made from the corpus, and new tokens for a checkpoint's."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from pathlib import Path

import tokenizers as rust

from ..tokenizers import SubwordTokenizer, Tokenizer
from ..tokenizers.added import AddedToken
from ..tokenizers.base import TokenizerBase

_SPECIAL_TOKENS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
_SAMPLE = 1 << 28  # characters


def train_wordpiece(
    texts: Iterable[str], vocab_size: int = 30_000, do_lower_case: bool = True
) -> Tokenizer:
    """Make a WordPiece tokenizer from the first 270 million characters of some texts.

    Two runs may give different vocabularies: the trainer of the library `tokenizers` chooses among
    pieces of equal frequency in no fixed order. To repeat a run exactly, keep its tokenizer.

    Args:
        texts: the texts.
        vocab_size: number of tokens, at most.
        do_lower_case: lower-case the texts and strip accents.

    Raises:
        ValueError: no character occurs twice, so there is nothing to learn from the texts.
    """
    model = rust.Tokenizer(rust.models.WordPiece(unk_token="[UNK]"))
    model.normalizer = rust.normalizers.BertNormalizer(lowercase=do_lower_case)
    model.pre_tokenizer = rust.pre_tokenizers.BertPreTokenizer()
    trainer = rust.trainers.WordPieceTrainer(
        vocab_size=vocab_size, min_frequency=2, special_tokens=_SPECIAL_TOKENS, show_progress=False
    )
    used, repeats = itertools.count(), set[str]()
    seen: set[str] = set()

    def sample() -> Iterable[str]:
        size = 0
        for text in texts:
            next(used)
            if not repeats:
                repeats.update(seen & set(text), {c for c in text if text.count(c) > 1})
                seen.update(text)
            yield text
            size += len(text)
            if size >= _SAMPLE:
                return

    model.train_from_iterator(sample(), trainer)
    if not {c for c in repeats if not c.isspace()}:
        raise ValueError(
            f"no character occurs twice in the {next(used)} text(s), so no vocabulary can be "
            "learned from them; give a larger corpus, or a tokenizer."
        )
    tokens = sorted(model.get_vocab(), key=model.get_vocab().__getitem__)
    return Tokenizer(tokens, do_lower_case=do_lower_case)


def with_new_tokens(
    directory: Path, tokens: Sequence[str]
) -> tuple[TokenizerBase, list[list[int]]]:
    """Load the tokenizer of a checkpoint and add tokens, which are found in texts as they are.

    Args:
        directory: of the checkpoint.
        tokens: new tokens, such as words of a domain; known ones are left out.

    Returns:
        The tokenizer; and the old ids that each new token consists of, from whose vectors
        `build_transformer_model(compound_tokens=...)` makes the new one's.

    Raises:
        ValueError: a SentencePiece model, to which tokens cannot be added, or an empty token.
    """
    old = TokenizerBase.from_pretrained(directory)
    if not isinstance(old, (Tokenizer, SubwordTokenizer)):
        raise ValueError(
            f"{directory}: tokens cannot be added to a SentencePiece model without a "
            "tokenizer.json; save the tokenizer with transformers first, which writes one."
        )
    if "" in (token.strip() for token in tokens):
        raise ValueError("a new token is empty; give one token on each line.")
    fresh = [token for token in dict.fromkeys(map(str.strip, tokens)) if token not in old.vocab]
    parts = [old.encode(token, pattern="**")[0] for token in fresh]
    lowers = getattr(old, "do_lower_case", False)
    added = [AddedToken(token, normalized=bool(lowers)) for token in fresh]
    known = old._pipeline.content["added_tokens"] if isinstance(old, Tokenizer) else []
    return TokenizerBase.from_pretrained(directory, added_tokens=[*known, *added]), parts
