"""Permutation language models: what each row may know, in both readings and many families."""

from __future__ import annotations

import dataclasses

import keras
import numpy as np
import pytest
from keras import ops

from bert4keras.config import ConfigError
from bert4keras.data import ordered_inputs
from bert4keras.masks import LM, AttentionMask, Mask, Window
from bert4keras.models import TwoStream, build_transformer_model
from helpers import tiny
from helpers.steps import step_all

pytestmark = pytest.mark.spread

LENGTH = 8
TOKENS, SEGMENTS = tiny.inputs(batch=3, length=LENGTH, padding=0)
TOKENS[2, 6:] = 0
MASK_ID = 4
# Position 0 is given; the third row has a source of three tokens and two of padding.
RANK = np.array(
    [[0, 3, 7, 1, 5, 2, 6, 4], [0, 1, 2, 3, 4, 5, 6, 7], [0, 0, 0, 3, 1, 2, 0, 0]], "int32"
)
IDENTITY = np.tile(np.arange(LENGTH, dtype="int32"), (3, 1))
REAL = TOKENS != 0
FAMILIES = {
    "bert": {},
    "albert": {},
    "electra_generator": {},
    "roformer": {},
    "roformer_v2": {},
    "nezha": {},
    "roberta": {"pad_token_id": 0},
    "distilbert": {"segment_vocab_size": 0},
    "gpt": {},
    "gpt2": {},
    "gpt2_ml": {},
    "ernie": {"use_task_id": True},
    "modernbert": {"local_attention": 64, "segment_vocab_size": 2},
    "deberta-v2": {"segment_vocab_size": 2},
    "real": {"residual_attention_scores": True},
}
ONE_STREAM = {"custom_position_ids": True, "hierarchical_position": 0.4}


def build(application, family="bert", **options):
    options = {**FAMILIES[family], **options}
    family = "bert" if family == "real" else family
    return tiny.build(application=application, model=family, with_mlm="linear", **options)


def named(model, **values):
    """The inputs of a model, out of those known here and those given."""
    known = {
        "token_ids": TOKENS,
        "segment_ids": SEGMENTS,
        "position_ids": IDENTITY,
        "rank": RANK,
        **values,
    }
    return [known[name] for name in model.transformer.get_inputs()]


def run(model, **values):
    return model.predict(named(model, **values), verbose=0)


def copy_weights(source, target):
    values = {weight.path: ops.convert_to_numpy(weight) for weight in source.weights}
    assert {weight.path for weight in target.weights} == set(values)
    for weight in target.weights:
        weight.assign(values[weight.path])


# Who sees whom


@pytest.mark.parametrize("query_stream", [False, True])
def test_row_i_sees_as_many_positions_as_its_rank_says(query_stream):
    rank = np.array([[3, 0, 4, 1, 5, 2]], "int32")
    inputs = {"token_ids": ops.ones((1, 6), "int32"), "rank": ops.convert_to_tensor(rank)}
    layer = AttentionMask(TwoStream(MASK_ID))
    seen = ops.convert_to_numpy(layer(inputs, query_stream=query_stream))[0, 0]
    np.testing.assert_array_equal(seen.sum(axis=1), rank[0] + (not query_stream))
    expected = (
        rank[0][None] < rank[0][:, None] if query_stream else rank[0][None] <= rank[0][:, None]
    )
    np.testing.assert_array_equal(seen, expected)


def test_no_row_of_a_mask_in_the_model_is_empty():
    model = build(TwoStream(MASK_ID))
    layers = model.transformer.layers
    masks = [layers["Attention-Mask"].output, layers["Attention-Mask-Query"].output]
    content, query = keras.Model(model.inputs, masks).predict(named(model), verbose=0)
    assert content.any(axis=-1).all()
    assert query.any(axis=-1).all()
    assert not (content | query)[~np.broadcast_to(REAL[:, None, None], content.shape)].any()
    ranked = (RANK > 0)[:, None]
    own = np.diagonal(query, axis1=2, axis2=3)
    assert not own[ranked].any()
    np.testing.assert_array_equal(query[~ranked], content[~ranked])


def moved(model, cases, **values):
    """Return which outputs of a text change with one of its tokens: bool (case, T).

    Args:
        cases: pairs of a text and the position of the token.
    """
    rows, positions = np.array(cases).T
    each = np.arange(len(cases))
    tokens = TOKENS[rows]
    tokens[each, positions] = tokens[each, positions] % 19 + 1
    values = {"segment_ids": SEGMENTS, "position_ids": IDENTITY, "rank": RANK, **values}
    values = {name: np.vstack([value, value[rows]]) for name, value in values.items()}
    outputs = run(model, token_ids=np.vstack([TOKENS, tokens]), **values)
    return np.abs(outputs[3:] - outputs[:3][rows]).max(axis=-1) > 1e-4


@pytest.mark.parametrize(
    ("family", "streams"), [("bert", 1), ("roformer", 1), *((family, 2) for family in FAMILIES)]
)
def test_one_token_moves_exactly_the_rows_that_may_know_it(family, streams):
    """Through two blocks and the head: only the content stream, then the query stream too."""
    model = build(TwoStream(MASK_ID) if streams == 2 else "permutation", family)
    cases = [(row, position) for row, position in np.argwhere(REAL)]
    for found, (row, position) in zip(moved(model, cases), cases, strict=True):
        rank, own = RANK[row], RANK[row, position]
        expected = rank >= own if streams == 1 else (rank > own) | (rank == own) & (own == 0)
        np.testing.assert_array_equal(found[REAL[row]], expected[REAL[row]], str((row, position)))


def test_a_leak_would_be_noticed():
    model = build("encoder")
    assert moved(model, [(0, 2)]).all()


# The same numbers as other models


@dataclasses.dataclass(frozen=True)
class Doubled(Mask):
    """Both streams behind one another in one sequence; `query` is 1 in the second."""

    input_names = ("rank", "query")

    def allowed(self, query_index, key_index, inputs):
        rank, query = inputs["rank"], inputs["query"]
        q_rank = ops.take(rank, query_index, axis=1)[:, :, None]
        queries = ops.take(query, query_index, axis=1)[:, :, None]
        limit = ops.maximum(q_rank - queries, 0)
        return ops.logical_and(query[:, None] == 0, rank[:, None] <= limit)


@pytest.mark.parametrize("family", ["bert", "albert", "roformer", "nezha", "gpt2", "deberta-v2"])
def test_two_streams_equal_one_sequence_of_double_length(family):
    """A plain model that reads the text and then as many [MASK]s, in the same positions."""
    model = build(TwoStream(MASK_ID), family)
    plain = build(Doubled(), family, custom_position_ids=True)
    copy_weights(model, plain)
    both = run(
        plain,
        token_ids=np.hstack([TOKENS, np.full_like(TOKENS, MASK_ID)]),
        segment_ids=np.tile(SEGMENTS, 2),
        position_ids=np.tile(np.arange(LENGTH, dtype="int32"), (3, 2)),
        rank=np.tile(RANK, 2),
        query=np.hstack([np.zeros_like(RANK), np.ones_like(RANK)]),
    )
    np.testing.assert_allclose(run(model)[REAL], both[:, LENGTH:][REAL], atol=2e-5)


@pytest.mark.parametrize("streams", [1, 2])
@pytest.mark.parametrize("family", ["bert", "nezha"])
def test_identity_is_the_language_model_and_reversal_the_backward_one(family, streams):
    def order(name):
        return TwoStream(MASK_ID, name) if streams == 2 else name

    permuted = build(order("permutation"), family, custom_position_ids=True)
    forward = build(order("lm"), family, custom_position_ids=True)
    copy_weights(permuted, forward)
    identity, plain = run(permuted, rank=IDENTITY), run(forward)
    np.testing.assert_allclose(identity[REAL], plain[REAL], atol=2e-5)
    # The text and its positions, back to front.
    flipped = {"token_ids": TOKENS, "segment_ids": SEGMENTS, "position_ids": IDENTITY}
    flipped = {name: value[:, ::-1].copy() for name, value in flipped.items()}
    backward = run(forward, **flipped)[:, ::-1]
    reversed_order = run(permuted, rank=IDENTITY[:, ::-1].copy())
    full = REAL.all(axis=1)  # behind padding, the flipped text would begin with nothing
    np.testing.assert_allclose(reversed_order[full], backward[full], atol=2e-5)
    assert np.abs(reversed_order - identity)[full].max() > 1e-2


def test_one_stream_with_targets_is_the_plain_model_plus_a_share_of_the_positions_vector():
    """The position ids, as the data makes them, against a hand-made embedding."""
    model = build("permutation", **ONE_STREAM)
    inputs, labels = ordered_inputs(TOKENS, SEGMENTS, RANK, max_position=16, pad_token_id=0)
    table = ops.convert_to_numpy(model.transformer.layers["Embedding-Position"].embeddings)
    own, target = inputs[2] % 16, inputs[2] // 16
    layer = model.transformer.layers["Embedding-Position"]
    found = ops.convert_to_numpy(layer(ops.convert_to_tensor(inputs[2])))
    expected = table[own] + 0.4 / 0.6 * (table[target] - table[0])
    np.testing.assert_allclose(found, expected, atol=1e-5)
    # Without targets it is the plain language model.
    lm = build("lm")
    copy_weights(model, lm)
    whole = run(model, rank=IDENTITY)
    np.testing.assert_allclose(whole[REAL], run(lm)[REAL], atol=2e-5)
    told = model.predict(list(inputs), verbose=0)
    assert np.abs(told - run(model))[labels >= 0].max(axis=-1).min() > 1e-3


def test_one_stream_does_not_see_the_token_it_predicts():
    """Row by row: only tokens up to the row's rank move it, and its target's is the next."""
    model = build("permutation", **ONE_STREAM)
    inputs, labels = ordered_inputs(TOKENS, SEGMENTS, RANK, max_position=16, pad_token_id=0)
    target = inputs[2] // 16
    asked = np.argwhere(labels >= 0)
    cases = [(row, target[row, i]) for row, i in asked]
    everything = moved(model, cases, position_ids=inputs[2])
    for found, (row, i) in zip(everything, asked, strict=True):
        assert not found[i]
        np.testing.assert_array_equal(found[REAL[row]], (RANK[row] > RANK[row, i])[REAL[row]])


# Weights, files, decoding, training


@pytest.mark.parametrize("family", FAMILIES)
def test_all_weights_are_those_of_the_plain_model(family):
    plain, two = build("encoder", family), build(TwoStream(MASK_ID), family)
    shapes = [{weight.path: weight.shape for weight in model.weights} for model in (plain, two)]
    assert shapes[0] == shapes[1]


def test_a_saved_model_gives_the_same_numbers(tmp_path):
    model = build(TwoStream(MASK_ID, "permutation"))
    model.save(tmp_path / "model.keras")
    again = keras.models.load_model(tmp_path / "model.keras")
    assert again.transformer.mask == model.transformer.mask
    np.testing.assert_allclose(run(again), run(model), atol=1e-6)


@pytest.mark.parametrize(
    "application", ["permutation", TwoStream(MASK_ID), TwoStream(MASK_ID, "lm")]
)
def test_every_weight_learns(application):
    model = build(application, dropout_rate=0.0, **ONE_STREAM)
    two = isinstance(application, TwoStream)
    inputs, labels = ordered_inputs(TOKENS, SEGMENTS, RANK, max_position=16, pad_token_id=0)
    if two:
        labels = np.where(RANK > 0, TOKENS, -1)
    inputs = dict(zip(("token_ids", "segment_ids", "position_ids", "rank"), inputs, strict=True))
    if two:
        inputs["position_ids"] = IDENTITY
    before = {weight.path: ops.convert_to_numpy(weight) for weight in model.trainable_weights}
    model.compile(
        keras.optimizers.SGD(1.0),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True, ignore_class=-1),
    )
    model.train_on_batch(named(model, **inputs), labels)
    for weight in model.trainable_weights:
        # Scores that all keys get alike change nothing, so the bias of keys learns nothing.
        if not weight.path.endswith("key/bias"):
            change = np.abs(ops.convert_to_numpy(weight) - before[weight.path]).max()
            assert change > 1e-6, weight.path


@pytest.mark.parametrize("order", ["permutation", "lm"])
def test_row_by_row_with_a_cache_equals_the_whole(order):
    model = build(TwoStream(MASK_ID, order))
    tokens = np.where(TOKENS == 0, 5, TOKENS)
    whole = run(model, token_ids=tokens, rank=IDENTITY)
    arrays = named(model, token_ids=tokens, rank=IDENTITY)
    values = dict(zip(model.transformer.get_inputs(), arrays, strict=True))
    np.testing.assert_allclose(step_all(model.transformer, values, 1), whole, atol=2e-5)
    ends = step_all(model.transformer, values, 3, last=True)
    np.testing.assert_allclose(ends, whole[:, 2:], atol=2e-5)


@pytest.mark.parametrize("application", ["unilm", "prefix", LM() & Window(3)])
def test_other_orders(application):
    model = build(TwoStream(MASK_ID, application))
    segments = np.tile(np.array([0, 0, 0, 1, 1, 1, 1, 1], "int32"), (3, 1))
    values = {"segment_ids": segments, "prefix": 1 - segments}
    found = moved(model, [(0, 4)], **values)[0]
    expected = np.arange(LENGTH) > 4
    np.testing.assert_array_equal(found, expected)


def test_the_head_is_implied_and_the_family_not_asked():
    model = build_transformer_model(tiny.config(), application=TwoStream(MASK_ID))
    assert model.output.shape[-1] == tiny.SIZES["vocab_size"]
    assert run(model).sum(axis=-1) == pytest.approx(np.ones(TOKENS.shape), abs=1e-5)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: TwoStream("[MASK]"), "id of a token"),
        (lambda: TwoStream(4, "encoder"), "does not rank"),
        (lambda: TwoStream(4, Window(2)), "does not rank"),
        (lambda: TwoStream(4, "packed"), "does not rank"),
        (lambda: build(TwoStream(20)), "20 is not an id of the model's 20 tokens"),
        (lambda: build(TwoStream(-1)), "-1 is not an id"),
        (lambda: build(TwoStream(4), with_pool=True), "no head with_pool"),
        (
            lambda: tiny.build(application=TwoStream(4), model="t5", with_mlm=True),
            "cross-attention",
        ),
        (lambda: tiny.build(application=TwoStream(4), model="gau_alpha"), "gated attention unit"),
    ],
)
def test_what_cannot_be_is_refused(call, message):
    with pytest.raises((ConfigError, ValueError), match=message):
        call()
