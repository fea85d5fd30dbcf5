"""Wrong input is answered in words that name it."""

from __future__ import annotations

import json

import keras
import numpy as np
import pytest

from bert4keras.checkpoints import CheckpointError, save
from bert4keras.config import ConfigError
from bert4keras.masks import LM
from bert4keras.models import Transformer, build_transformer_model
from bert4keras.registry import get_family
from helpers import tiny

pytestmark = pytest.mark.spread


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        (
            {"model": "bart"},
            ValueError,
            "unknown model 'bart'. Known: .*bert, .*register_model",
        ),
        ({"application": "seq2seq"}, ValueError, "unknown application 'seq2seq'"),
        ({"application": LM}, ValueError, "is a class"),
        ({"hidden_sise": 3}, ConfigError, "unknown option `hidden_sise`. Known config fields"),
        pytest.param(
            {"hidden_size": 9},
            ConfigError,
            "`hidden_size` 9 is not divisible.* 2",
        ),
        ({"dropout_rate": 1.0}, ConfigError, r"`dropout_rate` must be a number in \[0, 1\)"),
        (
            {"hidden_act": "gellu"},
            ConfigError,
            "`hidden_act` must be .* not 'gellu'",
        ),
        ({"checkpoint_path": "/nowhere/at/all"}, (CheckpointError, OSError), "nowhere"),
    ],
)
def test_wrong_options(options, error, message):
    with pytest.raises(error, match=message):
        build_transformer_model(tiny.config(), **options)


def test_no_config_at_all():
    with pytest.raises(ConfigError, match="config has no `vocab_size`"):
        build_transformer_model()


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({}, "has no config.json or bert_config.json. It holds: nothing"),
        ({"vocab.txt": "a"}, "It holds: vocab.txt"),
        ({"config.json": "{"}, "config.json is not a json file"),
        ({"config.json": "[1]"}, "holds a json list"),
        ({"config.json": "{}"}, "config has no `vocab_size`.*vocab_size=..."),
    ],
)
def test_wrong_directories(files, message, tmp_path):
    for name, text in files.items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError, match=message):
        build_transformer_model(tmp_path)


def test_missing_path(tmp_path):
    with pytest.raises(ConfigError, match="absent does not exist"):
        build_transformer_model(tmp_path / "absent")


def test_more_tokens_than_rows(tmp_path):
    (tmp_path / "config.json").write_text(json.dumps(tiny.SIZES), encoding="utf-8")
    (tmp_path / "vocab.txt").write_text("\n".join(map(str, range(21))), encoding="utf-8")
    with pytest.raises(ConfigError, match="21 tokens, more than the 20 rows"):
        build_transformer_model(tmp_path)


def test_weights_that_do_not_fit(fixtures):
    with pytest.raises(CheckpointError):
        build_transformer_model(fixtures / "bert_gelu", intermediate_size=65)


@pytest.mark.parametrize("wrong", [20, 999, -1])
def test_token_id_out_of_range(wrong):
    bert = tiny.build()
    tokens, segments = tiny.inputs()
    tokens[1, 4] = wrong
    with pytest.raises(ValueError, match=rf"token id {wrong} at \(1, 4\).*vocabulary of 20"):
        bert.predict([tokens, segments], verbose=0)


@pytest.mark.parametrize("method", ["predict", "evaluate", "fit"])
def test_token_id_out_of_range_under_a_head(method):
    bert = tiny.build(with_pool=True)
    model = keras.Model(bert.input, keras.layers.Dense(1)(bert.output))
    model.compile(loss="mse")
    tokens, segments = tiny.inputs()
    call = getattr(model, method)
    labels = () if method == "predict" else (np.zeros((len(tokens), 1)),)
    call([tokens, segments], *labels, verbose=0)  # ids that the model has pass
    tokens[1, 4] = 20
    with pytest.raises(Exception, match=r"token id (\] \[)?20|20 is not in|out of range"):
        call([tokens, segments], *labels, verbose=0)


def test_sequence_longer_than_positions():
    with pytest.raises(ValueError, match="17 tokens is longer than the model's 16 positions"):
        tiny.build().predict(tiny.inputs(length=17), verbose=0)
    assert tiny.build().predict(tiny.inputs(length=16), verbose=0).shape == (3, 16, 8)


@pytest.mark.parametrize("name", ["", "BERT", "bart"])
def test_unknown_family(name):
    with pytest.raises(ValueError, match="unknown model"):
        get_family(name)


def test_an_unregistered_class_is_not_saved(tmp_path):
    class Unknown(Transformer):
        pass

    model = tiny.build(model=Unknown)
    with pytest.raises(ValueError, match=r"class Unknown .* is not known as .*register_model"):
        model.save(tmp_path / "model.keras")


def test_a_config_of_another_name(tmp_path):
    model = tiny.build()
    save(model, tmp_path, config=model.config)
    (tmp_path / "config.json").rename(tmp_path / "albert_config_tiny.json")
    (tmp_path / "tokenizer_config.json").write_text("{}")
    assert build_transformer_model(tmp_path).config == model.config
    (tmp_path / "another_config.json").write_text("{}")
    with pytest.raises(ConfigError, match=r"has no config.json or bert_config.json. It holds: al"):
        build_transformer_model(tmp_path)
