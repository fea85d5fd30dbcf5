"""Threads of a model in a worker process, of which an engine starts several on one machine."""

from __future__ import annotations

import os


def allotted_threads() -> int | None:
    """Return how many threads the engine allots to this process; None if it does not say.

    Ray and Spark set OMP_NUM_THREADS to the CPUs of an actor or task. torch obeys it; TensorFlow
    and JAX start a thread for each core of the machine, in each process.
    """
    value = os.environ.get("OMP_NUM_THREADS", "").split(",")[0]  # "4,2" is for nested loops
    return int(value) if value.isdecimal() and int(value) else None


def limit_threads(count: int) -> None:
    """Let models of this process run on a number of threads.

    TensorFlow and JAX read it when the first model of the process is built or loaded.

    Raises:
        ValueError: the number is not positive.
        RuntimeError: TensorFlow already runs with another number.
    """
    if count < 1:
        raise ValueError(f"threads={count} must be at least 1.")
    try:
        import keras
    except ModuleNotFoundError:  # an exported task, to whose engine `load` gives the number
        return
    backend = keras.backend.backend()
    if backend == "torch":
        import torch

        torch.set_num_threads(count)
    elif backend == "jax":
        os.environ["NPROC"] = str(count)  # XLA's name for it
    elif backend == "tensorflow":
        from tensorflow import config

        threads = config.threading
        if threads.get_intra_op_parallelism_threads() != count:
            threads.set_intra_op_parallelism_threads(count)
            threads.set_inter_op_parallelism_threads(count)
