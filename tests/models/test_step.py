"""Decoding with a cache gives what the whole sequence gives at once."""

from __future__ import annotations

import numpy as np
import pytest

from helpers import tiny
from helpers.steps import step_all

pytestmark = pytest.mark.spread

LENGTH = 9
TOKENS, _ = tiny.inputs(batch=2, length=LENGTH, padding=0)
# Both rows have a source of 4 tokens, read in one piece before the decoding starts.
SOURCE = np.array([[1, 1, 1, 1, 0, 0, 0, 0, 0]] * 2, "int32")
EXTRA = {
    "lm": {},
    "unilm": {},
    "prefix": {"prefix": SOURCE},
    "permutation": {"rank": np.tile(np.arange(LENGTH, dtype="int32"), (2, 1))},
}
STARTS = {"lm": 1, "unilm": 4, "prefix": 4, "permutation": 1}


def build(application):
    transformer = tiny.build(application=application, return_keras_model=False, with_mlm="linear")
    named = {"token_ids": TOKENS, "segment_ids": 1 - SOURCE, **EXTRA[application]}
    return transformer, named


@pytest.mark.parametrize("application", EXTRA)
def test_row_by_row_equals_the_whole(application):
    transformer, named = build(application)
    whole = transformer.model.predict(list(named.values()), verbose=0)
    found = step_all(transformer, named, STARTS[application])
    np.testing.assert_allclose(found, whole, atol=2e-5)


def test_a_source_read_in_pieces_would_be_noticed():
    transformer, named = build("unilm")
    whole = transformer.model.predict(list(named.values()), verbose=0)
    assert np.abs(step_all(transformer, named, 1) - whole).max() > 1e-2


@pytest.mark.parametrize("application", ["lm", "unilm"])
def test_what_is_not_yet_written_does_not_matter(application):
    transformer, named = build(application)
    start = STARTS[application]
    whole = step_all(transformer, named, start)
    later = TOKENS.copy()
    later[:, 6:] = 1
    found = step_all(transformer, {**named, "token_ids": later}, start)
    np.testing.assert_allclose(found[:, :6], whole[:, :6], atol=1e-6)
    assert np.abs(found[:, 6:] - whole[:, 6:]).max() > 1e-2


def test_validity_replaces_the_padding_id():
    transformer, named = build("lm")
    left = TOKENS.copy()
    left[:, :3] = 1
    valid = np.ones_like(left)
    valid[:, :3] = 0
    hidden = step_all(transformer, {**named, "token_ids": left, "padding_mask": valid}, 3)
    left[:, :3] = 2
    again = step_all(transformer, {**named, "token_ids": left, "padding_mask": valid}, 3)
    np.testing.assert_allclose(hidden[:, 3:], again[:, 3:], atol=1e-6)
    assert np.abs(step_all(transformer, {**named, "token_ids": left}, 3) - hidden).max() > 1e-2
