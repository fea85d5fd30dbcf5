"""GAU-alpha: RoFormerV2 with one gated attention unit in place of each block."""

from __future__ import annotations

import dataclasses

import keras

from ..config import ConfigError
from ..layers import GatedAttentionUnit
from ..layers.gated_attention import NORMALIZATIONS
from .block import attention
from .registry import register_model
from .roformer import RoFormerConfig, RoFormerV2


@dataclasses.dataclass(frozen=True)
class GAUConfig(RoFormerConfig):
    """GAU-alpha's defaults.

    Attributes:
        attention_normalization: see `layers.GatedAttentionUnit`.
    """

    num_attention_heads: int = 1
    attention_key_size: int | None = 128
    hidden_act: str = "silu"
    norm_epsilon: float = 1e-7
    attention_normalization: str = "softmax_plus"

    def __post_init__(self):
        super().__post_init__()
        if self.attention_normalization not in NORMALIZATIONS:
            raise ConfigError(
                f"config `attention_normalization` must be one of {', '.join(NORMALIZATIONS)}, not "
                f"{self.attention_normalization!r}."
            )


@register_model("gau_alpha", "gau-alpha")
class GAUAlpha(RoFormerV2):
    """One wide gated head per block and no feed-forward part; `num_attention_heads` is not used.

    Source: https://github.com/ZhuiyiTechnology/GAU-alpha.
    """

    config_class = GAUConfig
    attention_layer = GatedAttentionUnit
    attention_name = "GatedAttentionUnit"

    @property
    def initializer(self):
        """RoFormerV2's, less timid about depth."""
        config = self.config
        depth = config.num_hidden_layers ** (-1 / 3)
        stddev = 1.13684723 / config.hidden_size**0.5 * depth
        return keras.initializers.TruncatedNormal(stddev=stddev)

    def attention_options(self):
        config, options = self.config, super().attention_options()
        for key in ("heads", "head_size"):
            del options[key]
        return {
            **options,
            "units": config.intermediate_size,
            "activation": config.hidden_act,
            "normalization": config.attention_normalization,
        }

    def apply_block(self, x, index, context):
        name = self.layer_name(index, self.attention_name)
        return self.wiring(
            self, x, name, lambda x: attention(self, x, name, index, context), context
        )
