"""Weight tables, and those of BERT."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from bert4keras.checkpoints import (
    TRANSPOSE,
    CheckpointError,
    Rename,
    WeightMap,
    WeightTable,
    slice_of,
)
from bert4keras.checkpoints.tensor_transform import IDENTITY, fuse
from bert4keras.families.bert import GOOGLE, HUGGINGFACE, TABLES
from helpers.named_weights import Sizes, weight_shapes

pytestmark = pytest.mark.spread

INDEX = Path(__file__).parent.parent / "fixtures" / "google_chinese_bert_index.json"

# Written by hand from the two programs' own checkpoints.
EXAMPLES = [
    (
        "Embedding-Token/embeddings",
        "bert/embeddings/word_embeddings",
        "bert.embeddings.word_embeddings.weight",
    ),
    (
        "Embedding-Norm/gamma",
        "bert/embeddings/LayerNorm/gamma",
        "bert.embeddings.LayerNorm.weight",
    ),
    (
        "Transformer-3-MultiHeadSelfAttention/output/kernel",
        "bert/encoder/layer_3/attention/output/dense/kernel",
        "bert.encoder.layer.3.attention.output.dense.weight",
    ),
    (
        "Transformer-11-MultiHeadSelfAttention-Norm/beta",
        "bert/encoder/layer_11/attention/output/LayerNorm/beta",
        "bert.encoder.layer.11.attention.output.LayerNorm.bias",
    ),
    (
        "Transformer-0-FeedForward/inner/bias",
        "bert/encoder/layer_0/intermediate/dense/bias",
        "bert.encoder.layer.0.intermediate.dense.bias",
    ),
    ("NSP-Proba/kernel", "cls/seq_relationship/output_weights", "cls.seq_relationship.weight"),
    ("MLM-Bias/bias", "cls/predictions/output_bias", "cls.predictions.bias"),
]


@pytest.mark.parametrize("sizes", [Sizes(), Sizes(embedding=4, segments=0), Sizes(heads=False)])
@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.format)
def test_every_weight_is_covered_exactly_once(table, sizes):
    tensors = []
    for path in weight_shapes(sizes):
        covering = [r for r in table.rows if WeightTable("one", (r,)).of_weight(path)]
        assert len(covering) == 1, path
        row = table.of_weight(path)
        assert row.weight == path
        assert [r.weight for r in table.of_tensor(row.tensor)] == [path]
        tensors.append(row.tensor)
    assert len(set(tensors)) == len(tensors)


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.format)
def test_every_row_belongs_to_some_weight(table):
    paths = weight_shapes(Sizes(layers=1, embedding=4))
    rows = {table.of_weight(path).weight for path in paths}
    assert rows == {row.weight.format(i=0) for row in table.rows}
    assert not table.of_weight("Transformer-0-FeedForward/inner/scale")  # negative control


def test_the_table_accounts_for_all_variables_of_google_chinese_bert():
    shapes = json.loads(INDEX.read_text())
    assert len(shapes) == 206
    ours = weight_shapes(Sizes(21128, 768, 3072, 12, 512, 2, 768))
    found = {}
    for name, shape in shapes.items():
        (row,) = GOOGLE.of_tensor(name)
        found[row.weight] = row.transform.shape(shape)
    # Pooler, NSP and MLM heads included: nothing of theirs is left, nothing of ours is missing.
    assert found == ours


def test_slots_of_the_optimizer_are_named_as_ignored():
    shapes = json.loads(INDEX.read_text())
    for name in shapes:
        for slot in ("adam_m", "adam_v", "Adam", "Adam_1"):
            assert "optimizer" in GOOGLE.ignored_as(GOOGLE.canonical(f"{name}/{slot}")).reason
        assert GOOGLE.ignored_as(name) is None
    assert GOOGLE.canonical("global_step")
    assert GOOGLE.canonical("bert/encoder/layer_0/adapter/kernel") is None


@pytest.mark.parametrize(("weight", "google", "huggingface"), EXAMPLES)
def test_names_match_the_two_programs(weight, google, huggingface):
    assert GOOGLE.of_weight(weight).tensor == google
    assert HUGGINGFACE.of_weight(weight).tensor == huggingface


def test_torch_kernels_are_transposed_and_the_rest_is_not():
    for google, torch in zip(GOOGLE.rows, HUGGINGFACE.rows, strict=True):
        kernel = torch.weight.endswith("/kernel")
        assert torch.transform == (TRANSPOSE if kernel else IDENTITY), torch.weight
        assert google.per_token == torch.per_token
    assert [row.weight for row in GOOGLE.rows if row.transform == TRANSPOSE] == ["NSP-Proba/kernel"]


@pytest.mark.parametrize(
    ("stored", "canonical"),
    [
        ("encoder.layer.3.output.LayerNorm.gamma", "bert.encoder.layer.3.output.LayerNorm.weight"),
        ("module.bert.pooler.dense.bias", "bert.pooler.dense.bias"),
        ("module.model.roberta.pooler.dense.bias", "bert.pooler.dense.bias"),
        ("model.embeddings.LayerNorm.beta", "bert.embeddings.LayerNorm.bias"),
        ("module.cls.predictions.bias", "cls.predictions.bias"),
        ("embeddings.position_ids", "bert.embeddings.position_ids"),
        ("bert.encoder.layer.03.output.dense.bias", None),
        ("bert.encoder.layer.3.output.dense.kernel", None),
        ("classifier.weight", None),
    ],
)
def test_spellings_of_hugging_face_names(stored, canonical):
    assert HUGGINGFACE.canonical(stored) == canonical


@pytest.mark.parametrize(
    ("stored", "canonical"),
    [
        ("bert/embeddings/LayerNorm/gamma:0", "bert/embeddings/LayerNorm/gamma"),
        ("bert/embeddings/LayerNorm/weight", "bert/embeddings/LayerNorm/gamma"),
        ("module/bert/pooler/dense/kernel", "bert/pooler/dense/kernel"),
        ("bert.pooler.dense.bias", None),
    ],
)
def test_spellings_of_google_names(stored, canonical):
    assert GOOGLE.canonical(stored) == canonical


@pytest.mark.parametrize(
    "path", ["Pooler-Dense/bias", "bert/Pooler-Dense/bias", "outer/bert/Pooler-Dense/bias"]
)
def test_a_leading_model_name_is_skipped(path):
    assert GOOGLE.of_weight(path).weight == "Pooler-Dense/bias"


# The seam for fused tensors: queries, keys and values of a model that stores them as one.
FUSED = WeightTable(
    "fused",
    tuple(
        WeightMap(
            f"Layer-{{i}}/{name}/kernel", "h.{i}.attn.weight", slice_of(k, 3, 0).then(TRANSPOSE)
        )
        for k, name in enumerate(("query", "key", "value"))
    ),
    format="huggingface",
)


def test_a_fused_tensor_is_cut_and_put_together():
    stored = np.arange(24.0).reshape(6, 4)
    rows = FUSED.of_tensor("h.5.attn.weight")
    assert [row.weight for row in rows] == [
        f"Layer-5/{n}/kernel" for n in ("query", "key", "value")
    ]
    weights = [(row.transform, row.transform.forward(stored)) for row in rows]
    np.testing.assert_array_equal(weights[1][1], stored[2:4].T)
    assert rows[0].transform.shape((6, 4)) == (4, 2)
    np.testing.assert_array_equal(fuse("h.5.attn.weight", weights[::-1]), stored)
    for wrong in (weights[:2], [*weights, weights[0]], [*weights[:2], (IDENTITY, weights[2][1])]):
        with pytest.raises(CheckpointError, match="cannot be built from"):
            fuse("h.5.attn.weight", wrong)
    with pytest.raises(ValueError, match="must come first"):
        TRANSPOSE.then(slice_of(0, 3, 0))
    with pytest.raises(ValueError, match=r"\(7, 4\) has no 3 equal slices along axis 0"):
        slice_of(0, 3, 0).shape((7, 4))


def test_a_fused_tensor_by_renaming_in_any_order():
    third = Rename(r"attention\.self\.key", "qkv", slice_of(1, 3, 0))
    others = [Rename(r"layer\.\{i\}", "block{i}"), Rename(r"^bert\.", "net.")]
    options = {"root": "net", "always_rooted": True}
    for renames in ([third, *others], [*others, third]):
        table = HUGGINGFACE.renamed("fused", renames, **options)
        row = table.of_weight("Transformer-2-MultiHeadSelfAttention/key/kernel")
        assert row.tensor == "net.encoder.block2.qkv.weight"
        assert row.transform.shape((12, 5)) == (5, 4)
        assert table.stored_name([row.tensor])(row.tensor) == row.tensor
    assert not HUGGINGFACE.renamed("as before", others).always_rooted


def test_renaming_composes_transforms():
    table = GOOGLE.renamed("twice", (Rename(r"output_weights$", "weight", TRANSPOSE),))
    transform = table.of_weight("NSP-Proba/kernel").transform
    array = np.arange(6).reshape(3, 2)
    np.testing.assert_array_equal(transform.forward(array), array)  # transposed twice
    np.testing.assert_array_equal(transform.inverse(array), array)
    assert table.of_weight("NSP-Proba/kernel").tensor == "cls/seq_relationship/weight"


def test_padded_indices():
    table = WeightTable("padded", (WeightMap("Layer-{i}/bias", "layer{i:02d}/bias"),))
    assert table.of_weight("Layer-3/bias").tensor == "layer03/bias"
    assert table.of_tensor("layer12/bias")[0].weight == "Layer-12/bias"
    assert table.of_tensor("layer3/bias") == []


@pytest.mark.parametrize("shape", [(), (3,), (2, 3, 4)])
def test_only_matrices_are_transposed(shape):
    with pytest.raises(ValueError, match="must be a matrix"):
        TRANSPOSE.shape(shape)
