"""Attention weights of a model: which token attends where, by layer and head.

Legend: B batch, T query length, S key length, N heads.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

import keras
import numpy as np
from keras import ops

from .._compat import flat_inputs, is_functional, layer_calls
from .._types import Tensor
from ..layers import MultiHeadAttention
from ..layers.banded_attention import is_banded

_Inputs: TypeAlias = Tensor | Sequence[Tensor] | Mapping[str, Tensor]


def attention_weights(model: keras.Model, inputs: _Inputs) -> dict[str, np.ndarray]:
    """Compute the weights of every attention layer of a functional model, without dropout.

    The model itself does not keep them, since most backends compute attention in one operation.
    They are computed here from the inputs of each layer.

    Args:
        model: a backbone, or a functional model that has its layers, such as a classifier.
        inputs: arrays, in the structure of the model's inputs.

    Returns:
        Layer name -> (B, N, T, S), in the order in which the layers run. The weights of a query sum
        to 1 (a gated attention unit with `squared_relu` has others). Later calls of a shared layer,
        as in ALBERT, are NAME:1, NAME:2 and so on. Draw them with `display.draw_grid`.

    Raises:
        ValueError: the model is not functional, or has no attention layer; or a text is so long
            that a sparse mask is computed in bands.

    Example:
        >>> weights = attention_weights(bert, [token_ids, segment_ids])
        >>> print(draw_grid(weights["Transformer-0-MultiHeadSelfAttention"][0, head], tokens))
    """
    calls = layer_calls(model) if is_functional(model) else []
    calls = [call for call in calls if isinstance(call.layer, MultiHeadAttention)]
    if not calls:
        raise ValueError(
            f"{model.name} is not a functional model with attention layers: give the backbone."
        )
    symbols = keras.tree.flatten([call.arguments for call in calls])
    wanted = {id(x): x for x in symbols if isinstance(x, keras.KerasTensor)}
    graph = keras.Model(model.inputs, list(wanted.values()))
    results = graph(flat_inputs(model, inputs), training=False)
    values = dict(zip(wanted, results, strict=True))
    found: dict[str, np.ndarray] = {}
    for call in calls:
        args, kwargs = keras.tree.map_structure(lambda x: values.get(id(x), x), call.arguments)
        weights = ops.convert_to_numpy(_call_weights(call.layer, *args, **kwargs))
        name, again = call.layer.name, sum(key.split(":")[0] == call.layer.name for key in found)
        found[f"{name}:{again}" if again else name] = weights
    return found


def _call_weights(
    layer: MultiHeadAttention,
    x: Tensor,
    context: Tensor | None = None,
    attention_mask: Tensor | None = None,
    bias: Tensor | None = None,
    positions: Tensor | None = None,
    key_positions: Tensor | None = None,
    scores: Tensor | None = None,
    relative: Tensor | None = None,
    **_: Any,
) -> Tensor:
    """Compute the weights of one call of a layer, (B, N, T, S); arguments as of the layer."""
    if is_banded(attention_mask):
        raise ValueError(
            f"{layer.name} computes this text in bands of a sparse mask, which have no weights of "
            "all pairs: give it a shorter text."
        )
    projected = layer.project_qkv(x, x if context is None else context)
    query, key = projected.query, projected.key
    if layer.position.rotates:
        query, key = layer.position.rotate(query, key, positions)
    own = layer.position_scores(
        query=query, key=key, positions=positions, key_positions=key_positions, relative=relative
    )
    total = layer.content_scores(query, key, None)
    for part in (bias, scores, own):
        total = total if part is None else total + ops.cast(part, total.dtype)
    weights = layer.normalize(total, attention_mask)
    return ops.broadcast_to(weights, ops.shape(total))
