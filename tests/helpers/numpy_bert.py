"""BERT's forward pass in plain numpy: a second oracle, independent of every framework."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np

_erf = np.vectorize(math.erf, otypes=[np.float64])


def gelu(x: np.ndarray) -> np.ndarray:
    """Exact Gaussian error linear unit, x * P(N(0, 1) <= x)."""
    return 0.5 * x * (1.0 + _erf(x / math.sqrt(2.0)))


def gelu_tanh(x: np.ndarray) -> np.ndarray:
    """Tanh approximation of :func:`gelu` (Hendrycks & Gimpel, 2016)."""
    return 0.5 * x * (1.0 + np.tanh(math.sqrt(2.0 / math.pi) * (x + 0.044715 * x**3)))


class NumpyBert:
    """BERT over a dict of arrays in Hugging Face's naming (``bert.`` prefix, torch layout).

    Args:
        weights: Hugging Face name -> array.
        config: keys of Hugging Face's config.json.
        activation: :func:`gelu` or :func:`gelu_tanh`.
    """

    def __init__(self, weights: dict, config: dict, activation=gelu) -> None:
        self.weights = {name: np.asarray(value, np.float64) for name, value in weights.items()}
        self.config, self.activation = config, activation

    @classmethod
    def from_directory(cls, directory: str | Path, activation=gelu) -> NumpyBert:
        from safetensors.numpy import load_file

        directory = Path(directory)
        config = json.loads((directory / "config.json").read_text(encoding="utf-8"))
        return cls(load_file(directory / "model.safetensors"), config, activation)

    def dense(self, x: np.ndarray, name: str) -> np.ndarray:
        return x @ self.weights[f"{name}.weight"].T + self.weights[f"{name}.bias"]

    def norm(self, x: np.ndarray, name: str) -> np.ndarray:
        centred = x - x.mean(-1, keepdims=True)
        scale = np.sqrt((centred**2).mean(-1, keepdims=True) + self.config["layer_norm_eps"])
        return centred / scale * self.weights[f"{name}.weight"] + self.weights[f"{name}.bias"]

    def attention(self, x: np.ndarray, mask: np.ndarray, name: str) -> np.ndarray:
        batch, length, width = x.shape
        heads = self.config["num_attention_heads"]

        def split(part: str) -> np.ndarray:  # (B, N, T, H)
            y = self.dense(x, f"{name}.self.{part}")
            return y.reshape(batch, length, heads, -1).transpose(0, 2, 1, 3)

        query, key, value = split("query"), split("key"), split("value")
        scores = query @ key.transpose(0, 1, 3, 2) / math.sqrt(width / heads)
        scores = np.where(mask[:, None], scores, -np.inf)
        weights = np.exp(scores - scores.max(-1, keepdims=True))
        weights /= weights.sum(-1, keepdims=True)
        return (weights @ value).transpose(0, 2, 1, 3).reshape(batch, length, width)

    def hidden_states(
        self, token_ids: np.ndarray, segment_ids: np.ndarray, mask: np.ndarray
    ) -> list[np.ndarray]:
        """Embeddings and every layer's output, each (B, T, D); mask: bool (B, T|1, S)."""
        table = "bert.embeddings.{}_embeddings.weight"
        x = self.weights[table.format("word")][token_ids]
        x = x + self.weights[table.format("token_type")][segment_ids]
        x = x + self.weights[table.format("position")][: token_ids.shape[1]]
        states = [self.norm(x, "bert.embeddings.LayerNorm")]
        for i in range(self.config["num_hidden_layers"]):
            name, x = f"bert.encoder.layer.{i}", states[-1]
            y = self.dense(
                self.attention(x, mask, f"{name}.attention"), f"{name}.attention.output.dense"
            )
            x = self.norm(x + y, f"{name}.attention.output.LayerNorm")
            y = self.activation(self.dense(x, f"{name}.intermediate.dense"))
            states.append(
                self.norm(x + self.dense(y, f"{name}.output.dense"), f"{name}.output.LayerNorm")
            )
        return states

    def heads(self, last: np.ndarray) -> dict[str, np.ndarray]:
        """The pooler (B, D), the NSP logits (B, 2) and the MLM logits (B, T, V)."""
        pooled = np.tanh(self.dense(last[:, 0], "bert.pooler.dense"))
        x = self.activation(self.dense(last, "cls.predictions.transform.dense"))
        x = self.norm(x, "cls.predictions.transform.LayerNorm")
        table = self.weights["bert.embeddings.word_embeddings.weight"]
        mlm_logits = x @ table.T + self.weights["cls.predictions.bias"]
        nsp_logits = self.dense(pooled, "cls.seq_relationship")
        return {"pooled": pooled, "mlm_logits": mlm_logits, "nsp_logits": nsp_logits}
