"""Position strategies: embeddings, rotations and score biases that depend on the position.

A strategy describes the layers that it needs; the assembler (`models.Transformer`) creates and
calls them. Position ids are always an explicit int tensor, so custom ids, left padding, packed
documents and cached decoding steps go through the same code.

Legend: B batch, T query length, S key length, N heads, H head size, E embedding size.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

import keras
import numpy as np
from keras import ops

from ._lookup import Lookup
from ._position_ids import CustomPositionIds, PositionIds
from ._serialization import Configurable, serializable
from ._types import Tensor

if TYPE_CHECKING:
    from .config import TransformerConfig
    from .masks import Mask


class LayerSpec(NamedTuple):
    """Description of a layer: its class, its name in the model, and its constructor arguments."""

    layer: type[keras.layers.Layer]
    name: str
    options: Mapping[str, Any]


@serializable
@dataclasses.dataclass(frozen=True)
class Position(Configurable):
    """No position information; the base class of all strategies.

    A family names a strategy (`Transformer.position`). To write one, subclass (as a frozen
    dataclass) and override `embedding`, `bias` or `rotate`. The layers of `embedding` and `bias`
    must accept `embeddings_initializer`, which the assembler adds to their options. A model is
    saved with the name of its family, so only these layers are registered with Keras.

    Class attributes:
        rotates: True if attention layers must call `rotate`; set where `rotate` is overridden.
    """

    rotates: ClassVar[bool] = False

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if "rotate" in vars(cls) and "rotates" not in vars(cls):
            cls.rotates = True

    def offset(self, config: TransformerConfig) -> int:
        """Return the position id of the first token."""
        return 0

    def max_length(self, config: TransformerConfig) -> int | None:
        """Return the largest number of tokens that can have a position; None: no limit."""
        return None

    def padding_id(self, config: TransformerConfig) -> int | None:
        """Return the token id that is skipped when positions are counted; None: none is."""
        return None

    def ids(self, config: TransformerConfig, mask: Mask | None = None) -> LayerSpec:
        """Describe the layer that counts position ids (B|1, S) from token ids.

        Args:
            config: of the model.
            mask: strategy whose `position_mask` decides which tokens count; the layer is then
                called on a dict of `token_ids` and the mask's inputs. None: token ids only.
        """
        length = self.max_length(config)
        options: dict[str, Any] = {"pad_token_id": self.padding_id(config), "max_length": length}
        if mask is not None:
            options |= {"strategy": mask, "hidden_id": config.pad_token_id}
        return LayerSpec(PositionIds, "Position-Ids", options)

    def from_user(self, config: TransformerConfig) -> LayerSpec | None:
        """Describe the layer that checks the user's own position ids; None: all ids are valid."""
        length = self.max_length(config)
        if length is None:
            return None
        limit = {"max_position": self.offset(config) + length}
        return LayerSpec(CustomPositionIds, "Position-Given", limit)

    def embedding(self, config: TransformerConfig, width: int) -> LayerSpec | None:
        """Describe the layer whose output is added to the token embeddings.

        The layer maps position ids (B|1, T) to vectors (B|1, T, E).

        Args:
            config: of the model.
            width: E, width of the token embeddings.
        """
        return None

    def bias(self, config: TransformerConfig) -> LayerSpec | None:
        """Describe the layer whose output is added to the attention scores of every block.

        The layer is called on one list, the position ids of queries (B|1, T) and of keys (B|1, S),
        and returns finite numbers (B|1, N, T, S); once per forward pass.
        """
        return None

    def rotate(self, query: Tensor, key: Tensor, positions: Tensor | None) -> tuple[Tensor, Tensor]:
        """Rotate queries and keys (B, T, N, H) according to their position ids (B|1, T)."""
        return query, key


@serializable
@dataclasses.dataclass(frozen=True)
class Learned(Position):
    """A trained vector per position, added to the token embedding (BERT).

    With `hierarchical_position` in the config there are more positions, see `PositionEmbedding`.
    """

    def max_length(self, config):
        rows = config.max_position
        return (rows**2 if config.hierarchical_position else rows) - self.offset(config)

    def embedding(self, config, width):
        options = {
            "input_dim": config.max_position,
            "output_dim": width,
            "hierarchical": config.hierarchical_position,
        }
        return LayerSpec(PositionEmbedding, "Embedding-Position", options)


@serializable
@dataclasses.dataclass(frozen=True)
class LearnedFromPadding(Learned):
    """`Learned` with position ids that start after the padding id (RoBERTa)."""

    def offset(self, config):
        return config.pad_token_id + 1

    def padding_id(self, config):
        return config.pad_token_id


def frequencies(size: int, base: float = 10000.0) -> np.ndarray:
    """Angles per position `base ** (-2i / size)`, float64 (size / 2,)."""
    return base ** (-np.arange(0, size, 2, dtype="float64") / size)


def position_angles(positions: Tensor, size: int, base: float = 10000.0) -> Tensor:
    """Return position times frequency, float32: (...) to (..., size / 2)."""
    # In float32 under every policy: a half cannot tell position 4097 from 4098. torch's tracer has
    # symbols for sizes.
    return ops.cast(positions, "float32")[..., None] * ops.cast(
        frequencies(int(size), base), "float32"
    )


def rotate_pairs(x: Tensor, sine: Tensor, cosine: Tensor, interleaved: bool = True) -> Tensor:
    """Rotate pairs of features, the last axis of x (..., H), by angles (..., H / 2).

    Args:
        x: vectors.
        sine, cosine: of the angles; they broadcast over the other axes of `x`.
        interleaved: pair feature 2i with 2i + 1; else pair i with i + H/2.
    """
    left, right = (x[..., ::2], x[..., 1::2]) if interleaved else ops.split(x, 2, axis=-1)
    rotated = (left * cosine - right * sine, left * sine + right * cosine)
    if interleaved:
        return ops.reshape(ops.stack(rotated, axis=-1), ops.shape(x))
    return ops.concatenate(rotated, axis=-1)


@serializable
@dataclasses.dataclass(frozen=True)
class Rotary(Position):
    """Rotary position embedding (RoPE): queries and keys rotated by position times frequency.

    Attributes:
        base: the lowest frequency is about 1 / base per position.
        interleaved: pair feature 2i with 2i + 1 (the original form); else pair i with i + H/2.

    Source: Su et al., RoFormer, 2021 (arXiv:2104.09864).
    """

    base: float = 10000.0
    interleaved: bool = True

    def rotate(self, query, key, positions):
        angles = position_angles(positions, query.shape[-1], self.base)
        sine, cosine = (ops.cast(f(angles), query.dtype)[:, :, None, :] for f in (ops.sin, ops.cos))
        query, key = (rotate_pairs(x, sine, cosine, self.interleaved) for x in (query, key))
        return query, key


def sinusoids(count: int, size: int) -> np.ndarray:
    """Sinusoidal position vectors, sines and cosines alternating: float32 (count, size).

    Source: Vaswani et al., Attention Is All You Need, 2017 (arXiv:1706.03762).
    """
    angles = np.arange(count)[:, None] * frequencies(size)
    return (
        np.stack([np.sin(angles), np.cos(angles)], axis=-1).reshape(count, size).astype("float32")
    )


@serializable
class PositionEmbedding(Lookup):
    """Embedding of position ids, optionally extended beyond its table.

    Args:
        hierarchical: a number a in (0, 1) except 1/2. With a table p of n rows, position `i n + j`
            has the vector `a u[i] + (1 - a) u[j]` with `u = (p - a p[0]) / (1 - a)`. So the first n
            positions keep their trained vectors, and n * n positions have different ones. None:
            only the n positions of the table.
        input_dim, output_dim, **kwargs: of `keras.layers.Embedding`.

    Call arguments:
        inputs: position ids (B|1, T), int, from 0.

    Source: hierarchical: https://kexue.fm/archives/7947.
    """

    def __init__(self, input_dim, output_dim, hierarchical: float | None = None, **kwargs):
        super().__init__(input_dim, output_dim, **kwargs)
        if hierarchical is not None and not (0 < hierarchical < 1 and hierarchical != 0.5):
            raise ValueError(
                f"hierarchical_position is {hierarchical!r}; it must be in (0, 1) and not 0.5."
            )
        self.hierarchical = hierarchical

    def call(self, inputs):
        if not self.hierarchical:
            return super().call(inputs)
        a = self.hierarchical
        coarse, fine = inputs // self.input_dim, inputs % self.input_dim
        u = [super(PositionEmbedding, self).call(part) for part in (coarse, fine)]
        first = super().call(ops.zeros_like(inputs))
        coarse, fine = ((vectors - a * first) / (1 - a) for vectors in u)
        return a * coarse + (1 - a) * fine

    def get_config(self):
        return {**super().get_config(), "hierarchical": self.hierarchical}
