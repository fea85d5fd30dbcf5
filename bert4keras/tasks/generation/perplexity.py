"""Perplexity: the number of equally likely tokens the model is effectively choosing between."""

from __future__ import annotations

from typing import Any

import numpy as np


def perplexity(log_probabilities: Any, weights: Any = None) -> float:
    """Return `exp(-mean(log_probabilities))`.

    Args:
        log_probabilities: natural logarithms of the tokens' probabilities: an array of any shape,
            or a list of arrays.
        weights: weights of the same shape; 0 leaves a token (padding) out.

    Returns:
        1 if each token had probability 1, V if all V tokens were equally likely, inf if a token had
        probability 0.

    Raises:
        ValueError: shapes differ, there is no token, a weight is negative, or a value is NaN.
    """
    if isinstance(log_probabilities, (list, tuple)):
        return perplexity_of_losses([-np.asarray(row) for row in log_probabilities], weights)
    return perplexity_of_losses(-np.asarray(log_probabilities), weights)


def perplexity_of_losses(losses: Any, weights: Any = None) -> float:
    """Return the exponential of the weighted mean of cross-entropies.

    Args:
        losses: cross-entropies in nats of tokens, or their means over batches: an array, or a list
            of numbers or arrays.
        weights: number of tokens of each loss, in the same shape; by default all equal. Means over
            batches of unequal size need them.

    Returns:
        As `perplexity`.

    Raises:
        ValueError: as `perplexity`.
    """
    losses = _flat(losses)
    weights = np.ones_like(losses) if weights is None else _flat(weights)
    if losses.shape != weights.shape:
        raise ValueError(f"there are {losses.size} values, but {weights.size} weights.")
    if (weights < 0).any() or not weights.sum() > 0:
        raise ValueError("weights must not be negative, and at least one must be above 0.")
    losses = losses[weights > 0]  # values of weight 0 may be infinite or NaN
    if np.isnan(losses).any():
        raise ValueError("a value is NaN.")
    with np.errstate(over="ignore"):
        return float(np.exp(np.average(losses, weights=weights[weights > 0])))


def _flat(values: Any) -> np.ndarray:
    if isinstance(values, (list, tuple)):
        return np.concatenate([np.zeros(0), *(np.ravel(np.asarray(v, "float64")) for v in values)])
    return np.ravel(np.asarray(values, "float64"))
