"""Masking for masked language models, by tokens or by whole words."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np

IGNORED = -1  # label of a token that is not predicted
_MASKED, _RANDOM = 0.8, 0.1  # shares of the chosen words; the rest is unchanged


def mask_tokens(
    token_ids: np.ndarray,
    rng: np.random.Generator,
    vocab_size: int,
    mask_id: int,
    rate: float = 0.15,
    *,
    special_ids: Iterable[int],
    whole_words: np.ndarray | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Choose words at random and mask them.

    Every word is chosen with probability `rate`, independently. Of the chosen words, 80 % are
    replaced by [MASK] in all their tokens, 10 % by random tokens, and 10 % are unchanged; all are
    predicted (Devlin et al. 2019, arXiv:1810.04805, section 3.1).

    Args:
        token_ids: integers of any shape whose last axis is the sequence, e.g. (B, T), padded.
        rng: source of randomness, e.g. `np.random.default_rng(0)`; the same state gives the
            same result.
        vocab_size: number of token ids, V.
        mask_id: id of [MASK].
        rate: probability with which a word is chosen, between 0 and 1.
        special_ids: ids that are neither masked nor drawn at random: [PAD], [CLS], [SEP], ...
        whole_words: the words. None: each token is a word. Booleans (V,): True for ids that
            continue the word before them, see `word_pieces`. Integers shaped like `token_ids`:
            the number of the word of each token, e.g. from `join_words`; neighbours with equal
            numbers are one word.

    Returns:
        Masked ids and labels, both int32 and shaped like `token_ids`. A label is the original id
        of a chosen token, or -1, which
        `keras.losses.SparseCategoricalCrossentropy(ignore_class=-1)` ignores.

    Raises:
        TypeError, ValueError: an argument out of its range.
    """
    ids = _integers(token_ids)
    special = _check(ids, rng, vocab_size, mask_id, rate, special_ids)
    word, count = _number_words(ids, special[ids], whole_words, vocab_size)
    chosen = (rng.random(count) < rate)[word] & ~special[ids]
    masked = hide_words(ids, chosen, word, count, np.flatnonzero(~special), mask_id, rng)
    return masked, np.where(chosen, ids, IGNORED).astype("int32")


def hide_words(
    ids: np.ndarray,
    chosen: np.ndarray,
    word: np.ndarray,
    count: int,
    plain_ids: np.ndarray,
    mask_id: int,
    rng: np.random.Generator,
) -> np.ndarray:
    """Replace 80 % of the chosen words by [MASK], 10 % by random tokens, and keep 10 %.

    Args:
        ids: token ids, integers of any shape.
        chosen: bool, True for the tokens of the chosen words; shaped like `ids`.
        word: number of the word of each token, below `count`; shaped like `ids`.
        count: number of words.
        plain_ids: ids to draw from, those of no special token.
        mask_id: id of [MASK].
        rng: source of randomness.

    Returns:
        int32, shaped like `ids`.
    """
    action = rng.random(count)[word]
    drawn = plain_ids[rng.integers(len(plain_ids), size=ids.shape)]
    hidden = np.select([action < _MASKED, action < _MASKED + _RANDOM], [mask_id, drawn], ids)
    return np.where(chosen, hidden, ids).astype("int32")


def word_pieces(token_dict: Mapping[str, int], prefix: str = "##") -> np.ndarray:
    """Return booleans (V,): True for ids that continue a word, such as "##ing"."""
    continues = np.zeros(max(token_dict.values(), default=-1) + 1, bool)
    pieces = [i for token, i in token_dict.items() if token.startswith(prefix) and token != prefix]
    continues[pieces] = True
    return continues


def join_words(words: Iterable[Sequence[int]]) -> tuple[np.ndarray, np.ndarray]:
    """Concatenate words, each given by its ids, and number them.

    Returns:
        Token ids (T,) and the number of each token's word (T,), from 0; both int32.
    """
    words = [np.asarray(word, "int32") for word in words]
    numbers = np.repeat(np.arange(len(words), dtype="int32"), [len(word) for word in words])
    return np.concatenate([np.zeros(0, "int32"), *words]), numbers


def _integers(values) -> np.ndarray:
    """Convert to an array; NumPy would make an empty list an array of floats."""
    values = np.asarray(values)
    return values if values.size else values.astype("int32")


def _check(ids, rng, vocab_size, mask_id, rate, special_ids) -> np.ndarray:
    """Check the arguments; return booleans (V,), True for special ids."""
    if not isinstance(rng, np.random.Generator):
        raise TypeError(f"rng must be a numpy Generator such as np.random.default_rng(0): {rng!r}")
    if ids.dtype.kind not in "iu" or ids.ndim == 0:
        raise TypeError(
            f"token_ids must be an array of integers, not {ids.dtype} of shape {ids.shape}. Pad "
            "lists of different lengths with sequence_padding first."
        )
    if not 0 <= rate <= 1:
        raise ValueError(f"rate must lie between 0 and 1, not {rate}.")
    special_ids = np.array([mask_id, *special_ids], "int64")
    for name, values in (("token_ids", ids), ("mask_id or special_ids", special_ids)):
        if values.size and not 0 <= values.min() <= values.max() < vocab_size:
            wrong = values[(values < 0) | (values >= vocab_size)].flat[0]
            raise ValueError(f"{name}: {wrong} is not an id of a vocabulary of {vocab_size}.")
    special = np.zeros(vocab_size, bool)
    special[special_ids] = True
    if special.all():
        raise ValueError(f"All {vocab_size} ids are special, so there is none to draw at random.")
    return special


def _number_words(ids, special, whole_words, vocab_size) -> tuple[np.ndarray, int]:
    """Number the words of all rows from 0.

    A token starts a word unless it continues the word before it; the number of its word is the
    cumulative sum of the starts, minus 1.

    Returns:
        Word number of each token, and the number of words.
    """
    starts = np.ones(ids.shape, bool)
    if whole_words is not None:
        whole_words = _integers(whole_words)
        if whole_words.dtype == bool and whole_words.shape == (vocab_size,):
            continues = whole_words[ids][..., 1:]
        elif whole_words.dtype.kind in "iu" and whole_words.shape == ids.shape:
            continues = whole_words[..., 1:] == whole_words[..., :-1]
        else:
            raise ValueError(
                f"whole_words must be booleans of shape ({vocab_size},) or integers of shape "
                f"{ids.shape}, not {whole_words.dtype} of shape {whole_words.shape}."
            )
        # A special token is a separate word, and the token behind it starts a word.
        starts[..., 1:] = ~continues | special[..., 1:] | special[..., :-1]
    word = np.cumsum(starts).reshape(ids.shape) - 1
    return word, int(starts.sum())
