"""Dynamic batching: which samples share a batch, and what becomes of failures and full queues."""

from __future__ import annotations

import threading
import time

import pytest

from bert4keras.serving.batching import (
    Busy,
    Item,
    Job,
    SampleError,
    Stopped,
    Stream,
    Worker,
    choose,
)
from helpers.http_server import wait_until


def items(lengths, groups=None):
    job = Job(len(lengths))
    groups = groups or [()] * len(lengths)
    pairs = zip(lengths, groups, strict=True)
    return [Item(i, length, group, 0.0, job, i) for i, (length, group) in enumerate(pairs)]


@pytest.mark.parametrize(
    ("lengths", "most", "chosen"),
    [
        ([100, 5000, 90, 110], 8, [90, 100, 110]),  # a long text would pad all others
        ([5000, 100, 90], 8, [5000]),  # the oldest comes first, whatever its length
        ([100, 10, 90, 400, 120], 3, [90, 100, 120]),  # the nearest
        ([1, 60, 2, 30], 8, [1, 2, 30, 60]),  # short texts cost the same
        ([100, 100, 100], 2, [100, 100]),
    ],
)
def test_the_oldest_and_those_nearest_to_its_length(lengths, most, chosen):
    waiting = items(lengths)
    batch = choose(waiting, most)
    assert [item.length for item in batch] == chosen
    assert waiting[0] in batch


def test_groups_do_not_mix():
    waiting = items([10, 10, 10], ["a", "b", "a"])
    assert choose(waiting, 8) == [waiting[0], waiting[2]]


class Model:
    """A function that upper-cases, holds on demand, and fails on "bad"."""

    def __init__(self):
        self.batches, self.go = [], threading.Event()
        self.go.set()

    def __call__(self, samples, group):
        self.batches.append(samples)
        assert self.go.wait(10)
        if "bad" in samples:
            raise ValueError("bad sample")
        return [sample.upper() for sample in samples]


@pytest.fixture
def model():
    return Model()


@pytest.fixture
def start(model):
    workers = []

    def start(**options):
        workers.append(Worker("m", model, **options))
        workers[-1].start()
        return workers[-1]

    yield start
    model.go.set()
    for worker in workers:
        worker.stop()
        worker.join(10)
        assert not worker.is_alive()


def hold(worker, model):
    """Let the model be busy with one sample."""
    model.go.clear()
    future = worker.submit(["first"], [5])
    wait_until(lambda: model.batches)
    return future


def test_what_waits_while_the_model_is_busy_shares_a_batch(start, model):
    worker = start(max_wait=0.0)
    first = hold(worker, model)
    futures = [worker.submit([text], [1]) for text in "abc"]
    model.go.set()
    assert [future.result(10) for future in futures] == [["A"], ["B"], ["C"]]
    assert first.result(10) == ["FIRST"]
    assert model.batches == [["first"], ["a", "b", "c"]]


def test_one_client_never_waits(start, model):
    worker = start(max_wait=60)
    for text in "abc":
        assert worker.submit([text], [1]).result(10) == [text.upper()]


def test_the_model_waits_for_as_many_texts_as_were_under_way(start, model):
    worker = start(max_wait=60)
    first = hold(worker, model)
    futures = [worker.submit([text], [1]) for text in "ab"]
    model.go.set()
    assert first.result(10) == ["FIRST"]
    time.sleep(0.1)
    assert model.batches == [["first"]]
    futures.append(worker.submit(["c"], [1]))  # the first client again
    assert [future.result(10) for future in futures] == [["A"], ["B"], ["C"]]
    assert model.batches == [["first"], ["a", "b", "c"]]


def test_the_model_does_not_wait_longer_than_allowed(start, model):
    worker = start(max_wait=0.2)
    assert worker.submit(["a", "b"], [1, 1]).result(10)
    began = time.monotonic()
    assert worker.submit(["c"], [1]).result(10) == ["C"]
    assert 0.15 < time.monotonic() - began < 5


def test_a_full_batch_does_not_wait(start, model):
    worker = start(max_wait=60, max_batch=2)
    hold(worker, model)
    futures = [worker.submit([text], [1]) for text in "abcd"]
    model.go.set()
    assert [future.result(10) for future in futures] == [["A"], ["B"], ["C"], ["D"]]
    assert model.batches == [["first"], ["a", "b"], ["c", "d"]]


def test_a_failing_sample_does_not_take_its_neighbours_down(start, model):
    worker = start(max_wait=0.0)
    hold(worker, model)
    futures = [worker.submit([text], [1]) for text in ("a", "bad", "b", "c", "d", "e", "f", "g")]
    model.go.set()
    results = [future.exception(10) or future.result() for future in futures]
    assert [r for r in results if isinstance(r, list)] == [[x] for x in "ABCDEFG"]
    assert isinstance(results[1], SampleError)
    assert str(results[1].__cause__) == "bad sample"
    assert len(model.batches) < 9  # halves, not each one by itself


def test_the_index_of_a_failing_sample_is_known(start):
    future = start().submit(["a", "b", "bad"], [1, 1, 1])
    assert future.exception(10).index == 2


def test_a_wrong_number_of_answers_is_a_failure(start, model):
    worker = start()
    worker._predict = lambda samples, group: []
    assert "0 answers to 1 samples" in str(worker.submit(["a"], [1]).exception(10).__cause__)


def test_what_nobody_waits_for_is_dropped(start, model):
    worker = start(max_wait=0.0)
    hold(worker, model)
    dropped, kept = worker.submit(["a"], [1]), worker.submit(["b"], [1])
    assert dropped.cancel()
    model.go.set()
    assert kept.result(10) == ["B"]
    assert model.batches[1:] == [["b"]]


def test_the_queue_is_bounded_in_texts_and_characters(start, model):
    worker = start(max_wait=0.0, queue=3, queue_characters=100)
    hold(worker, model)
    waiting = worker.submit(["a", "b"], [1, 1])
    with pytest.raises(Busy, match="2 texts wait already"):
        worker.submit(["c", "d"], [1, 1])
    with pytest.raises(Busy):
        worker.submit(["c"], [200])
    assert len(worker) == 2
    waiting.cancel()
    assert worker.submit(["c", "d"], [1, 1])  # cancelled ones take no room


def test_stopping_answers_what_waits_and_takes_no_more(start, model):
    worker = start(max_wait=60)
    hold(worker, model)
    waiting = worker.submit(["a"], [1])
    worker.stop()
    model.go.set()
    assert waiting.result(10) == ["A"]
    with pytest.raises(Stopped):
        worker.submit(["b"], [1])
    with pytest.raises(Stopped):
        worker.open_stream(Stream(iter(()), print))


def test_streams_share_the_model_with_batches(start, model):
    worker, sent = start(max_wait=0.0, max_streams=2), []
    step, closed = threading.Semaphore(0), []

    def pieces():
        try:
            for piece in "abc":
                assert step.acquire(timeout=10)
                yield piece
        finally:
            closed.append(True)

    first, second = Stream(pieces(), sent.append), Stream(pieces(), sent.append)
    worker.open_stream(first)
    worker.open_stream(second)
    with pytest.raises(Busy, match="2 texts are generated"):
        worker.open_stream(Stream(pieces(), sent.append))
    batch = worker.submit(["x"], [1])
    step.release(2)
    wait_until(lambda: sent == ["a", "a"])  # in turn
    second.close()  # its reader has left
    step.release(3)
    assert batch.result(10) == ["X"]
    wait_until(lambda: sent[-1] is None)
    assert [piece for piece in sent if piece] in (["a", "a", "b", "c"], ["a", "a", "b", "b", "c"])
    wait_until(lambda: len(closed) == 2)


def test_a_failing_stream_sends_its_error(start):
    def pieces():
        yield "a"
        raise ValueError("no more")

    sent = []
    start().open_stream(Stream(pieces(), sent.append))
    wait_until(lambda: len(sent) == 2)
    assert sent[0] == "a"
    assert str(sent[1]) == "no more"
