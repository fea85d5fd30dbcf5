"""Ranking of candidates: scores and loss by hand, odd rows, saving, half precision, by heart."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from keras import ops

from bert4keras.data import DataGenerator, pack_candidates
from bert4keras.tasks.linking import CandidateRanking
from helpers import tiny
from helpers.fresh_process import fresh_outputs, outputs

pytestmark = pytest.mark.spread

RNG = np.random.default_rng(2)
X = RNG.normal(size=(3, 7, 4)).astype("float32")
STARTS = np.array([[3, 5, 6], [2, 0, 0], [0, 0, 0]], "int32")
FEATURES = RNG.normal(size=(3, 3, 2)).astype("float32")
# A text of three tokens; one of a single token with one candidate; one with four candidates.
ROWS = [
    pack_candidates([2, 7, 3], [[8, 3], [9], [4, 5, 6]]),
    pack_candidates([5], [[6]]),
    pack_candidates([2, 3], [[4]] * 4),
]


def value(tensor) -> np.ndarray:
    return ops.convert_to_numpy(ops.cast(tensor, "float32"))


def noisy(layer, scale: float = 0.6):
    """The layer with weights far from zero."""
    rng = np.random.default_rng(1)
    for weight in layer.trainable_weights:
        weight.assign(rng.normal(scale=scale, size=weight.shape).astype("float32"))
    return layer


def built(features: bool = True, **options):
    head = CandidateRanking(**options)
    head.build([X.shape, STARTS.shape, FEATURES.shape][: 2 + features])
    return noisy(head)


def ranker(features: int = 2, length: int = 16, **sizes):
    """A head on a tiny encoder, and the model of both."""
    sizes = {"max_position": length, **sizes}
    bert = tiny.build(sizes, application="shared_prefix")
    starts = keras.Input((None,), dtype="int32")
    more = [keras.Input((None, features))] if features else []
    head = CandidateRanking(name="head")
    return head, keras.Model([*bert.inputs, starts, *more], head([bert.output, starts, *more]))


def batch(rows, features: int = 2) -> list[np.ndarray]:
    """Inputs of a model; the features tell the candidates apart."""

    def encode(row):
        places = np.arange(len(row.starts) * features, dtype="float32")
        known = np.sin(places).reshape(-1, features) if features else places
        return ((*row[:3], row.starts, *([known] if features else [])),)

    ((inputs,),) = DataGenerator(rows, len(rows), encode=encode, shuffle=False, buckets=None)
    return list(inputs)


def predict(model, inputs) -> np.ndarray:
    return value(model([ops.convert_to_tensor(array) for array in inputs], training=False))


@pytest.mark.parametrize("options", [{}, {"units": 5}, {"features": False}])
def test_scores_by_the_formula(options):
    head = built(**options)
    known = [FEATURES] if options.get("features", True) else []
    found = value(head([X, STARTS, *known]))
    kernel, bias = (value(w).astype("float64") for w in (head.inner.kernel, head.inner.bias))
    v = value(head.score.kernel)[:, 0]
    for row in range(3):
        for k, start in enumerate(STARTS[row]):
            wanted = v @ np.tanh(X[row, start] @ kernel + bias)
            if known:
                wanted += value(head.weigh.kernel)[:, 0] @ FEATURES[row, k]
            if start:
                np.testing.assert_allclose(found[row, k], wanted, atol=1e-5)
            else:
                assert found[row, k] < -1e8
    assert kernel.shape[1] == options.get("units", 4)
    assert head.compute_output_spec([X, STARTS]).shape == STARTS.shape


def test_at_the_start_the_features_are_added():
    """Weights of one, so that log priors give Bayes' rule."""
    head = CandidateRanking()
    head.build([X.shape, STARTS.shape, FEATURES.shape])
    assert value(head.weigh.kernel).tolist() == [[1], [1]]
    head.score.kernel.assign(np.zeros((4, 1)))
    np.testing.assert_allclose(value(head([X, STARTS, FEATURES]))[0], FEATURES[0].sum(-1), 1e-5)


def test_only_the_token_of_the_candidate_counts():
    head = built()
    before, moved = value(head([X, STARTS, FEATURES])), X.copy()
    moved[:, [0, 1, 4]] += 5  # no candidate begins here
    np.testing.assert_array_equal(value(head([moved, STARTS, FEATURES])), before)
    moved[0, 5] += 5
    changed = value(head([moved, STARTS, FEATURES])) != before
    assert changed.tolist() == [[False, True, False], [False] * 3, [False] * 3]


def test_dropout_in_training_alone():
    head = built(dropout_rate=0.5)
    still = value(head([X, STARTS, FEATURES]))
    moving = value(head([X, STARTS, FEATURES], training=True))
    assert (still[0] != moving[0]).any()
    assert (moving[STARTS == 0] < -1e8).all()


def test_loss_by_hand():
    """Odds of 1 : 2 : 5; a padded candidate takes no part; negative labels count for nothing."""
    scores = np.log([[1, 2, 5], [1, 2, 1], [1, 1, 1]]).astype("float32")
    scores[1, 2] = -1e9
    loss = CandidateRanking().loss
    np.testing.assert_allclose(value(loss([2, 0, -1], scores)), [np.log(8 / 5), np.log(3), 0], 1e-5)
    column = value(loss(np.array([[0], [1], [-7]]), scores))
    np.testing.assert_allclose(column, [np.log(8), np.log(3 / 2), 0], rtol=1e-5)
    # A row without any candidate has no label either, and no loss that is not a number.
    assert value(loss([-1], np.full((1, 3), -1e9, "float32"))).tolist() == [0]
    half = value(loss([1], ops.cast(np.array([[2.0, 3, -3e4]], "float32"), "float16")))
    np.testing.assert_allclose(half, [np.log1p(np.exp(-1))], rtol=1e-3)


def test_decode_by_hand():
    head = CandidateRanking()
    scores = np.log([[1, 2, 5], [3, 1, 1]]).astype("float32")
    scores[1, 2] = -1e9
    assert head.decode(scores) == [(2, pytest.approx(5 / 8)), (0, pytest.approx(3 / 4))]
    assert head.decode(ops.convert_to_tensor(scores)) == head.decode(scores)
    assert head.decode(np.zeros((1, 1), "float32")) == [(0, 1.0)]
    assert head.decode(np.array([[6e4, -6e4]], "float16")) == [(0, 1.0)]


def test_candidates_do_not_see_one_another():
    """A candidate has the same score with and without others; the text affects it."""
    _, model = ranker(features=0)
    noisy(model.get_layer("head"), 2)
    candidates = [[8, 3], [9], [4, 5, 6]]
    texts = [([2, 7, 3], candidates), ([2, 11, 3], candidates)]
    texts += [([2, 7, 3], [tokens]) for tokens in candidates]
    together, other, *alone = predict(model, batch([pack_candidates(*text) for text in texts], 0))
    np.testing.assert_allclose([row[0] for row in alone], together, atol=1e-4)
    assert (np.array(alone)[:, 1:] < -1e8).all()
    assert np.abs(other - together).min() > 1e-3


def test_one_candidate_and_one_token():
    head, model = ranker()
    inputs = batch([pack_candidates([5], [[6]])])
    scores = predict(model, inputs)
    assert scores.shape == (1, 1)
    assert head.decode(scores) == [(0, 1.0)]
    model.compile("adam", loss=head.loss)
    assert model.evaluate(inputs, np.array([0]), verbose=0) == pytest.approx(0, abs=1e-6)


def test_candidates_share_positions_and_none_may_pass_the_last():
    """A row of many candidates is longer than the model; each with the text before it is not."""
    _, model = ranker(length=8)
    assert np.isfinite(predict(model, batch([pack_candidates([2] * 4, [[3] * 4] * 3)]))).all()
    with pytest.raises(ValueError, match=r"token at \(0, 8\) is number 8 .* has 8 positions"):
        predict(model, batch([pack_candidates([2] * 5, [[3] * 4])]))


def test_a_new_process_loads_and_predicts_the_same(tmp_path):
    """A float32 model, and a half precision one, whose policy the new process does not share."""
    models = {}
    for policy in ("float32", "mixed_float16"):
        keras.config.set_dtype_policy(policy)
        head, model = ranker()
        noisy(head)
        model.compile("adam", loss=head.loss)
        models[policy] = model, batch(ROWS)
    for policy, scores in fresh_outputs(tmp_path, models).items():
        np.testing.assert_array_equal(scores, outputs(*models[policy]))


def test_mixed_precision():
    exact = predict(noisy(ranker()[1]), batch(ROWS))
    keras.config.set_dtype_policy("mixed_float16")
    head, model = ranker()
    scores = predict(noisy(model), batch(ROWS))
    assert model.output.dtype == "float16"
    assert np.isfinite(scores).all()
    real = exact > -1e8
    np.testing.assert_allclose(scores[real], exact[real], atol=0.1)
    assert (scores[~real] == -3e4).all()
    model.compile("adam", loss=head.loss)
    assert np.isfinite(model.evaluate(batch(ROWS), np.array([1, 0, -1]), verbose=0))


def test_the_policy_of_the_layer_is_that_of_its_parts():
    head = built(dtype="mixed_float16")
    assert {part.compute_dtype for part in (head.inner, head.score, head.weigh)} == {"float16"}
    assert keras.backend.standardize_dtype(head([X, STARTS, FEATURES]).dtype) == "float16"


def test_config_round_trip():
    head = CandidateRanking(5, 0.3, name="x")
    again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(head))
    assert again.get_config() == head.get_config()
    assert (again.units, again.dropout_rate) == (5, 0.3)


@pytest.mark.parametrize(
    ("options", "shapes", "message"),
    [
        ({"units": 0}, None, "units=0"),
        ({"dropout_rate": 1.5}, None, "1.5"),
        ({}, [X.shape], "inputs.* not 1"),
        ({}, [X.shape, STARTS.shape, FEATURES.shape, FEATURES.shape], "inputs.* not 4"),
        ({}, [X.shape, STARTS.shape, STARTS.shape], r"features .*\(3, 3\)"),
    ],
)
def test_bad_arguments(options, shapes, message):
    with pytest.raises(ValueError, match=message):
        CandidateRanking(**options).build(shapes or [X.shape, STARTS.shape])


def test_learns_eight_texts_by_heart():
    """Also which text means none of its candidates but the empty one, the first; features: none."""
    rng = np.random.default_rng(1)
    rows, labels = [], np.array([0, 1, 2, 1, 0, 2, 3, 1])
    for number in range(8):
        text = rng.integers(4, 20, 3).tolist()
        count = 4 if number == 6 else 3
        rows.append(pack_candidates(text, [[1], *rng.integers(4, 20, (count - 1, 2)).tolist()]))
    changes = {"hidden_size": 32, "num_hidden_layers": 1, "initializer_range": 0.2}
    head, model = ranker(0, **changes)
    inputs = batch(rows, 0)
    before = [k for k, _ in head.decode(predict(model, inputs))]
    model.compile(keras.optimizers.Adam(0.01), loss=head.loss)
    taught = np.array([*labels[:-1], -1])  # the last row teaches nothing
    steps = [np.concatenate([array] * 60) for array in (*inputs, taught)]  # one epoch is quicker
    model.fit(steps[:-1], steps[-1], batch_size=8, shuffle=False, verbose=0)
    found = head.decode(predict(model, inputs))
    assert before != labels.tolist()
    assert [k for k, _ in found[:-1]] == labels[:-1].tolist()
    assert min(p for _, p in found[:-1]) > 0.6


def test_an_ignored_row_leaves_the_weights_alone():
    """Only the head, on vectors; no gradient is NaN if a row has no candidate."""
    head = CandidateRanking()
    inputs = [keras.Input((7, 4)), keras.Input((3,), dtype="int32"), keras.Input((3, 2))]
    model = keras.Model(inputs, head(inputs))
    model.compile(keras.optimizers.SGD(1.0), loss=head.loss)
    before = [value(w).copy() for w in model.trainable_weights]
    model.fit([X, STARTS, FEATURES], np.array([-1, -1, -1]), verbose=0)
    for old, new in zip(before, model.trainable_weights, strict=True):
        np.testing.assert_array_equal(value(new), old)
    model.fit([X, STARTS, FEATURES], np.array([1, -1, -1]), verbose=0)
    for old, new in zip(before, model.trainable_weights, strict=True):
        assert np.isfinite(value(new)).all()
        assert (value(new) != old).any()
