"""Every value of a config is checked by one schema; errors name file, key, value and the rule."""

from __future__ import annotations

import dataclasses
import json
import math
import os
import socket

import numpy as np
import pytest

from bert4keras import _json
from bert4keras._keys import UNSUPPORTED
from bert4keras._schema import Size, field_types, problem
from bert4keras.config import ConfigError, TransformerConfig, read_config_json
from bert4keras.models import FAMILIES, build_transformer_model
from helpers import tiny
from helpers.families import FAMILIES as FIXTURES
from helpers.families import NAMES

pytestmark = pytest.mark.spread

CONFIGS = sorted({f.transformer.config_class for f in FAMILIES.values()}, key=str)
WRONG = ["x", [1], {}, True, 1.5, math.nan, math.inf, -(10**400), b"3"]


@pytest.mark.parametrize(
    ("key", "value", "allowed"),
    [
        ("norm_epsilon", math.nan, "a number above 0"),
        ("layer_norm_eps", math.inf, "a number above 0"),
        ("norm_epsilon", -1e-12, "a number above 0"),
        ("norm_epsilon", 0, "a number above 0"),
        ("dropout_rate", "x", r"a number in \[0, 1\)"),
        ("attention_probs_dropout_prob", True, r"a number in \[0, 1\)"),
        ("pad_token_id", "x", "a token id, or -1 for that of no token or null"),
        ("pad_token_id", True, "a token id"),
        ("pad_token_id", -2, "a token id"),
        ("pad_token_id", 1.0, "a token id"),
        ("remat", "no", "true or false"),
        ("remat", 1, "true or false"),
        ("hidden_act", ["gelu"], "the name of an activation"),
        ("hidden_act", "gellu", "the name of an activation"),
        ("layer_norm_cond_hidden_act", 3, "the name of an activation"),
        ("hierarchical_position", 0.5, r"a number in \(0, 1\) other than 0.5"),
        ("hierarchical_position", 2, r"a number in \(0, 1\)"),
        ("layer_norm_cond", -1, "a positive integer or null"),
        ("layer_norm_cond_hidden_size", 0, "a positive integer or null"),
        ("initializer_range", -0.02, "a number of 0 or more"),
        ("segment_vocab_size", -1, "an integer of 0 or more"),
        ("vocab_size", 10.0, "a positive integer"),
        ("custom_position_ids", "yes", "true or false"),
        ("num_attention_heads", -(10**400), "a positive integer"),
        ("num_attention_heads", 10**400, r"an integer below 2\*\*63"),
    ],
)
def test_wrong_values_name_file_key_value_and_what_is_allowed(tmp_path, key, value, allowed):
    path = tmp_path / "config.json"
    shown = _json.short_repr(value)
    message = rf"config `{key}` must be {allowed}.*, not {shown[:20].replace('[', '.')}"
    values = {**tiny.SIZES, key: value}
    if not isinstance(value, float) or math.isfinite(value):
        path.write_text(json.dumps(values))
        with pytest.raises(ConfigError, match=f"config.json: {message}"):
            TransformerConfig.from_file(path)
        with pytest.raises(ConfigError, match=f"config.json: {message}"):
            build_transformer_model(tmp_path)
    with pytest.raises(ConfigError, match=f"^{message}"):
        TransformerConfig.from_dict(values)
    path.write_text(json.dumps(tiny.SIZES))
    with pytest.raises(ConfigError, match=f"^{message}"):  # an option of the call is in no file
        build_transformer_model(path, **{key: value})


@pytest.mark.parametrize("cls", CONFIGS, ids=lambda cls: cls.__name__)
def test_every_field_of_every_family_refuses_other_types(cls):
    for key in cls.fields():
        wrong = [value for value in WRONG if problem(field_types(cls)[key], value)]
        assert len(wrong) >= (4 if key == "pos_att_type" else 6)
        for value in wrong:
            with pytest.raises(ConfigError, match=f"config `{key}` must be .*, not "):
                cls.from_dict({**tiny.SIZES, key: value})


def test_values_of_numpy_become_plain():
    config = tiny.config(vocab_size=np.int64(20), dropout_rate=np.float32(0.5))
    assert json.dumps(config.to_dict()["vocab_size"]) == "20"
    assert type(config.dropout_rate) is float


def test_families_of_others_declare_and_are_checked():
    @dataclasses.dataclass(frozen=True)
    class Theirs(TransformerConfig):
        rows: Size = 3
        anything: complex = 1j

    with pytest.raises(ConfigError, match="`hidden_size` must be a positive"):
        Theirs(**{**tiny.SIZES, "hidden_size": 0})
    assert Theirs(**tiny.SIZES, anything="x").anything == "x"


def test_a_pad_token_outside_the_vocabulary():
    with pytest.raises(ConfigError, match=r"`pad_token_id` 20 is not in .* 20 tokens.* 0 to 19"):
        tiny.config(pad_token_id=20)
    assert tiny.config(pad_token_id=-1).pad_token_id == -1
    assert tiny.config(hierarchical_position=False).hierarchical_position is None


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"extra": [1]}, "`extra` must be an object of keys"),
        ({3: 4}, "keys must be strings, not 3"),
        ({"extra": {3: 4}}, "keys must be strings, not 3"),
        (
            {"hidden_size": 8, "hidden_dropout_prob": 0.1, "dropout_rate": 0.2},
            "mean the same field and",
        ),
        ({"hidden_act": "gelu_new", "layer_norm_eps": 1e-5, "norm_epsilon": 1e-6}, "differ"),
    ],
)
def test_odd_dicts(values, message):
    with pytest.raises(ConfigError, match=message):
        TransformerConfig.from_dict({**tiny.SIZES, **values})


@pytest.mark.parametrize("value", [["bert"], 3, {}, True])
def test_model_type(tmp_path, value):
    (tmp_path / "config.json").write_text(json.dumps({**tiny.SIZES, "model_type": value}))
    with pytest.raises(ConfigError, match=r"config.json: config `model_type` must be the name of"):
        build_transformer_model(tmp_path)
    (tmp_path / "config.json").write_text(json.dumps({**tiny.SIZES, "model_type": "bart"}))
    with pytest.raises(ConfigError, match=r"config.json: .*unknown model 'bart'. .*register_model"):
        build_transformer_model(tmp_path)
    with pytest.raises(ConfigError, match="`prefix` must be a text"):
        build_transformer_model(tiny.config(), prefix=None)


class TestReading:
    @pytest.mark.parametrize(
        ("content", "message"),
        [
            (b'{"a":' * 5000 + b"1" + b"}" * 5000, "more than 64 deep"),
            (b'{"a":' * 70 + b"1" + b"}" * 70, "more than 64 deep"),
            (b'{"a": ' + b"[" * 100000 + b"]" * 100000 + b"}", "more than 64 deep"),
            (b'{"a": NaN}', "NaN is no json number"),
            (b'{"a": -Infinity}', "-Infinity is no json number"),
            (b'{"a": 1, "a": 2}', "the key 'a' occurs twice"),
            (b'{"a": ' + b"1" * 5000 + b"}", "is not a json file: Exceeds the limit"),
            ('{"a": "ä"}'.encode("utf-16"), "is not a json file"),
            (b"", "is not a json file"),
            (b"null", "holds a json NoneType, not an object of keys"),
        ],
    )
    def test_what_is_refused(self, tmp_path, content, message):
        path = tmp_path / "config.json"
        path.write_bytes(content)
        with pytest.raises(ConfigError, match=f"config.json .*{message}"):
            read_config_json(path)

    def test_what_is_read(self, tmp_path):
        path = tmp_path / "config.json"
        path.write_bytes(b'\xef\xbb\xbf{"a": 1, "a": 1}')
        assert read_config_json(path) == {"a": 1}
        path.write_text("[1]")
        assert _json.read_json(path, expected=list) == [1]
        with pytest.raises(ValueError, match=r"config.json has 3 bytes; at most 2 are allowed"):
            _json.read_json(path, limit=2)
        with pytest.raises(ValueError, match="holds a json list, not an object"):
            _json.read_json(path)

    def test_only_regular_files(self, tmp_path):
        path = tmp_path / "config.json"
        os.mkfifo(path)
        with pytest.raises(ConfigError, match=r"config.json is a pipe, not a regular file"):
            read_config_json(path)
        with pytest.raises(ConfigError, match=r"config.json is a pipe, not a regular file"):
            build_transformer_model(tmp_path)
        path.unlink()
        path.mkdir()
        with pytest.raises(ConfigError, match=r"config.json is a directory"):
            build_transformer_model(tmp_path)
        with pytest.raises(ConfigError, match=r"zero is a device"):
            build_transformer_model("/dev/zero")
        with socket.socket(socket.AF_UNIX) as listening:
            listening.bind(str(tmp_path / "s"))
            with pytest.raises(ConfigError, match="is a socket"):
                read_config_json(tmp_path / "s")
        with pytest.raises(ConfigError, match="cannot be read: embedded null"):
            read_config_json("a\0b")

    def test_values_shown(self):
        assert _json.short_repr("x" * 1000) == "'" + "x" * 76 + "..."
        loop = []
        loop.append(loop)
        assert _json.short_repr(10**5000) == "a int"
        assert _json.short_repr(loop) == "[[...]]"


CHANGES = {
    "is_decoder": "yes",
    "tie_word_embeddings": "no",
    "directionality": "uni",
    "position_embedding_type": "relative_key",
    "pruned_heads": {"1": [0]},
    "rope_scaling": {"rope_type": "yarn", "factor": 2.0},
    "rope_parameters": {"rope_theta": 10000.0, "rope_type": "default"},
    "auto_map": {"AutoModel": "modeling_other.Other"},
    "quantization_config": {"bits": 4},
    "num_experts": 8,
    "norm_type": "rmsnorm",
    "ln_type": "preln",
    "feed_forward_proj": "gated-gelu",
    "pos_att_type": ["c2p"],
    "norm_rel_ebd": "layer_norm",
    "layer_types": ["full_attention"],
    "num_local_experts": 8,
    "conv_kernel_size": 3,
    "conv_groups": 2,
    "num_hidden_groups": 2,
    "inner_group_num": 2,
    "scale_attn_weights": False,
    "position_biased_input": False,
}


@pytest.mark.parametrize("key", UNSUPPORTED)
def test_keys_that_ask_for_another_model(key):
    refused = UNSUPPORTED[key]
    value = CHANGES.get(key, not refused.allowed[0] if getattr(refused, "allowed", ()) else 77)
    value = 1.5 if key.endswith(("multiplier", "scale", "fraction")) else value
    with pytest.raises(ConfigError, match=f"config `{key}=.*is not supported: "):
        TransformerConfig.from_dict({**tiny.SIZES, key: value})
    for value in (None, *getattr(refused, "allowed", ())):
        TransformerConfig.from_dict({**tiny.SIZES, key: value})  # a warning would be an error


@pytest.mark.parametrize(
    ("family", "values", "message"),
    [
        ("modernbert", {"rope_scaling": {"rope_type": "linear", "factor": 2.0}}, "`rope_scaling="),
        ("modernbert", {"rope_theta": 5000.0}, "`rope_theta=5000.0`"),
        ("modernbert", {"sliding_window": 64}, "`sliding_window=64`"),
        ("modernbert", {"position_embedding_type": "relative_key"}, "allowed is 'absolute' or 's"),
        ("modernbert", {"rope_parameters": 3}, "`rope_parameters` must be an object"),
        ("modernbert", {"rope_parameters": {"full_attention": 3}}, "asks for 3 in 'full_"),
        (
            "modernbert",
            {"rope_parameters": {"full_attention": {"rope_theta": 1e4, "factor": 2.0}}},
            "only the default rotary",
        ),
        (
            "modernbert",
            {"rope_parameters": {"full_attention": {"rope_theta": "x"}}},
            "`rope_parameters` must be a number above 0",
        ),
        ("modernbert", {"layer_types": 3}, "`layer_types` must be a list"),
        (
            "modernbert",
            {"layer_types": [3, 4]},
            "`layer_types` must be a list in which each item is a text",
        ),
        ("gpt2", {"scale_attn_by_inverse_layer_idx": True}, "scale_attn_by_inverse_layer_idx=True"),
        ("gpt2", {"scale_attn_weights": False}, "scale_attn_weights=False"),
        ("gpt2", {"add_cross_attention": True}, "add_cross_attention=True"),
        ("roformer", {"rotary_value": True}, "rotary_value=True"),
        ("roformer", {"norm_type": "rmsnorm"}, "norm_type='rmsnorm'"),
        ("roformer", {"use_bias": False}, "use_bias=False"),
        ("roformer", {"rope_theta": 500000}, "rope_theta=500000"),
        ("roformer", {"hidden_size": 6}, "`attention_key_size` 3 .*must be even"),
        ("modernbert", {"hidden_size": 6, "pad_token_id": 0}, "`attention_key_size` 3 .*even"),
        ("bert", {"hidden_act": "glu"}, "`hidden_act` must be"),
        ("roformer_v2", {"use_bias": True}, "use_bias=True"),
        ("gau_alpha", {"normalization": "relu"}, "`normalization` must be one of softmax, "),
        ("gau_alpha", {"scaling_factor": "ns"}, "scaling_factor='ns'"),
        ("nezha", {"use_relative_position": False}, "use_relative_position=False"),
        ("albert", {"num_hidden_groups": 2}, "num_hidden_groups=2"),
        ("albert", {"num_memory_blocks": 2}, "num_memory_blocks=2"),
        ("ernie", {"pool_act": "relu"}, "pool_act='relu'"),
        ("t5", {"is_decoder": True}, "is_decoder=True"),
        ("t5", {"feed_forward_proj": 3}, "`feed_forward_proj` must be a text"),
        ("t5", {"feed_forward_proj": "gated-gellu"}, "`feed_forward_proj` must be the name"),
        ("t5", {"feed_forward_proj": "relu", "is_gated_act": True}, "means `is_gated_act=False`"),
        ("t5", {"feed_forward_proj": "relu", "dense_act_fn": "gelu"}, "`dense_act_fn='relu'`"),
        ("t5", {"hidden_act": ["gelu", "relu"]}, "an activation, or a list of one and 'linear'"),
        ("t5", {"hidden_act": []}, "an activation, or a list of one and 'linear'"),
        ("t5", {"relative_attention_num_buckets": 7}, "an even number from 4"),
        ("t5", {"relative_attention_max_distance": 16}, "must be above 16"),
        ("roberta", {"pad_token_id": "x"}, "`pad_token_id` must be a token id, or -1"),
    ],
)
def test_keys_of_families(family, values, message):
    with pytest.raises(ConfigError, match=message):
        FAMILIES[family].transformer.config_class.from_dict({**tiny.SIZES, **values})


@pytest.mark.parametrize(
    ("family", "values", "expected"),
    [
        ("modernbert", {"position_embedding_type": "sans_pos", "pad_token_id": 0}, {}),
        ("modernbert", {"layer_norm_eps": 0.1, "norm_eps": 1e-6}, {"norm_epsilon": 1e-6}),
        ("modernbert", {"rope_scaling": {"rope_type": "default"}}, {}),
        ("gpt2", {"reorder_and_upcast_attn": True, "n_inner": 12}, {"intermediate_size": 12}),
        ("roformer_v2", {"use_bias": False, "norm_type": "rmsnorm"}, {}),
        ("gau_alpha", {"normalization": "softmax"}, {"attention_normalization": "softmax"}),
        ("ernie", {"sent_type_vocab_size": 4, "pool_act": "tanh"}, {"segment_vocab_size": 4}),
        ("t5", {"is_gated_act": True, "dense_act_fn": "gelu_new"}, {"gated": True}),
        ("deberta-v2", {"pos_att_type": "c2p|p2c"}, {"pos_att_type": ("c2p", "p2c")}),
        ("albert", {"down_scale_factor": 1, "gap_size": 0, "net_structure_type": 0}, {}),
        ("distilbert", {"is_decoder": True}, {"causal": False}),
        ("bert", {"max_length": 20, "torchscript": True, "is_decoder": True}, {"causal": True}),
    ],
)
def test_keys_that_are_used_or_inert(family, values, expected):
    config = FAMILIES[family].transformer.config_class.from_dict({**tiny.SIZES, **values})
    assert {key: getattr(config, key) for key in expected} == expected


def test_unknown_keys_are_named_within_bounds():
    keys = {f"key{i:03}": 1 for i in range(40)} | {"\x1b[31m": 1}
    with pytest.warns(UserWarning, match=r"'\\x1b\[31m', key000.* and 21 more"):
        TransformerConfig.from_dict({**tiny.SIZES, **keys})


@pytest.mark.parametrize("cls", CONFIGS, ids=lambda cls: cls.__name__)
def test_none_is_kept_by_our_own_dict(cls):
    config = cls(**{**tiny.SIZES, "embedding_size": 8, "attention_key_size": 4})
    if "RoBERTa" not in cls.__name__:
        config = dataclasses.replace(config, pad_token_id=None)
    assert cls.from_dict(config.to_dict()) == config


@pytest.mark.parametrize("name", NAMES)
def test_files_of_families_warn_of_nothing(name):
    values = read_config_json(FIXTURES / name / "config.json")
    cls = FAMILIES[values["model_type"]].transformer.config_class
    cls.from_file(FIXTURES / name / "config.json")
