"""Order of the samples in an epoch: a function of the seed and of the number of the epoch.

It depends on nothing else, in particular not on the process or on the epochs before, so training
that is resumed at epoch n continues with the same batches. The difficulty is to know n: Keras asks
for batches by index without telling the epoch. It is read from the running `fit` (`TrainerCall`).
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np

from .._compat import TrainerCall, disable_shuffle


class EpochOrder:
    """Counter of epochs with the random generator of each.

    In the first `fit` of a process, an epoch has the number e that Keras gives it, also after
    `initial_epoch`. A later `fit` continues the count: after n epochs, the number of its epoch e is
    e + max(0, n - initial_epoch).

    Args:
        seed: seed of all orders; None draws it from NumPy's global generator.

    Attributes:
        epoch: number of the next epoch.
        skipped: number of its batches that an earlier process has used; `forfit` leaves them out.
    """

    def __init__(self, seed: int | None = None):
        self.seed = int(np.random.randint(2**31)) if seed is None else seed
        self.epoch = self.skipped = 0
        self._base: int | None = None  # number of epoch 0 of the running fit

    def random(self, epoch: int) -> np.random.Generator:
        """Return the random generator of an epoch."""
        return np.random.default_rng((self.seed, epoch))

    def advance(self) -> int:
        """Begin an epoch and return its number."""
        self.epoch += 1
        return self.epoch - 1

    def now(self, call: TrainerCall | None) -> int:
        """Return the number of the epoch for which a batch is asked by index."""
        if call is None or call.epoch is None:
            if call is not None and call.name == "fit":
                self._base = None
            return self.epoch
        base = self._base
        if base is None:  # the first epoch; a thread of a worker may not know its number
            base = max(0, self.epoch - call.arguments["initial_epoch"])
        self.epoch = base + call.epoch
        return self.epoch

    def ended(self, dataset: Any, call: TrainerCall | None) -> None:
        """Count an epoch. Keras calls this at the end of each, and once before the first."""
        disable_shuffle(dataset)
        if call is None:
            self.epoch += 1
        elif call.name == "fit":
            number = self.now(call)
            if call.epoch is not None:
                self.epoch, self._base = number + 1, number - call.epoch


def buffered_shuffle(samples: Iterable[Any], size: int, seed: str) -> Iterator[Any]:
    """Shuffle samples whose number is unknown, with a buffer.

    Each sample replaces a random one of the full buffer, which is yielded. So a sample is yielded
    at most `size` places earlier than in the data, but any number of places later.
    """
    generator, buffer = random.Random(seed), []
    for sample in samples:
        if len(buffer) < size:
            buffer.append(sample)
            continue
        place = generator.randrange(size)
        buffer[place], sample = sample, buffer[place]
        yield sample
    generator.shuffle(buffer)
    yield from buffer


def check_whole_epochs(call: TrainerCall | None, steps: int) -> None:
    """Raise ValueError if `steps_per_epoch` of a `fit` is not the number of batches.

    Such an epoch would begin in the middle of an order, and in another place after a restart.
    """
    asked = call.arguments.get("steps_per_epoch") if call and call.name == "fit" else None
    if asked in (None, steps) or call.arguments.get("epochs", 1) == 1:
        return
    raise ValueError(
        f"fit got steps_per_epoch={asked}, but an epoch of its DataGenerator has {steps} batches. "
        "Use model.fit(generator.forfit(), steps_per_epoch=...), whose next epoch continues with "
        "the following batches."
    )


def check_resumed(call: TrainerCall | None, began_at: int) -> bool:
    """Raise ValueError if a resumed `fit` gets batches of epoch 0.

    Args:
        call: the running call; None if unknown.
        began_at: epoch and batch, added, at which `forfit` began; 0 is the first batch of all.

    Returns:
        True if the call tells its epoch, so that no further check is needed.
    """
    if call is None or call.epoch is None:
        return False
    resumed = call.arguments["initial_epoch"]
    if resumed and not began_at:
        raise ValueError(
            f"fit resumes at epoch {resumed}, but forfit() began with the data of epoch 0. Make "
            "bert4keras.training.BackupAndRestore(directory, generator) before the first batch is "
            "taken from forfit(), or give fit the generator itself."
        )
    return True
