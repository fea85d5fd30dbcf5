"""Errors of `AutoRegressiveDecoder`, and their messages."""

from __future__ import annotations

import numpy as np
import pytest

from bert4keras.generation import AutoRegressiveDecoder
from helpers.toy_language import END, Toy, decoder

pytestmark = pytest.mark.spread


def constant(scores, **options):
    return decoder(lambda self, inputs, ids, states: scores, **options)


NAN, EVEN, BANNED = np.full((1, 5), np.nan), np.full((1, 5), 0.2), np.zeros((1, 5))
ONLY_END = np.eye(5)[[END]]


@pytest.mark.parametrize("search", ["beam_search", "random_sample"])
@pytest.mark.parametrize(
    ("model", "message"),
    [
        (lambda: constant(NAN), "NaN, or negative probabilities, at step 0"),
        (lambda: constant(-EVEN), "negative probabilities, at step 0"),
        (lambda: constant(BANNED), "no next token is possible at step 0"),
        (lambda: constant(BANNED - np.inf, default_rtype="logits"), "possible at step 0"),
        (lambda: constant(ONLY_END, minlen=2), "at step 0.*minlen forbids"),
        (lambda: constant(EVEN[:, None]), r"shape \(1, 1, 5\) at step 0.*next token only"),
        (lambda: constant(np.tile(EVEN, (2, 1))), r"shape \(2, 5\) at step 0; with 1 rows"),
        (lambda: constant(EVEN, end_id=5), "end_id=5 is outside the 5 scores"),
        (lambda: constant((EVEN, None)), r"wraps\(use_states=True\)"),
        (lambda: constant(EVEN, use_states=True), "return a pair"),
        (lambda: constant(EVEN, maxlen=0), "maxlen=0 must be at least 1"),
        (lambda: constant(EVEN, minlen=6), "minlen=6 is above maxlen=5"),
    ],
)
def test_errors_of_models(model, message, search):
    with pytest.raises(ValueError, match=message):
        getattr(model(), search)([[1]], 1)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda m: m.beam_search([(1,)], 0), "topk=0 must be at least 1"),
        (lambda m: m.beam_search([(1,)], 2, n_best=3), "n_best=3 .* topk of at least that, not 2"),
        (lambda m: m.beam_search([(1,)], 2, n_best=0), "n_best=0"),
        (lambda m: m.beam_search([(1,)], 2, min_ends=0), "min_ends=0"),
        (lambda m: m.beam_search([(1,)], 2, temperature=0), "temperature=0 must be above 0"),
        (lambda m: m.random_sample([(1,)], 0), "n=0"),
        (lambda m: m.random_sample([(1,)], 1, topk=0), "topk=0"),
        (lambda m: m.random_sample([(1,)], 1, topp=-0.1), r"topp=-0\.1 must be above 0"),
        (lambda m: m.beam_search_batch([[(1,)], []], 1), "sample 1 of the batch has 0 inputs"),
        (lambda m: m.predict([], np.zeros((1, 0)), None, 1, "odds"), "'odds'"),
        (lambda m: AutoRegressiveDecoder.wraps("odds"), "'odds'"),
        (lambda m: AutoRegressiveDecoder(None, 1, 2).beam_search([], 1), "is not decorated"),
    ],
)
def test_errors_of_calls(call, message):
    with pytest.raises(ValueError, match=message):
        call(Toy())


def test_a_later_step_is_named():
    def predict(self, inputs, output_ids, states):
        return EVEN.repeat(len(output_ids), 0) * (np.nan if output_ids.shape[1] == 3 else 1)

    with pytest.raises(ValueError, match="at step 3"):
        decoder(predict).beam_search([], topk=2, n_best=2, length_penalty=2.0)


def test_predict_has_to_be_written():
    with pytest.raises(NotImplementedError, match="AutoRegressiveDecoder must define predict"):
        AutoRegressiveDecoder(None, 1, 2).predict([], None, None)
