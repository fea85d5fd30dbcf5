"""Packing: nothing lost, nothing mixed, little padding."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bert4keras.data import pack

pytestmark = pytest.mark.spread


@given(st.lists(st.integers(1, 12), max_size=40), st.sampled_from([0, 1, None]))
@settings(deadline=None)
def test_every_text_is_found_where_it_is_said_to_be(lengths, pad):
    rng = np.random.default_rng(0)
    samples = [(rng.integers(1, 99, n).tolist(), rng.integers(0, 2, n).tolist()) for n in lengths]
    packed = pack(samples, 12, pad)
    for (ids, segments), row, start in zip(samples, packed.rows, packed.starts, strict=True):
        place = slice(start, start + len(ids))
        assert packed.token_ids[row, place].tolist() == ids
        assert packed.segment_ids[row, place].tolist() == segments
        document = packed.document_ids[row, start]
        assert document > 0
        assert (packed.document_ids[row] == document).sum() == len(ids)
    assert (packed.document_ids > 0).sum() == sum(lengths)
    assert (packed.token_ids[packed.document_ids == 0] == (pad or 0)).all()
    lower_bound = -(-sum(lengths) // 12)
    assert lower_bound <= len(packed.token_ids) <= 11 / 9 * max(lower_bound, 1) * 1.5 + 1


def test_rows_are_filled():
    samples = [([1] * n, [0] * n) for n in (5, 3, 6, 2, 8)]
    assert pack(samples, 8, 0).token_ids.all()  # 8, 6 + 2, 5 + 3


def test_the_padding_is_asked_for():
    with pytest.raises(TypeError, match="pad_token_id"):
        pack([([1], [0])], 3)


def test_too_long():
    with pytest.raises(ValueError, match="Sample 1 has 4 tokens, more than maxlen=3"):
        pack([([1], [0]), ([1] * 4, [0] * 4)], 3, 0)
