from __future__ import annotations

import pytest

from bert4keras.data import split

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
