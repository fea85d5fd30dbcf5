"""GlobalPointers with the arguments of 0.11; padding is what the Keras mask says."""

from __future__ import annotations

from typing import Any

import keras

from .._types import Tensor
from ..tasks.tagging import EfficientGlobalPointer as _EfficientGlobalPointer
from ..tasks.tagging import GlobalPointer as _GlobalPointer
from . import PACKAGE


class _OldArguments(_GlobalPointer):
    """Mixin: the arguments of 0.11, no score per label, and no padding where there is no mask.

    Args:
        heads, head_size, use_bias, kernel_initializer, **kwargs: of `tasks.tagging.GlobalPointer`.
        RoPE: rotate queries and keys.
        tril_mask: mask pairs whose last token is before the first.
    """

    def __init__(
        self,
        heads: int,
        head_size: int,
        RoPE: bool = True,
        use_bias: bool = True,
        tril_mask: bool = True,
        kernel_initializer: Any = "lecun_normal",
        **kwargs: Any,
    ):
        super().__init__(
            heads,
            head_size,
            use_rotary=RoPE,
            tril=tril_mask,
            use_bias=use_bias,
            initial_score=None,
            kernel_initializer=kernel_initializer,
            **kwargs,
        )
        self.RoPE, self.tril_mask = RoPE, tril_mask

    def padding_from(self, inputs: Any, mask: Any) -> str:
        return "none" if mask is None else "mask"

    def get_config(self) -> dict[str, Any]:
        config = super().get_config()
        for name in ("use_rotary", "tril", "initial_score", "pad_token_id"):
            del config[name]
        return {**config, "RoPE": self.RoPE, "tril_mask": self.tril_mask}


@keras.saving.register_keras_serializable(PACKAGE)
class GlobalPointer(_OldArguments):
    """`tasks.tagging.GlobalPointer` as in 0.11, see `_OldArguments`."""


@keras.saving.register_keras_serializable(PACKAGE)
class EfficientGlobalPointer(_OldArguments, _EfficientGlobalPointer):
    """`tasks.tagging.EfficientGlobalPointer` as in 0.11, see `_OldArguments`."""

    def extend(self, products: Tensor, query: Tensor, key: Tensor) -> Tensor:
        # 0.11 halved the scores of ends: products + ends / 2.
        return (products + super().extend(products, query, key)) / 2
