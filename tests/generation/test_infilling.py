"""Filling gaps in any order: each token is the best one given what was filled before it."""

from __future__ import annotations

import numpy as np
import pytest

from bert4keras.data import ordered_inputs, random_ranks
from bert4keras.generation import infill
from bert4keras.models import TwoStream
from helpers import tiny

pytestmark = pytest.mark.spread

TOKENS, SEGMENTS = tiny.inputs(batch=3, length=9, padding=2)
GAPS = np.array([[0, 1, 1, 0, 1, 1, 0, 0, 0], [0, 0, 0, 1, 0, 0, 1, 0, 0], [0] * 9], bool)
RANKS = {
    "left": [[0, 1, 2, 0, 3, 4, 0, 0, 0], [0, 0, 0, 1, 0, 0, 2, 0, 0], [0] * 9],
    "right": [[0, 4, 3, 0, 2, 1, 0, 0, 0], [0, 0, 0, 2, 0, 0, 1, 0, 0], [0] * 9],
    "own": [[0, 2, 4, 0, 1, 3, 0, 0, 0], [0, 0, 0, 2, 0, 0, 1, 0, 0], [0] * 9],
}
ONE_STREAM = {"custom_position_ids": True, "hierarchical_position": 0.4}
READINGS = {
    "one": {"application": "permutation", **ONE_STREAM},
    "two": {"application": TwoStream(4)},
}


def lively(**options):
    """A model whose choices hang on the context, with the same weights on every backend."""
    model, rng = tiny.build(**options), np.random.default_rng(5)
    for weight in model.trainable_weights:
        if weight.path.endswith(("kernel", "embeddings")):
            weight.assign(rng.normal(size=weight.shape).astype("float32"))
    return model


def best(model, tokens, rank, reading, banned=(0,)):
    """The best token of every gap given those before it, out of one pass over the filled text."""
    one = 16 if reading == "one" else None
    inputs, labels = ordered_inputs(tokens, SEGMENTS, rank, max_position=one, pad_token_id=0)
    scores = model.predict(list(inputs), verbose=0)
    scores[..., list(banned)] = -1e9
    found = tokens.copy()
    for b, i in np.argwhere(labels >= 0):
        found[b, inputs[2][b, i] // 16 if one else i] = scores[b, i].argmax()
    return found


@pytest.mark.parametrize("head", ["linear", True])
@pytest.mark.parametrize("reading", READINGS)
def test_each_token_is_the_best_after_those_before_it(reading, head):
    model = lively(**READINGS[reading], with_mlm=head)
    results = {}
    for name, rank in RANKS.items():
        order = np.array(rank) if name == "own" else name
        filled = infill(model, np.where(GAPS, 0, TOKENS), GAPS, SEGMENTS, order)
        np.testing.assert_array_equal(filled[~GAPS], TOKENS[~GAPS])
        np.testing.assert_array_equal(filled, best(model, filled, np.array(rank, "int32"), reading))
        results[name] = filled
    assert (results["left"] != results["right"]).any()


def test_random_orders_are_drawn_from_the_generator():
    model = lively(**READINGS["two"], with_mlm="linear")

    def fill(order, seed):
        rng = np.random.default_rng(seed)
        return infill(model, TOKENS, GAPS, SEGMENTS, order, rng=rng)

    for seed in range(4):
        ranks = random_ranks(GAPS, np.random.default_rng(seed))
        np.testing.assert_array_equal(fill("random", seed), fill(ranks, seed))
    assert len({fill("random", seed).tobytes() for seed in range(8)}) > 1


def test_banned_tokens_and_padding_are_not_filled_in():
    model = tiny.build(**READINGS["two"], with_mlm="linear")
    banned = [i for i in range(20) if i not in (0, 7)]
    assert (infill(model, TOKENS, GAPS, SEGMENTS, banned_ids=banned)[GAPS] == 7).all()


def test_sampling_follows_the_scores():
    model = tiny.build(**READINGS["two"], with_mlm="linear")
    tokens, segments = np.repeat(TOKENS[:1], 3000, axis=0), np.repeat(SEGMENTS[:1], 3000, axis=0)
    gaps = np.zeros_like(tokens, bool)
    gaps[:, 3] = True
    inputs, _ = ordered_inputs(TOKENS[:1], SEGMENTS[:1], gaps[:1].astype("int32"), pad_token_id=0)
    scores = model.predict(list(inputs), verbose=0)[0, 3] / 0.7
    expected = np.exp(scores - scores.max())
    expected[0] = 0
    expected /= expected.sum()
    rng = np.random.default_rng(0)
    filled = infill(model, tokens, gaps, segments, temperature=0.7, rng=rng)
    found = np.bincount(filled[:, 3], minlength=20) / 3000
    # Four standard deviations of a share.
    assert (np.abs(found - expected) < 4 * np.sqrt(expected * (1 - expected) / 3000) + 1e-9).all()


def test_nothing_to_fill():
    model = tiny.build(**READINGS["two"])
    none = np.zeros_like(GAPS)
    np.testing.assert_array_equal(infill(model, TOKENS, none, SEGMENTS), TOKENS)


@pytest.mark.parametrize(
    ("options", "arguments", "message"),
    [
        ({"application": "lm"}, {}, "knows which position"),
        ({"application": "permutation"}, {}, "knows which position"),
        ({"application": TwoStream(4, "lm")}, {}, "knows which position"),
        ({**READINGS["one"], "model": "roformer"}, {}, "roformer"),
        ({**READINGS["two"], "with_mlm": False}, {}, "head"),
        (READINGS["two"], {"order": "inwards"}, "unknown order 'inwards'"),
        (READINGS["two"], {"order": np.zeros((3, 9), int)}, "a rank above 0 in every gap"),
        (READINGS["two"], {"order": GAPS * 1}, "1, 2, ... each once"),
        (READINGS["two"], {"gaps": GAPS[:2]}, "one shape"),
        (READINGS["two"], {"gaps": np.ones_like(GAPS)}, "no token of rank 0"),
        (READINGS["two"], {"banned_ids": range(20)}, "all tokens are banned at step 1"),
        (READINGS["two"], {"temperature": 1.0}, "needs rng"),
        (READINGS["two"], {"order": "random"}, "rng must be"),
    ],
)
def test_bad_input_is_named(options, arguments, message):
    model = tiny.build(**{"with_mlm": "linear", **options})
    arguments = {"gaps": GAPS, "segment_ids": SEGMENTS, **arguments}
    with pytest.raises((TypeError, ValueError), match=message):
        infill(model, TOKENS, **arguments)


def test_scores_that_are_nan_are_named():
    model = tiny.build(**READINGS["two"], with_mlm="linear")
    model.transformer.layers["MLM-Bias"].weights[0].assign([float("nan")] * 20)
    with pytest.raises(ValueError, match="NaN at step 1"):
        infill(model, TOKENS, GAPS, SEGMENTS)
