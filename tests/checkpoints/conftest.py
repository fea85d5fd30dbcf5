"""Models shared by the tests of checkpoints."""

from __future__ import annotations

import pytest

from helpers.named_weights import Bag, weight_shapes


@pytest.fixture
def model() -> Bag:
    return Bag(weight_shapes())


@pytest.fixture
def other() -> Bag:
    """The same weights with other values."""
    return Bag(weight_shapes(), seed=1)
