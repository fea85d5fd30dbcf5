"""Pruning of vocabularies: the tokens that texts or scripts need, and a tokenizer of these only.

A tokenizer of the kept tokens cuts a text as before if every token of the text is kept:

- WordPiece takes the longest piece that fits; it is still there, and no longer one has come.
- Unigram takes the best path; it is still there, and no other one has come. The penalty of an
  unknown character depends on the lowest score, so the piece that has it is kept.
- BPE applies the first merge that fits. A kept token keeps every token that it can be merged from
  and these merges, so the same merges are applied.
"""

from __future__ import annotations

import itertools
import tempfile
from collections.abc import Collection, Iterable, Iterator, Sequence

from .base import TokenizerBase
from .errors import TokenizerError
from .scripts import ASCII, is_written_in, joins, script_of
from .vocabulary import UNUSED, check_keep_tokens
from .wordpiece import Tokenizer

_TEXTS_AT_A_TIME = 1024


def used_tokens(
    tokenizer: TokenizerBase, texts: Iterable[str], characters: bool = True
) -> list[int]:
    """Return the ids of the tokens that texts need, for `keep_tokens`.

    Args:
        tokenizer: the tokenizer.
        texts: any number of texts; about a thousand are in memory at a time.
        characters: True: also keep the tokens of single characters of the texts, so that other
            texts with these characters can be read.

    Returns:
        Increasing ids. Special and added tokens, all bytes, and the tokens from which BPE merges
        others are among them.
    """
    used: set[int] = set()
    alphabet: set[str] = set()
    for some in _in_batches(texts):
        encoded = tokenizer.encode_batch(some)[0]
        used.update(*encoded)
        alphabet.update(*some)
        if isinstance(tokenizer, Tokenizer) and tokenizer.token_unk is not None:
            for text, ids in zip(some, encoded, strict=True):
                if tokenizer.token_unk_id in ids:
                    used.update(tokenizer._tried_pieces(text))
    if characters:
        used.update(_single_characters(tokenizer, alphabet, used))
    return tokenizer._with_required(used)


def select_vocabulary(
    tokenizer: TokenizerBase,
    texts: Iterable[str] = (),
    scripts: Collection[str] = (),
    split: str = "none",
    max_tokens: int | None = None,
) -> list[int]:
    """Return the ids of the tokens of texts and of scripts, for `keep_tokens`.

    Args:
        tokenizer: the tokenizer.
        texts: keep what these texts need; see `used_tokens`.
        scripts: keep the tokens written in these scripts, such as ("Han", "ASCII") for Chinese
            and English; digits, punctuation and symbols are kept with them.
        split: "punctuation": drop the tokens that join a punctuation mark with another character,
            "characters": also those that join a Chinese character with another one; "none".
        max_tokens: largest number of tokens. Tokens of single characters stay; of the longer ones
            those with the lowest ids, which are the most frequent ones, since vocabularies are
            ordered by frequency. None: no limit.

    Returns:
        Increasing ids.

    Raises:
        TokenizerError: nothing to keep is named, no token is written in a script, an unknown
            `split`, or a limit below the number of single characters.
    """
    if isinstance(scripts, str):
        raise TokenizerError(f"scripts must be a list such as [{scripts!r}], not a text.")
    texts_first = list(itertools.islice(texts := iter(texts), 1))
    if not texts_first and not scripts:
        raise TokenizerError("Give texts or scripts: otherwise no token would be kept.")
    surfaces = _surfaces(tokenizer)
    kept = (
        set(used_tokens(tokenizer, itertools.chain(texts_first, texts))) if texts_first else set()
    )
    if scripts:
        _check_scripts(scripts, surfaces.values())
        kept.update(i for i, text in surfaces.items() if is_written_in(text, scripts))
    kept = {i for i in kept if not joins(surfaces.get(i, ""), split)}
    if max_tokens is not None:
        kept = _limited(tokenizer, kept, surfaces, max_tokens)
    return tokenizer._with_required(kept)


def prune_tokenizer(
    tokenizer: TokenizerBase, keep: Iterable[int]
) -> tuple[TokenizerBase, list[int]]:
    """Return a tokenizer of the kept tokens, and the list `keep_tokens` for its model.

    Args:
        tokenizer: the tokenizer, which is not changed.
        keep: ids, such as those of `used_tokens` or `select_vocabulary`; the tokens without which
            it does not work are added.

    Returns:
        (tokenizer, old ids): the token with the new id n had the id `keep_tokens[n]`.

    Raises:
        TokenizerError: an id that no token has.
    """
    keep_tokens = tokenizer._with_required(check_keep_tokens(set(keep), tokenizer._tokens))
    options = {} if tokenizer._pre_tokenize is None else {"pre_tokenize": tokenizer._pre_tokenize}
    with tempfile.TemporaryDirectory() as directory:
        tokenizer.save(directory)
        smaller = TokenizerBase.from_pretrained(directory, keep_tokens=keep_tokens, **options)
    return smaller, keep_tokens


def _in_batches(texts: Iterable[str]) -> Iterator[list[str]]:
    """Yield lists of texts."""
    texts = iter(texts)
    while some := list(itertools.islice(texts, _TEXTS_AT_A_TIME)):
        yield some


def _single_characters(
    tokenizer: TokenizerBase, alphabet: set[str], used: Iterable[int]
) -> Iterator[int]:
    """Yield ids of tokens of one character: of those of texts, and of those of their tokens."""
    for ids in tokenizer.encode_batch(sorted(alphabet))[0]:
        yield from ids
    for char in alphabet.union(*(tokenizer.id_to_token(i) for i in used)):
        for token in (char, tokenizer._inner_prefix + char):
            if token in tokenizer.vocab:
                yield tokenizer.vocab[token]


def _surfaces(tokenizer: TokenizerBase) -> dict[int, str]:
    """Return the text of every token by its id, without unused ones; "" for special ones."""
    prefix = tokenizer._inner_prefix
    return {
        i: tokenizer.decode([i]).strip() if not prefix else token.removeprefix(prefix) or token
        for token, i in tokenizer.vocab.items()
        if not UNUSED.fullmatch(token)
    }


def _check_scripts(scripts: Collection[str], texts: Iterable[str]) -> None:
    """Raise TokenizerError if no token is written in one of the scripts."""
    found = {script_of(char) for text in texts for char in text}
    absent = [name for name in scripts if name not in found | {ASCII}]
    if absent:
        raise TokenizerError(
            f"No token is written in the script {absent[0]!r}. The scripts of this vocabulary: "
            f"{', '.join(sorted(found))}, and ASCII for Latin letters without accents."
        )


def _limited(
    tokenizer: TokenizerBase, kept: set[int], surfaces: dict[int, str], max_tokens: int
) -> set[int]:
    """Return single characters and required tokens, and the longer ones for which there is room."""
    single = set(tokenizer._with_required(i for i in kept if len(surfaces.get(i, "")) < 2))
    if max_tokens < len(single):
        raise TokenizerError(
            f"max_tokens={max_tokens} is too small: special tokens and single characters are "
            f"{len(single)} tokens."
        )
    longer: Sequence[int] = sorted(kept - single)
    low, high = 0, min(len(longer), max_tokens - len(single))
    while low < high:  # tokens of BPE need others, so the number is found by bisection
        middle = (low + high + 1) // 2
        fits = len(tokenizer._with_required(single.union(longer[:middle]))) <= max_tokens
        low, high = (middle, high) if fits else (low, middle - 1)
    return single.union(longer[:low])
