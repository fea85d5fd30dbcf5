"""Edits of the vocabulary while loading: rows that are kept and rows that are appended."""

from __future__ import annotations

import numpy as np
import pytest

from bert4keras.checkpoints import CheckpointError, load
from helpers.named_weights import assert_same, bag, values

pytestmark = pytest.mark.spread

KEEP = [0, 5, 5, 2]


def test_keep_and_compound_tokens(stored):
    compounds = [[1, 3], ([0, 1, 2], [1.0, 1.0, 2.0]), [2]]
    model = bag(vocab=7)
    report = load(model, stored, keep_tokens=np.array(KEEP), compound_tokens=compounds)
    assert set(report.reshaped) == {"Embedding-Token/embeddings", "MLM-Bias/bias"}
    pairs = {
        "Embedding-Token/embeddings": "bert.embeddings.word_embeddings.weight",
        "MLM-Bias/bias": "cls.predictions.bias",
    }
    for ours, theirs in pairs.items():
        kept = stored[theirs][KEEP].astype("float64")
        expected = [*kept, (kept[1] + kept[3]) / 2, kept[:3].T @ [0.25, 0.25, 0.5], kept[2]]
        np.testing.assert_allclose(values(model)[ours], expected, rtol=1e-6)
        np.testing.assert_array_equal(values(model)[ours][:4], stored[theirs][KEEP])
        np.testing.assert_array_equal(values(model)[ours][6], stored[theirs][5])


def test_compound_tokens_alone(stored):
    model = bag(vocab=12)
    load(model, stored, compound_tokens=[[10]])
    bias = stored["cls.predictions.bias"]
    np.testing.assert_array_equal(values(model)["MLM-Bias/bias"], [*bias, bias[10]])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"keep_tokens": [0, 11]}, "names token 11, but the checkpoint has only tokens 0 to 10"),
        ({"keep_tokens": [-1]}, "names token -1"),
        ({"keep_tokens": []}, "must be a list of token ids"),
        ({"keep_tokens": [0.5]}, "must be a list of token ids"),
        ({"keep_tokens": 3}, "must be a list of token ids"),
        (
            {"keep_tokens": [0, 1], "compound_tokens": [[0], [2]]},
            r"compound_tokens\[1\] names token 2, but keep_tokens leave only tokens 0 to 1",
        ),
        ({"compound_tokens": [[]]}, r"compound_tokens\[0\] must be a list"),
        ({"compound_tokens": [([1, 2], [1.0])]}, "2 ids need as many weights"),
        ({"compound_tokens": [([1, 2], [1.0, -1.0])]}, "a sum other than 0"),
        ({"compound_tokens": [([1], [np.nan])]}, "1 ids need as many weights"),
        ({"keep_tokens": [0, 1]}, r"model has \(11, 6\).*Set vocab_size=2"),
    ],
)
def test_wrong_token_ids(model, stored, arguments, message):
    before = values(model)
    with pytest.raises(CheckpointError, match=message):
        load(model, stored, **arguments)
    assert_same(values(model), before)


def test_another_vocabulary_needs_keep_tokens(stored):
    with pytest.raises(
        CheckpointError, match=r"Set vocab_size=11, or choose rows with keep_tokens"
    ):
        load(bag(vocab=5), stored)
