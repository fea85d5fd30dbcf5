"""The form of gelu that a config means by "gelu"."""

from __future__ import annotations

from ..models.model_config import RENAMED_ACTIVATIONS


def set_gelu(version: str) -> None:
    """Choose the form of "gelu" in the configs of models that are built from now on.

    A config can also name the form itself: `hidden_act="gelu"` (erf) or `"gelu_tanh"`.

    Args:
        version: "erf", the exact form, which is the default; or "tanh", the approximation.

    Raises:
        ValueError: another version.
    """
    if version.lower() not in ("erf", "tanh"):
        raise ValueError(f'set_gelu takes "erf" or "tanh", not {version!r}.')
    RENAMED_ACTIVATIONS.clear()
    if version.lower() == "tanh":
        RENAMED_ACTIVATIONS["gelu"] = "gelu_tanh"
