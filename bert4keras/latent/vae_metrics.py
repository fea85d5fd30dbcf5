"""Diagnostics of variational autoencoders: does the code of a sample say anything about it?

Symbols: N samples x, D dimensions of the code z, q(z|x) = N(mu(x), s^2(x)) the encoder, p(z) =
N(0, I) the prior, q(z) the mean of q(z|x) over the samples.

    KL of a sample        KL(q(z|x) | p(z))
    mutual information    I_q(x; z) = mean of KL(q(z|x) | p(z)) - KL(q(z) | p(z))
    active units          dimensions with Var_x(mu) above a threshold
    importance-weighted   log (1/K sum_k w_k),  w_k = p(x, z_k) / q(z_k|x),  z_k ~ q(z|x)

The importance-weighted bound lies between the ELBO (K = 1) and log p(x), and rises with K.

Source: Burda et al., Importance Weighted Autoencoders, 2016 (arXiv:1509.00519), for bound and
active units; Hoffman and Johnson, ELBO surgery, 2016, for the mutual information, estimated as by
He et al., 2019 (arXiv:1901.05534).
"""

from __future__ import annotations

import numpy as np

from .._types import Array

_COMPARED_ROWS = 256  # samples compared with all others at a time


def active_units(mean: Array, threshold: float = 0.01) -> int:
    """Count the dimensions of the code that depend on the sample.

    Args:
        mean: mu of N samples, (N, D).
        threshold: variance over the samples above which a dimension is active.
    """
    return int((np.var(np.asarray(mean, "float64"), axis=0) > threshold).sum())


def mutual_information(mean: Array, log_var: Array, seed: int = 0) -> float:
    """Return an estimate of I_q(x; z) in nats, at most log N.

    It is the mean of log q(z|x) - log q(z) with one z for each sample.

    Args:
        mean: mu, (N, D).
        log_var: log s^2, (N, D).
        seed: of the codes that are drawn.
    """
    mean, log_var = np.asarray(mean, "float64"), np.asarray(log_var, "float64")
    noise = np.random.default_rng(seed).normal(size=mean.shape)
    z = mean + np.exp(log_var / 2) * noise
    precision = np.exp(-log_var)
    # log q(z_i|x_j) for all pairs by products of matrices; terms of log 2 pi cancel.
    constant = (mean**2 * precision + log_var).sum(1)
    total = 0.0
    for start in range(0, len(z), _COMPARED_ROWS):
        rows = z[start : start + _COMPARED_ROWS]
        logs = -(rows**2 @ precision.T - 2 * rows @ (mean * precision).T + constant) / 2
        own = np.diagonal(logs, offset=start)
        total += (own - _log_mean_exp(logs.T)).sum()
    return float(total / len(z))


def importance_weighted_bound(log_weights: Array) -> Array:
    """Return the importance-weighted bound of log p(x), float64 (N,).

    Args:
        log_weights: log p(x, z_k) - log q(z_k|x) of K codes of each sample, (K, N).
    """
    return _log_mean_exp(np.asarray(log_weights, "float64"))


def _log_mean_exp(logs: Array) -> Array:
    """Return the logarithm of the mean exponential over the first axis."""
    highest = logs.max(axis=0)
    return highest + np.log(np.exp(logs - highest).mean(axis=0))
