"""Fixtures that more than one part of the tests uses."""

from __future__ import annotations

import os
from pathlib import Path

import hypothesis
import keras
import numpy as np
import pytest

FIXTURES = Path(__file__).parent / "fixtures"

# The first example of a property compiles a model, so a limit per example says nothing.
hypothesis.settings.register_profile("default", deadline=None)
hypothesis.settings.load_profile("default")


@pytest.fixture(autouse=True)
def fixed_seed():
    """Every test starts from the same random state, whatever ran before it."""
    keras.utils.set_random_seed(0)


@pytest.fixture(autouse=True)
def float32_policy():
    """No test inherits the dtype policy of another."""
    before = keras.config.dtype_policy()
    yield
    keras.config.set_dtype_policy(before)


@pytest.fixture(scope="session")
def fixtures() -> Path:
    """Directory of the recorded checkpoints and reference values."""
    return FIXTURES


@pytest.fixture(scope="session")
def load_reference():
    """Reads the reference values of a checkpoint by its name."""

    def read(name: str) -> dict[str, np.ndarray]:
        with np.load(FIXTURES / name / "reference.npz") as arrays:
            return dict(arrays)

    return read


@pytest.fixture(scope="session")
def minilm() -> Path:
    """Directory of the pretrained MiniLM that `scripts/test` fetched.

    A test downloads nothing: where the checkpoint is absent it is skipped, and in CI it fails.
    """
    import minilm as script  # scripts/minilm.py

    directory = Path(os.environ.get("BERT4KERAS_MINILM") or script.CACHE)
    try:
        script.verify(directory, hint="`python scripts/minilm.py` fetches it")
    except script.CheckpointError as error:
        (pytest.fail if os.environ.get("CI") else pytest.skip)(str(error))
    return directory
