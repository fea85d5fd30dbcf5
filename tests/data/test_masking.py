"""Hiding tokens: what is chosen, what becomes of it, and that words stay together."""

from __future__ import annotations

import itertools

import keras
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bert4keras.data import join_words, mask_tokens, word_pieces

PAD, CLS, SEP, MASK = range(4)
OPTIONS = {"vocab_size": 50, "mask_id": MASK, "special_ids": (PAD, CLS, SEP)}
PIECES = np.arange(50) >= 30  # ids from 30 on continue a word


def rng(seed=0):
    return np.random.default_rng(seed)


def batch(rows=400, length=102):
    ids = rng(1).integers(4, 50, (rows, length))
    ids[:, 0], ids[:, -12], ids[:, -11:] = CLS, SEP, PAD
    return ids


def near(count, total, share, sigmas=5):
    """Return whether a binomial count lies within some standard deviations of its mean."""
    return abs(count - total * share) < sigmas * np.sqrt(total * share * (1 - share))


def words_of(ids, continues):
    """The spans of the words of one row, by a loop."""
    spans = []
    for i, token in enumerate(ids):
        special = token < 4 or (i and ids[i - 1] < 4)
        if spans and continues(i) and not special:
            spans[-1].append(i)
        else:
            spans.append([i])
    return [span for span in spans if ids[span[0]] >= 4]


@pytest.mark.spread
@pytest.mark.parametrize("rate", [0.15, 0.5])
@pytest.mark.parametrize("whole_words", [None, PIECES])
def test_shares(rate, whole_words):
    ids = batch()
    masked, labels = mask_tokens(ids, rng(), rate=rate, whole_words=whole_words, **OPTIONS)
    continues = (
        (lambda row: lambda i: False)
        if whole_words is None
        else (lambda row: lambda i: PIECES[row[i]])
    )
    first = np.zeros(ids.shape, bool)  # the first token of each word stands for the word
    for k, row in enumerate(ids):
        first[k, [span[0] for span in words_of(row, continues(row))]] = True
    chosen = first & (labels >= 0)
    assert near(chosen.sum(), first.sum(), rate)
    became_mask, stayed = chosen & (masked == MASK), chosen & (masked == ids)
    total = chosen.sum()
    assert near(became_mask.sum(), total, 0.8)
    assert near(stayed.sum(), total, 0.1 + 0.1 / 46)  # a random token may be the same one
    random = masked[chosen & ~became_mask & ~stayed]
    assert random.min() == 4
    assert random.max() == 49
    assert np.bincount(random, minlength=50)[4:].max() < 3 * len(random) / 46


@pytest.mark.spread
def test_every_position_is_chosen_equally_often():
    ids = np.full((4000, 10), 7)
    _, labels = mask_tokens(ids, rng(), **OPTIONS)
    assert all(near(count, 4000, 0.15) for count in (labels >= 0).sum(axis=0))
    both = (labels[:, 0] >= 0) & (labels[:, 1] >= 0)
    assert near(both.sum(), 4000, 0.15**2)  # neighbours are independent


@pytest.mark.spread
def test_labels_are_the_original_and_nothing_else_changes():
    ids = batch()
    before = ids.copy()
    masked, labels = mask_tokens(ids, rng(), **OPTIONS)
    assert masked.dtype == labels.dtype == np.int32
    assert masked.shape == labels.shape == ids.shape
    np.testing.assert_array_equal(ids, before)
    chosen = labels != -1
    np.testing.assert_array_equal(labels[chosen], ids[chosen])
    np.testing.assert_array_equal(masked[~chosen], ids[~chosen])
    assert not chosen[ids < 4].any()


@pytest.mark.spread
def test_the_generator_decides():
    ids = batch()
    one, same, other = (mask_tokens(ids, rng(seed), **OPTIONS) for seed in (3, 3, 4))
    np.testing.assert_array_equal(one, same)
    assert (one[1] != other[1]).any()
    going_on = rng(3)
    first, second = (mask_tokens(ids, going_on, **OPTIONS) for _ in range(2))
    np.testing.assert_array_equal(first, one)
    assert (second[1] != first[1]).any()


@pytest.mark.spread
@given(st.lists(st.integers(0, 49), max_size=30), st.integers(0, 99), st.booleans())
def test_words_stay_together(ids, seed, numbered):
    numbers = np.cumsum([i % 3 == 0 for i in range(len(ids))])
    ids = np.array(ids, "int32")
    whole_words = numbers if numbered else PIECES
    masked, labels = mask_tokens(ids, rng(seed), rate=0.5, whole_words=whole_words, **OPTIONS)
    spans = words_of(ids, lambda i: i % 3 != 0 if numbered else PIECES[ids[i]])
    for span in spans:
        assert len(set(labels[span] >= 0)) == 1
        if labels[span[0]] >= 0:
            assert len(set(masked[span] == MASK)) == 1
    assert (labels >= 0).sum() == sum(len(span) for span in spans if labels[span[0]] >= 0)


@pytest.mark.spread
def test_a_word_does_not_reach_over_rows_or_special_tokens():
    """In a thousand draws, neighbours at such a border are at times not chosen together."""
    ids = np.array([[5, 30, SEP, 31, 5], [32, 6, 33, PAD, 34]])
    draws = rng()
    chosen = [
        tuple((mask_tokens(ids, draws, rate=0.5, whole_words=PIECES, **OPTIONS)[1] >= 0).ravel())
        for _ in range(1000)
    ]
    flat = np.array(chosen)
    together = {
        (a, b) for a, b in itertools.pairwise(range(10)) if (flat[:, a] == flat[:, b]).all()
    }
    assert together == {(0, 1), (6, 7)}


@pytest.mark.spread
def test_word_pieces_and_join_words():
    vocab = {"[PAD]": 0, "play": 1, "##ing": 2, "##": 4, "#": 5}
    assert word_pieces(vocab).tolist() == [False, False, True, False, False, False]
    assert word_pieces({}).shape == (0,)
    ids, numbers = join_words([[CLS], [7, 8], [9], [10, 11, 12]])
    assert ids.tolist() == [CLS, 7, 8, 9, 10, 11, 12]
    assert numbers.tolist() == [0, 1, 1, 2, 3, 3, 3]
    assert [part.shape for part in join_words([])] == [(0,), (0,)]
    _, labels = mask_tokens(ids, rng(), rate=1, whole_words=numbers, **OPTIONS)
    assert labels.tolist() == [-1, 7, 8, 9, 10, 11, 12]


@pytest.mark.spread
def test_an_empty_text():
    for whole_words in (None, PIECES, []):
        masked, labels = mask_tokens([], rng(), whole_words=whole_words, **OPTIONS)
        assert masked.shape == labels.shape == (0,)


@pytest.mark.spread
@pytest.mark.parametrize("rate", [0, 1])
@pytest.mark.parametrize("shape", [(0,), (5,), (2, 0), (2, 3, 4)])
def test_extreme_rates_and_shapes(rate, shape):
    masked, labels = mask_tokens(np.full(shape, 9), rng(), rate=rate, **OPTIONS)
    assert masked.shape == labels.shape == shape
    assert (labels == (9 if rate else -1)).all()


def test_the_loss_leaves_the_others_out():
    ids = batch(rows=4)
    _, labels = mask_tokens(ids, rng(), **OPTIONS)
    logits = rng(5).normal(size=(*ids.shape, 50)).astype("float32")
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True, ignore_class=-1)
    logs = logits - np.log(np.exp(logits).sum(-1, keepdims=True))
    expected = -logs[labels >= 0][np.arange((labels >= 0).sum()), labels[labels >= 0]].mean()
    assert abs(float(loss(labels, logits)) - expected) < 1e-5


@pytest.mark.spread
@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"rng": 0}, TypeError, r"numpy Generator such as np\.random\.default_rng\(0\): 0"),
        ({"token_ids": [[1.5]]}, TypeError, "array of integers, not float64"),
        ({"token_ids": 3}, TypeError, r"shape \(\)"),
        ({"token_ids": [4, 50]}, ValueError, "token_ids: 50 is not an id of a vocabulary of 50"),
        ({"token_ids": [4, -1]}, ValueError, "token_ids: -1 is not an id"),
        ({"mask_id": 50}, ValueError, "mask_id or special_ids: 50 is not"),
        ({"special_ids": [-1]}, ValueError, "mask_id or special_ids: -1 is not"),
        ({"special_ids": range(50)}, ValueError, "All 50 ids are special"),
        ({"rate": 1.5}, ValueError, "between 0 and 1, not 1.5"),
        ({"whole_words": PIECES[:9]}, ValueError, r"shape \(50,\) or integers of shape \(2,\)"),
        ({"whole_words": [0, 0, 1]}, ValueError, r"not int64 of shape \(3,\)"),
    ],
)
def test_wrong_arguments(changes, error, message):
    arguments = {"token_ids": [4, 5], "rng": rng(), **OPTIONS, **changes}
    with pytest.raises(error, match=message):
        mask_tokens(**arguments)
