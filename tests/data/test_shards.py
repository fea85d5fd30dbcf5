"""Parts of batches for several processes, and last batches that are not full."""

from __future__ import annotations

import pickle
from types import SimpleNamespace

import keras
import numpy as np
import pytest

from bert4keras import distribution, tasks
from bert4keras.data import DataGenerator, sequence_padding, shards

pytestmark = pytest.mark.spread
LENGTHS = np.random.default_rng(0).integers(1, 40, 52)
DATA = [(list(range(1, n + 1)), [7] * (n // 2)) for n in LENGTHS]


def generator(rank=None, size=2, data=DATA, **options):
    """Batches of 8 ids and labels of other lengths; those of one process if it has a rank."""
    shard = None if rank is None else (rank, size)
    options = {"encode": lambda s: (s[0], s[1]), "seed": 3, "shard": shard, **options}
    return DataGenerator(data, 8, **options)


def joined(parts):
    """The batches of several processes, put together row by row."""
    return [
        tuple(np.concatenate(arrays) for arrays in zip(*batch, strict=True))
        for batch in zip(*parts, strict=True)
    ]


def same(found, expected):
    assert len(found) == len(expected)
    for ours, theirs in zip(found, expected, strict=True):
        for a, b in zip(ours, theirs, strict=True):
            np.testing.assert_array_equal(a, b)  # shapes too, so widths


class Stream:
    def __iter__(self):
        return iter(DATA)


class OldStyle(DataGenerator):
    def __iter__(self, random=False):
        rows = []
        for is_end, row in self.sample(random):
            rows.append(row)
            if len(rows) == self.batch_size or is_end:
                ids, labels = zip(*rows, strict=True)
                yield sequence_padding(list(ids)), sequence_padding(list(labels), value=-1)
                rows = []


@pytest.mark.parametrize("size", [1, 2, 4])
@pytest.mark.parametrize("options", [{}, {"cache": False}, {"buckets": None}, {"data": Stream()}])
def test_parts_make_up_the_whole_batches(size, options):
    for random in (False, True):
        parts = [list(generator(r, size, **options).__iter__(random)) for r in range(size)]
        assert len({batch[0].shape[1] for batch in parts[-1]}) > 1
        assert all(len(batch[0]) == 8 // size for batch in parts[0] if len(parts[0]) > 7)
        same(joined(parts), list(generator(**options).__iter__(random)))


def test_parts_of_indexed_batches_and_of_an_own_iter():
    for epoch in range(2):
        whole = generator(shuffle=True)
        parts = [generator(r, shuffle=True) for r in range(2)]
        for one in (whole, *parts):
            one.order.epoch = epoch
        same(joined([[p[i] for i in range(7)] for p in parts]), [whole[i] for i in range(7)])
    old, parts = (
        OldStyle(DATA, 8, seed=3),
        [OldStyle(DATA, 8, seed=3, shard=(r, 2)) for r in (0, 1)],
    )
    found = joined([[b for b, _ in zip(p.forfit(), range(9), strict=False)] for p in parts])
    same(found, [b for b, _ in zip(old.forfit(), range(9), strict=False)])
    copy = pickle.loads(pickle.dumps(parts[1]))
    same(list(copy._epoch(False)), list(parts[1]._epoch(False)))


def test_widths_of_parts_that_are_padded_on_their_own_differ():
    """Rows of a common batch are cut, because dealt samples have other widths."""
    parts = [generator(data=DATA[rank::2]) for rank in range(2)]
    widths = [[batch[0].shape[1] for batch in part] for part in parts]
    assert widths[0] != widths[1]


@pytest.mark.parametrize("data", [DATA, Stream()])
@pytest.mark.parametrize("make", [generator, lambda **o: OldStyle(o.pop("data"), 8, **o)])
def test_dropping_the_remainder(data, make):
    epochs = []
    made = make(data=data, drop_remainder=True, seed=3)
    for _ in range(30):
        batches = list(made._epoch(random=True))
        assert [len(ids) for ids, _ in batches] == [8] * 6
        epochs.append(sorted(int(n) for ids, _ in batches for n in ids.max(axis=1)))
    lost = [sum(LENGTHS) - sum(epoch) for epoch in epochs]
    if not isinstance(data, Stream):  # of which the last samples of the buffer are left out
        assert len(made) == 6
        # Random samples: their mean length is that of all, not of the longest of a pool.
        assert abs(np.mean(lost) / 4 - LENGTHS.mean()) < 5
        assert max(lost) < sum(sorted(LENGTHS)[-4:])
    in_order = [n for ids, _ in made._epoch(False) for n in ids.max(axis=1)]
    assert in_order == LENGTHS[:48].tolist()


def test_bad_arguments():
    for shard in [(2, 2), (-1, 2), (0,), "01", (0.5, 2), 3]:
        with pytest.raises(ValueError, match=r"must be .rank, size."):
            DataGenerator(DATA, 8, shard=shard, seed=0)
    with pytest.raises(ValueError, match=r"batch_size=8 .* all 3 processes .* multiple of 3"):
        DataGenerator(DATA, 8, shard=(0, 3), seed=0)
    with pytest.raises(ValueError, match=r"give seed= too"):
        DataGenerator(DATA, 8, shard=(0, 2))
    with pytest.raises(ValueError, match=r"4 rows, which 8 processes .* drop_remainder=True"):
        generator(0, 8)
    with pytest.raises(ValueError, match=r"leaves nothing of 5 samples.* batch_size=8"):
        generator(data=DATA[:5], drop_remainder=True)
    with pytest.raises(ValueError, match=r"4 rows, which 8 processes"):
        list(generator(0, 8, data=Stream()))
    counter = iter(range(1, 1000))
    growing = generator(0, cache=False, data=DATA[:8], encode=lambda s: ([1] * next(counter), s[1]))
    with pytest.raises(ValueError, match=r"longer sample than when"):
        list(growing)


def test_batches_of_a_task_take_a_shard():
    texts = [(f"text {'very ' * (i % 5)}{i}", "ab"[i % 2]) for i in range(8)]
    encoder, tokenizer = tasks.from_scratch([t for t, _ in texts], min_count=1, maxlen=16)
    task = tasks.TextClassifier.build(encoder, labels=["a", "b"], tokenizer=tokenizer)
    whole = [ids for (ids, *_), _ in task.batches(texts, 4)]
    parts = [[ids for (ids, *_), _ in task.batches(texts, 4, shard=(r, 2))] for r in (0, 1)]
    same(joined([[(ids,) for ids in part] for part in parts]), [(ids,) for ids in whole])


def test_static_batch_axis_of_tensorflow():
    pytest.importorskip("tensorflow")

    def rows(*args, **options):
        return generator(*args, **options).as_tf().element_spec[0].shape.as_list()[0]

    assert rows() is None
    assert rows(data=DATA[:48]) == 8
    assert rows(drop_remainder=True) == 8
    assert rows(1, 4, drop_remainder=True) == 2
    assert rows(data=Stream()) is None
    assert OldStyle(DATA, 8, drop_remainder=True).as_tf().element_spec[0].shape[0] == 8


@pytest.fixture
def two_processes(monkeypatch):
    """Two processes of two devices each, as far as the checks can see."""
    found = SimpleNamespace(
        device_mesh=SimpleNamespace(axis_names=["batch"], shape=(4,)),
        batch_dim_name="batch",
        auto_shard_dataset=False,
    )
    monkeypatch.setattr(keras.distribution, "distribution", lambda: found)
    monkeypatch.setattr(distribution, "process_place", lambda: (1, 2))
    monkeypatch.setattr(distribution, "distribution_works", lambda: True)
    return found


def check(shard, name="fit", rows=4, rest=0):
    call = SimpleNamespace(name=name)
    shards.check_distributed(call, shard and shards.Shard(*shard), rows, rest)


def test_what_a_distribution_needs(two_processes):
    for shard in ((1, 2), (0, 1)):  # its own part, or explicitly all rows
        check(shard)
    with pytest.raises(ValueError, match=r"2 processes .* same batches.*data_shard"):
        check(None)
    with pytest.raises(ValueError, match=r"shard=\(0, 2\), but this process is \(1, 2\)"):
        check((0, 2))
    with pytest.raises(ValueError, match=r"model.predict cannot collect"):
        check((1, 2), "predict")
    with pytest.raises(ValueError, match=r"5 rows, which 2 devices of a process"):
        check((1, 2), rows=5)
    with pytest.raises(ValueError, match=r"3 rows, which 2 devices"):
        check((1, 2), rest=3)
    two_processes.auto_shard_dataset = True
    with pytest.raises(ValueError, match=r"auto_shard_dataset=True"):
        check((1, 2))
    with pytest.raises(ValueError, match=r"would split it again"):
        generator(1, drop_remainder=True).as_tf()
    shards.check_distributed(None, None, 5)  # no call of Keras
