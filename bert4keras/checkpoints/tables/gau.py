"""GAU-alpha's names, which keep the fused projection of a unit whole."""

from __future__ import annotations

from ..table import WeightMap
from . import roformer

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
