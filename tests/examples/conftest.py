"""Which backend runs which script."""

from __future__ import annotations

import os
import zlib

import keras
import pytest

BACKENDS = ("tensorflow", "jax", "torch")


def pytest_collection_modifyitems(items):
    """Each test marked `script` runs on one backend only, chosen by its name, unless EXAMPLES=all.

    A script imports, builds and compiles a model of its own, which takes most of a minute. What it
    is made of is tested on all backends, so that a test run over the three runs each script once.
    """
    if os.environ.get("EXAMPLES") == "all":
        return
    for item in items:
        if item.get_closest_marker("script"):
            turn = BACKENDS[zlib.crc32(item.nodeid.encode()) % len(BACKENDS)]
            if turn != keras.backend.backend():
                item.add_marker(pytest.mark.skip(reason=f"{turn} runs it; EXAMPLES=all runs all"))
