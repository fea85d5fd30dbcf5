"""Recomputation of activations, which the environment variable RECOMPUTE turned on."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import TypeVar

_Call = TypeVar("_Call", bound=Callable)


def recompute_grad(call: _Call) -> _Call:
    """Return the method `call` of a layer as it is.

    In 0.11 it computed activations again in the backward pass if RECOMPUTE was "1".

    Raises:
        ValueError: RECOMPUTE is "1"; the message says how to do it now.
    """
    if os.environ.get("RECOMPUTE") == "1":
        raise ValueError(
            "RECOMPUTE=1 has no effect any longer: pass remat=True to build_transformer_model, or "
            "build your own layers within keras.RematScope()."
        )
    return call
