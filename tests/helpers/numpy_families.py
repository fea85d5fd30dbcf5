"""Families known only from TensorFlow checkpoints: their names, and forward passes in numpy.

Each function takes the tensors by the checkpoint's own names, and knows nothing of ours.
"""

from __future__ import annotations

import math

import numpy as np

V, D, N, F, L, P, E = 20, 8, 2, 12, 2, 16, 6  # vocabulary, widths, blocks, positions, factor
H = D // N
_erf = np.vectorize(math.erf, otypes=[np.float64])


def gelu(x):
    return 0.5 * x * (1 + _erf(x / math.sqrt(2)))


def gelu_tanh(x):
    return 0.5 * x * (1 + np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)))


def softmax(x):
    e = np.exp(x - x.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


class Tensors(dict):
    """Arrays by name, drawn on first use with a standard deviation of 0.4; `.shapes` are kept."""

    def __init__(self, seed: int = 0):
        self.rng = np.random.default_rng(seed)

    def draw(self, name: str, *shape: int) -> np.ndarray:
        if name not in self:
            value = self.rng.normal(0.0, 0.4, shape) + name.endswith("gamma")
            self[name] = value.astype("float32")
        return self[name].astype("float64")

    def dense(self, x, name: str, width: int, bias: bool = True):
        x = x @ self.draw(f"{name}/kernel", x.shape[-1], width)
        return x + self.draw(f"{name}/bias", width) if bias else x

    def norm(self, x, name: str, epsilon: float = 1e-12):
        x = x - x.mean(-1, keepdims=True)
        x = x / np.sqrt((x**2).mean(-1, keepdims=True) + epsilon)
        width = x.shape[-1]
        return x * self.draw(f"{name}/gamma", width) + self.draw(f"{name}/beta", width)


def rms(x, epsilon=1e-7):
    return x / np.sqrt((x**2).mean(-1, keepdims=True) + epsilon)


def heads(x):
    return x.reshape(*x.shape[:2], N, H).transpose(0, 2, 1, 3)


def merged(x):
    return x.transpose(0, 2, 1, 3).reshape(x.shape[0], x.shape[2], D)


def attention(t, x, mask, names, bias=True, turn=None, relative=None):
    """Multi-head attention; names of query, key, value and output; mask (B, T|1, S)."""
    q, k, v = (heads(t.dense(x, name, D, bias)) for name in names[:3])
    if turn is not None:
        q, k = turn(q), turn(k)
    scores = q @ k.transpose(0, 1, 3, 2)
    if relative is not None:
        scores = scores + np.einsum("bnth,tsh->bnts", q, relative)
    p = softmax(np.where(mask[:, None], scores / math.sqrt(H), -1e30))
    mixed = p @ v
    if relative is not None:
        mixed = mixed + np.einsum("bnts,tsh->bnth", p, relative)
    return t.dense(merged(mixed), names[3], D, bias)


def sines(positions, size):
    angles = positions[..., None] * 10000.0 ** (-np.arange(0, size, 2) / size)
    return np.sin(angles), np.cos(angles)


def rotary(x):
    """(B, N, T, H) turned pair by pair, as complex numbers."""
    sine, cosine = sines(np.arange(x.shape[2]), x.shape[3])
    turned = (x[..., ::2] + 1j * x[..., 1::2]) * (cosine + 1j * sine)
    return np.stack([turned.real, turned.imag], -1).reshape(x.shape)


def bert_names(layer: str) -> list[str]:
    parts = ("self/query", "self/key", "self/value", "output/dense")
    return [f"{layer}/attention/{part}" for part in parts]


def nezha(t, tokens, segments):
    mask, length = (tokens != 0)[:, None], tokens.shape[1]
    x = t.draw("bert/embeddings/word_embeddings", V, D)[tokens]
    x = x + t.draw("bert/embeddings/token_type_embeddings", 2, D)[segments]
    x = t.norm(x, "bert/embeddings/LayerNorm")
    distance = np.clip(np.arange(length) - np.arange(length)[:, None], -64, 64) + 64
    relative = np.stack(sines(distance, H), -1).reshape(length, length, H)
    for i in range(L):
        layer = f"bert/encoder/layer_{i}"
        y = attention(t, x, mask, bert_names(layer), relative=relative)
        x = t.norm(x + y, f"{layer}/attention/output/LayerNorm")
        y = t.dense(gelu(t.dense(x, f"{layer}/intermediate/dense", F)), f"{layer}/output/dense", D)
        x = t.norm(x + y, f"{layer}/output/LayerNorm")
    return x


def roformer_v2(t, tokens, segments):
    mask = (tokens != 0)[:, None]
    x = t.draw("bert/embeddings/word_embeddings", V, D)[tokens]
    x = rms(x + t.draw("bert/embeddings/token_type_embeddings", 2, D)[segments])
    for i in range(L):
        layer = f"bert/encoder/layer_{i}"
        x = rms(x + attention(t, x, mask, bert_names(layer), bias=False, turn=rotary))
        y = np.maximum(t.dense(x, f"{layer}/intermediate/dense", F, bias=False), 0)
        x = rms(x + t.dense(y, f"{layer}/output/dense", D, bias=False))
    return x


def albert_zh(t, tokens, segments):
    mask = (tokens != 0)[:, None]
    x = t.draw("bert/embeddings/word_embeddings", V, E)[tokens]
    x = x @ t.draw("bert/embeddings/word_embeddings_2", E, D)
    x = x + t.draw("bert/embeddings/token_type_embeddings", 2, D)[segments]
    x = x + t.draw("bert/embeddings/position_embeddings", P, D)[: tokens.shape[1]]
    x = t.norm(x, "bert/embeddings/LayerNorm")
    layer = "bert/encoder/layer_shared"
    for _ in range(L):
        y = attention(t, x, mask, bert_names(layer))
        x = t.norm(x + y, f"{layer}/attention/output/LayerNorm")
        y = t.dense(gelu(t.dense(x, f"{layer}/intermediate/dense", F)), f"{layer}/output/dense", D)
        x = t.norm(x + y, f"{layer}/output/LayerNorm")
    head = "cls/predictions/transform"
    x = t.norm(gelu(t.dense(x, f"{head}/dense", D)), f"{head}/LayerNorm")
    x = x @ t["bert/embeddings/word_embeddings_2"].T @ t["bert/embeddings/word_embeddings"].T
    return x + t.draw("cls/predictions/output_bias", V)


def albert(t, tokens, segments):
    mask = (tokens != 0)[:, None]
    x = t.draw("bert/embeddings/word_embeddings", V, E)[tokens]
    x = x + t.draw("bert/embeddings/token_type_embeddings", 2, E)[segments]
    x = x + t.draw("bert/embeddings/position_embeddings", P, E)[: tokens.shape[1]]
    x = t.norm(x, "bert/embeddings/LayerNorm")
    x = t.dense(x, "bert/encoder/embedding_hidden_mapping_in", D)
    inner = "bert/encoder/transformer/group_0/inner_group_0"
    names = [f"{inner}/attention_1/self/{part}" for part in ("query", "key", "value")]
    for _ in range(L):
        y = attention(t, x, mask, [*names, f"{inner}/attention_1/output/dense"])
        x = t.norm(x + y, f"{inner}/LayerNorm")
        y = gelu(t.dense(x, f"{inner}/ffn_1/intermediate/dense", F))
        y = t.dense(y, f"{inner}/ffn_1/intermediate/output/dense", D)
        x = t.norm(x + y, f"{inner}/LayerNorm_1")
    return x


def causal(tokens):
    length = tokens.shape[1]
    return np.broadcast_to(np.tri(length, dtype=bool), (tokens.shape[0], length, length))


def gpt(t, tokens, segments):
    table = t.draw("gpt/embeddings/word_embeddings", V, D)
    x = table[tokens] + t.draw("gpt/embeddings/position_embeddings", P, D)[: tokens.shape[1]]
    for i in range(L):
        layer = f"gpt/transformer/layer_{i}"
        y = attention(t, x, causal(tokens), bert_names(layer))
        x = t.norm(x + y, f"{layer}/attention/output/LayerNorm", 1e-5)
        y = gelu_tanh(t.dense(x, f"{layer}/intermediate/dense", F))
        x = t.norm(x + t.dense(y, f"{layer}/output/dense", D), f"{layer}/output/LayerNorm", 1e-5)
    return x @ table.T


def gpt2(t, tokens, segments):
    table = t.draw("gpt/embeddings/word_embeddings", V, D)
    x = table[tokens] + t.draw("gpt/embeddings/position_embeddings", P, D)[: tokens.shape[1]]
    for i in range(L):
        layer = f"gpt/transformer/layer_{i}"
        y = t.norm(x, f"{layer}/attention/input/LayerNorm", 1e-5)
        x = x + attention(t, y, causal(tokens), bert_names(layer))
        y = t.norm(x, f"{layer}/input/LayerNorm", 1e-5)
        y = gelu_tanh(t.dense(y, f"{layer}/intermediate/dense", F))
        x = x + t.dense(y, f"{layer}/output/dense", D)
    return t.norm(x, "gpt/output/LayerNorm", 1e-5) @ table.T


def gpt2_ml(t, tokens, segments):
    table = t.draw("newslm/embeddings/word_embed", V, D)
    x = table[tokens] + t.draw("newslm/embeddings/pos_embed", P, D)[: tokens.shape[1]]
    x = t.norm(x, "newslm/embeddings/LayerNorm_embed_norm", 1e-5)
    for i in range(L):
        layer = f"newslm/layer{i:02d}"
        names = [f"{layer}/{n}_layer" for n in ("query", "key", "value", "context_projection")]
        x = x + attention(t, x, causal(tokens), names)
        y = t.norm(x, f"{layer}/LayerNorm_mlp_ln0", 1e-5)
        y = t.dense(gelu_tanh(t.dense(y, f"{layer}/intermediate", F)), f"{layer}/output", D)
        x = t.norm(x + y, f"{layer}/LayerNorm_mlp_ln1", 1e-5)
    return x @ table.T


def electra(t, tokens, segments):
    mask = (tokens != 0)[:, None]
    x = t.draw("electra/embeddings/word_embeddings", V, E)[tokens]
    x = x + t.draw("electra/embeddings/token_type_embeddings", 2, E)[segments]
    x = x + t.draw("electra/embeddings/position_embeddings", P, E)[: tokens.shape[1]]
    x = t.dense(t.norm(x, "electra/embeddings/LayerNorm"), "electra/embeddings_project", D)
    for i in range(L):
        layer = f"electra/encoder/layer_{i}"
        y = attention(t, x, mask, bert_names(layer))
        x = t.norm(x + y, f"{layer}/attention/output/LayerNorm")
        y = t.dense(gelu(t.dense(x, f"{layer}/intermediate/dense", F)), f"{layer}/output/dense", D)
        x = t.norm(x + y, f"{layer}/output/LayerNorm")
    x = gelu(t.dense(x, "discriminator_predictions/dense", D))
    return t.dense(x, "discriminator_predictions/dense_1", 1)
