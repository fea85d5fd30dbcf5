"""Every table of every registered family: each weight exactly once, and load(save(x)) == x."""

from __future__ import annotations

import importlib.util
import json

import numpy as np
import pytest

from bert4keras.checkpoints import TABLES, WeightTable, load, save
from bert4keras.checkpoints.tensor_match import guess_family
from bert4keras.models import FAMILIES, build_transformer_model
from helpers import tiny
from helpers.named_weights import assert_same, values

pytestmark = pytest.mark.spread

HEADS = {
    "with_nsp": "NSP-",
    "with_pool": "Pooler-",
    "with_mlm": "MLM-",
    "with_discriminator": "Discriminator-",
}


def formats(family: str) -> set[str]:
    return {table.format for table in FAMILIES[family].tables}


SAVED = [
    (family, number)
    for family in TABLES
    for number, table in enumerate(FAMILIES[family].tables)
    if "unshared" not in table.name
]


def build(family: str, table: WeightTable, seed: int):
    """A tiny model with every head that the table names, and random weights."""
    heads = {
        head: True
        for head, layer in HEADS.items()
        if any(row.weight.startswith(layer) for row in table.rows)
    }
    # A model without any other head, and any language model, has the one that is tied.
    sizes = {**tiny.SIZES, "embedding_size": 6 if "albert" in family else None}
    config = FAMILIES[family].transformer.config_class.from_dict(sizes)
    model = build_transformer_model(config, model=family, **heads)
    rng = np.random.default_rng(seed)
    for weight in model.weights:
        if "int" not in str(weight.dtype):
            weight.assign(rng.normal(size=weight.shape).astype("float32"))
    return model


def table_of(family: str, number: int) -> WeightTable:
    return FAMILIES[family].tables[number]


@pytest.mark.parametrize(("family", "number"), SAVED)
def test_every_weight_exactly_once(family, number):
    table = table_of(family, number)
    paths = [w.path for w in build(family, table, 0).weights if "seed_generator" not in w.path]
    for path in paths:
        covering = [row for row in table.rows if WeightTable("one", (row,)).of_weight(path)]
        assert len(covering) == 1, path
    tensors = {table.of_weight(path).tensor for path in paths}
    fused = any(row.transform.slice for row in table.rows)
    assert fused or len(tensors) == len(paths)
    for tensor in tensors:
        assert table.canonical(tensor) == tensor


@pytest.mark.parametrize(("family", "number"), SAVED)
def test_load_of_save_is_the_same(family, number, tmp_path):
    table = table_of(family, number)
    if table.format == "google" and importlib.util.find_spec("tensorflow") is None:
        pytest.skip("TensorFlow writes this format")
    first, second = build(family, table, 1), build(family, table, 2)
    (file, *_) = save(first, tmp_path, format=table.format, tables=[table], config=first.config)
    before = values(second)
    report = load(second, file, tables=[table])
    assert (report.missing, report.unexpected) == ((), ())
    floats = [{k: v for k, v in values(m).items() if "seed" not in k} for m in (first, second)]
    assert_same(*floats)
    assert any(not np.array_equal(before[name], value) for name, value in floats[0].items())


@pytest.mark.parametrize(("family", "number"), SAVED)
def test_names_tell_the_family(family, number):
    table = table_of(family, number)
    names = {table.of_weight(w.path) for w in build(family, table, 0).weights}
    guess = guess_family(row.tensor for row in names if row)
    assert family in guess.replace(":", " ").split()


def test_albert_zh_index(fixtures):
    shapes = json.loads((fixtures / "google_albert_tiny_zh_index.json").read_text())
    table = table_of("albert_zh", 0)
    rows = {name: table.of_tensor(name) for name in shapes}
    assert [len(found) for found in rows.values()] == [1] * 31
    assert {row.weight for (row,) in rows.values()} == {row.weight for row in table.rows}
    sizes = {"vocab_size": 21128, "hidden_size": 312, "intermediate_size": 1248}
    sizes |= {"num_hidden_layers": 4, "num_attention_heads": 12, "embedding_size": 128}
    model = build_transformer_model(sizes, model="albert_zh", with_nsp=True, with_mlm=True)
    weights = {w.path: tuple(w.shape) for w in model.weights if "seed" not in w.path}
    assert len(weights) == 31
    for path, shape in weights.items():
        row = table.of_weight(path)
        assert row.transform.shape(shapes[row.tensor]) == shape


@pytest.mark.parametrize("family", [f for f in TABLES if "huggingface" in formats(f)])
def test_vocabulary_surgery(family, tmp_path):
    table = next(t for t in FAMILIES[family].tables if t.format == "huggingface")
    model = build(family, table, 3)
    save(model, tmp_path, tables=[table], config=model.config)
    keep, compounds = [0, 7, 3, 4], [[1, 2]]
    if (model.config.pad_token_id or 0) < model.config.vocab_size:
        keep[0] = model.config.pad_token_id or 0  # it must stay
    small = build_transformer_model(
        tmp_path, model=family, keep_tokens=keep, compound_tokens=compounds
    )
    whole, cut = values(model), values(small)
    rows = [row.weight for row in table.rows if row.per_token and row.weight in cut]
    assert "Embedding-Token/embeddings" in rows
    for name in rows:
        np.testing.assert_array_equal(cut[name][:4], whole[name][keep])
        np.testing.assert_allclose(cut[name][4], whole[name][[7, 3]].mean(0), rtol=1e-5)
    others = [n for n in cut if n not in rows and n in whole and "seed" not in n]
    assert len(others) > 5
    assert all(cut[name].shape == whole[name].shape for name in others)
