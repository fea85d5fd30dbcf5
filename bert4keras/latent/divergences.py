"""f-divergences between two distributions, estimated from samples by a critic.

For a convex f with f(1) = 0 and p, q the densities of two distributions,

    D(p || q) = E_q[f(p / q)] >= E_p[T] - E_q[f*(T)]        f*(t) = sup over u of  u t - f(u)

for every function T with values in the domain of f*. Equality holds for T = f'(p / q). So a network
v(x) without constraint, behind an activation g whose range is that domain, gives a lower bound
when it maximises E_p[g(v)] - E_q[f*(g(v))]; both terms are written here as functions of v, of
which none subtracts large numbers.

================= ==================================== ================ =========================
name              f(u)                                 f*(t)            g(v)
================= ==================================== ================ =========================
kl                u log u                              e^(t - 1)        v
reverse_kl        -log u                               -1 - log(-t)     -e^-v
js                (u log u + (u + 1) log(2/(u + 1)))/2 -log(2 - e^2t)/2 (log 2 - log(1 + e^-v))/2
pearson           (u - 1)^2                            t + t^2 / 4      v
squared_hellinger (sqrt u - 1)^2                       t / (1 - t)      1 - e^-v
gan               u log u - (u + 1) log(u + 1)         -log(1 - e^t)    -log(1 + e^-v)
wasserstein       none                                 t                v
================= ==================================== ================ =========================

`js` is the Jensen-Shannon divergence, between 0 and log 2. `gan` is 2 JS - log 4 (its f(1) is not
0), the bound of the first GAN. `wasserstein` is no f-divergence: the bound is that of the
Wasserstein distance if v changes no faster than x, which a gradient penalty approximates.

Source: Nowozin, Cseke, Tomioka, f-GAN, 2016 (arXiv:1606.00709); https://kexue.fm/archives/6016.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable

from keras import ops

from .._types import Tensor
from ..losses.precision import float32_or_wider

_TANGENT_FROM = 10.0


def _exp(v: Tensor) -> Tensor:
    """Return e^v, continued by its tangent from v = 10, so that a wild critic gives no infinity."""
    low = ops.minimum(v, _TANGENT_FROM)
    return ops.exp(low) * (1 + v - low)


@dataclasses.dataclass(frozen=True)
class Divergence:
    """A divergence of p (real) from q (fake), as two functions of the critic's output v.

    Attributes:
        name: name in the table above.
        real: g(v), of samples of p; v of any shape.
        fake: f*(g(v)), of samples of q.
    """

    name: str
    real: Callable[[Tensor], Tensor]
    fake: Callable[[Tensor], Tensor]

    def bound(self, real: Tensor, fake: Tensor) -> Tensor:
        """Return E_p[g(v)] - E_q[f*(g(v))], a float scalar, which the critic maximises.

        Args:
            real, fake: v of samples of p and of q, any shapes.
        """
        real, fake = float32_or_wider(real), float32_or_wider(fake)
        return ops.mean(self.real(real)) - ops.mean(self.fake(fake))

    def generator_loss(self, fake: Tensor) -> Tensor:
        """Return -E_q[g(v)], a float scalar, which the generator minimises.

        The bound itself barely depends on the generator while the critic recognises every fake.
        This loss has the same fixed point and is steep there (section 3.2 of the source).

        Args:
            fake: v of samples of q, any shape.
        """
        return -ops.mean(self.real(float32_or_wider(fake)))


def _softplus(v: Tensor) -> Tensor:
    return ops.logaddexp(v, 0.0)


_ALL = (
    Divergence("kl", lambda v: v, lambda v: _exp(v - 1)),
    Divergence("reverse_kl", lambda v: -_exp(-v), lambda v: v - 1),
    Divergence(
        "js",
        lambda v: (math.log(2) - _softplus(-v)) / 2,
        lambda v: (_softplus(v) - math.log(2)) / 2,
    ),
    Divergence("pearson", lambda v: v, lambda v: v + ops.square(v) / 4),
    Divergence("squared_hellinger", lambda v: 1 - _exp(-v), lambda v: _exp(v) - 1),
    Divergence("gan", lambda v: -_softplus(-v), _softplus),
    Divergence("wasserstein", lambda v: v, lambda v: v),
)
DIVERGENCES = {one.name: one for one in _ALL}
"""Name -> divergence."""


def get_divergence(name: str | Divergence) -> Divergence:
    """Return a divergence by its name in the table above.

    Raises:
        ValueError: there is none of this name.
    """
    if isinstance(name, Divergence):
        return name
    if name not in DIVERGENCES:
        raise ValueError(f"no divergence {name!r}; known: {', '.join(DIVERGENCES)}.")
    return DIVERGENCES[name]
