"""Posteriors q(z | x) of N texts in numpy, for reports, samples and walks.

A point is what q is a distribution of: a vector z (Z,), or codes (M,). `embed` makes of points the
vectors that the decoder takes.

Symbols: N texts, U units of a point (Z numbers or M codes), Z size of the decoder's vectors.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from .code_prior import draw_categories
from .vae_metrics import active_units, importance_weighted_bound, mutual_information

if TYPE_CHECKING:
    from .code_prior import CodePrior


class Posterior:
    """Base class of posteriors."""

    def __len__(self) -> int:
        raise NotImplementedError

    @property
    def mode(self) -> np.ndarray:
        """The likeliest points, (N, U)."""
        raise NotImplementedError

    def draw(self, rng: np.random.Generator) -> np.ndarray:
        """Draw one point of each text, (N, U)."""
        raise NotImplementedError

    def embed(self, points: np.ndarray) -> np.ndarray:
        """Return the decoder's vectors of points, float32 (..., Z)."""
        raise NotImplementedError

    def log_ratio(self, points: np.ndarray) -> np.ndarray:
        """Return log p(z) - log q(z | x) of one point of each text, (N,)."""
        raise NotImplementedError

    def mutual_information(self, seed: int = 0) -> float:
        """Return I_q(x; z) in nats, at most log N, estimated with one point of each text."""
        raise NotImplementedError

    def usage(self) -> dict[str, float]:
        """Return how many units, or values of the codes, are in use, by name."""
        raise NotImplementedError

    def kl(self, points: np.ndarray) -> np.ndarray:
        """Return KL(q(z | x), p(z)) of each text, (N,).

        Args:
            points: a draw; the KL of codes depends on it, and is unbiased over draws.
        """
        raise NotImplementedError

    def between(self, first: int, second: int, steps: int, spherical: bool) -> np.ndarray:
        """Return points on the way from one text's mode to another's, (steps, U), both included."""
        raise NotImplementedError


class GaussianPosterior(Posterior):
    """q(z | x) = N(mean, exp(log_var)), with the prior N(0, I).

    Args:
        mean, log_var: (N, Z).
    """

    def __init__(self, mean: np.ndarray, log_var: np.ndarray):
        self.mean, self.log_var = mean, log_var

    def __len__(self):
        return len(self.mean)

    @property
    def mode(self):
        return self.mean

    def draw(self, rng):
        return self.mean + np.exp(self.log_var / 2) * rng.standard_normal(self.mean.shape)

    def embed(self, points):
        return points.astype("float32")

    def log_ratio(self, points):
        squared = (points - self.mean) ** 2 / np.exp(self.log_var)
        return 0.5 * (squared + self.log_var - points**2).sum(axis=1)

    def mutual_information(self, seed=0):
        return mutual_information(self.mean, self.log_var, seed)

    def usage(self):
        return {"active_units": float(active_units(self.mean))}

    def kl(self, points):
        return 0.5 * (self.mean**2 + np.exp(self.log_var) - 1 - self.log_var).sum(axis=1)

    def between(self, first, second, steps, spherical):
        a, b = self.mean[first], self.mean[second]
        share = np.linspace(0, 1, steps)[:, None]
        product = np.linalg.norm(a) * np.linalg.norm(b)
        angle = math.acos(np.clip(a @ b / product, -1, 1)) if spherical and product else 0.0
        if not 1e-6 < angle < math.pi - 1e-6:
            return (1 - share) * a + share * b
        return (np.sin((1 - share) * angle) * a + np.sin(share * angle) * b) / math.sin(angle)


class CodePosterior(Posterior):
    """q(c | x) = prod over m of q(c_m | x).

    Args:
        logs: log q of each value of each code, (N, M, K); minus infinity for those that are not
            possible.
        table: vectors of all codes, (M, K, E).
        prior: p(c).
    """

    def __init__(self, logs: np.ndarray, table: np.ndarray, prior: CodePrior):
        self.logs, self.table, self._prior = logs, table, prior

    def __len__(self):
        return len(self.logs)

    @property
    def mode(self):
        return self.logs.argmax(axis=-1)

    def draw(self, rng):
        return draw_categories(self.logs, rng)

    def embed(self, points):
        vectors = self.table[np.arange(len(self.table)), points]
        return vectors.reshape(*points.shape[:-1], -1).astype("float32")

    def _log_prior(self, points: np.ndarray) -> np.ndarray:
        """Return log p of each value of each code, given the codes before it, (N, M, K)."""
        from keras import ops

        vectors = self.embed(points).reshape(*points.shape, -1)
        return np.asarray(ops.convert_to_numpy(self._prior(ops.convert_to_tensor(vectors))))

    def log_ratio(self, points):
        ratio = self._log_prior(points) - np.where(np.isfinite(self.logs), self.logs, 0.0)
        return np.take_along_axis(ratio, points[..., None], axis=-1).sum(axis=(1, 2))

    def mutual_information(self, seed=0):
        points = self.draw(np.random.default_rng(seed))
        logs = np.zeros((len(points), len(self)))  # log q(c_i | x_j) of all pairs
        for place in range(points.shape[1]):
            logs += self.logs[:, place, points[:, place]].T
        return float((np.diagonal(logs) - importance_weighted_bound(logs.T)).mean())

    def usage(self):
        share = np.exp(self.logs).mean(axis=0)
        entropy = -(share * np.log(np.maximum(share, 1e-300))).sum(axis=-1)
        return {"code_perplexity": float(np.exp(entropy).mean())}

    def kl(self, points):
        finite = np.where(np.isfinite(self.logs), self.logs, 0.0)
        return (np.exp(self.logs) * (finite - self._log_prior(points))).sum(axis=(1, 2))

    def between(self, first, second, steps, spherical):
        a, b = self.mode[first], self.mode[second]
        differ = np.flatnonzero(a != b)
        points = np.tile(a, (steps, 1))
        for step, share in enumerate(np.linspace(0, 1, steps)):
            changed = differ[: round(share * len(differ))]
            points[step, changed] = b[changed]
        return points
