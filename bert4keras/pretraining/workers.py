"""Worker processes that apply one function to many tasks, in order.

A worker is this interpreter, started anew: it shares no threads or locks with a process that trains
a model, and does not import the main script, which therefore needs no `if __name__ ==
"__main__":`. Keras is replaced by a stand-in there, so that a worker needs a second and 60 MB.
Function, tasks and results are pickled for pipes between these processes, never for a file.
"""

from __future__ import annotations

import collections
import contextlib
import os
import pickle
import queue
import subprocess
import sys
import threading
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import IO, Any


class WorkerPool:
    """Processes that call a function; close them when they are no longer needed.

    Args:
        function: it must be possible to pickle it.
        count: number of processes; 0 calls the function in this one.

    Raises:
        ValueError: the function cannot be sent to another process.
    """

    def __init__(self, function: Callable[[Any], Any], count: int):
        self._function, self.count = function, count
        self._idle: queue.SimpleQueue[subprocess.Popen[bytes]] = queue.SimpleQueue()
        self._processes: list[subprocess.Popen[bytes]] = []
        if not count:
            return
        try:
            content = pickle.dumps(function, pickle.HIGHEST_PROTOCOL)
        except Exception as error:
            raise ValueError(
                f"worker processes cannot get {function!r:.60}: {error}. Define functions at the "
                "top of a module, or use workers=0."
            ) from error
        for _ in range(count):
            process = _start()
            self._processes.append(process)
            assert process.stdin is not None
            _send(process.stdin, content)
            self._idle.put(process)

    def map(self, tasks: Iterable[Any]) -> Iterator[Any]:
        """Yield the result of each task, in their order; some tasks are taken ahead.

        Raises:
            RuntimeError: a worker ended, such as for lack of memory.
        """
        if not self.count:
            yield from map(self._function, tasks)
            return
        waiting: collections.deque[Future[Any]] = collections.deque()
        with ThreadPoolExecutor(self.count) as threads:
            try:
                for task in tasks:
                    waiting.append(threads.submit(self._call, task))
                    if len(waiting) > 2 * self.count:
                        yield waiting.popleft().result()
                while waiting:
                    yield waiting.popleft().result()
            finally:
                for future in waiting:
                    future.cancel()

    def _call(self, task: Any) -> Any:
        process = self._idle.get()
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            _send(process.stdin, pickle.dumps(task, pickle.HIGHEST_PROTOCOL))
            is_result, value = pickle.loads(_receive(process.stdout))
        except (EOFError, OSError) as error:
            raise RuntimeError(
                f"a worker process ended with status {process.wait()}; if it was killed for its "
                "memory, use fewer workers."
            ) from error
        self._idle.put(process)
        if is_result:
            return value
        raise value

    def close(self) -> None:
        """End the processes."""
        for process in self._processes:
            process.kill()
            process.wait()
            for pipe in (process.stdin, process.stdout):
                assert pipe is not None
                with contextlib.suppress(OSError):  # of a task that the process did not read
                    pipe.close()
        self._processes = []


def prefetch(items: Iterator[Any], count: int) -> Iterator[Any]:
    """Yield the items of an iterator that another thread advances, up to `count` ahead."""
    ready: queue.Queue[tuple[bool, Any]] = queue.Queue(count)
    stop = threading.Event()

    def put(entry: tuple[bool, Any]) -> bool:
        while not stop.is_set():
            try:
                ready.put(entry, timeout=0.1)
                return True
            except queue.Full:
                continue
        return False

    def run() -> None:
        try:
            for item in items:
                if not put((True, item)):
                    return
            put((False, None))
        except BaseException as error:  # raised again where the items are used
            put((False, error))

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    try:
        while True:
            is_item, value = ready.get()
            if is_item:
                yield value
            elif value is None:
                return
            else:
                raise value
    finally:
        stop.set()
        thread.join()
        if isinstance(items, Generator):
            items.close()


def _start() -> subprocess.Popen[bytes]:
    environment = {
        **os.environ,
        "KERAS_BACKEND": "numpy",  # of a module of the user that imports Keras
        "RAYON_NUM_THREADS": "1",  # there is a process for each core
        "OMP_NUM_THREADS": "1",
    }
    code = (
        f"import sys; sys.argv = ['bert4keras']; sys.path[:] = {sys.path!r}\n"
        "from bert4keras._stand_in import keras_or_stand_in\n"
        f"with keras_or_stand_in(False):\n from {__name__} import serve\n"
        "serve()"
    )
    return subprocess.Popen(
        [sys.executable, "-c", code],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=environment,
        # Ctrl-C is for the process that trains, which then ends its workers.
        start_new_session=True,
    )


def serve() -> None:
    """Answer tasks from standard input until it ends: the main function of a worker."""
    from .._stand_in import keras_or_stand_in

    source = sys.stdin.buffer
    target = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what a function prints is no result
    try:
        content, function, problem = _receive(source), None, None
        try:
            with keras_or_stand_in(False):
                function = pickle.loads(content)
        except Exception as error:  # such as a function of the main script
            problem = ValueError(
                f"a worker process cannot import what it is to run: {error}. Define functions in "
                "a module, or use workers=0."
            )
        while True:
            task = pickle.loads(_receive(source))
            try:
                answer = (True, function(task)) if function is not None else (False, problem)
            except Exception as error:
                answer = False, error
            _send(target, pickle.dumps(answer, pickle.HIGHEST_PROTOCOL))
    except (EOFError, KeyboardInterrupt):  # the process that trains has ended
        return


def _send(pipe: IO[bytes], content: bytes) -> None:
    pipe.write(len(content).to_bytes(8, "little"))
    pipe.write(content)
    pipe.flush()


def _receive(pipe: IO[bytes]) -> bytes:
    """Read one message; EOFError if the other process has ended."""
    size = pipe.read(8)
    content = pipe.read(int.from_bytes(size, "little")) if len(size) == 8 else b""
    if not content or len(content) < int.from_bytes(size, "little"):
        raise EOFError
    return content
