"""Checkpoints that do not fit the model: the message, and that nothing is assigned."""

from __future__ import annotations

import logging
import re

import keras
import numpy as np
import pytest

from bert4keras.checkpoints import (
    TABLES,
    CheckpointError,
    Rename,
    load,
    register_tables,
    save,
)
from bert4keras.families.bert import HUGGINGFACE
from helpers.named_weights import Bag, arrays_of, assert_same, bag, values

pytestmark = pytest.mark.spread


@pytest.mark.parametrize("change", ["missing", "shape", "transposed", "rank"])
def test_what_does_not_fit_is_refused_and_nothing_is_assigned(model, stored, change):
    before = values(model)
    name = "bert.encoder.layer.1.intermediate.dense.weight"
    array = stored.pop(name)
    if change == "missing":
        stored["bert.encoder.layer.1.intermediate.dense.w"] = array
    else:
        stored[name] = {"shape": array[:-1], "transposed": array.T, "rank": array[0]}[change]
    with pytest.raises(CheckpointError) as caught:
        load(model, stored)
    message = str(caught.value)
    assert "`Transformer-1-FeedForward/inner/kernel`" in message
    assert f"`{name}`" in message
    if change == "missing":
        assert "Not known instead: `bert.encoder.layer.1.intermediate.dense.w`" in message
    elif change != "rank":
        assert "(6, 10)" in message
        assert str(stored[name].shape) in message
    assert_same(values(model), before)

    for pattern in ("Transformer-1-FeedForward/inner/*", "*.1.intermediate.dense.weight"):
        report = load(model, stored, ignore=pattern)
        assert report.missing == ("Transformer-1-FeedForward/inner/kernel",)
    after = values(model)
    for path in before:
        kept = path == "Transformer-1-FeedForward/inner/kernel"
        assert np.array_equal(after[path], before[path]) == kept, path
    with pytest.raises(CheckpointError, match="does not fit"):
        load(model, stored, ignore=["MLM-*"])


def test_names_that_no_table_knows(model):
    arrays = {f"layers.{k}.w": np.zeros(1, "float32") for k in range(7)}
    with pytest.raises(CheckpointError, match=r"`layers.4.w` and 2 more, which no table knows"):
        load(model, arrays)
    with pytest.raises(CheckpointError, match="which no table knows"):
        load(model, {})


def test_one_tensor_under_two_names(model, stored):
    stored["module.cls.predictions.bias"] = stored["cls.predictions.bias"]
    with pytest.raises(CheckpointError, match=r"both mean `cls.predictions.bias`"):
        load(model, stored)


def test_models_that_have_none_of_our_weights(stored):
    with pytest.raises(CheckpointError, match=r"no weight that .* knows.*`dense/kernel`"):
        load(Bag({"dense/kernel": (2, 2)}), stored)
    with pytest.raises(CheckpointError, match="build it first"):
        load(keras.Sequential([keras.layers.Dense(2)]), stored)


class Two(keras.Model):
    def __init__(self, first, second):
        super().__init__()
        self.parts = [first, second]


def test_two_encoders_in_one_model(tmp_path, model, other, stored):
    with pytest.raises(CheckpointError, match="two weights `Embedding-"):
        load(Two(model, other), stored)
    with pytest.raises(CheckpointError, match="two weights `Embedding-"):
        save(Two(model, other), tmp_path)
    load(Two(model, model), stored)  # shared: the same weights twice
    assert_same(values(model), values(other))


# The heads have the names that they have in BERT, the encoder has others.
SECOND = HUGGINGFACE.renamed(
    "second",
    (
        Rename(r"^bert\.encoder\.layer", "second.blocks"),
        Rename(r"^bert\.", "second."),
        Rename(r"attention\.self\.(query|key|value)", r"attention.\1_proj"),
    ),
    root="second",
    roots=(),
)


@pytest.fixture
def second_family():
    register_tables("second", [SECOND])
    yield
    del TABLES["second"]


@pytest.mark.usefixtures("second_family")
class TestGuess:
    """Another family's checkpoint, loaded as BERT."""

    def test_heads_alone_match(self, tmp_path, model, other):
        save(other, tmp_path, tables=[SECOND])
        count = len(arrays_of(tmp_path))
        with pytest.raises(CheckpointError) as caught:
            load(model, tmp_path, tables=TABLES["bert"])
        message = str(caught.value)
        assert "are missing: `Embedding-Token/embeddings` (as `bert.embeddings.word" in message
        assert "Not known instead: `second." in message
        assert f"The names look like second: {count} of {count} are known there." in message
        load(model, tmp_path, tables=TABLES["second"])

    def test_nothing_matches(self, tmp_path):
        save(bag(heads=False), tmp_path, tables=[SECOND])
        arrays = {f"second.{name}": array for name, array in arrays_of(tmp_path).items()}
        with pytest.raises(CheckpointError, match=r"which no table knows.*look like second:"):
            load(bag(heads=False), arrays, tables=TABLES["bert"])

    def test_one_tensor_too_many(self, model, stored, caplog):
        stored["adapter.w"] = np.ones(1, "float32")
        with caplog.at_level(logging.WARNING):
            load(model, stored)
        count = len(stored)
        guess = rf"unexpected `adapter\.w`\. The names look like bert\b.*: {count - 1} of {count} "
        assert re.search(guess, caplog.text)


def test_names_that_look_like_nothing(model):
    with pytest.raises(CheckpointError, match=r"like none of the registered families: .*\bbert\b"):
        load(model, {"w": np.ones(1)})
