"""Padding as a Keras mask: attached once behind the embeddings, carried from layer to layer.

Keras' own layers read it (`GlobalAveragePooling1D`, `LSTM`, `Attention`), and so do its losses and
metrics: the loss of a tensor with a mask is a weighted mean. Therefore every layer here says what
it does with a mask. What returns a vector per token carries it; what returns anything else, or has
a loss per text, ends it, since Keras would weight that loss by a mask of another shape.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from .._serialization import serializable
from ..masks import padding_mask


class CarriesMask:
    """Mixin of a layer whose output is per token: it has the mask of the first input."""

    def compute_mask(self, inputs: Any, previous_mask: Any = None) -> Any:
        return first_mask(previous_mask)


class EndsMask:
    """Mixin of a layer whose output is not per token, or whose loss is per text: it has no mask."""

    def compute_mask(self, inputs: Any, previous_mask: Any = None) -> None:
        return None


def first_mask(masks: Any) -> Any:
    """The mask of the first of several inputs, or of the only one."""
    return masks[0] if isinstance(masks, (list, tuple)) else masks


def first_shape(shapes: Any) -> tuple:
    """The shape of the first of several inputs, or of the only one."""
    return tuple(shapes[0] if isinstance(shapes[0], (list, tuple)) else shapes)


def without_mask(x: Any) -> Any:
    """The same numbers in another tensor: a layer that returns its input returns the mask too."""
    return ops.add(x, 0)


@serializable
class PaddingMask(keras.layers.Layer):
    """Hidden states (B, T, D) as they are, with a Keras mask that is False on padding.

    Args:
        pad_token_id: token id that counts as padding.
        start_token: the first position holds a start token, which is no padding whatever its id.

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
    """Mixin of a layer that leaves padding out: by the mask on its vectors, or by token ids.

    The layer has an attribute `pad_token_id`, and its `call` the arguments `inputs` and `mask`.
    With None padding is what the mask of the vectors says, which those of `build_transformer_model`
    carry wherever `config.pad_token_id` is a number. A number is compared with the token ids among
    the inputs; -1 says that no token is padding.
    """

    pad_token_id: int | None
    others = 0  # inputs besides vectors and token ids

    def split(self, inputs: Any) -> tuple[Any, Any | None, Sequence[Any]]:
        """Vectors (B, T, D), token ids (B, T) or None, and the other inputs."""
        x, *rest = inputs if isinstance(inputs, (list, tuple)) else [inputs]
        count = len(rest) - self.others
        if count not in (0, 1):
            raise ValueError(
                f"{self.name} takes vectors, token ids (not needed where the vectors carry a mask) "
                f"and {self.others} more, but got {len(rest) + 1} inputs."
            )
        return x, rest[0] if count else None, rest[count:]

    def padding_from(self, inputs: Any, mask: Any) -> str:
        """What tells padding from tokens: `"ids"`, `"mask"`, or `"none"` where nothing is padding.

        Raises:
            ValueError: nothing does.
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
        if first_mask(mask) is None:
            raise ValueError(
                f"{self.name} cannot tell what is padding: its vectors carry no Keras mask. Call "
                "it on [vectors, token_ids] with pad_token_id=bert.config.pad_token_id; or with "
                "pad_token_id=-1 if no token is padding (a model whose pad_token_id is None)."
            )
        return "mask"

    def real_tokens(self, inputs: Any, mask: Any) -> Any:
        """Which tokens are no padding, bool (B, T)."""
        source, (x, token_ids, _) = self.padding_from(inputs, mask), self.split(inputs)
        if source == "ids":
            return ops.not_equal(token_ids, self.pad_token_id)
        if source == "none":
            return ops.ones_like(x[..., 0], dtype="bool")
        return ops.cast(first_mask(mask), "bool")

    def symbolic_call(self, inputs: Any, mask: Any = None, **options: Any) -> Any:
        self.padding_from(inputs, mask)  # while the model is built, not at its first batch
        return super().symbolic_call(inputs, mask=mask, **options)
