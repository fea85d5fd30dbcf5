"""Optimizers and what extends them, transcribed from their formulas in float64 numpy.

Each function takes first weights {path: array}, then gradients, one such dict an update, and
returns the weights after each update. Those that extend do so to Adam; `rate` is of its steps.
"""

from __future__ import annotations

import numpy as np

BETA_1, BETA_2, EPSILON = 0.9, 0.999, 1e-7


class Adam:
    """The moments of one run; `step` gives the update of one weight without the rate."""

    def __init__(self, corrected: bool = True, epsilon: float = EPSILON, hat: bool = True):
        self.m, self.v, self.corrected, self.epsilon = {}, {}, corrected, epsilon
        self.hat = hat  # Keras' epsilon is the "epsilon hat" of the paper

    def step(self, path, gradient, t):
        self.m[path] = BETA_1 * self.m.get(path, 0) + (1 - BETA_1) * gradient
        self.v[path] = BETA_2 * self.v.get(path, 0) + (1 - BETA_2) * gradient**2
        m, v, epsilon = self.m[path], self.v[path], self.epsilon
        if self.corrected:
            m, v = m / (1 - BETA_1**t), v / (1 - BETA_2**t)
            epsilon = epsilon / np.sqrt(1 - BETA_2**t) if self.hat else epsilon
        return m / (np.sqrt(v) + epsilon)


def over_updates(weights, gradients, update):
    """Run `update(t, path, weight, gradient) -> weight` and note all weights after each t."""
    weights, history = {p: w.astype("float64") for p, w in weights.items()}, []
    for t, now in enumerate(gradients, 1):
        weights = {p: update(t, p, w, now[p].astype("float64")) for p, w in weights.items()}
        history.append(weights)
    return history


def adam(
    weights, gradients, rate, corrected=True, decay=None, factors=None, schedule=None, own=False
):
    """`decay(path)` is lambda, `factors(path)` multiplies the rate, `schedule(t)` from t = 0.

    With `own` the epsilon is that of the package's Adam, else that of Keras.
    """
    moments = Adam(corrected, 1e-6, hat=False) if own else Adam(corrected)

    def update(t, path, w, g):
        now = rate * (schedule(t - 1) if schedule else 1) * (factors(path) if factors else 1)
        return w - now * (moments.step(path, g, t) + (decay(path) if decay else 0) * w)

    return over_updates(weights, gradients, update)


def lamb(weights, gradients, rate, decay, adapted, corrected=True, decay_in_ratio=True):
    moments = {}

    def update(t, path, w, g):
        m, v = moments.get(path, (0, 0))
        m, v = BETA_1 * m + (1 - BETA_1) * g, BETA_2 * v + (1 - BETA_2) * g**2
        moments[path] = m, v
        if corrected:
            m, v = m / (1 - BETA_1**t), v / (1 - BETA_2**t)
        h = m / (np.sqrt(v) + 1e-6)
        whole = h + decay(path) * w
        length = np.linalg.norm(whole if decay_in_ratio else h)
        usable = adapted(path) and length > 0 and np.linalg.norm(w) > 0
        return w - rate * (np.linalg.norm(w) / length if usable else 1) * whole

    return over_updates(weights, gradients, update)


def layer_adaptation(weights, gradients, rate, decay, adapted):
    """Adam's step with decay, scaled to the length of the weights."""
    moments = Adam()

    def update(t, path, w, g):
        h = moments.step(path, g, t) + decay(path) * w
        ratio = np.linalg.norm(w) / np.linalg.norm(h) if adapted(path) else 1
        return w - rate * (ratio if ratio > 0 else 1) * h

    return over_updates(weights, gradients, update)


def lookahead(weights, gradients, rate, k, alpha, from_zero=False):
    """`from_zero` is the defect of public code: slow weights of 0, synced at the first update."""
    moments = Adam()
    slow = {p: np.zeros_like(w) if from_zero else w for p, w in weights.items()}

    def update(t, path, w, g):
        w = w - rate * moments.step(path, g, t)
        if (t - 1 if from_zero else t) % k == 0:
            w = slow[path] = slow[path] + alpha * (w - slow[path])
        return w

    return over_updates(weights, gradients, update)


def lazy(weights, gradients, rate, keep, paths):
    """Rows with a gradient of 0 stay, with `keep` their moments, too."""
    moments = Adam()

    def update(t, path, w, g):
        before = [np.array(x.get(path, np.zeros_like(g))) for x in (moments.m, moments.v)]
        new = w - rate * moments.step(path, g, t)
        if path not in paths:
            return new
        still = (g == 0).all(axis=1)
        if keep:
            moments.m[path][still], moments.v[path][still] = before[0][still], before[1][still]
        new[still] = w[still]
        return new

    return over_updates(weights, gradients, update)


def averages(history, momentum, corrected=True, start=None):
    """The averages after each update of weights that went through `history`."""
    average = start or {p: np.zeros_like(w) for p, w in history[0].items()}
    found = []
    for t, weights in enumerate(history, 1):
        average = {p: momentum * average[p] + (1 - momentum) * w for p, w in weights.items()}
        scale = 1 / (1 - momentum**t) if corrected else 1
        found.append({p: a * scale for p, a in average.items()})
    return found
