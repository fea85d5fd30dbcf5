"""Attention weights: the layer's own output is the average of its values by them."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from keras import ops

from bert4keras._compat import layer_calls
from bert4keras.layers import MultiHeadAttention, RelativeAttention
from bert4keras.masks import Window
from bert4keras.models import attention_weights
from helpers import families, family_models, tiny

SAMPLE = ["albert", "bert", "deberta-v3", "gau_alpha", "modernbert", "nezha", "roformer", "t5"]


def build(family: str):
    """A tiny model and its inputs; ModernBERT and T5 as in their fixtures."""
    if family in families.NAMES:
        model, reference = families.build(family), families.reference(family)
        return model, [reference[name] for name in model.input_order]
    model = family_models.build(family)
    return model, tiny.inputs()[: len(model.inputs)]


@pytest.mark.parametrize("family", SAMPLE)
def test_values_weighted_by_them_are_the_output(family):
    model, inputs = build(family)
    found = attention_weights(model, inputs)
    calls = [c for c in layer_calls(model) if isinstance(c.layer, MultiHeadAttention)]
    assert len(found) == len(calls) >= 2
    for call, weights in zip(calls, found.values(), strict=True):
        layer, (args, kwargs) = call.layer, call.arguments
        context = [kwargs["context"]] if kwargs.get("context") is not None else []
        graph = keras.Model(model.inputs, [args[0], *context, call.output])
        x, *context, output = graph(inputs)
        value = layer.project_qkv(x, context[0] if context else x)
        ours = average(layer, weights, value)
        np.testing.assert_allclose(ours, ops.convert_to_numpy(output), atol=2e-4, rtol=1e-4)
        other = average(layer, weights[..., ::-1], value)
        assert not np.allclose(other, ops.convert_to_numpy(output), atol=2e-2)
        if family != "gau_alpha":
            np.testing.assert_allclose(weights.sum(-1), 1, atol=1e-5)


def average(layer, weights, projections):
    """Return a layer's output from its weights."""
    weights = ops.convert_to_tensor(np.ascontiguousarray(weights))
    if isinstance(layer, RelativeAttention):  # vectors of the distances are averaged too
        place = ops.arange(weights.shape[2])[None]
        mean = layer.weighted_values(
            probabilities=weights, value=projections.value, positions=place, key_positions=place
        )
    else:
        mean = ops.einsum("bnts,bsnh->btnh", weights, projections.value)
    mean = ops.reshape(mean, (*mean.shape[:2], -1))
    mean = mean if projections.gate is None else mean * projections.gate
    return ops.convert_to_numpy(layer.output_projection(mean))


def test_hidden_tokens_have_no_weight():
    token_ids, segment_ids = tiny.inputs()
    found = attention_weights(tiny.build(application="lm"), [token_ids, segment_ids])
    assert list(found) == [f"Transformer-{n}-MultiHeadSelfAttention" for n in range(2)]
    first = found["Transformer-0-MultiHeadSelfAttention"]
    assert first.shape == (3, 2, 9, 9)
    assert (np.triu(first, 1) == 0).all()
    assert (first[:, :, :, 1][token_ids[:, 1] > 0] > 0).any()
    assert (np.moveaxis(first, 3, 1)[token_ids == 0] == 0).all()
    # The encoder looks to both sides.
    assert np.triu(
        next(iter(attention_weights(tiny.build(), [token_ids, segment_ids]).values())), 1
    ).any()


def test_a_model_on_top_of_a_backbone_has_them():
    bert = tiny.build()
    classifier = keras.Model(bert.inputs, keras.layers.Dense(2)(bert.output[:, 0]))
    for ours, theirs in zip(
        attention_weights(classifier, tiny.inputs()).values(),
        attention_weights(bert, tiny.inputs()).values(),
        strict=True,
    ):
        np.testing.assert_array_equal(ours, theirs)


def test_errors():
    with pytest.raises(ValueError, match="is not a functional model with attention layers"):
        attention_weights(keras.Sequential([keras.layers.Dense(2)]), np.ones((1, 2)))
    long = np.ones((1, 400), "int32")
    model = tiny.build({"max_position": 400}, application=Window(2))
    with pytest.raises(ValueError, match="in bands of a sparse mask"):
        attention_weights(model, [long, 0 * long])
    assert attention_weights(model, [long[:, :20], 0 * long[:, :20]])
