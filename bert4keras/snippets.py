"""Import path of bert4keras 0.11 for text, file and data helpers; most are in bert4keras.data.

Importing a name that was left out on purpose raises an error that names its replacement.
"""

from __future__ import annotations

import collections
import concurrent.futures as futures
import importlib
import itertools
import multiprocessing
import os
import pickle
import random
import re
import sys
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np

from ._absent import old_name
from ._numpy import softmax

# Resolved on first use: a worker of `parallel_apply` imports this module, but needs no Keras.
_ELSEWHERE = {
    **dict.fromkeys(
        """is_string longest_common_subsequence longest_common_substring
        lowercase_and_normalize strQ2B text_segmentate""".split(),
        "bert4keras.data.text",
    ),
    **dict.fromkeys(["to_array", "truncate_sequences"], "bert4keras.data.padding"),
    **dict.fromkeys(["open", "sequence_padding"], "bert4keras.data"),
    "AutoRegressiveDecoder": "bert4keras.generation",
    "orthogonally_resize": "bert4keras.checkpoints.resize",
}
__all__ = [
    *_ELSEWHERE,
    "is_one_of",
    "parallel_apply",
    "parallel_apply_generator",
    "softmax",
    "string_matching",
]


def __getattr__(name: str):
    if name in _ELSEWHERE:
        return getattr(importlib.import_module(_ELSEWHERE[name]), name)
    return old_name(__name__, name)


def is_one_of(x: Any, candidates: Iterable) -> bool:
    """Return whether `x` itself, not an equal object, is among the candidates, arrays included."""
    return any(x is candidate for candidate in candidates)


def string_matching(text: str, keywords: Iterable[str]) -> bool:
    """Return whether at least one of the keywords (regular expressions) occurs in the text."""
    return any(re.search(keyword, text) for keyword in keywords)


def parallel_apply(
    func: Callable[[Any], Any],
    iterable: Iterable,
    workers: int | None = None,
    max_queue_size: int | None = None,
    callback: Callable[[Any], Any] | None = None,
    dummy: bool = False,
    random_seeds: bool = True,
    unordered: bool = False,
    progress: bool = False,
) -> list | None:
    """Apply a function to every item, in several processes at once.

    Args:
        func, iterable, workers, max_queue_size, dummy, random_seeds, unordered: as for
            `parallel_apply_generator`.
        callback: called with each result, in this process, instead of collecting them.
        progress: show a progress bar.

    Returns:
        The results, in the order of the items unless `unordered`; None if there is a callback.

    Raises:
        Exception: as `parallel_apply_generator`.
    """
    results = parallel_apply_generator(
        func, iterable, workers, max_queue_size, dummy, random_seeds, unordered
    )
    if progress:
        results = _with_progress(results, iterable)
    if callback is None:
        return [result for _, result in results]
    for _, result in results:
        callback(result)
    return None


def parallel_apply_generator(
    func: Callable[[Any], Any],
    iterable: Iterable,
    workers: int | None = None,
    max_queue_size: int | None = None,
    dummy: bool = False,
    random_seeds: bool = True,
    unordered: bool = False,
) -> Iterator[tuple[int, Any]]:
    """Apply a function to every item in several processes, and yield pairs (index, result).

    The processes are started with "spawn", since a copy of one that uses a GPU or threads may
    hang: a script that calls this needs `if __name__ == "__main__":` around its main part, and
    `func` must be defined at the top of a module.

    Args:
        func: function of one item; function, items and results are sent between processes.
        iterable: the items; it may be a generator without end.
        workers: number of processes; by default one for each processor.
        max_queue_size: largest number of items in work or waiting; by default 4 per worker.
        dummy: use threads instead of processes.
        random_seeds: seed `random` and `numpy.random` for each item, from numpy's state
            here, so that results do not depend on the worker or the time. Not with `dummy`.
        unordered: yield results as they are ready, not in the order of the items.

    Raises:
        ValueError: a number is below 1, or the function cannot be sent to a process.
        RuntimeError: a worker died. Errors of `func` are raised here, with their traceback.
    """
    workers = (os.cpu_count() or 1) if workers is None else workers
    limit = 4 * workers if max_queue_size is None else max_queue_size
    if workers < 1 or limit < 1:
        raise ValueError(f"workers={workers} and max_queue_size={limit} must be at least 1.")
    if not dummy:
        _check_sendable(func)
    return _results(func, iterable, workers, limit, dummy, random_seeds, unordered)


def _results(func, iterable, workers, limit, dummy, random_seeds, unordered):
    base = int(np.random.randint(2**31)) if random_seeds and not dummy else None
    if dummy:
        pool = futures.ThreadPoolExecutor(workers)
    else:
        context = multiprocessing.get_context("spawn")
        pool = futures.ProcessPoolExecutor(workers, mp_context=context)
    items, pending = enumerate(iterable), collections.deque()
    try:
        while True:
            for index, item in itertools.islice(items, limit - len(pending)):
                seed = None if base is None else (base, index)
                pending.append((index, pool.submit(_call, func, item, seed)))
            if not pending:
                return
            if unordered:
                futures.wait([f for _, f in pending], return_when=futures.FIRST_COMPLETED)
                index, future = next(entry for entry in pending if entry[1].done())
                pending.remove((index, future))
            else:
                index, future = pending.popleft()
            yield index, future.result()
    except futures.BrokenExecutor as error:
        raise RuntimeError(
            "A worker process ended before its work: it ran out of memory, was killed, or could "
            'not import the script, which needs `if __name__ == "__main__":` around its main part.'
        ) from error
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _call(func: Callable, item: Any, seed: tuple[int, int] | None) -> Any:
    if seed is not None:
        random.seed(repr(seed))
        np.random.seed(np.random.SeedSequence(seed).generate_state(4))
    return func(item)


def _check_sendable(func: Callable) -> None:
    try:
        pickle.dumps(func)
    except Exception as error:
        raise ValueError(
            f"{func!r} cannot be sent to another process ({error}): define it with `def` at the "
            "top of a module, or use threads with dummy=True."
        ) from error


def _with_progress(results: Iterator, iterable: Iterable) -> Iterator:
    """Yield the results with a progress bar; without a terminal print one line."""
    import keras

    total = len(iterable) if hasattr(iterable, "__len__") else None
    bar = keras.utils.Progbar(total, unit_name="item") if sys.stdout.isatty() else None
    done = 0
    for done, result in enumerate(results, 1):
        if bar:
            bar.update(done)
        yield result
    if bar and total is None and done:
        bar.update(done, finalize=True)
    if not bar:
        print(f"{done} items done")
