"""Families under the names of their TensorFlow checkpoints, against forward passes in numpy."""

from __future__ import annotations

import numpy as np
import pytest
from keras import ops

from bert4keras.models import build_transformer_model
from helpers import numpy_families as reference
from helpers import tiny

pytestmark = pytest.mark.spread

SIZES = {
    "vocab_size": reference.V,
    "hidden_size": reference.D,
    "num_hidden_layers": reference.L,
    "num_attention_heads": reference.N,
    "intermediate_size": reference.F,
    "max_position_embeddings": reference.P,
}
FACTOR = {"embedding_size": reference.E}
LM = {"with_mlm": "linear"}
CASES = {
    "nezha": {},
    "roformer_v2": {"hidden_act": "relu"},
    "albert": FACTOR,
    "albert_zh": {**FACTOR, **LM},
    "electra": {**FACTOR, "with_discriminator": "linear"},
    "gpt": {**LM, "activation_function": "gelu_new"},
    "gpt2": LM,
    "gpt2_ml": LM,
}
OTHERS = {"relu": "gelu", "gelu": "gelu_tanh", "gelu_tanh": "gelu"}
TOKENS, SEGMENTS = tiny.inputs()


def expected(family: str) -> tuple[reference.Tensors, np.ndarray]:
    tensors = reference.Tensors()
    return tensors, getattr(reference, family)(tensors, TOKENS, SEGMENTS)


def build(family: str, tensors=None, **changes):
    options = {**CASES[family], **changes}
    names = [name for name in options if name.startswith("with_")]
    outputs = {name: options.pop(name) for name in names}
    config = {**SIZES, **CASES[family], "model_type": family}
    config = {key: value for key, value in config.items() if not key.startswith("with_")}
    overrides = {key: value for key, value in options.items() if key in changes}
    return build_transformer_model(config, tensors, **outputs, **overrides)


def gap(model, values, positions=None) -> float:
    given = {"Input-Token": TOKENS, "Input-Segment": SEGMENTS, "Input-Position": positions}
    found = model.predict([given[x.name] for x in model.inputs], verbose=0)
    real = TOKENS != 0
    return float(np.abs(found - values)[real].max() / np.abs(values).max())


@pytest.mark.parametrize("family", CASES)
def test_numbers(family):
    tensors, values = expected(family)
    model = build(family, dict(tensors))
    report = model.load_report
    assert sorted(report.loaded.values()) == sorted(tensors)  # each tensor in exactly one weight
    assert (report.missing, report.unexpected, report.unused) == ((), (), ())
    assert gap(model, values) < 2e-5


@pytest.mark.parametrize("family", CASES)
def test_the_names_are_written_back(family):
    tensors, _ = expected(family)
    model = build(family, dict(tensors))
    google = next(table for table in model.checkpoint_tables if table.format == "google")
    found = {}
    for weight in model.weights:
        row = google.of_weight(weight.path)
        found[row.tensor] = row.transform.inverse(ops.convert_to_numpy(weight))
    assert found.keys() == tensors.keys()
    for name, value in found.items():
        np.testing.assert_array_equal(value, tensors[name])


@pytest.mark.parametrize("family", CASES)
def test_wrong_models_would_be_noticed(family):
    tensors, values = expected(family)
    own = build(family, dict(tensors)).config.hidden_act
    activation = build(family, dict(tensors), hidden_act=OTHERS[own])
    assert gap(activation, values) > 1e-4
    if not family.startswith("gpt"):
        assert gap(build(family, dict(tensors), pad_token_id=-1), values) > 1e-3
    shifted = build(family, dict(tensors), custom_position_ids=True)
    columns = np.broadcast_to(np.arange(TOKENS.shape[1]), TOKENS.shape)
    assert gap(shifted, values, columns) < 2e-5
    assert gap(shifted, values, columns + (columns > 1)) > 1e-3
