"""Permutation language models: ranks of tokens, inputs and labels.

Every position has a rank. Rank 0 is given text: special tokens, padding, a source, and tokens that
are not predicted. The other positions have the ranks 1, 2, ... in the order in which they are
predicted; with the mask `Permutation`, a row sees the positions of its own rank or a smaller one.

A model must know which position to predict, and must not see the token there. Two ways:

- **Two streams** (`models.TwoStream`): the output at row i is about token i. Inputs: token ids,
  segment ids, ranks.
- **One stream** with the target's position: row i has token i at position i as usual, sees the
  ranks up to its own, and predicts the token of the next rank, at whatever position; rank 1 is
  predicted by the first given row, [CLS]. The target's position is part of the row's position id,
  `target * max_position + i`, which a BERT built with `custom_position_ids=True` and
  `hierarchical_position=a` reads as `p[i] + a / (1 - a) * (p[target] - p[0])`, p being its table of
  positions. The factor distinguishes own position and target, a row without a target (target 0)
  is that of BERT, and no weight is added. It costs half of two streams. It works for families with
  learned positions from 0: BERT, ALBERT, ELECTRA, DistilBERT, ERNIE, GPT; not for rotary or
  relative positions, nor for RoBERTa, whose positions start at 2.

Source: Yang et al., XLNet, 2019 (arXiv:1906.08237); for one stream with the target's position,
Pannatier et al., sigma-GPTs, 2024 (arXiv:2404.09562), and for the position ids
https://kexue.fm/archives/7947.

Legend: T length; all functions take a sample (T,) or a padded batch (B, T).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from .masking import IGNORED


def permute_tokens(
    token_ids: Any,
    segment_ids: Any | None,
    rng: np.random.Generator,
    *,
    special_ids: Iterable[int],
    target_only: bool = False,
    num_predict: int | float | None = None,
    max_position: int | None = None,
    pad_token_id: int,
) -> tuple[tuple[np.ndarray, ...], np.ndarray]:
    """Return inputs and labels of a permutation language model, with random ranks.

    Called by `encode` of a `DataGenerator(..., cache=False)`, it draws new ranks in every epoch.

    Args:
        token_ids: int (..., T).
        segment_ids: int (..., T), or None for a model without them.
        rng: random generator; the same state gives the same ranks.
        special_ids: ids that are given and never predicted: [PAD], [CLS], [SEP], ...
        target_only: True: only segment 1 is predicted, segment 0 is given (seq2seq, as in `UniLM`).
        num_predict: predict only the last tokens of the order: their number, or a share below 1
            (at least one token); the tokens before are given (partial prediction, XLNet, section
            2.3). None predicts all.
        max_position: `config.max_position` of the model, for one stream; None means two streams.
        pad_token_id: id of the padding, `config.pad_token_id`; -1 if there is none.

    Returns:
        Inputs in the order of the model's, int32: token ids, segment ids if any, for one stream
        position ids, and ranks; and labels (..., T), int32: an id, or -1 where no token is
        predicted, which `keras.losses.SparseCategoricalCrossentropy(ignore_class=-1)` ignores.

    Raises:
        TypeError, ValueError: an argument out of its range.
    """
    token_ids = _integers("token_ids", token_ids)
    predicted = ~np.isin(token_ids, [pad_token_id, *special_ids])
    if target_only:
        if segment_ids is None:
            raise ValueError("target_only needs segment_ids, in which the target is segment 1.")
        predicted &= np.asarray(segment_ids) == 1
    rank = random_ranks(predicted, rng, num_predict)
    return ordered_inputs(
        token_ids, segment_ids, rank, max_position=max_position, pad_token_id=pad_token_id
    )


def random_ranks(
    predicted: Any, rng: np.random.Generator, num_predict: int | float | None = None
) -> np.ndarray:
    """Draw ranks; all orders are equally likely.

    Each position that may be predicted gets a random key in [0, 1), each other one the key 2. The
    place of a position in the sorted keys is argsort(argsort(keys)), so the n predictable positions
    have the places 0 .. n-1 in random order. To predict only the last m, subtract n - m:

        rank = max(place + 1 - (n - m), 0)

    Args:
        predicted: bool (..., T), True for positions that may be predicted.
        rng, num_predict: see `permute_tokens`.

    Returns:
        int32 (..., T): 1, 2, ... for predicted positions, 0 elsewhere.

    Raises:
        TypeError, ValueError: an argument out of its range.
    """
    if not isinstance(rng, np.random.Generator):
        raise TypeError(f"rng must be a numpy Generator such as np.random.default_rng(0): {rng!r}")
    predicted = np.asarray(predicted, bool)
    keys = np.where(predicted, rng.random(predicted.shape), 2.0)  # given positions come last
    place = np.argsort(np.argsort(keys, axis=-1), axis=-1)
    count = predicted.sum(axis=-1, keepdims=True)
    given = count - np.minimum(count, _wanted(count, num_predict))
    return np.where(predicted, np.maximum(place + 1 - given, 0), 0).astype("int32")


def ordered_inputs(
    token_ids: Any,
    segment_ids: Any | None,
    rank: Any,
    *,
    max_position: int | None = None,
    pad_token_id: int,
) -> tuple[tuple[np.ndarray, ...], np.ndarray]:
    """Return inputs and labels for given ranks, such as those of `random_ranks`.

    Args:
        token_ids, segment_ids, max_position, pad_token_id: see `permute_tokens`.
        rank: int (..., T): 0 for given positions; the others 1, 2, ... without gap or repetition.

    Returns:
        See `permute_tokens`.

    Raises:
        ValueError: the ranks are no order, or no position is given to predict the first token.
    """
    token_ids, rank = _integers("token_ids", token_ids), _integers("rank", rank)
    check_ranks(token_ids, rank, pad_token_id)
    inputs = [token_ids] if segment_ids is None else [token_ids, _integers("segments", segment_ids)]
    labels = np.where(rank > 0, token_ids, IGNORED)
    if max_position is not None:
        target = target_positions(token_ids, rank, pad_token_id)
        length = token_ids.shape[-1]
        if length > max_position:
            raise ValueError(f"{length} tokens are more than the model's {max_position} positions.")
        inputs.append((target * max_position + np.arange(length)).astype("int32"))
        there = np.take_along_axis(token_ids, target, axis=-1)
        labels = np.where(target > 0, there, IGNORED)
    return (*inputs, rank), labels.astype("int32")


def target_positions(token_ids: Any, rank: Any, pad_token_id: int) -> np.ndarray:
    """Return the position that each row of one stream predicts, int64 (..., T); 0 is none.

    The row of rank r predicts the position of rank r + 1; for r = 0, it is the first given row that
    is not padding. With the rows sorted by key (-1 for other given rows, then the start with 0,
    then the ranks), order[k] predicts order[k + 1]. Position 0 is never predicted.
    """
    token_ids, rank = np.asarray(token_ids), np.asarray(rank)
    if (rank[..., :1] > 0).any():
        raise ValueError(
            "One stream cannot predict the token at position 0. Begin with a given one, [CLS]."
        )
    given = (rank == 0) & (token_ids != pad_token_id)
    start = given & (np.cumsum(given, axis=-1) == 1)
    keys = np.where((rank == 0) & ~start, -1, rank)
    order = np.argsort(keys, axis=-1, kind="stable")
    following = np.concatenate([order[..., 1:], np.zeros_like(order[..., :1])], axis=-1)
    target = np.zeros_like(order)
    np.put_along_axis(target, order, following, axis=-1)
    return np.where(keys >= 0, target, 0)


def check_ranks(token_ids: np.ndarray, rank: np.ndarray, pad_token_id: int) -> None:
    """Raise ValueError unless the ranks are an order of the tokens.

    Checked: shape, no gap or repetition, no predicted padding, a given token to start from.
    """
    if rank.shape != token_ids.shape:
        raise ValueError(f"rank has shape {rank.shape} and token_ids {token_ids.shape}.")
    rows = zip(np.atleast_2d(token_ids), np.atleast_2d(rank), strict=True)
    for number, (ids, ranks) in enumerate(rows):
        ordered = np.sort(ranks[ranks != 0])
        if not np.array_equal(ordered, np.arange(1, len(ordered) + 1)):
            raise ValueError(
                f"rank of row {number}: ranks above 0 must be 1, 2, ... each once, not {ordered}."
            )
        if (ids[ranks > 0] == pad_token_id).any():
            raise ValueError(
                f"rank of row {number}: padding (id {pad_token_id}) cannot be predicted."
            )
        if len(ordered) and not (ids[ranks == 0] != pad_token_id).any():
            raise ValueError(
                f"row {number} has no token of rank 0 to predict the first one from. Begin it "
                "with [CLS]."
            )


def _wanted(count: np.ndarray, num_predict: int | float | None) -> np.ndarray:
    """Return the number of tokens of each row to predict."""
    if num_predict is None:
        return count
    number = isinstance(num_predict, (int, float, np.number)) and not isinstance(num_predict, bool)
    if number and 0 < num_predict < 1:
        return np.ceil(count * num_predict).astype("int64")
    if number and num_predict >= 1 and num_predict == int(num_predict):
        return np.full_like(count, int(num_predict))
    raise ValueError(f"num_predict must be a number of tokens or a share below 1: {num_predict!r}")


def _integers(name: str, values: Any) -> np.ndarray:
    """Convert to int32 (..., T); NumPy would make an empty list an array of floats."""
    values = np.asarray(values)
    if values.ndim == 0 or (values.size and values.dtype.kind not in "iu"):
        raise TypeError(
            f"{name} must be integers of shape (T,) or (B, T), not {values.dtype} of shape "
            f"{values.shape}; pad lists of different lengths with sequence_padding first."
        )
    return values.astype("int32")
