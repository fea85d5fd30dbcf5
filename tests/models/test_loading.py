"""From a config and a checkpoint to a model: prefixes, causal configs, where errors come from."""

from __future__ import annotations

import json
import shutil

import keras
import numpy as np
import pytest

from bert4keras.checkpoints import CheckpointError, load, save
from bert4keras.config import ConfigError
from bert4keras.masks import LM, Mask
from bert4keras.models import FAMILIES, build_transformer_model
from helpers import families, family_models, tiny
from helpers.named_weights import assert_same

pytestmark = pytest.mark.spread


def unprefixed(model, prefix=""):
    return {v.path.replace(prefix, ""): keras.ops.convert_to_numpy(v) for v in model.weights}


@pytest.mark.parametrize("name", families.NAMES)
def test_a_prefix_is_not_in_the_checkpoint(name, tmp_path):
    plain = families.build(name)
    model = families.build(name, prefix="P-2-")
    assert all("P-2-" in weight.path for weight in model.weights)
    assert_same(unprefixed(model, "P-2-"), unprefixed(plain))
    save(model, tmp_path / "prefixed")
    save(plain, tmp_path / "plain")
    for a, b in zip(*((tmp_path / d).iterdir() for d in ("prefixed", "plain")), strict=True):
        assert a.read_bytes() == b.read_bytes()


def test_a_prefixed_encoder_inside_a_model(tmp_path):
    bert = tiny.build({}, prefix="P-")
    save(bert, tmp_path)
    other = build_transformer_model(tiny.config(), prefix="P-")
    head = keras.Model(other.inputs, keras.layers.Dense(2)(other.output))
    report = load(head, tmp_path)
    assert_same(unprefixed(other), unprefixed(bert))
    assert len(report.untouched) == 2


@pytest.mark.parametrize("family", ["nezha", "roformer_v2", "gau_alpha", "albert_zh", "gpt2_ml"])
def test_prefixes_of_families_without_a_fixture(family, tmp_path):
    pytest.importorskip("tensorflow", reason="writes TensorFlow checkpoints")
    model = family_models.build(family, prefix="P-")
    save(model, tmp_path, format="google")
    again = build_transformer_model(
        model.config, tmp_path, model=family, with_mlm=False, prefix="Q-"
    )
    assert_same(unprefixed(again, "Q-"), unprefixed(model, "P-"))


class TestDecoders:
    """transformers reads `is_decoder: true` of a BERT as a causal mask."""

    @pytest.fixture
    def directory(self, fixtures, tmp_path):
        shutil.copytree(fixtures / "bert_gelu", tmp_path / "bert")
        path = tmp_path / "bert" / "config.json"
        path.write_text(json.dumps({**json.loads(path.read_text()), "is_decoder": True}))
        return path.parent

    def test_the_mask_is_causal(self, directory, fixtures):
        options = {"with_mlm": "linear"}
        model = build_transformer_model(directory, **options)
        assert isinstance(model.transformer.mask, LM)
        stated = build_transformer_model(fixtures / "bert_gelu", application="lm", **options)
        tokens, segments = np.array([[2, 5, 7, 9]]), np.zeros((1, 4), "int32")
        y = [family_models.call(m, [tokens, segments]) for m in (model, stated)]
        np.testing.assert_array_equal(*y)
        tokens[0, 3] = 3
        moved = np.abs(family_models.call(model, [tokens, segments]) - y[0]).max(-1)[0]
        assert (moved > 1e-4).tolist() == [False, False, False, True]

    @pytest.mark.parametrize("application", ["encoder", "unilm", Mask()])
    def test_what_the_caller_says_wins(self, directory, application):
        model = build_transformer_model(directory, application=application, with_mlm=False)
        assert not isinstance(model.transformer.mask, LM)
        assert model.config.to_json_dict()["is_decoder"] is False
        assert build_transformer_model(directory).config.to_json_dict()["is_decoder"] is True

    @pytest.mark.parametrize("family", ["albert", "distilbert", "deberta-v2", "modernbert"])
    def test_families_in_which_it_means_nothing(self, family):
        sizes = {**tiny.SIZES, "is_decoder": True, "pad_token_id": 0}
        model = build_transformer_model(sizes, model=family)
        assert not isinstance(model.transformer.mask, LM)

    def test_cross_attention_is_refused(self, directory):
        path = directory / "config.json"
        path.write_text(json.dumps({**json.loads(path.read_text()), "add_cross_attention": True}))
        with pytest.raises(ConfigError, match=r"config.json: config `add_cross_attention=True`"):
            build_transformer_model(directory)


def test_an_untied_head():
    values = {**tiny.SIZES, "tie_word_embeddings": False}
    with pytest.raises(ConfigError, match=r"`tie_word_embeddings=False`.*with_mlm=False"):
        build_transformer_model(values, with_mlm=True)
    with pytest.raises(ConfigError, match="tie_word_embeddings=False"):
        build_transformer_model(values, application="lm")
    assert build_transformer_model(values).config.extra == {"tie_word_embeddings": False}


def test_positions_named_but_not_read(tmp_path):
    """mmBERT and Ettin say `position_embedding_type: "sans_pos"`."""
    source = families.FAMILIES / "modernbert"
    shutil.copytree(source, tmp_path / "mmbert")
    path = tmp_path / "mmbert" / "config.json"
    values = json.loads(path.read_text())
    path.write_text(json.dumps({**values, "position_embedding_type": "sans_pos"}))
    models = [build_transformer_model(d, with_mlm=False) for d in (source, path.parent)]
    tokens = np.array([[2, 5, 7, 9]])
    np.testing.assert_array_equal(*(family_models.call(model, [tokens]) for model in models))
    path.write_text(json.dumps({**values, "rope_scaling": {"type": "linear", "factor": 2.0}}))
    with pytest.raises(ConfigError, match=r"config.json: config `rope_scaling="):
        build_transformer_model(path.parent)


def test_a_checkpoint_that_cannot_be_read_is_refused_before_building(tmp_path):
    (tmp_path / "model.safetensors").write_bytes(b"\xff" * 20)
    with pytest.raises(CheckpointError, match="not a complete safetensors file"):
        build_transformer_model(tiny.config(), tmp_path)


@pytest.mark.parametrize("sizes", [{}, {"embedding_size": 8, "attention_key_size": 4}])
def test_all_families_take_their_own_config_back(sizes):
    for name, family in FAMILIES.items():
        config = family.transformer.config_class.from_dict(
            {**tiny.SIZES, "pad_token_id": 0, "model_type": name, **sizes}
        )
        again = type(config).from_dict(config.to_json_dict())
        assert {**again.to_dict(), "extra": {}, "model_type": name} == {
            **config.to_dict(),
            "extra": {},
            "model_type": name,
        }, name
