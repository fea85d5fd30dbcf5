"""Which order an epoch has: a function of the seed and of the epoch's number, in any process."""

from __future__ import annotations

from typing import Any

import numpy as np

from .._compat import TrainerCall, keep_order, trainer_call


class EpochOrder:
    """Counts epochs, also in a `fit` that does not begin at epoch 0, and draws their orders.

    Within a `fit`, an epoch has the number that it has there. Another `fit` in the same process
    goes on behind the epochs before, unless its `initial_epoch` says otherwise.

    Args:
        seed: of all orders; taken from NumPy's generator if None.

    Attributes:
        epoch: number of the next epoch.
        skipped: batches of it that an earlier process has seen, of `forfit`.
    """

    def __init__(self, seed: int | None = None):
        self.seed = int(np.random.randint(2**31)) if seed is None else seed
        self.epoch = self.skipped = 0
        self._base: int | None = None  # number of the epoch 0 of the running fit

    def random(self, epoch: int) -> np.random.Generator:
        """The generator of an epoch's order."""
        return np.random.default_rng((self.seed, epoch))

    def advance(self) -> int:
        """The number of the epoch that begins now."""
        self.epoch += 1
        return self.epoch - 1

    def now(self, call: TrainerCall | None) -> int:
        """The number of the epoch for which batches are made, by their index."""
        if call is None or call.epoch is None:
            if call is not None and call.name == "fit":
                self._base = None
            return self.epoch
        if self._base is None:
            self._base = max(0, self.epoch - call.arguments["initial_epoch"])
        self.epoch = self._base + call.epoch
        return self.epoch

    def ended(self, dataset: Any) -> None:
        """Called where Keras says that an epoch has ended, and once before the first one."""
        keep_order(dataset)
        call = trainer_call()
        if call is None:
            self.epoch += 1
        elif call.name == "fit":
            number = self.now(call)
            self.epoch = number if call.epoch is None else number + 1


def check_whole_epochs(call: TrainerCall | None, steps: int) -> None:
    """Refuse epochs of another length in a `fit` that asks for batches by their index.

    Raises:
        ValueError: they would begin in the middle of an order, and after a restart elsewhere.
    """
    asked = call.arguments.get("steps_per_epoch") if call and call.name == "fit" else None
    if asked in (None, steps) or call.arguments.get("epochs", 1) == 1:
        return
    raise ValueError(
        f"fit got steps_per_epoch={asked} and a DataGenerator of {steps} batches, whose epochs it "
        "would cut; use model.fit(generator.forfit(), steps_per_epoch=...), which goes on where it "
        "stopped."
    )


def check_resumed(call: TrainerCall | None, began_at: int) -> bool:
    """Refuse a `fit` that resumes with batches from the beginning, drawn before it resumed.

    Args:
        call: the running one.
        began_at: 0 where the batches began with the first of all.

    Returns:
        Whether the question is settled.

    Raises:
        ValueError: the batches are those of a first epoch.
    """
    if call is None or call.epoch is None:
        return False
    resumed = call.arguments["initial_epoch"]
    if resumed and not began_at:
        raise ValueError(
            f"fit resumes at epoch {resumed}, but forfit() began with the data of epoch 0: use "
            "bert4keras.training.BackupAndRestore(directory, generator), made before forfit() is "
            "drawn from, or give fit the generator itself."
        )
    return True
