"""Padding as a Keras mask: attached once after the embeddings, passed on from layer to layer.

Keras' own layers read it (`GlobalAveragePooling1D`, `LSTM`, `Attention`), and so do its losses and
metrics: the loss of a tensor with a mask is a weighted mean. So every layer here declares what it
does with a mask. A layer that returns a vector per token passes it on (`CarriesMask`). A layer that
returns something else, or has a loss per text, drops it (`EndsMask`), since Keras would weight that
loss by a mask of another shape.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from .._serialization import serializable
from .._types import Tensor
from ..masks import padding_mask


class CarriesMask:
    """Mixin of a layer whose output is per token: the output has the mask of the first input."""

    def compute_mask(self, inputs: Any, previous_mask: Any = None) -> Tensor | None:
        return _first_mask(previous_mask)


class EndsMask:
    """Mixin of a layer whose output is not per token, or whose loss is per text: no mask."""

    def compute_mask(self, inputs: Any, previous_mask: Any = None) -> None:
        return None


def _first_mask(masks: Any) -> Tensor | None:
    """Return the mask of the first of several inputs, or of the only one."""
    return masks[0] if isinstance(masks, (list, tuple)) else masks


def first_shape(shapes: Any) -> tuple:
    """Return the shape of the first of several inputs, or of the only one."""
    return tuple(shapes[0] if isinstance(shapes[0], (list, tuple)) else shapes)


def without_mask(x: Tensor) -> Tensor:
    """Return a copy without the Keras mask, which is an attribute of the tensor."""
    return ops.add(x, 0)


@serializable
class PaddingMask(keras.layers.Layer):
    """Attach a Keras mask, False at padding, to hidden states (B, T, D).

    Args:
        pad_token_id: token id of padding.
        start_token: the first position holds a start token, which is not padding whatever its id.

    Call arguments:
        inputs: pair `[x, token_ids]`, (B, T, D) and int (B, T).
    """

    def __init__(self, pad_token_id: int, start_token: bool = False, **kwargs):
        super().__init__(**kwargs)
        self.pad_token_id = pad_token_id
        self.start_token = start_token

    def build(self, input_shape):
        self.built = True

    def call(self, inputs):
        return inputs[0]

    def compute_mask(self, inputs, previous_mask=None):
        return padding_mask({"token_ids": inputs[1]}, self.pad_token_id, self.start_token)

    def compute_output_spec(self, inputs):
        return keras.KerasTensor(inputs[0].shape, dtype=inputs[0].dtype)

    def get_config(self):
        options = {"pad_token_id": self.pad_token_id, "start_token": self.start_token}
        return {**super().get_config(), **options}


class ReadsPadding(EndsMask, keras.layers.Layer):
    """Base of a layer that ignores padding, known from a Keras mask or from token ids.

    The layer has an attribute `pad_token_id`, and its `call` the arguments `inputs` and `mask`.
    None: the Keras mask of the vectors decides; models of `build_transformer_model` have one if
    their `config.pad_token_id` is a number. A number is compared with the token ids among the
    inputs; -1 means that no token is padding.

    Attributes:
        others: number of inputs besides vectors and token ids.
    """

    pad_token_id: int | None
    others = 0

    def split(self, inputs: Any) -> tuple[Tensor, Tensor | None, Sequence[Tensor]]:
        """Return vectors (B, T, D), token ids (B, T) or None, and the other inputs."""
        x, *rest = inputs if isinstance(inputs, (list, tuple)) else [inputs]
        count = len(rest) - self.others
        if count not in (0, 1):
            raise ValueError(
                f"{self.name} takes vectors, token ids (not needed where the vectors carry a mask) "
                f"and {self.others} more, but got {len(rest) + 1} inputs."
            )
        return x, rest[0] if count else None, rest[count:]

    def padding_from(self, inputs: Any, mask: Any) -> str:
        """Return the source of the padding: `"ids"`, `"mask"`, or `"none"` if nothing is padding.

        Raises:
            ValueError: there is no source.
        """
        _, token_ids, _ = self.split(inputs)
        if self.pad_token_id is not None and token_ids is not None:
            return "ids"
        if self.pad_token_id is not None and self.pad_token_id < 0:
            return "none"
        if self.pad_token_id is not None:
            raise ValueError(
                f"{self.name} compares pad_token_id={self.pad_token_id} with token ids and got "
                "none: call it on [vectors, token_ids], or leave pad_token_id out."
            )
        if _first_mask(mask) is None:
            raise ValueError(
                f"{self.name} cannot tell what is padding: its vectors carry no Keras mask. Call "
                "it on [vectors, token_ids] with pad_token_id=bert.config.pad_token_id; or with "
                "pad_token_id=-1 if no token is padding (a model whose pad_token_id is None)."
            )
        return "mask"

    def real_tokens(self, inputs: Any, mask: Any) -> Tensor:
        """Return a mask that is False at padding, bool (B, T)."""
        source, (x, token_ids, _) = self.padding_from(inputs, mask), self.split(inputs)
        if source == "ids":
            return ops.not_equal(token_ids, self.pad_token_id)
        if source == "none":
            return ops.ones_like(x[..., 0], dtype="bool")
        return ops.cast(_first_mask(mask), "bool")

    def symbolic_call(self, inputs: Any, mask: Any = None, **options: Any) -> Any:
        self.padding_from(inputs, mask)  # report errors when the model is built
        return super().symbolic_call(inputs, mask=mask, **options)
