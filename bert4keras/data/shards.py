"""Parts of a batch for the processes of a distributed training.

Every process cuts its rows out of the same global batches. So all take the same number of steps,
pad to the same widths, and together train on what one process would train on. (To deal whole
batches or samples to processes, as some loaders do, would give the processes of one step different
widths.)
"""

from __future__ import annotations

from typing import NamedTuple

import keras
import numpy as np

from .._compat import TrainerCall
from ..distribution import check_distribution, data_shard, num_replicas
from .collate import flatten_sample, unflatten_sample


class Shard(NamedTuple):
    """Part of every batch that one process gets: consecutive rows, the parts in the order of ranks.

    Attributes:
        rank: number of the part, from 0.
        size: number of parts.
    """

    rank: int
    size: int

    @classmethod
    def of(cls, given: object, batch_size: int, seed: int | None) -> Shard | None:
        """Check the argument `shard` of a `DataGenerator`, beside two others.

        Raises:
            ValueError: not two numbers 0 <= rank < size, a batch that cannot be cut, or no seed.
        """
        if given is None:
            return None
        ints = isinstance(given, (tuple, list)) and all(
            isinstance(n, (int, np.integer)) for n in given
        )
        if not ints or len(given) != 2 or not 0 <= given[0] < given[1]:
            raise ValueError(
                f"shard={given!r:.80} must be (rank, size): the number of this process, from 0, "
                "and the number of processes, such as bert4keras.distribution.data_shard()."
            )
        shard = cls(int(given[0]), int(given[1]))
        if batch_size % shard.size:
            raise ValueError(
                f"batch_size={batch_size} is the number of samples of all {shard.size} processes "
                f"together, so it must be a multiple of {shard.size}."
            )
        if seed is None and shard.size > 1:
            raise ValueError(
                "With shard=, give seed= too: every process must shuffle the data in the same way."
            )
        return shard

    def cut(self, rows: np.ndarray) -> np.ndarray:
        """Return this part of an array (B, ...) of a batch.

        Raises:
            ValueError: B is not a multiple of the number of parts.
        """
        if len(rows) % self.size:
            raise ValueError(_remainder_message(len(rows), self.size, "processes"))
        count = len(rows) // self.size
        return rows[self.rank * count : (self.rank + 1) * count]

    def cut_batch(self, batch: tuple) -> tuple:
        """Return this part of a batch of arrays."""
        return unflatten_sample(batch, (self.cut(leaf) for leaf in flatten_sample(batch)))


def check_remainder(samples: int, batch_size: int, shard: Shard | None) -> None:
    """Raise ValueError if the last batch of an epoch cannot be cut into equal parts."""
    rest = samples % batch_size
    if shard is not None and rest % shard.size:
        raise ValueError(_remainder_message(rest, shard.size, "processes"))


def check_cut_once(shard: Shard | None) -> None:
    """Raise ValueError if a distribution of Keras would split the parts of a shard again."""
    distribution = keras.distribution.distribution()
    if shard is None or distribution is None or data_shard()[1] == 1:
        return
    if distribution.auto_shard_dataset:
        raise ValueError(
            "as_tf() of a DataGenerator with shard= is a part already, and the distribution would "
            "split it again: make it with auto_shard_dataset=False, as bert4keras.distribution "
            "does, or leave out shard=."
        )


def check_distributed(
    call: TrainerCall | None, shard: Shard | None, rows: int, rest: int = 0
) -> None:
    """Raise ValueError if the batches of a call cannot be, or silently are not, distributed.

    Args:
        call: the running `fit`, `evaluate` or `predict`; None skips the check.
        shard: part of the batches that this process makes.
        rows: samples of a batch of this process.
        rest: samples in the last batch of this process; 0 if it is full or unknown.
    """
    distribution = keras.distribution.distribution() if call is not None else None
    if distribution is None:
        return
    check_distribution()
    rank, size = data_shard()
    if size > 1:
        if call.name == "predict":
            raise ValueError(
                "model.predict cannot collect the outputs of other processes. Use task.predict, or "
                "model.predict_on_batch, with the same samples in every process."
            )
        if distribution.auto_shard_dataset:
            raise ValueError(
                "The distribution has auto_shard_dataset=True: Keras would deal whole batches, of "
                "different widths, to the processes. Make it with auto_shard_dataset=False, as "
                "bert4keras.distribution does, and give the DataGenerator shard=data_shard()."
            )
        if shard is None:
            raise ValueError(
                f"{size} processes train together, and each would train on the same batches. Give "
                "the DataGenerator shard=bert4keras.distribution.data_shard()."
            )
        if shard not in ((rank, size), (0, 1)):
            raise ValueError(
                f"The DataGenerator has shard=({shard.rank}, {shard.size}), but this process is "
                f"({rank}, {size}), see bert4keras.distribution.data_shard()."
            )
    devices = num_replicas() // size
    for count in (rows, rest):
        if devices and count % devices:
            raise ValueError(_remainder_message(count, devices, "devices of a process"))


def _remainder_message(rows: int, parts: int, of: str) -> str:
    return (
        f"A batch has {rows} rows, which {parts} {of} cannot share equally. Choose a batch_size "
        f"that is a multiple of {parts}. If it is the last batch of an epoch: "
        "DataGenerator(..., drop_remainder=True) leaves it out, which is right for training; for "
        "scores of all samples, task.evaluate and task.predict take any number."
    )
