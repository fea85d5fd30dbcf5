"""Groups of variables by their paths, and rates by depth."""

from __future__ import annotations

import re

import keras
import pytest

from bert4keras.optimizers import (
    NORMS_AND_BIASES,
    ExtendedOptimizer,
    LearningRateMultipliers,
    group_by_path,
    layerwise_decay,
)
from helpers import tiny

pytestmark = pytest.mark.spread

PATHS = ["Embedding-Token/embeddings", "Embedding-Norm/gamma", "Dense/kernel", "Dense/bias"]


def with_head(**options) -> keras.Model:
    bert = tiny.build(**options)
    return keras.Model(bert.input, keras.layers.Dense(2, name="Classifier")(bert.output[:, 0]))


def factors(model, decay=0.5) -> dict[str, float]:
    """The factor of each trainable variable, as the optimizer finds it."""
    optimizer = ExtendedOptimizer("sgd", [LearningRateMultipliers(layerwise_decay(model, decay))])
    optimizer.build(model.trainable_variables)
    (found,) = optimizer._state.states
    return {path: found.get(index, 1.0) for index, path in enumerate(optimizer.paths)}


def layers(found: dict[str, float]) -> dict[str, set[float]]:
    """The factors of all variables of each block, of the embeddings, of the rest."""
    grouped: dict[str, set[float]] = {}
    for path, factor in found.items():
        name = re.match(r"(\w+-)?Transformer(-\d+)?(?=-)|(\w+-)?Embedding", path)
        grouped.setdefault(name[0] if name else path.split("/")[0], set()).add(factor)
    return grouped


def test_groups():
    groups = {"decayed": ["Token", "kernel"], "plain": ["bias$", "Norm"]}
    assert group_by_path(PATHS, groups) == {"decayed": [0, 2], "plain": [1, 3]}
    assert group_by_path(PATHS, {"a": ["^Dense"]}, total=False) == {"a": [2, 3]}


def test_groups_must_be_total_and_disjoint():
    with pytest.raises(ValueError, match=r"'Embedding-Norm/gamma' is in the groups \['a', 'b'\]"):
        group_by_path(PATHS, {"a": ["Embedding"], "b": ["Norm", "Dense"]})
    with pytest.raises(ValueError, match=r"no group of \['a'\] has Dense/kernel, Dense/bias"):
        group_by_path(PATHS, {"a": ["Embedding"]})
    with pytest.raises(ValueError, match=r"'nowhere' matches no variable.*Embedding-Token/embed"):
        group_by_path(PATHS, {"a": ["nowhere"]})
    with pytest.raises(ValueError, match=r"'\(' is not a regular expression: missing \)"):
        group_by_path(PATHS, {"a": ["("]})
    with pytest.raises(ValueError, match=r"has e1, e2, e3, e4, e5, e6 and 3 more"):
        group_by_path([f"e{i}" for i in range(11)], {"a": ["e0"]} | {"b": ["e10"]}, owner="x")


@pytest.mark.parametrize("model", ["bert", "t5", "gau_alpha"])
def test_norms_and_biases(model):
    """In every family, all weights except norms and biases are matrices."""
    found = tiny.build(model=model).trainable_variables
    matrices = {v.path for v in found if not re.search(NORMS_AND_BIASES, v.path)}
    assert all(len(v.shape) == 1 for v in found if v.path not in matrices)
    assert {v.path for v in found if len(v.shape) == 1 and v.path in matrices} <= {
        f"Transformer-{i}-GatedAttentionUnit/{name}_gain"
        for i in (0, 1)
        for name in ("query", "key")
    }
    assert any("kernel" in path for path in matrices)


def test_layerwise_decay_of_bert():
    assert layers(factors(with_head())) == {
        "Embedding": {0.125},
        "Transformer-0": {0.25},
        "Transformer-1": {0.5},
        "Classifier": {1.0},
    }


def test_layerwise_decay_of_shared_layers_is_that_of_the_highest():
    found = layers(factors(with_head(model="albert")))
    assert found == {"Embedding": {0.25}, "Transformer": {0.5}, "Classifier": {1.0}}


def test_layerwise_decay_of_encoder_and_decoder():
    found = layers(factors(tiny.build(model="t5")))
    assert found == {
        "Embedding": {0.125},
        "Encoder-Embedding": {0.125},
        "Decoder-Embedding": {0.125},
        **{
            f"{stack}-Transformer-{i}": {0.25 * 2**i}
            for stack in ("Encoder", "Decoder")
            for i in (0, 1)
        },
        "Encoder-Output-Norm": {1.0},
        "Decoder-Output-Norm": {1.0},
    }


def test_more_than_nine_blocks_are_told_apart():
    paths = [f"Transformer-{i}-FeedForward/kernel" for i in range(12)]
    found = layerwise_decay(paths, 0.5)
    optimizer_sees = group_by_path(paths, {pattern: [pattern] for pattern in found})
    assert [len(indices) for indices in optimizer_sees.values()] == [1] * 12
    assert list(found.values()) == [0.5 ** (12 - i) for i in range(12)]


def test_frozen_blocks_have_no_pattern():
    model = with_head()
    for layer in model.layers:
        layer.trainable = not layer.name.startswith(("Embedding", "Transformer-0"))
    assert layers(factors(model)) == {"Transformer-1": {0.5}, "Classifier": {1.0}}


@pytest.mark.parametrize("decay", [-0.1, 1.1, float("nan")])
def test_other_decays_are_refused(decay):
    with pytest.raises(ValueError, match="decay must be from 0 to 1"):
        layerwise_decay(PATHS, decay)


def test_models_without_blocks_are_refused():
    with pytest.raises(ValueError, match="no trainable variable belongs to a block Transformer"):
        layerwise_decay(["dense/kernel"])
