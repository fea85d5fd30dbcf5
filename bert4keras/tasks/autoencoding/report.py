"""Report of a latent variable: the bound, and how much of a text the latent holds.

With w_s = log p(x | z_s) + log p(z_s) - log q(z_s | x) and z_1 .. z_S drawn from q(z | x),

    ELBO = mean of w_s  <=  IW_S = log(mean of exp w_s)  <=  log p(x)  (in expectation)

    KL   = mean over texts of KL(q(z | x), p(z)) = I(x; z) + KL(q(z), p(z))

Sources: as of `latent.vae_metrics`.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from ...latent import importance_weighted_bound
from ..base import TaskError

if TYPE_CHECKING:
    from .task import SentenceAutoencoder


def report(
    task: SentenceAutoencoder,
    texts: list[str],
    batch_size: int = 64,
    draws: int = 16,
    seed: int = 0,
    reconstruct: bool = True,
) -> dict[str, float]:
    """Return what the latent variable of a task does on texts.

    Args:
        task: the task.
        texts: texts that it was not trained on.
        batch_size: texts at a time.
        draws: S, number of points from each posterior.
        seed: of the points.
        reconstruct: also write all texts again.

    Returns:
        `loss_per_token`: -ELBO in nats a token, the end token counted; `kl` and
        `mutual_information`, nats a text; `active_units` of a Gaussian latent or `code_perplexity`
        of a discrete one, the number of equally used values with the entropy of those used, a mean
        over the codes; `perplexity`, exp of -IW_S a token; `exact_match`, the share of texts that
        are reconstructed exactly.

    Raises:
        TaskError: no text.
    """
    if not texts:
        raise TaskError("evaluate() got no texts.")
    if draws < 1:
        raise TaskError(f"draws={draws} must be at least 1.")
    rng, posterior = np.random.default_rng(seed), task.posterior(texts, batch_size)
    weights, kls = [], []
    for _ in range(draws):
        points = posterior.draw(rng)
        logs = task.log_likelihoods(texts, posterior.embed(points), batch_size)
        weights.append(np.array([row.sum() for row in logs]) + posterior.log_ratio(points))
        kls.append(posterior.kl(points).mean())
    tokens = sum(len(row) for row in logs)
    bound = importance_weighted_bound(np.stack(weights))
    found = {
        "loss_per_token": -np.mean(weights, axis=0).sum() / tokens,
        "kl": np.mean(kls),
        "mutual_information": posterior.mutual_information(seed),
        **posterior.usage(),
        "perplexity": math.exp(min(-bound.sum() / tokens, 700.0)),
    }
    if reconstruct:
        again = task.write(posterior.embed(posterior.mode), batch_size)
        wanted = [task.tokenizer.decode(task.encode(text).extra) for text in texts]
        found["exact_match"] = np.mean([a == b for a, b in zip(again, wanted, strict=True)])
    return {name: float(value) for name, value in found.items()}
