"""Models shared by the tests of checkpoints."""

from __future__ import annotations

import numpy as np
import pytest

from bert4keras.checkpoints import save
from helpers.named_weights import Bag, arrays_of, weight_shapes


@pytest.fixture
def model() -> Bag:
    return Bag(weight_shapes())


@pytest.fixture
def other() -> Bag:
    """A model with the same weights and other values."""
    return Bag(weight_shapes(), seed=1)


@pytest.fixture
def stored(tmp_path, other) -> dict[str, np.ndarray]:
    """A Hugging Face state dict of `other`."""
    save(other, tmp_path / "stored")
    return arrays_of(tmp_path / "stored")
