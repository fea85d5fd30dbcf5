"""Recorded decoding steps on torch give what the layers give, and follow the weights."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from keras import ops

from bert4keras.generation import BeamSearch, Greedy, generate, recording
from helpers.family_models import build

if keras.backend.backend() != "torch":
    pytest.skip("other backends compile their steps", allow_module_level=True)

PROMPTS = [[3, 4, 5], [7, 8, 9, 10, 11]]


def language_model(family: str):
    config, application = {"max_position": 100}, "encoder" if family.startswith("t5") else "lm"
    return build(family, application, config, with_mlm="linear")


def answers(model, strategy):
    return generate(model, PROMPTS, 8, strategy=strategy)


def records(model) -> list:
    return [
        r for search in model.transformer.searches.values() for r in search.step.records.values()
    ]


@pytest.fixture
def soon(monkeypatch):
    monkeypatch.setattr(recording, "RECORD_AFTER", 2)


@pytest.mark.parametrize("strategy", [Greedy(), BeamSearch(2)])
@pytest.mark.parametrize("family", ["bert", "gpt2", "nezha", "t5.1.1"])
def test_a_record_gives_what_the_layers_give(family, strategy, monkeypatch):
    model = language_model(family)
    expected = answers(model, strategy)
    assert not records(model)
    model.transformer.searches.clear()
    monkeypatch.setattr(recording, "RECORD_AFTER", 2)
    found = answers(model, strategy)
    assert len(records(model)) == 1
    assert found.token_ids == expected.token_ids
    np.testing.assert_allclose(found.scores, expected.scores, rtol=1e-5)


def test_a_record_follows_the_weights(soon):
    model, other = language_model("bert"), language_model("bert")
    before = answers(model, Greedy())
    (record,) = records(model)
    model.set_weights([2 * w for w in model.get_weights()])  # assigned, in the same tensors
    other.set_weights(model.get_weights())
    other.transformer.searches = {}
    doubled = answers(model, Greedy())
    assert records(model) == [record]
    assert doubled == answers(other, Greedy()) != before
    layer = model.get_layer("MLM-Dense")
    layer.enable_lora(2)  # other weights take part
    layer.lora_kernel_b.assign_add(ops.ones((2, 8)))
    adapted = answers(model, Greedy())
    assert record not in records(model)
    model.transformer.searches = {}
    assert adapted == answers(model, Greedy()) != doubled


def test_a_step_that_reads_values_is_not_recorded(soon):
    model = language_model("bert")

    def reading(inputs, query_index, cache):
        return inputs["token_ids"] * int(query_index[0]), cache

    step = recording.RecordedStep(reading, model)
    for index in (1, 2, 3):
        row = ops.convert_to_tensor([index])
        found, _ = step({"token_ids": ops.ones((1, 1), "int32")}, row, {})
        assert int(found[0, 0]) == index
