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
    with pytest.raises(ValueError, match="cannot give up"):
        split(samples, shares)
