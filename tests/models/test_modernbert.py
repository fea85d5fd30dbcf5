"""ModernBERT only: windows, two bases of rotary positions, configs, packed rows."""

from __future__ import annotations

from pathlib import Path

import keras
import numpy as np
import pytest

from bert4keras.config import ConfigError, read_config_json
from bert4keras.data import pack
from bert4keras.families.modernbert import GLOBAL, LOCAL, ModernBERTConfig
from bert4keras.models import build_transformer_model
from helpers import tiny

pytestmark = pytest.mark.spread

FIXTURE = Path(__file__).parents[1] / "fixtures" / "families" / "modernbert"


def build(**options):
    return build_transformer_model(FIXTURE, with_mlm=False, **options)


def config(**changes) -> ModernBERTConfig:
    sizes = {**tiny.SIZES, "num_hidden_layers": 4}
    return ModernBERTConfig.from_dict({**sizes, "pad_token_id": 0, **changes})


@pytest.mark.parametrize(
    "changes",
    [
        {"local_attention": 2},
        {"local_attention": 6},
        {"global_rope_theta": 10000.0},
        {"local_rope_theta": 160000.0},
        {"global_attn_every_n_layers": 1},
    ],
    ids=str,
)
def test_another_option_would_be_noticed(changes):
    with np.load(FIXTURE / "reference.npz") as arrays:
        tokens, expected = arrays["token_ids"], arrays["hidden_states"][-1]
    error = np.abs(build(**changes).predict(tokens, verbose=0) - expected)
    assert error[tokens > 0].max() > 1e-3
    error = np.abs(build().predict(tokens, verbose=0) - expected)
    assert error[tokens > 0].max() < 1e-4


def test_a_window_reaches_as_far_as_it_says():
    model = build_transformer_model(
        config(layer_types=[LOCAL] * 4, num_hidden_layers=4, local_attention=4), model="modernbert"
    )
    first = keras.Model(model.input, model.hidden_states[1])
    tokens = tiny.inputs(batch=1, padding=0)[0]
    other = tokens.copy()
    other[0, 4] = tokens[0, 4] % 19 + 1
    moved = np.abs(first.predict(other, verbose=0) - first.predict(tokens, verbose=0))[0].max(-1)
    assert list(np.flatnonzero(moved > 1e-6)) == [2, 3, 4, 5, 6]


def test_packed_rows_give_the_vectors_of_single_texts():
    rng = np.random.default_rng(4)
    texts = [list(rng.integers(1, 40, n)) for n in (9, 7, 6, 4, 3, 3)]
    rows = pack([(ids, [0] * len(ids)) for ids in texts], maxlen=16, pad_token_id=0)
    assert len(rows.token_ids) == 2  # no padding at all
    assert rows.token_ids.all()
    packed = build(application="packed")
    assert [x.name for x in packed.inputs] == ["Input-Token", "Input-Document"]
    x = [rows.token_ids, rows.document_ids]
    vectors = packed.predict(x, verbose=0)
    plain = build()
    for ids, row, start in zip(texts, rows.rows, rows.starts, strict=True):
        alone = plain.predict(np.array([ids], "int32"), verbose=0)[0]
        np.testing.assert_allclose(vectors[row, start : start + len(ids)], alone, atol=5e-5)
    # Attention may not leave the document, and rotary positions are relative within it.
    x[1] = np.ones_like(x[1])
    assert np.abs(packed.predict(x, verbose=0) - vectors).max() > 1e-2


@pytest.mark.parametrize(
    ("types", "every"),
    [
        ([GLOBAL, LOCAL, GLOBAL, LOCAL], 2),
        ([GLOBAL, LOCAL, LOCAL, GLOBAL], 3),
        ([GLOBAL] * 4, 1),
        ([GLOBAL, LOCAL, LOCAL, LOCAL], 4),
        ([LOCAL, GLOBAL, LOCAL, LOCAL], None),
    ],
)
def test_kinds_of_blocks_in_both_spellings(types, every):
    found = config(layer_types=types)
    assert found.kinds == tuple(types)
    assert found.global_attn_every_n_layers == every
    written = found.to_json_dict()
    assert ("layer_types" in written) == (every is None)
    assert ModernBERTConfig.from_dict(written) == found
    if every:
        assert config(global_attn_every_n_layers=every) == found


def test_a_depth_of_ones_own():
    shallow = ModernBERTConfig.from_file(FIXTURE / "config.json", num_hidden_layers=2)
    assert shallow.kinds == (GLOBAL, LOCAL)


def test_rotary_bases_in_both_spellings():
    new = ModernBERTConfig.from_file(FIXTURE / "config.json")
    values = read_config_json(FIXTURE / "config.json")
    del values["rope_parameters"], values["layer_types"]
    old = {**values, "global_rope_theta": 160000.0, "local_rope_theta": 10000.0}
    assert ModernBERTConfig.from_dict(old) == new
    rope = {GLOBAL: {"rope_theta": 5000.0}, LOCAL: None}
    other = ModernBERTConfig.from_dict({**values, "rope_parameters": rope})
    assert (other.global_rope_theta, other.local_rope_theta) == (5000.0, 10000.0)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"layer_types": [GLOBAL]}, "for each of the 4 blocks"),
        ({"global_attn_every_n_layers": 0}, "must be a positive integer or null, not 0"),
        ({"layer_types": ["full"] * 4}, "must say 'full_attention' or 'sliding_attention'"),
        ({"rope_parameters": {GLOBAL: {"rope_type": "yarn"}}}, "only the default rotary positions"),
    ],
)
def test_what_is_not_built_is_said(changes, message):
    with pytest.raises(ConfigError, match=message):
        config(**changes)


def test_biases_where_the_config_asks_for_them():
    names = ("norm_bias", "attention_bias", "mlp_bias", "classifier_bias")
    options = {"model": "modernbert", "with_mlm": True}
    plain = build_transformer_model(config(decoder_bias=False), **options)
    full = build_transformer_model(config(**dict.fromkeys(names, True)), **options)
    assert not [w.path for w in plain.weights if w.path.endswith(("bias", "beta"))]
    added = {w.path for w in full.weights} - {w.path for w in plain.weights}
    assert all(path.endswith(("bias", "beta")) for path in added)
    # Norms: embeddings, one and three times two in blocks, output, head. Four and three dense
    # layers a block, one and the vocabulary in the head.
    assert len(added) == (1 + 7 + 1 + 1) + 4 * 7 + 2
