"""Orders for permutation language models, against sentences about single positions."""

from __future__ import annotations

import collections
import itertools

import numpy as np
import pytest

from bert4keras.data import DataGenerator, ordered_inputs, permute_tokens, random_ranks

pytestmark = pytest.mark.spread

# [CLS] a b c [SEP] d e f [SEP], and a shorter one, padded.
TOKENS = np.array([[1, 5, 6, 7, 2, 8, 9, 10, 2], [1, 5, 6, 2, 11, 2, 0, 0, 0]])
SEGMENTS = np.array([[0, 0, 0, 0, 0, 1, 1, 1, 1], [0, 0, 0, 0, 1, 1, 0, 0, 0]])
SPECIAL = (0, 1, 2)
MAX_POSITION = 16


def rng(seed=0):
    return np.random.default_rng(seed)


def permute(tokens=TOKENS, segments=SEGMENTS, seed=0, **options):
    return permute_tokens(
        tokens, segments, rng(seed), special_ids=SPECIAL, **{"pad_token_id": 0, **options}
    )


def test_special_tokens_and_padding_are_given_and_all_else_is_ranked():
    (tokens, segments, rank), labels = permute()
    np.testing.assert_array_equal(tokens, TOKENS)
    np.testing.assert_array_equal(segments, SEGMENTS)
    np.testing.assert_array_equal(rank > 0, ~np.isin(TOKENS, SPECIAL))
    for row, count in zip(rank, (6, 3), strict=True):
        assert sorted(row[row > 0]) == list(range(1, count + 1))
    np.testing.assert_array_equal(labels, np.where(rank > 0, TOKENS, -1))
    assert {array.dtype.name for array in (tokens, segments, rank, labels)} == {"int32"}


def test_target_only():
    (_, _, rank), labels = permute(target_only=True)
    assert (rank[SEGMENTS == 0] == 0).all()
    assert sorted(rank[0, 5:8]) == [1, 2, 3]
    assert list(rank[1]) == [0, 0, 0, 0, 1, 0, 0, 0, 0]
    np.testing.assert_array_equal(labels >= 0, rank > 0)
    with pytest.raises(ValueError, match="target_only needs segment_ids"):
        permute(segments=None, target_only=True)


@pytest.mark.parametrize(
    ("wanted", "counts"), [(2, (2, 2)), (4, (4, 3)), (0.5, (3, 2)), (0.01, (1, 1))]
)
def test_partial_prediction_keeps_the_last_of_the_order(wanted, counts):
    (_, _, whole), _ = permute()
    (_, _, rank), labels = permute(num_predict=wanted)
    assert tuple((labels >= 0).sum(axis=1)) == counts
    for row, part, count in zip(whole, rank, counts, strict=True):
        np.testing.assert_array_equal(part, np.maximum(row - (row.max() - count), 0))


def test_the_same_seed_gives_the_same_orders_and_all_orders_are_equally_likely():
    assert (permute(seed=3)[0][-1] == permute(seed=3)[0][-1]).all()
    assert (permute(seed=3)[0][-1] != permute(seed=4)[0][-1]).any()
    predicted = np.tile([False, True, True, True], (6000, 1))
    found = collections.Counter(tuple(row[1:]) for row in random_ranks(predicted, rng()).tolist())
    assert set(found) == set(itertools.permutations((1, 2, 3)))
    # 1000 each; one standard deviation is 29.
    assert all(abs(count - 1000) < 150 for count in found.values())


@pytest.mark.parametrize("tokens", [TOKENS, np.array([[0, 0, 1, 5, 6, 2]])])
def test_one_stream_predicts_the_next_rank_and_knows_where(tokens):
    """Labels and targets, by a loop along the order."""
    (_, position_ids, rank), labels = permute(tokens, None, max_position=MAX_POSITION)
    own, target = position_ids % MAX_POSITION, position_ids // MAX_POSITION
    np.testing.assert_array_equal(own, np.broadcast_to(np.arange(tokens.shape[1]), own.shape))
    for b, row in enumerate(rank):
        steps = [int(np.flatnonzero(row == r)[0]) for r in range(1, row.max() + 1)]
        chain = [int(np.flatnonzero((row == 0) & (tokens[b] != 0))[0]), *steps]
        expected = {
            place: (following, tokens[b, following])
            for place, following in zip(chain, steps, strict=False)
        }
        for i in range(tokens.shape[1]):
            assert (target[b, i], labels[b, i]) == expected.get(i, (0, -1))
            # No leak: the predicted token is of a higher rank than all that the row sees.
            assert labels[b, i] < 0 or row[target[b, i]] > row[i]


def test_identity_order_of_one_stream_is_the_language_models():
    tokens = np.array([1, 5, 6, 7])
    (_, position_ids, _), labels = ordered_inputs(
        tokens, None, np.arange(4), max_position=8, pad_token_id=0
    )
    assert list(labels) == [5, 6, 7, -1]
    assert list(position_ids) == [8, 17, 26, 3]


def test_samples_and_batches_are_treated_alike():
    inputs, labels = permute(TOKENS[0], SEGMENTS[0], max_position=MAX_POSITION)
    batch, batch_labels = permute(TOKENS[:1], SEGMENTS[:1], max_position=MAX_POSITION)
    assert len(inputs) == 4
    for one, many in zip((*inputs, labels), (*batch, batch_labels), strict=True):
        np.testing.assert_array_equal(one, many[0])


def test_nothing_to_predict():
    (_, rank), labels = permute(np.array([1, 2]), None)
    assert not rank.any()
    assert (labels == -1).all()
    (_, positions, _), labels = permute(np.array([1, 2]), None, max_position=4)
    assert list(positions) == [0, 1]
    assert (labels == -1).all()


def test_in_a_generator_every_epoch_has_its_own_orders():
    def batches(seed):
        state = rng(seed)

        def encode(sample):
            tokens, segments = sample
            return permute_tokens(tokens, segments, state, special_ids=SPECIAL, pad_token_id=0)

        data = [(TOKENS[0], SEGMENTS[0]), (TOKENS[1, :6], SEGMENTS[1, :6])]
        generator = DataGenerator(data, 2, encode=encode, cache=False)
        stream = generator.forfit(random=False)
        return [next(stream) for _ in range(3)]

    first, second = batches(0), batches(0)
    for ((tokens, _, rank), labels), again in zip(first, second, strict=True):
        np.testing.assert_array_equal(tokens, TOKENS)
        np.testing.assert_array_equal(labels, np.where(rank > 0, TOKENS, -1))
        np.testing.assert_array_equal(rank, again[0][2])
    assert len({batch[0][2].tobytes() for batch in first}) == 3


BAD = [
    (
        ValueError,
        "must be 1, 2",
        lambda: ordered_inputs([1, 5, 6], None, [0, 1, 3], pad_token_id=0),
    ),
    (
        ValueError,
        "must be 1, 2",
        lambda: ordered_inputs([1, 5, 6], None, [0, 1, 1], pad_token_id=0),
    ),
    (
        ValueError,
        "padding .* cannot be predicted",
        lambda: ordered_inputs([1, 5, 0], None, [0, 1, 2], pad_token_id=0),
    ),
    (
        ValueError,
        "no token of rank 0",
        lambda: ordered_inputs([5, 6, 0], None, [2, 1, 0], pad_token_id=0),
    ),
    (
        ValueError,
        r"rank has shape \(2,\)",
        lambda: ordered_inputs([5, 6, 0], None, [0, 1], pad_token_id=0),
    ),
    (
        ValueError,
        "position 0",
        lambda: ordered_inputs([5, 1], None, [1, 0], max_position=8, pad_token_id=0),
    ),
    (
        ValueError,
        "more than the model's 2",
        lambda: ordered_inputs([1, 5, 6], None, [0, 1, 2], max_position=2, pad_token_id=0),
    ),
    (TypeError, "token_ids must be integers", lambda: permute([0.5, 1.0], None)),
    (TypeError, "rng must be", lambda: random_ranks([True], 0)),
    (ValueError, "num_predict", lambda: permute(num_predict=0)),
    (ValueError, "num_predict", lambda: permute(num_predict=1.5)),
    (ValueError, "num_predict", lambda: permute(num_predict=True)),
]


@pytest.mark.parametrize(("error", "message", "call"), BAD)
def test_bad_input_is_named(error, message, call):
    with pytest.raises(error, match=message):
        call()
