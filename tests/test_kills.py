"""Savers killed at random times leave one complete version; the next save removes the rest."""

from __future__ import annotations

import keras
import pytest

from helpers import kills

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not hasattr(__import__("os"), "fork"), reason="forks"),
    # The processes choose their own backend, so one backend's turn is enough.
    pytest.mark.skipif(keras.backend.backend() != "jax", reason="the same on all backends"),
]


@pytest.mark.parametrize("case", kills.CASES)
def test_kills(tmp_path, case):
    found = kills.run(case, tmp_path)
    assert found["files"] == found["expected"]  # nothing hidden is left after the next save
    # Of the last killed save of each file at most; and the kills did hit saves.
    assert 1 <= max(found["hidden"]) <= len(found["files"])
    assert found["versions"] == sorted(found["versions"])
    assert found["versions"][-1] > kills.KILLS // 3
    assert found["read"] == 1
