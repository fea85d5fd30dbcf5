"""Perplexity: the number of equally likely tokens the model is effectively choosing between."""

from __future__ import annotations

from typing import Any

import numpy as np


def perplexity(log_probabilities: Any, weights: Any = None) -> float:
    """Return the exp of the mean of minus the log-probabilities.

    Args:
        log_probabilities: natural logarithms of the probabilities that the tokens had, in an array
            of any shape, or a list of arrays of unequal lengths.
        weights: a weight for each, of the same shape; 0 leaves a token (padding) out.

    Returns:
        1 if every token was certain, V if all V tokens were equally probable; inf if one had none.

    Raises:
        ValueError: shapes that differ, no token, a negative weight, NaN.
    """
    if isinstance(log_probabilities, (list, tuple)):
        return perplexity_of_losses([-np.asarray(row) for row in log_probabilities], weights)
    return perplexity_of_losses(-np.asarray(log_probabilities), weights)


def perplexity_of_losses(losses: Any, weights: Any = None) -> float:
    """Return the exp of the weighted mean of cross entropies.

    Args:
        losses: cross entropies in nats, of single tokens or means over batches: an array, or a
            list of numbers or arrays.
        weights: how many tokens each stands for, of the same shape; by default all alike. Means
            over batches of unequal size need them.

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
    losses = losses[weights > 0]  # what a weight leaves out may be anything, infinite too
    if np.isnan(losses).any():
        raise ValueError("a value is NaN.")
    with np.errstate(over="ignore"):
        return float(np.exp(np.average(losses, weights=weights[weights > 0])))


def _flat(values: Any) -> np.ndarray:
    if isinstance(values, (list, tuple)):
        return np.concatenate([np.zeros(0), *(np.ravel(np.asarray(v, "float64")) for v in values)])
    return np.ravel(np.asarray(values, "float64"))
