"""Tests that run on one backend: each has its turn on exactly one, torch has most."""

from __future__ import annotations

import keras
import pytest

from helpers.spread import SHARES, runs_here

pytestmark = pytest.mark.spread
NAMES = [f"tests/test_{i}.py::test" for i in range(600)]


@pytest.fixture
def turns(monkeypatch):
    """Backends that run a test, of those in SPREAD_OVER."""

    def of(name: str, backends: str, over: str = "") -> list[str]:
        monkeypatch.setenv("SPREAD_OVER", backends)
        found = []
        for backend in SHARES:
            monkeypatch.setattr(keras.backend, "backend", lambda backend=backend: backend)
            found += [backend] * runs_here(name, over)
        return found

    return of


@pytest.mark.parametrize("over", ["", "tensorflow jax", "jax"])
def test_each_runs_on_one(turns, over):
    found = [turns(name, "tensorflow jax torch", over) for name in NAMES]
    assert all(len(one) == 1 for one in found)
    chosen = {backend for (backend,) in found}
    assert chosen == set(over.split() or SHARES)


def test_shares(turns):
    found = [turns(name, "tensorflow jax torch")[0] for name in NAMES]
    for backend, share in SHARES.items():
        assert abs(found.count(backend) / len(NAMES) - share / sum(SHARES.values())) < 0.04


def test_without_a_choice_each_runs_everywhere(turns):
    for backends in ("", "torch"):
        assert turns(NAMES[0], backends) == list(SHARES)
    assert turns(NAMES[0], "jax torch", "tensorflow") in (["jax"], ["torch"])
