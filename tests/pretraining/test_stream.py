"""The same batches in every run: from workers, from any position, and for each shard."""

from __future__ import annotations

import itertools
import os
import signal
import sys
import types

import numpy as np
import pytest

from bert4keras import Tokenizer
from bert4keras.pretraining import (
    MaskedLM,
    PretrainingCorpus,
    PretrainingStream,
    RowPacker,
    StreamPosition,
)
from bert4keras.pretraining.workers import WorkerPool, prefetch

from .test_packing import TOKENIZER, make_texts

pytestmark = pytest.mark.spread


@pytest.fixture
def corpus(tmp_path, monkeypatch):
    monkeypatch.setattr("bert4keras.pretraining.stream._POOL", 4000)  # several pools
    (tmp_path / "a.txt").write_text("\n\n".join(make_texts(100, 40)), encoding="utf-8")
    return PretrainingCorpus(tmp_path / "a.txt")


def make_stream(corpus, batch_size=4, **options) -> PretrainingStream:
    options = {"workers": 0, "seed": 3, **options}
    packer = RowPacker(TOKENIZER, 64)
    return PretrainingStream(corpus, packer, MaskedLM(TOKENIZER), batch_size, **options)


def take(stream, count, start=StreamPosition()):  # noqa: B008
    batches = stream.batches(start)
    found = list(itertools.islice(batches, count))
    batches.close()
    return found


def equal(first, second) -> bool:
    arrays = [[*b.inputs.values(), b.targets, b.tokens, b.after] for b in (first, second)]
    return all(np.array_equal(a, b) for a, b in zip(*arrays, strict=True))


def test_the_same_from_workers_and_from_any_position(corpus):
    plain = take(make_stream(corpus), 130)
    assert plain[-1].after.epoch >= 2
    assert max(batch.after.pool for batch in plain) >= 2
    for start in (1, 20, 57, 100):
        again = take(make_stream(corpus), 5, plain[start - 1].after)
        assert all(map(equal, plain[start : start + 5], again))
    assert all(map(equal, plain[:40], take(make_stream(corpus, workers=2), 40)))
    assert not equal(plain[0], take(make_stream(corpus, seed=4), 1)[0])
    rows = make_stream(corpus).count_rows()
    epochs = [batch.after.epoch for batch in plain]
    assert abs(4 * epochs.index(1) - rows) <= 8
    first, second = plain[0].inputs["token_ids"], plain[epochs.index(1)].inputs["token_ids"]
    assert not np.array_equal(first, second)  # another order, and masked anew
    padding = 1 - sum(batch.tokens for batch in plain) / (130 * 4 * 64)
    assert padding < 0.03  # of pools of 25 rows, whose last row is not full; usually of 500


def test_shards_are_parts_of_a_global_batch(corpus):
    whole = take(make_stream(corpus, 4), 5)
    parts = [take(make_stream(corpus, 2, shard=(rank, 2)), 5) for rank in (0, 1)]
    for batch, low, high in zip(whole, *parts, strict=True):
        both = [part.inputs["token_ids"] for part in (low, high)]
        assert np.array_equal(np.concatenate(both), batch.inputs["token_ids"])
        assert low.after == batch.after


def test_rows_to_evaluate_on(corpus):
    inputs, targets = make_stream(corpus).rows(10)
    assert len(inputs["token_ids"]) == len(targets) == 10
    assert np.array_equal(targets, make_stream(corpus).rows(10)[1])


def test_empty_corpus(tmp_path):
    (tmp_path / "a.txt").write_text(" \n\n ", encoding="utf-8")
    stream = make_stream(PretrainingCorpus(tmp_path))
    for run in (lambda: take(stream, 1), lambda: stream.rows(1), stream.count_rows):
        with pytest.raises(ValueError, match=r"the corpus has no text in its 1 file\(s\): a.txt"):
            run()
    (tmp_path / "a.txt").write_text("\u200b", encoding="utf-8")  # characters, but no tokens
    with pytest.raises(ValueError, match="the corpus has no text"):
        take(stream, 1)


def test_errors(corpus):
    with pytest.raises(ValueError, match="batch_size=0 must be at least 1"):
        make_stream(corpus, 0)
    with pytest.raises(ValueError, match=r"shard=\(2, 2\) must be \(rank, size\)"):
        make_stream(corpus, shard=(2, 2))
    local = Tokenizer([*TOKENIZER.vocab], pre_tokenize=lambda text: text.split())
    packer = RowPacker(local, 64)
    stream = PretrainingStream(corpus, packer, MaskedLM(local), 4, workers=1)
    with pytest.raises(ValueError, match=r"worker processes cannot get .* use workers=0"):
        take(stream, 1)


def test_workers_report_errors_and_deaths(monkeypatch):
    pool = WorkerPool(int, 1)
    try:
        assert list(pool.map(["1", "2", "3", "4"])) == [1, 2, 3, 4]
        with pytest.raises(ValueError, match="invalid literal"):
            list(pool.map(["x"]))
        assert list(pool.map(["5"])) == [5]
        (process,) = pool._processes
        os.kill(process.pid, signal.SIGKILL)
        with pytest.raises(RuntimeError, match="a worker process ended with status -9"):
            list(pool.map(["1"]))
    finally:
        pool.close()
    module = types.ModuleType("only_here")
    exec("def function(task): return task", module.__dict__)
    monkeypatch.setitem(sys.modules, "only_here", module)
    pool = WorkerPool(module.function, 1)
    try:
        with pytest.raises(ValueError, match="a worker process cannot import what it is to run"):
            list(pool.map([1]))
    finally:
        pool.close()


def test_prefetch_passes_errors_on():
    def items():
        yield 1
        raise KeyError("x")

    found = prefetch(items(), 2)
    assert next(found) == 1
    with pytest.raises(KeyError):
        next(found)


def test_a_worker_has_no_keras():
    pool = WorkerPool(eval, 1)
    try:
        assert list(pool.map(["'keras' in __import__('sys').modules", "1 + 1"])) == [False, 2]
    finally:
        pool.close()
