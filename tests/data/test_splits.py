from __future__ import annotations

import pytest

from bert4keras.data import read_parts, split

pytestmark = pytest.mark.spread


def test_every_sample_is_in_one_part():
    parts = split(list(range(100)), (0.2, 0.05), seed=3)
    assert [len(part) for part in parts] == [75, 20, 5]
    assert sorted(x for part in parts for x in part) == list(range(100))
    assert parts == split(list(range(100)), (0.2, 0.05), seed=3)
    assert parts != split(list(range(100)), (0.2, 0.05), seed=4)
    assert all(part == sorted(part) for part in parts)


@pytest.mark.parametrize(("samples", "shares"), [([1, 2], (0.1, 0.1)), ([1] * 9, (1.5,))])
def test_nothing_left_to_train_on(samples, shares):
    with pytest.raises(ValueError, match="too few to hold out"):
        split(samples, shares)


def test_groups_are_not_divided():
    samples = [(i % 30, i) for i in range(100)]
    parts = split(samples, (0.1, 0.1), group=lambda sample: sample[0])
    kept = [{name for name, _ in part} for part in parts]
    assert [len(names) for names in kept] == [24, 3, 3]
    assert sorted(sample for part in parts for sample in part) == sorted(samples)
    assert len(set.union(*kept)) == 30


def test_parts_without_a_file_are_held_out():
    """Each file that is given keeps its samples, and costs the training set none."""
    files = {"train": range(100), "valid": range(100, 103), "test": range(200, 205)}
    for given in ({}, {"valid": "valid"}, {"test": "test"}, {"valid": "valid", "test": "test"}):
        train, valid, test = read_parts(files.__getitem__, "train", **given, seed=1)
        assert len(train) == 100 - 10 * (2 - len(given))
        assert valid == [*files["valid"]] if "valid" in given else len(valid) == 10
        assert test == [*files["test"]] if "test" in given else len(test) == 10
        assert not set(train) & {*valid, *test}
        assert not set(valid) & set(test)
    assert list(read_parts(files.__getitem__, "train", seed=1)) == split(range(100), seed=1)
    pairs = read_parts(lambda path: files[path], "train", test="test", group=lambda n: n // 2)
    assert {n // 2 for n in pairs[0]} & {n // 2 for n in pairs[1]} == set()
    with pytest.raises(ValueError, match="too few to hold out"):
        read_parts(lambda path: [1], "train", test="test")
