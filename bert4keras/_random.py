"""Random numbers that can be drawn again."""

from __future__ import annotations

from typing import Any

import keras


class DrawnSeed(keras.random.SeedGenerator):
    """A generator that always gives one seed, drawn earlier from another.

    A function computed twice (`keras.remat`) must draw the same numbers both times; `keras.random`
    takes no seed that is a tensor, only generators.
    """

    def __init__(self, seed: Any):
        self.seed = seed
        self._initial_seed = 0  # torch's dropout asks whether there is one

    def next(self, ordered: bool = True) -> Any:
        return self.seed
