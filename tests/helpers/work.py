"""Functions that the tests send to other processes, which import them from here."""

from __future__ import annotations

import os
import random

import numpy as np


def square(x: int) -> int:
    return x * x


def draw(_) -> tuple[float, float]:
    return random.random(), float(np.random.random())


def process_id(_) -> int:
    return os.getpid()


def fail(x):
    raise LookupError(f"no {x}")


def die(_):
    os._exit(3)
