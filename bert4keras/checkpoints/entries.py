"""Parts of weight tables that several families share."""

from __future__ import annotations

from .table import Ignored, WeightMap
from .tensor_transform import IDENTITY, TensorTransform

_DENSE_VARIABLES = ("kernel", "bias")
NORM = ("gamma", "beta")

_OPTIMIZER_STATE = "state of the optimizer that wrote the checkpoint"
# TensorFlow names a slot `<variable>/<slot>`; the last component decides.
TRAINING_STATE = (
    *(
        Ignored(f"*/{slot}", _OPTIMIZER_STATE)
        for slot in ("adam_m", "adam_v", "lamb_m", "lamb_v", "Adam", "Adam_[0-9]", "AdamW")
    ),
    *(
        Ignored(f"*/{slot}", _OPTIMIZER_STATE)
        for slot in ("AdamW_[0-9]", "Momentum", "LAMB", "LAMB_[0-9]")
    ),
    Ignored("*beta[12]_power", _OPTIMIZER_STATE),
    Ignored("*/.OPTIMIZER_SLOT/*", _OPTIMIZER_STATE),
    Ignored("*/ExponentialMovingAverage", "moving average of a weight"),
    Ignored("global_step", "number of training steps done"),
)


def rows(
    weight: str,
    tensor: str,
    variables: tuple[str, ...] = _DENSE_VARIABLES,
    transform: TensorTransform = IDENTITY,
    separator: str = "/",
) -> tuple[WeightMap, ...]:
    """Return one row for each variable of a layer, with the same variable names on both sides."""
    return tuple(
        WeightMap(f"{weight}/{name}", f"{tensor}{separator}{name}", transform) for name in variables
    )


def norm_rows(weight: str, tensor: str) -> tuple[WeightMap, ...]:
    """Return the rows of a norm whose gain and shift are called weight and bias, as in torch."""
    return (
        WeightMap(f"{weight}/gamma", f"{tensor}.weight"),
        WeightMap(f"{weight}/beta", f"{tensor}.bias"),
    )


def tied(copy: str, original: str, used_with: str, reason: str) -> Ignored:
    """Return the entry for a tensor that repeats another one."""
    return Ignored(copy, reason, copy_of=original, used_with=used_with)
