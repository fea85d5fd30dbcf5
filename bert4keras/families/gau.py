"""GAU-alpha: RoFormerV2 with a gated attention unit instead of each block."""

from __future__ import annotations

import dataclasses
from typing import Annotated, ClassVar

import keras

from .._schema import Activation, Only, Positive, Size, one_of
from ..checkpoints.table import WeightMap
from ..layers import GatedAttentionUnit
from ..layers.gated_attention import NORMALIZATIONS
from ..registry import register_model
from . import roformer
from .roformer import RoFormerConfig, RoFormerV2, RoFormerV2Config


@dataclasses.dataclass(frozen=True)
class GAUConfig(RoFormerConfig):
    """GAU-alpha's defaults.

    Attributes:
        attention_normalization: see `layers.GatedAttentionUnit`.
    """

    num_attention_heads: Size = 1
    attention_key_size: Size | None = 128
    hidden_act: Activation = "silu"
    norm_epsilon: Positive = 1e-7
    attention_normalization: Annotated[str, one_of(*NORMALIZATIONS)] = "softmax_plus"

    # Keys of third-party files for transformers. "n": scores grow with the visible keys.
    aliases: ClassVar[dict] = {"normalization": "attention_normalization"}
    unsupported: ClassVar[dict] = {**RoFormerV2Config.unsupported, "scaling_factor": Only("n")}


_OURS, _THEIRS = "Transformer-{i}-GatedAttentionUnit", "GAU_alpha/encoder/layer_{i}/gau"
GOOGLE = (
    roformer.V2_GOOGLE.without("Transformer-*")
    .renamed("GAU-alpha, TensorFlow names", ())
    .extended(
        WeightMap(f"{_OURS}/inner/kernel", f"{_THEIRS}/i_dense/kernel"),
        WeightMap(f"{_OURS}/output/kernel", f"{_THEIRS}/o_dense/kernel"),
        WeightMap(f"{_OURS}/query_gain", f"{_THEIRS}/q_scaleoffset/gamma"),
        WeightMap(f"{_OURS}/key_gain", f"{_THEIRS}/k_scaleoffset/gamma"),
    )
)

TABLES = (GOOGLE,)


@register_model("gau_alpha", "gau-alpha", tables=TABLES)
class GAUAlpha(RoFormerV2):
    """One gated attention unit per block, no feed-forward layer. `num_attention_heads` is unused.

    Source: https://github.com/ZhuiyiTechnology/GAU-alpha.
    """

    config_class = GAUConfig
    config: GAUConfig
    attention_layer = GatedAttentionUnit
    attention_name = "GatedAttentionUnit"
    feed_forward_layer = None

    @property
    def initializer(self):
        """Truncated normal, scaled down with depth more slowly than RoFormerV2's."""
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
