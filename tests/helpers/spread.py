"""Choice of the backend for a test that needs to run on only one."""

from __future__ import annotations

import os
import zlib

import keras

# Of so many tests that may run anywhere: torch compiles no model, and is several times as quick;
# the others need up to half a minute for each of those that build a model.
SHARES = {"tensorflow": 1, "jax": 1, "torch": 22}


def runs_here(name: str, over: str = "") -> bool:
    """Tell whether this backend is the one that runs a test.

    `scripts/test` names the backends of a test run in SPREAD_OVER, and each test has its turn on
    one of them by its name; without that it runs on every backend.

    Args:
        name: of the test, or of a group of tests.
        over: backends with blanks between, those that compile, say: the test has its turn on one
            of these if one is in SPREAD_OVER.
    """
    backends = os.environ.get("SPREAD_OVER", "").split()
    if len(backends) < 2:
        return True
    backends = [backend for backend in backends if backend in over.split()] or backends
    turns = [backend for backend in backends for _ in range(SHARES[backend])]
    return turns[zlib.crc32(name.encode()) % len(turns)] == keras.backend.backend()
