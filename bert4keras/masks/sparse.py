"""Sparse strategies: a position sees only keys at some distances, which `Mask.bands` declares.

Attention layers that know the bands compute only these keys, see `bands`. `left & right` keeps the
bands of one side and evaluates the other rule inside them: `Sparse(32) & LM()` is causal.
"""

from __future__ import annotations

import dataclasses

from keras import ops

from .._serialization import serializable
from .bands import Band
from .base import Mask


def _check_number(mask: Mask, name: str, value: object, smallest: int) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or value < smallest:
        raise ValueError(
            f"{type(mask).__name__} takes a whole number of at least {smallest} as `{name}`, "
            f"not {value!r}."
        )


class _Banded(Mask):
    """A mask whose rule is to be in one of its bands."""

    def rule(self, pairs, inputs):
        found = None
        for band in self.bands:
            inside = band.contains(pairs.distance)
            found = inside if found is None else ops.logical_or(found, inside)
        return found


@serializable
@dataclasses.dataclass(frozen=True)
class Window(_Banded):
    """Local attention: from q, the positions `q - left ... q + right` are visible.

    Args:
        left: distance to the first visible token before q, in tokens.
        right: distance to the last visible token after q; None means `left`.

    Source: Beltagy et al., Longformer, 2020 (arXiv:2004.05150).
    """

    left: int
    right: int | None = None

    def __post_init__(self):
        for side in (self.left, self.right):
            if side is not None and (not isinstance(side, int) or side < 0):
                raise ValueError(f"Window takes non-negative whole numbers of tokens, not {side!r}")

    @property
    def bands(self):
        return (Band(1, self.left, self.left if self.right is None else self.right),)


@serializable
@dataclasses.dataclass(frozen=True)
class Local(_Banded):
    """Dilated window: the nearest `neighbours` on each side among those at multiples of `rate`.

    Args:
        neighbours: visible tokens on each side; the furthest is at distance `neighbours * rate`.
        rate: distance from one to the next, in tokens.

    Source: https://kexue.fm/archives/6853.
    """

    neighbours: int
    rate: int = 1

    def __post_init__(self):
        _check_number(self, "neighbours", self.neighbours, 0)
        _check_number(self, "rate", self.rate, 1)

    @property
    def bands(self):
        return (Band(self.rate, self.neighbours, self.neighbours),)


@serializable
@dataclasses.dataclass(frozen=True)
class Atrous(_Banded):
    """Strided attention: all positions at a multiple of `rate` from q are visible.

    Args:
        rate: distance from one visible token to the next, in tokens.

    Source: https://kexue.fm/archives/6853.
    """

    rate: int

    def __post_init__(self):
        _check_number(self, "rate", self.rate, 1)

    @property
    def bands(self):
        return (Band(self.rate),)


@serializable
@dataclasses.dataclass(frozen=True)
class Sparse(_Banded):
    """Local and strided attention in one: distances below `rate`, and all multiples of it.

    Two blocks of a model connect all positions, the first to the place in the text and the second
    within it.

    Args:
        rate: first distance that is not local, and step of the strided part, in tokens.

    Source: Child et al., Sparse Transformers, 2019 (arXiv:1904.10509); this form:
    https://kexue.fm/archives/6853.
    """

    rate: int

    def __post_init__(self):
        _check_number(self, "rate", self.rate, 1)

    @property
    def bands(self):
        return (Band(1, self.rate - 1, self.rate - 1), Band(self.rate))
