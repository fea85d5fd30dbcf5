"""Configs of models, from the json of any known library."""

from __future__ import annotations

import dataclasses
import importlib.util
import json
import re
from pathlib import Path

import pytest

from bert4keras.config import ConfigError, TransformerConfig, read_config_json
from helpers import tiny

pytestmark = pytest.mark.spread

GOOGLE = {
    "attention_probs_dropout_prob": 0.2,
    "directionality": "bidi",
    "hidden_act": "gelu",
    "hidden_dropout_prob": 0.3,
    "hidden_size": 8,
    "initializer_range": 0.02,
    "intermediate_size": 12,
    "max_position_embeddings": 16,
    "num_attention_heads": 2,
    "num_hidden_layers": 2,
    "pooler_fc_size": 768,
    "type_vocab_size": 3,
    "vocab_size": 20,
}


def test_google_keys():
    config = TransformerConfig.from_dict(GOOGLE)
    assert config.attention_dropout_rate == 0.2
    assert config.dropout_rate == 0.3
    assert config.max_position == 16
    assert config.segment_vocab_size == 3
    assert (config.embedding_size, config.attention_head_size) == (8, 4)
    assert config.extra == {"directionality": "bidi", "pooler_fc_size": 768}


@pytest.mark.parametrize("name", ["bert_gelu", "bert_gelu_tanh", "bert_bare", "bert_sharded"])
def test_files_of_checkpoints_warn_of_nothing(fixtures, name):
    config = TransformerConfig.from_file(fixtures / name / "config.json")
    assert config.hidden_act == ("gelu_tanh" if name.endswith("tanh") else "gelu")
    assert (config.hidden_size, config.max_position) == (32, 40)


@pytest.mark.parametrize(
    ("theirs", "ours"),
    [
        ("gelu", "gelu"),
        ("gelu_python", "gelu"),
        ("gelu_new", "gelu_tanh"),
        ("gelu_pytorch_tanh", "gelu_tanh"),
        ("relu", "relu"),
        ("swish", "silu"),
    ],
)
def test_activations(theirs, ours):
    assert tiny.config(hidden_act=theirs).hidden_act == ours


def test_overrides_win_in_either_spelling_and_none_is_ignored():
    config = TransformerConfig.from_dict(
        GOOGLE, hidden_dropout_prob=0.0, attention_dropout_rate=0.0, vocab_size=None
    )
    assert (config.dropout_rate, config.attention_dropout_rate) == (0.0, 0.0)
    assert config.vocab_size == 20


def test_unknown_keys_are_kept_and_named_once():
    with pytest.warns(UserWarning, match="kept but not used: colour, shape") as caught:
        config = TransformerConfig.from_dict({**GOOGLE, "shape": 1, "colour": "red"})
    assert len(caught) == 1
    assert config.extra["colour"] == "red"
    assert config.to_json_dict()["shape"] == 1


@pytest.mark.parametrize("changes", [{}, {"hidden_act": "gelu_new"}, {"embedding_size": 4}])
def test_round_trips(changes):
    config = TransformerConfig.from_dict({**GOOGLE, **changes})
    assert TransformerConfig.from_dict(config.to_dict()) == config
    written = json.loads(json.dumps(config.to_json_dict()))
    assert TransformerConfig.from_dict(written) == config
    assert {**GOOGLE, **changes}.items() <= written.items()


def test_frozen():
    config = tiny.config()
    with pytest.raises(dataclasses.FrozenInstanceError):
        config.vocab_size = 3
    assert dataclasses.replace(config, dropout_rate=0.3).dropout_rate == 0.3


SIZES = ("vocab_size", "hidden_size", "num_hidden_layers", "num_attention_heads")


@pytest.mark.parametrize("key", [*SIZES, "intermediate_size"])
def test_a_size_left_out_is_named(key):
    values = {name: value for name, value in GOOGLE.items() if name != key}
    with pytest.raises(ConfigError, match=f"config has no `{key}`.*pass `{key}=...`"):
        TransformerConfig.from_dict(values)


@pytest.mark.parametrize("wrong", [0, -1, "8", 8.0, True])
@pytest.mark.parametrize("key", SIZES)
def test_sizes_are_positive_integers(key, wrong):
    with pytest.raises(ConfigError, match=f"`{key}` must be a positive integer, not {wrong!r}"):
        tiny.config(**{key: wrong})


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"num_attention_heads": 3}, "`hidden_size` 8 is not divisible by `num_attention_heads` 3"),
        (
            {"hidden_dropout_prob": 1.0},
            r"`hidden_dropout_prob` must be .* in \[0, 1\), not 1.0",
        ),
        (
            {"attention_probs_dropout_prob": -0.1},
            "`attention_probs_dropout_prob` must be a num",
        ),
        ({"position_embedding_type": "relative_key"}, "position_embedding_type='relative_key'"),
        ({"add_cross_attention": True}, "add_cross_attention=True"),
        ({"is_encoder_decoder": True}, "is_encoder_decoder=True"),
        ({"pruned_heads": {"1": [0]}}, "pruned_heads"),
    ],
)
def test_impossible_values(values, message):
    with pytest.raises(ConfigError, match=message):
        TransformerConfig.from_dict({**GOOGLE, **values})


def test_a_head_size_makes_any_number_of_heads_fit():
    assert tiny.config(num_attention_heads=3, attention_head_size=5).attention_head_size == 5


def test_unknown_override_lists_the_fields():
    with pytest.raises(ConfigError, match=r"unknown option `depth`\. Known config fields: att"):
        TransformerConfig.from_dict(GOOGLE, depth=3)


@pytest.mark.parametrize(
    ("content", "message"),
    [(b"{", "not a json file"), (b"\xff\xfe", "not a json file"), (b"3", "holds a json int")],
)
def test_files_that_are_no_config(content, message, tmp_path):
    path = tmp_path / "config.json"
    path.write_bytes(content)
    with pytest.raises(ConfigError, match=f"config.json .*{message}|{message}"):
        read_config_json(path)


def test_missing_file(tmp_path):
    with pytest.raises(FileNotFoundError):
        TransformerConfig.from_file(tmp_path / "config.json")


def test_configs_can_be_checked_on_python_3_10():
    """There `typing.get_type_hints`, which the check of values uses, refuses a plain ClassVar."""
    package = Path(importlib.util.find_spec("bert4keras").origin).parent
    sources = [package / "config.py", *(package / "families").rglob("*.py")]
    assert len(sources) > 10
    plain = [p.name for p in sources if re.search(r": ClassVar\s*=", p.read_text(encoding="utf-8"))]
    assert plain == []
