"""Dynamic batching: texts of different requests that share a batch, in one thread per model.

A Keras model is called from one thread only. While it is busy, the queue fills by itself. Before a
batch the model waits for as many texts as were under way at the end of its last one (those of the
batch, and those in the queue), but at most `max_wait` seconds: clients that were just answered
often send their next text at once. Without this wait, parallel clients would fall into two groups,
each waiting for the other's batch; with a fixed wait, a single client would wait for nobody.

A batch consists of the oldest text and of those nearest to its length, so that little is padded.
"""

from __future__ import annotations

import concurrent.futures
import contextlib
import dataclasses
import itertools
import logging
import threading
import time
from collections.abc import Callable, Hashable, Iterator, Sequence
from typing import Any

LOG = logging.getLogger("bert4keras.serving")
_WASTE = 2.0  # the longest text of a batch has at most so many times the length of the shortest,
_SPARE = 64  # and so many characters more: short texts cost about the same


class Busy(Exception):
    """The queue is full, and the request was not taken."""


class Stopped(Exception):
    """The server is stopping, and the request was not taken."""


class SampleError(Exception):
    """Error of the model for one sample of a request; `__cause__` is the error itself.

    Attributes:
        index: index of the sample.
    """

    def __init__(self, index: int):
        super().__init__(f"sample {index}")
        self.index = index


class Job:
    """The samples of one request, and the future of their answers."""

    def __init__(self, count: int):
        self.future: concurrent.futures.Future[list[Any]] = concurrent.futures.Future()
        self._answers: list[Any] = [None] * count
        self._missing = count

    def answer(self, index: int, answer: object) -> None:
        """Store the answer to a sample; the last one completes the future."""
        self._answers[index] = answer
        self._missing -= 1
        if not self._missing:
            self._finish(lambda: self.future.set_result(self._answers))

    def fail(self, index: int, error: Exception) -> None:
        """Fail the whole request because of one sample."""
        failure = SampleError(index)
        failure.__cause__ = error
        self._finish(lambda: self.future.set_exception(failure))

    def _finish(self, finish: Callable[[], None]) -> None:
        # Whoever waits may give up at any moment, in another thread.
        if not self.future.done():
            with contextlib.suppress(concurrent.futures.InvalidStateError):
                finish()


@dataclasses.dataclass(frozen=True, eq=False)
class Item:
    """One sample in the queue.

    Attributes:
        sample: the sample.
        length: its number of characters.
        group: samples of one group may share a batch.
        arrived: `time.monotonic()` of its arrival.
        job, index: its request, and its place there.
    """

    sample: Any
    length: int
    group: Hashable
    arrived: float
    job: Job
    index: int

    @property
    def is_wanted(self) -> bool:
        """True if somebody still waits for the answer."""
        return not self.job.future.done()


class Stream:
    """A text that is generated piece by piece.

    Args:
        pieces: generator of the pieces; it is run by the worker's thread.
        send: receives each piece, then None at the end, or the error; called in that thread.
    """

    def __init__(
        self, pieces: Iterator[str], send: Callable[[str | Exception | None], None]
    ) -> None:
        self.pieces, self.send = pieces, send
        self.is_wanted = True

    def close(self) -> None:
        """Tell the worker that nobody reads any more."""
        self.is_wanted = False


def choose(waiting: Sequence[Item], most: int) -> list[Item]:
    """Return the next batch: the oldest item, and those of its group nearest to its length.

    Args:
        waiting: items in the order of their arrival, at least one.
        most: largest number of items.
    """
    oldest = waiting[0]
    same = [item for item in waiting if item.group == oldest.group]
    same.sort(key=lambda item: item.length)
    first = same.index(oldest)
    last = first + 1  # the batch is same[first:last]

    def fits(shortest: int, longest: int) -> bool:
        return longest <= _WASTE * shortest + _SPARE

    while last - first < most:
        below = same[first - 1].length if first else None
        above = same[last].length if last < len(same) else None
        if below is not None and not fits(below, same[last - 1].length):
            below = None
        if above is not None and not fits(same[first].length, above):
            above = None
        if below is None and above is None:
            break
        if above is None or (below is not None and oldest.length - below <= above - oldest.length):
            first -= 1
        else:
            last += 1
    return same[first:last]


class Worker(threading.Thread):
    """The thread of one model, with its queue.

    Args:
        name: name of the model, for the log.
        predict: function (samples, group) -> answers, called in this thread only.
        max_batch, max_wait, queue, queue_characters, max_streams: of `ServerSettings`.
        observe: called with the number of samples of each batch.
    """

    def __init__(
        self,
        name: str,
        predict: Callable[[list[Any], Any], Sequence[Any]],
        max_batch: int = 32,
        max_wait: float = 0.005,
        queue: int = 2048,
        queue_characters: int = 20_000_000,
        max_streams: int = 8,
        observe: Callable[[int], None] = lambda count: None,
    ):
        # A daemon: the process can end although a model hangs.
        super().__init__(name=f"model {name}", daemon=True)
        self._predict, self._observe = predict, observe
        self._max_batch, self._max_wait, self._queue = max_batch, max_wait, queue
        self._queue_characters, self._max_streams = queue_characters, max_streams
        self._waiting: list[Item] = []
        self._streams: list[Stream] = []
        self._changed = threading.Condition()
        self._stopping = False
        self._expected, self._free_since = 1, 0.0

    def __len__(self) -> int:
        return len(self._waiting)

    def submit(
        self, samples: Sequence[Any], lengths: Sequence[int], group: Hashable = ()
    ) -> concurrent.futures.Future[list[Any]]:
        """Queue the samples of a request, all or none.

        Args:
            samples: the samples.
            lengths: their numbers of characters.
            group: options of the request; only samples of equal groups share a batch.

        Returns:
            Future of the answers. Cancelling it drops the samples that are not yet answered. Its
            error is a `SampleError`.

        Raises:
            Busy: the queue has no room for them.
            Stopped: the worker is stopping.
        """
        job, now = Job(len(samples)), time.monotonic()
        items = [
            Item(sample, length, group, now, job, i)
            for i, (sample, length) in enumerate(zip(samples, lengths, strict=True))
        ]
        with self._changed:
            self._check_running()
            if not self._has_room(items):
                self._drop_unwanted()
            if not self._has_room(items):
                raise Busy(f"{len(self._waiting)} texts wait already")
            self._waiting += items
            self._changed.notify()
        if not items:
            job.future.set_result([])
        return job.future

    def open_stream(self, stream: Stream) -> None:
        """Take a stream, of which one piece at a time is generated between batches.

        Raises:
            Busy: there are `max_streams` already.
            Stopped: the worker is stopping.
        """
        with self._changed:
            self._check_running()
            if sum(one.is_wanted for one in self._streams) >= self._max_streams:
                raise Busy(f"{self._max_streams} texts are generated already")
            self._streams.append(stream)
            self._changed.notify()

    def stop(self) -> None:
        """Take no more work; the thread ends when the queue is empty."""
        with self._changed:
            self._stopping = True
            self._changed.notify()

    def run(self) -> None:
        """Answer batches, and advance streams, until stopped."""
        while True:
            with self._changed:
                while not (self._waiting or self._streams or self._stopping):
                    self._changed.wait()
                if not (self._waiting or self._streams):
                    return
                batch, streams = self._next_batch(), list(self._streams)
            if batch:
                self._observe(len(batch))
                self._answer(batch)
                self._expected = min(self._max_batch, len(batch) + len(self._waiting))
                self._free_since = time.monotonic()
            for stream in streams:
                if not self._advance(stream):
                    with self._changed:
                        self._streams.remove(stream)
            # Else this frame would keep the last samples alive while there is nothing to do.
            del batch, streams

    def _check_running(self) -> None:
        if self._stopping or not self.is_alive():
            raise Stopped("the server is stopping")

    def _has_room(self, items: Sequence[Item]) -> bool:
        if len(self._waiting) + len(items) > self._queue:
            return False
        whole = sum(item.length for item in (*self._waiting, *items))
        return not self._waiting or whole <= self._queue_characters

    def _drop_unwanted(self) -> None:
        self._waiting = [item for item in self._waiting if item.is_wanted]

    def _next_batch(self) -> list[Item]:
        """Wait for more samples, but not longer than `max_wait`; take a batch."""
        while self._waiting and not self._streams and not self._stopping:
            begin = max(self._waiting[0].arrived, self._free_since)
            left = begin + self._max_wait - time.monotonic()
            if left <= 0 or len(self._waiting) >= self._expected:
                break
            self._changed.wait(left)
        self._drop_unwanted()
        if not self._waiting:
            return []
        batch = choose(self._waiting, self._max_batch)
        taken = set(map(id, batch))
        self._waiting = [item for item in self._waiting if id(item) not in taken]
        return batch

    def _answer(self, items: list[Item]) -> None:
        """Answer a batch; halve it where it fails, so that only the guilty sample fails."""
        items = [item for item in items if item.is_wanted]
        if not items:
            return
        try:
            answers = self._predict([item.sample for item in items], items[0].group)
            if len(answers) != len(items):
                raise RuntimeError(f"{len(answers)} answers to {len(items)} samples")
        except Exception as error:
            if len(items) == 1:
                items[0].job.fail(items[0].index, error)
                return
            LOG.warning("a batch of %d failed (%s); halving it", len(items), type(error).__name__)
            middle = len(items) // 2
            self._answer(items[:middle])
            self._answer(items[middle:])
            return
        for item, answer in zip(items, answers, strict=True):
            item.job.answer(item.index, answer)

    def _advance(self, stream: Stream) -> bool:
        """Generate the next piece of a stream; return whether there may be more."""
        if stream.is_wanted:
            try:
                for piece in itertools.islice(stream.pieces, 1):
                    stream.send(piece)
                    return True
                stream.send(None)
            except Exception as error:
                stream.send(error)
        stream.close()
        stream.pieces.close()  # type: ignore[attr-defined]  # a generator
        return False
