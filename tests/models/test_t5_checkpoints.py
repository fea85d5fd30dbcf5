"""T5's files: TensorFlow names, parts of a checkpoint, cut vocabularies, and its json."""

from __future__ import annotations

import json
import re

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from bert4keras.checkpoints import convert, save
from bert4keras.families.t5 import weights as tables
from bert4keras.models import FAMILIES as REGISTERED
from bert4keras.models import build_transformer_model
from helpers.families import FAMILIES, TOLERANCE, TOLERANCES, build, gap, reference
from helpers.named_weights import arrays_of, assert_same

pytestmark = pytest.mark.spread

NAMES = ["t5", "t5.1.1", "mt5"]
SIDES = ("encoder", "decoder")


def tensorflow_arrays(name: str) -> dict[str, np.ndarray]:
    """The recorded weights as the TensorFlow code of the family would have stored them."""
    arrays = {}
    for theirs, value in load_file(FAMILIES / name / "model.safetensors").items():
        if theirs == "shared.weight":
            arrays["shared/embedding"] = value
            continue
        key = re.sub(r"block\.(\d+)\.layer\.(\d+)", r"block_00\1/layer_00\2", theirs)
        key = key.removesuffix(".weight").replace(".", "/")
        if key.endswith("norm"):
            key += "/scale"
            if name == "mt5":
                key = re.sub("(final_)?layer_norm", "rms_norm", key)
        elif "DenseReluDense" in key:
            key += "/kernel"
        key = {"lm_head": "decoder/logits/kernel"}.get(key, key)
        arrays[key] = np.ascontiguousarray(value.T)
    return arrays


@pytest.mark.parametrize("name", NAMES)
def test_tensorflow_names(name, tmp_path):
    stored, arrays = tensorflow_arrays(name), reference(name)
    slots = {
        "decoder/block_000/layer_001/EncDecAttention/relative_attention_bias": np.ones((4, 8)),
        "shared/embedding_slot_vc": np.ones(16),
        "encoder/block_000/layer_000/SelfAttention/q_slot_vr": np.ones(16),
        "global_step": np.ones(()),
    }
    model = build(name, checkpoint_path={**stored, **slots})
    report = model.load_report
    assert (report.missing, report.unexpected, report.untouched, report.unused) == ((),) * 4
    assert set(report.loaded.values()) == set(stored)
    assert len(report.loaded) == len(stored)
    assert set(report.ignored) == set(slots)
    x = [arrays["encoder_token_ids"], arrays["token_ids"]]
    real = arrays["attention_mask"].astype(bool)
    tolerance = TOLERANCES.get(name, TOLERANCE)
    assert gap(model.predict(x, verbose=0), arrays["with_mlm"], real) < tolerance
    files = save(model, tmp_path, format="google", config=model.config)
    assert_same(arrays_of(files[0]), stored)
    again = build_transformer_model(tmp_path)
    assert again.config == model.config


@pytest.mark.parametrize("name", NAMES)
def test_conversion_there_and_back(name, tmp_path):
    there = convert(FAMILIES / name, tmp_path / "google", "google", progress=False)
    assert (there.ignored, there.unexpected) == ({}, ())
    assert_same(arrays_of(tmp_path / "google"), tensorflow_arrays(name))
    convert(tmp_path / "google", tmp_path / "huggingface", "huggingface", progress=False)
    theirs = load_file(FAMILIES / name / "model.safetensors")
    assert_same(load_file(tmp_path / "huggingface" / "model.safetensors"), theirs)


@pytest.mark.parametrize("table", [*tables.TABLES, tables.MT5_GOOGLE], ids=lambda t: t.name)
def test_every_weight_has_one_name(table):
    weights = [row.weight for row in table.rows]
    names = [row.tensor for row in table.rows]
    assert len(set(weights)) == len(weights)
    assert len(set(names)) == len(names)


@pytest.mark.parametrize("part", ["encoder", "decoder"])
def test_a_part_of_a_checkpoint(part, tmp_path):
    model = build_transformer_model(FAMILIES / "t5", model=f"t5_{part}")
    other = {"encoder": "decoder", "decoder": "encoder"}[part]
    unused = model.load_report.unused
    assert {name.split(".")[0] for name in unused} == {other}
    files = save(model, tmp_path, config=model.config)
    stored = load_file(files[0])
    theirs = load_file(FAMILIES / "t5" / "model.safetensors")
    assert_same(stored, {name: theirs[name] for name in theirs if name not in unused})
    assert json.loads((tmp_path / "config.json").read_text())["model_type"] == "t5"


def test_copies_of_the_embedding(tmp_path):
    weights = load_file(FAMILIES / "t5" / "model.safetensors")
    copies = {f"{side}.embed_tokens.weight": weights["shared.weight"] for side in SIDES}
    save_file({**weights, **copies}, tmp_path / "model.safetensors")
    (tmp_path / "config.json").write_bytes((FAMILIES / "t5" / "config.json").read_bytes())
    assert set(build_transformer_model(tmp_path).load_report.ignored) == set(copies)
    copies = {name: value.copy() for name, value in copies.items()}
    copies["decoder.embed_tokens.weight"][3] += 1
    save_file({**weights, **copies}, tmp_path / "model.safetensors")
    with pytest.raises(ValueError, match=r"decoder\.embed_tokens\.weight"):
        build_transformer_model(tmp_path)


@pytest.mark.parametrize("source", ["huggingface", "tensorflow"])
@pytest.mark.parametrize("name", ["t5", "t5.1.1"])
def test_kept_and_compound_tokens(name, source):
    arrays, keep = reference(name), [0, 5, 4, 9, 1, 7]  # padding and end of a text stay
    checkpoint = None if source == "huggingface" else tensorflow_arrays(name)
    model = build(name, checkpoint_path=checkpoint, keep_tokens=keep, compound_tokens=[[1, 2]])
    whole = build(name)
    ids = np.array([[0, 1, 2, 3, 4, 5]], "int32")
    ours = model.predict([ids[:, 1:], ids], verbose=0)
    theirs = whole.predict([np.array(keep)[ids[:, 1:]], np.array(keep)[ids]], verbose=0)
    np.testing.assert_allclose(ours[..., :6], theirs[..., keep], atol=1e-4)
    np.testing.assert_allclose(ours[..., 6], theirs[..., [5, 4]].mean(-1), atol=1e-4)
    assert ours.shape[-1] == len(keep) + 1
    assert len(arrays["with_mlm"][0, 0]) == 40


PLAIN = {
    "vocab_size": 20,
    "hidden_size": 8,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "intermediate_size": 12,
}
VERSIONS = {
    "t5": False,
    "t5.1.0": False,
    "t5.1.1": True,
    "mt5": True,
    "mt5.1.1": True,
}


@pytest.mark.parametrize("part", ["", "_encoder", "_decoder"])
@pytest.mark.parametrize(("version", "gated"), VERSIONS.items())
def test_names_of_versions_and_parts(version, gated, part, tmp_path):
    path = tmp_path / "config.json"
    path.write_text(json.dumps(PLAIN))
    model = build_transformer_model(path, model=version + part)
    assert (model.config.gated, model.config.tie_word_embeddings) == (gated, not gated)
    assert model.config.hidden_act == ("gelu_tanh" if gated else "relu")
    names = {layer.name for layer in model.layers}
    assert ("Encoder-Output-Norm" in names, "Decoder-Output-Norm" in names) == (
        part != "_decoder",
        part != "_encoder",
    )
    assert ("Decoder-Output-LM" in names) == (gated and part != "_encoder")
    assert model.config.exported_model_type == version.split(".")[0]
    families = ("mT5", "T5.1.1") if version.startswith("mt5") else ("T5",)
    assert model.checkpoint_tables
    assert all(table.name.startswith(families) for table in model.checkpoint_tables)


def t5_config(values: dict, family: str = "t5", **overrides):
    return REGISTERED[family].transformer.config_class.from_dict({**PLAIN, **values}, **overrides)


@pytest.mark.parametrize(
    ("values", "gated", "act", "saved"),
    [
        ({}, False, "relu", "relu"),
        ({"feed_forward_proj": "relu"}, False, "relu", "relu"),
        ({"feed_forward_proj": "gated-gelu"}, True, "gelu_tanh", "gated-gelu"),
        ({"feed_forward_proj": "gated-silu"}, True, "silu", "gated-silu"),
        ({"feed_forward_proj": "gelu"}, False, "gelu", "gelu"),
        ({"feed_forward_proj": "gelu_new"}, False, "gelu_tanh", "gelu_new"),
        ({"hidden_act": ["gelu", "linear"]}, True, "gelu_tanh", "gated-gelu"),
        ({"gated": True, "hidden_act": "gelu"}, True, "gelu", "gated-gelu_python"),
    ],
    ids=str,
)
def test_the_feed_forward_part(values, gated, act, saved):
    config = t5_config(values)
    assert (config.gated, config.hidden_act) == (gated, act)
    stored = config.to_json_dict()
    assert stored["feed_forward_proj"] == saved
    assert not {"gated", "hidden_act"} & stored.keys()
    assert t5_config(stored) == config
    assert type(config).from_dict(config.to_dict()) == config


@pytest.mark.parametrize(
    ("values", "family", "tied"),
    [
        ({}, "t5", True),
        ({"tie_word_embeddings": False}, "t5", False),
        # transformers 5 says it like this.
        ({"tie_word_embeddings": True, "scale_decoder_outputs": False}, "t5", False),
        ({"tie_word_embeddings": True, "scale_decoder_outputs": True}, "t5", True),
        ({"tie_word_embeddings": True}, "mt5", False),
    ],
    ids=str,
)
def test_whether_the_head_is_tied(values, family, tied):
    config = t5_config(values, family)
    assert config.tie_word_embeddings is tied
    assert config.scale_decoder_outputs is None
    assert config.to_json_dict()["tie_word_embeddings"] is tied
    assert t5_config(values, family, tie_word_embeddings=True).tie_word_embeddings is True


def test_one_dropout_rate_for_all():
    assert t5_config({"dropout_rate": 0.3}).attention_dropout_rate == 0.3
    assert t5_config({"dropout_rate": 0.0}).attention_dropout_rate == 0.0
    config = t5_config({"dropout_rate": 0.3, "attention_dropout_rate": 0.2})
    assert (config.dropout_rate, config.attention_dropout_rate) == (0.3, 0.2)
    assert config.to_json_dict()["dropout_rate"] == 0.3
