"""Extensions of Keras' optimizers; docs/optimizers.md says which can be combined."""

from __future__ import annotations

from .._absent import absent
from .adam import Adam
from .averages import EMA, Lookahead
from .ema import WithEMA, apply_ema_weights, ema_weights
from .extended import ExtendedOptimizer
from .extension import Extension, GradientTransform
from .lamb import LAMB
from .layerwise import layerwise_decay
from .paths import NORMS_AND_BIASES, group_by_path
from .schedules import PiecewiseLinear, warm_up
from .transforms import Clip, FunctionTransform, Noise, Normalize
from .updates import (
    Accumulate,
    LayerAdaptation,
    LazyEmbeddings,
    LearningRateMultipliers,
    WeightDecay,
)

__all__ = [
    "EMA",
    "LAMB",
    "NORMS_AND_BIASES",
    "Accumulate",
    "Adam",
    "Clip",
    "ExtendedOptimizer",
    "Extension",
    "FunctionTransform",
    "GradientTransform",
    "LayerAdaptation",
    "LazyEmbeddings",
    "LearningRateMultipliers",
    "Lookahead",
    "Noise",
    "Normalize",
    "PiecewiseLinear",
    "WeightDecay",
    "WithEMA",
    "apply_ema_weights",
    "ema_weights",
    "group_by_path",
    "layerwise_decay",
    "warm_up",
]
__getattr__ = absent(__name__)
