"""Infilling: tokens for the gaps of a text in any order, by a permutation language model."""

from __future__ import annotations

from collections.abc import Iterable

import keras
import numpy as np

from .._types import Array
from ..data.permutation import check_ranks, ordered_inputs, random_ranks, target_positions
from ..masks import Permutation
from ..models import TwoStream

_ORDERS = ("left", "right", "random")


def infill(
    model: keras.Model,
    token_ids: Array,
    gaps: Array,
    segment_ids: Array | None = None,
    order: str | Array = "left",
    *,
    rng: np.random.Generator | None = None,
    temperature: float = 0.0,
    banned_ids: Iterable[int] = (),
) -> np.ndarray:
    """Fill gaps one after another, each from the text and the gaps filled before it.

    Args:
        model: with the language-model head, and either two streams, `application=TwoStream(...)`,
            or one, `application="permutation", custom_position_ids=True,
            hierarchical_position=True`. See `bert4keras.data.permutation`.
        token_ids: int (B, T), padded with `config.pad_token_id`; any ids in the gaps.
        gaps: bool (B, T), True at tokens to fill in.
        segment_ids: int (B, T), if the model has them.
        order: `"left"` (to right), `"right"` (to left), `"random"`, or ranks (B, T): 1, 2, ... in
            the order of filling, and 0 outside the gaps.
        rng: for random orders and for sampling.
        temperature: 0 takes the likeliest token; otherwise tokens are sampled, with the scores
            divided by this.
        banned_ids: ids that are never filled in, besides the padding.

    Returns:
        int32 (B, T), `token_ids` with its gaps filled.

    Raises:
        ValueError: the model reads no order, or the order does not fit the gaps.
    """
    max_position = _max_position(model)
    pad_id = -1 if model.config.pad_token_id is None else model.config.pad_token_id
    filled, gaps = np.array(token_ids, "int32"), np.asarray(gaps, bool)
    if filled.ndim != 2 or gaps.shape != filled.shape:
        raise ValueError(
            f"token_ids and gaps must have one shape (B, T), not {filled.shape}, {gaps.shape}."
        )
    rank = _ranks(gaps, order, rng)
    # No token sees an unfilled gap, but it must not count as padding.
    other = next(i for i in range(2) if i != pad_id)
    filled[gaps] = other
    check_ranks(filled, rank, pad_id)
    place_of = None if max_position is None else target_positions(filled, rank, pad_id)
    for step in range(1, int(rank.max(initial=0)) + 1):
        inputs, _ = ordered_inputs(
            filled, segment_ids, rank, max_position=max_position, pad_token_id=pad_id
        )
        rows, places = np.nonzero(rank == step)
        at = places
        if place_of is not None:
            at = np.argmax(place_of[rows] == places[:, None], axis=1)
        scores = model.predict(list(inputs), verbose=0)[rows, at].astype("float64")
        if model.transformer.pretraining_heads.gives_probabilities:
            scores = np.log(np.maximum(scores, 1e-30))
        scores[:, [i for i in (pad_id, *banned_ids) if i >= 0]] = -np.inf
        filled[rows, places] = _choose(scores, temperature, rng, step)
    return filled


def _max_position(model: keras.Model) -> int | None:
    """Return the number of positions of a model with one stream; None for two streams."""
    transformer = getattr(model, "transformer", None)
    if transformer is None or not transformer.pretraining_heads.with_mlm:
        raise ValueError(
            "infill takes a model of build_transformer_model with a language-model head."
        )
    config, mask = transformer.config, transformer.mask
    if isinstance(mask, TwoStream) and isinstance(mask.order, Permutation):
        return None
    targets = config.custom_position_ids and config.hierarchical_position
    position = transformer.position
    counted = position.max_length(config) is not None and position.offset(config) == 0
    if isinstance(mask, Permutation) and targets and counted:
        return config.max_position
    raise ValueError(
        "infill needs a model that knows which position to predict: two streams, with "
        'application=TwoStream(mask_id); or one, with application="permutation", '
        "custom_position_ids=True and hierarchical_position=True, in a family whose positions are "
        f"learned and count from 0. This one is {config.model_type} with {mask!r}."
    )


def _ranks(gaps: np.ndarray, order: str | Array, rng: np.random.Generator | None) -> np.ndarray:
    """Return the ranks (B, T) of an order by name, or check those given."""
    if isinstance(order, str):
        if order not in _ORDERS:
            raise ValueError(f"unknown order {order!r}; known are {', '.join(_ORDERS)}, or ranks.")
        if order == "random":
            return random_ranks(gaps, rng)
        steps = np.cumsum(gaps, axis=1)
        if order == "right":
            steps = steps[:, -1:] + 1 - steps
        return np.where(gaps, steps, 0).astype("int32")
    rank = np.asarray(order, "int32")
    if rank.shape != gaps.shape or ((rank > 0) != gaps).any():
        raise ValueError("order must have a rank above 0 in every gap, and 0 everywhere else.")
    return rank


def _choose(
    scores: np.ndarray, temperature: float, rng: np.random.Generator | None, step: int
) -> np.ndarray:
    """Return the best token of each row of scores (N, V), or sample one."""
    if np.isnan(scores).any():
        raise ValueError(f"the model's scores are NaN at step {step}; was its training stable?")
    if not np.isfinite(scores).any(axis=1).all():
        raise ValueError(f"all tokens are banned at step {step}; leave some out of banned_ids.")
    if temperature <= 0:
        return scores.argmax(axis=1)
    if not isinstance(rng, np.random.Generator):
        raise TypeError(f"temperature={temperature} draws, and needs rng=np.random.default_rng(0).")
    # The argmax of scores plus Gumbel noise is a sample from their softmax.
    return (scores / temperature + rng.gumbel(size=scores.shape)).argmax(axis=1)
