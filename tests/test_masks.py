"""Mask strategies against a double loop over positions, written without their code."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from keras import ops

from bert4keras.data import pack_candidates
from bert4keras.masks import (
    APPLICATIONS,
    LM,
    And,
    AttentionMask,
    Mask,
    Packed,
    Permutation,
    PrefixLM,
    SharedPrefix,
    UniLM,
    Window,
    get_mask,
)
from bert4keras.masks.base import input_layer_name
from helpers import tiny

LENGTH = 8
TOKENS = np.array([[5, 6, 7, 8, 9, 4, 3, 2], [5, 6, 7, 8, 9, 0, 0, 0], [5, 0, 0, 0, 0, 0, 0, 0]])
SEGMENTS = np.array([[0, 0, 0, 1, 1, 1, 1, 1], [0, 0, 1, 1, 1, 0, 0, 0], [0] * 8])
PREFIX = np.array([[1, 1, 1, 0, 0, 0, 0, 0], [1, 0, 0, 0, 0, 0, 0, 0], [1, 0, 0, 0, 0, 0, 0, 0]])
RANK = np.array([[3, 0, 7, 1, 5, 2, 6, 4], [0, 0, 2, 1, 3, 5, 6, 7], list(range(8))])
DOCUMENTS = np.array([[1, 1, 1, 2, 2, 3, 3, 3], [1, 1, 2, 2, 2, 0, 0, 0], [1] + [0] * 7])
CANDIDATES = np.array([[0, 0, 1, 1, 1, 2, 2, 3], [0, 1, 1, 2, 2, 0, 0, 0], [0] * 8])
INPUTS = {
    "token_ids": TOKENS,
    "segment_ids": SEGMENTS,
    "prefix": PREFIX,
    "rank": RANK,
    "document_ids": DOCUMENTS,
    "candidate_ids": CANDIDATES,
}


def source(b, i):
    return SEGMENTS[b, : i + 1].sum() == 0


def on_candidate(b, q, k):
    prefix, same = CANDIDATES[b, k] == 0, CANDIDATES[b, q] == CANDIDATES[b, k]
    return prefix or same


def in_prefix(b, i):
    return PREFIX[b, : i + 1].sum() == i + 1


# Each rule is a sentence about row b, query q and key k.
CASES = {
    "encoder": (Mask(), lambda b, q, k: True),
    "lm": (LM(), lambda b, q, k: k <= q),
    "unilm": (UniLM(), lambda b, q, k: k <= q or (source(b, k) and source(b, q))),
    "prefix": (PrefixLM(), lambda b, q, k: k <= q or (in_prefix(b, k) and in_prefix(b, q))),
    "permutation": (Permutation(), lambda b, q, k: RANK[b, k] <= RANK[b, q]),
    "window": (Window(2), lambda b, q, k: abs(q - k) <= 2),
    "window-left": (Window(2, 0), lambda b, q, k: q - 2 <= k <= q),
    "window-right": (Window(0, 3), lambda b, q, k: q <= k <= q + 3),
    "packed": (Packed(), lambda b, q, k: DOCUMENTS[b, q] == DOCUMENTS[b, k]),
    "packed-lm": (
        Packed() & LM(),
        lambda b, q, k: DOCUMENTS[b, q] == DOCUMENTS[b, k] and k <= q,
    ),
    "three": (
        Window(4) & Permutation() & LM(),
        lambda b, q, k: abs(q - k) <= 4 and RANK[b, k] <= RANK[b, q] and k <= q,
    ),
    "shared_prefix": (SharedPrefix(), on_candidate),
    "shared_prefix-lm": (SharedPrefix() & LM(), lambda b, q, k: on_candidate(b, q, k) and k <= q),
    "and-nothing": (Mask() & Mask(), lambda b, q, k: True),
}


def given_inputs(values=INPUTS):
    return {name: ops.convert_to_tensor(value.astype("int32")) for name, value in values.items()}


def mask_of(strategy, values=INPUTS, rows=None, query_stream=False, **options):
    """(B, T, S) bool, a mask that is the same for all rows repeated for each."""
    rows = None if rows is None else ops.convert_to_tensor(np.array(rows, "int32"))
    found = AttentionMask(strategy, **options)(
        given_inputs(values), query_index=rows, query_stream=query_stream
    )
    found = ops.convert_to_numpy(found)
    assert found.dtype == bool
    assert found.shape[1] == 1
    length = found.shape[-1] if rows is None else len(rows)
    return np.broadcast_to(found[:, 0], (len(found), length, found.shape[-1]))


def brute_force(rule, tokens=TOKENS, pad=0):
    batch, length = tokens.shape
    expected = np.zeros((batch, length, length), bool)
    for b, q, k in np.ndindex(batch, length, length):
        expected[b, q, k] = tokens[b, k] != pad and rule(b, q, k)
    return expected


def real_rows(found, expected):
    """Rows of padding have no meaning: what they see is compared only where it must be."""
    real = TOKENS != 0
    return found[real], expected[real]


@pytest.mark.parametrize("name", CASES)
def test_against_brute_force(name):
    strategy, rule = CASES[name]
    found, expected = mask_of(strategy), brute_force(rule)
    np.testing.assert_array_equal(*real_rows(found, expected))
    # No key of padding is seen by any row.
    assert not found[np.broadcast_to((TOKENS == 0)[:, None], found.shape)].any()


@pytest.mark.spread
@pytest.mark.parametrize("name", CASES)
def test_some_rows_are_those_rows_of_the_whole(name):
    strategy, _ = CASES[name]
    np.testing.assert_array_equal(mask_of(strategy, rows=[3, 4]), mask_of(strategy)[:, 3:5])


@pytest.mark.parametrize("name", ["lm", "permutation", "three"])
def test_the_query_stream_hides_the_position_itself_and_its_equals(name):
    strategy = CASES[name][0]
    rules = {
        "lm": lambda b, q, k: k < q,
        "permutation": lambda b, q, k: RANK[b, k] < RANK[b, q],
        "three": lambda b, q, k: abs(q - k) <= 4 and RANK[b, k] < RANK[b, q] and k < q,
    }
    found = mask_of(strategy, query_stream=True)
    np.testing.assert_array_equal(*real_rows(found, brute_force(rules[name])))
    assert not found[:, np.arange(LENGTH), np.arange(LENGTH)].any()


def test_another_padding_id_and_explicit_validity():
    found = mask_of(LM(), pad_token_id=5)
    np.testing.assert_array_equal(found, brute_force(lambda b, q, k: k <= q, pad=5))
    valid = np.array([[1, 0, 1, 0, 1, 0, 1, 0]] * 3)
    found = mask_of(LM(), {**INPUTS, "padding_mask": valid})
    np.testing.assert_array_equal(found, brute_force(lambda b, q, k: k <= q, tokens=valid))


def permutation_mask(order):
    rank = np.argsort(order)[None]
    tokens = np.ones_like(rank)
    return mask_of(Permutation(), {"token_ids": tokens, "rank": rank})[0]


@pytest.mark.spread
@settings(max_examples=20)
@given(st.permutations(range(6)))
def test_permutation_row_sees_rank_plus_one_positions(order):
    found = permutation_mask(order)
    for place, position in enumerate(order):
        assert found[position].sum() == place + 1
        assert set(np.flatnonzero(found[position])) == set(order[: place + 1])


def test_permutation_contains_the_forward_and_the_backward_language_model():
    np.testing.assert_array_equal(permutation_mask(range(6)), np.tri(6, dtype=bool))
    np.testing.assert_array_equal(permutation_mask(range(5, -1, -1)), np.tri(6, dtype=bool).T)


MODEL_CASES = {
    "encoder": "encoder",
    "lm": LM(),
    "unilm": UniLM(),
    "prefix": PrefixLM(),
    "permutation": Permutation(),
    "packed": Packed(),
    # What holds for one block holds for two: the prefix does not look at the candidates.
    "shared_prefix": "shared_prefix",
    # Two blocks see twice as far as the window, so one block is looked at.
    "window": Window(2),
}


@pytest.mark.parametrize("name", MODEL_CASES)
def test_one_token_moves_exactly_the_positions_that_see_it(name):
    model = tiny.build({"num_hidden_layers": 1}, application=MODEL_CASES[name])
    strategy, rule = get_mask(MODEL_CASES[name]), CASES[name][1]
    needs = [need for need in strategy.input_names if need != "segment_ids"]
    # All positions at once: row c of the batch has the token at position c changed.
    tokens = np.repeat(TOKENS[:1], LENGTH + 1, axis=0)
    for c in range(LENGTH):
        tokens[c + 1, c] += 10
    rest = [np.repeat(INPUTS[need][:1], LENGTH + 1, axis=0) for need in ("segment_ids", *needs)]
    out = model.predict([x.astype("int32") for x in (tokens, *rest)], verbose=0)
    moved = np.abs(out[1:] - out[0]).max(-1) > 1e-5
    expected = brute_force(rule)[0].T | np.eye(LENGTH, dtype=bool)
    np.testing.assert_array_equal(moved, expected)


TEXT, CONTINUATIONS = [2, 5, 6, 3], [[7, 8, 3], [9, 3], [10, 11, 12, 3]]


def shared_prefix_bert():
    return tiny.build(application="shared_prefix")


def vectors_of(model, *rows):
    """Vectors (B, T, D) of rows of `pack_candidates`, whose fields come as the model takes them."""
    return model.predict([np.stack(column) for column in [*zip(*rows, strict=True)][:3]], verbose=0)


def test_a_candidate_is_read_as_if_it_were_the_only_one():
    model = shared_prefix_bert()
    row = pack_candidates(TEXT, CONTINUATIONS)
    (together,) = vectors_of(model, row)
    for start, tokens in zip(row.starts, CONTINUATIONS, strict=True):
        (alone,) = vectors_of(model, pack_candidates(TEXT, [tokens]))
        found = np.concatenate([together[:4], together[start : start + len(tokens)]])
        np.testing.assert_allclose(found[:4], alone[:4], atol=1e-5)
        np.testing.assert_allclose(found, alone, atol=1e-5)
    # Positions that run on through all candidates would give the second another reading.
    running = tiny.build(application="shared_prefix", custom_position_ids=True)
    running.set_weights(model.get_weights())
    places = np.arange(len(row.token_ids), dtype="int32")
    (moved,) = running.predict(
        [x[None] for x in (row.token_ids, row.segment_ids, places, row.candidate_ids)], verbose=0
    )
    np.testing.assert_allclose(moved[:7], together[:7], atol=1e-5)
    assert np.abs(moved[7:] - together[7:]).max(-1).min() > 1e-2


def test_a_candidate_moves_itself_alone_and_the_prefix_moves_all():
    model, row = shared_prefix_bert(), pack_candidates(TEXT, CONTINUATIONS)
    places = [*range(len(row.token_ids))]
    changed = [
        row._replace(token_ids=row.token_ids + 4 * np.eye(len(places), dtype="int32")[i])
        for i in places
    ]
    before, *after = vectors_of(model, row, *changed)
    for i, out in zip(places, after, strict=True):
        moved = np.abs(out - before).max(-1) > 1e-5
        same = row.candidate_ids == row.candidate_ids[i]
        np.testing.assert_array_equal(moved, same | (row.candidate_ids[i] == 0))


@pytest.mark.spread
def test_a_model_of_candidates_is_saved_and_read(tmp_path):
    model, row = shared_prefix_bert(), pack_candidates(TEXT, CONTINUATIONS)
    model.save(tmp_path / "model.keras")
    again = keras.models.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(vectors_of(again, row), vectors_of(model, row))


def test_and_joins_needs_once_and_nests():
    both = Packed() & UniLM() & Packed()
    assert isinstance(both, And)
    assert both.input_names == ("document_ids", "segment_ids")
    with pytest.raises(TypeError):
        LM() & "lm"


@pytest.mark.spread
@pytest.mark.parametrize(
    ("need", "name"),
    [
        ("token_ids", "Input-Token"),
        ("segment_ids", "Input-Segment"),
        ("document_ids", "Input-Document"),
        ("rank", "Input-Rank"),
        ("sentence_order_ids", "Input-Sentence-Order"),
    ],
)
def test_input_layer_names(need, name):
    assert input_layer_name(need) == name


@pytest.mark.spread
@pytest.mark.parametrize("name", APPLICATIONS)
def test_applications_by_name(name):
    assert get_mask(name) == APPLICATIONS[name]()


def test_get_mask_passes_and_defaults():
    assert get_mask(None) == Mask()
    mask = Window(3)
    assert get_mask(mask) is mask


@pytest.mark.spread
@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ("seq2seq", "unknown application 'seq2seq'.*encoder, lm, unilm"),
        (LM, "application=LM is a class; pass LM\\(...\\)"),
        (7, "unknown application 7"),
    ],
)
def test_wrong_application(wrong, message):
    with pytest.raises(ValueError, match=message):
        get_mask(wrong)


@pytest.mark.spread
@pytest.mark.parametrize("wrong", [(-1,), (1.5,), (2, -1)])
def test_window_takes_whole_tokens(wrong):
    with pytest.raises(ValueError, match="non-negative whole numbers"):
        Window(*wrong)


@pytest.mark.spread
@pytest.mark.parametrize("name", CASES)
def test_serialisation_round_trip(name):
    strategy = CASES[name][0]
    written = keras.saving.serialize_keras_object(strategy)
    assert get_mask(written) == strategy
    layer = AttentionMask(strategy, pad_token_id=3)
    again = AttentionMask.from_config(layer.get_config())
    assert again.strategy == strategy
    assert again.pad_token_id == 3


@pytest.mark.spread
@pytest.mark.parametrize("name", [name for name in CASES if name != "and-nothing"])
def test_symbolic_shape_is_the_shape_of_the_values(name):
    symbolic = {key: keras.KerasTensor((3, LENGTH), "int32") for key in INPUTS}
    layer = AttentionMask(CASES[name][0])
    assert tuple(layer(symbolic).shape) == tuple(layer(given_inputs()).shape)


class NoRow(Mask):
    def allowed(self, query_index, key_index, inputs):
        return query_index[:, None] == key_index


class NoField(Mask):
    def __init__(self, width):
        self.width = width


def test_a_rule_without_a_row_is_an_error():
    with pytest.raises(ValueError, match=r"rule of NoRow\(\) must be .*: add `\[None\]`"):
        AttentionMask(NoRow())(given_inputs())


def test_a_value_that_would_be_lost_is_not_saved():
    with pytest.raises(TypeError, match="NoField cannot be saved: width is no field"):
        NoField(3).get_config()
