"""GAU-alpha's forward pass in plain numpy, over arrays under TensorFlow's names."""

from __future__ import annotations

import numpy as np


def swish(x: np.ndarray) -> np.ndarray:
    return x / (1.0 + np.exp(-x))


def rms_norm(x: np.ndarray) -> np.ndarray:
    return x / np.sqrt((x**2).mean(-1, keepdims=True) + 1e-7)


def rotate(x: np.ndarray, positions: np.ndarray) -> np.ndarray:
    """Turn the pairs (0, 1), (2, 3), ... of (B, T, K), read as complex numbers."""
    size = x.shape[-1]
    angles = positions[..., None] / 10000.0 ** (np.arange(0, size, 2) / size)
    turned = (x[..., ::2] + 1j * x[..., 1::2]) * np.exp(1j * angles)
    return np.stack([turned.real, turned.imag], -1).reshape(x.shape)


def softmax(x: np.ndarray) -> np.ndarray:
    x = np.exp(x - x.max(-1, keepdims=True))
    return x / x.sum(-1, keepdims=True)


def probabilities(scores: np.ndarray, mask: np.ndarray, how: str) -> np.ndarray:
    """Of scores (B, T, S) under a mask bool (B, T, S)."""
    visible = mask.sum(-1, keepdims=True)
    if how == "squared_relu":
        return np.where(mask, np.maximum(scores, 0.0) ** 2, 0.0) / visible
    if how == "softmax_plus":
        scores = scores * np.log(np.maximum(visible, 16)) / np.log(512)
    return softmax(np.where(mask, scores, -np.inf))


def hidden_states(
    weights: dict[str, np.ndarray],
    inputs: dict[str, np.ndarray],
    layers: int,
    units: int,
    how: str = "softmax_plus",
    activation=swish,
) -> list[np.ndarray]:
    """Embeddings and every layer's output, (B, T, D) each.

    Args:
        weights: TensorFlow name -> array.
        inputs: token_ids and segment_ids (B, T), mask bool (B, T, S), positions (T,).
        layers: number of units.
        units: width of gates and values.
        how: normalization of the attention.
        activation: of the gates.
    """
    w = {name: value.astype("float64") for name, value in weights.items()}
    x = w["bert/embeddings/word_embeddings"][inputs["token_ids"]]
    x = x + w["bert/embeddings/token_type_embeddings"][inputs["segment_ids"]]
    states = [rms_norm(x)]
    for i in range(layers):
        own = {key.partition("/gau/")[2]: w[key] for key in w if f"/layer_{i}/" in key}
        y = activation(states[-1] @ own["i_dense/kernel"])
        gate, value, shared = np.split(y, [units, 2 * units], axis=-1)
        query, key = (
            rotate(shared * own[f"{name}_scaleoffset/gamma"], inputs["positions"]) for name in "qk"
        )
        scores = query @ key.transpose(0, 2, 1) / np.sqrt(query.shape[-1])
        mixed = probabilities(scores, inputs["mask"], how) @ value
        states.append(rms_norm(states[-1] + (gate * mixed) @ own["o_dense/kernel"]))
    return states
