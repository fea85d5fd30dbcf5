"""Attention masks: strategies, and the one layer that turns a strategy into a mask.

`base` has the base class and explains the principle, `strategies` those by rank and by text,
`sparse` those by distance, `bands` the computation of only the keys that a sparse one can see,
`drawing` pictures.
"""

from .base import And, Inputs, Mask
from .drawing import draw_mask, visible_keys
from .layer import AttentionMask, padding_mask
from .sparse import Atrous, Local, Sparse, Window
from .strategies import (
    APPLICATIONS,
    LM,
    Packed,
    Permutation,
    PrefixLM,
    SharedPrefix,
    UniLM,
    get_mask,
)

__all__ = [
    "APPLICATIONS",
    "LM",
    "And",
    "Atrous",
    "AttentionMask",
    "Inputs",
    "Local",
    "Mask",
    "Packed",
    "Permutation",
    "PrefixLM",
    "SharedPrefix",
    "Sparse",
    "UniLM",
    "Window",
    "draw_mask",
    "get_mask",
    "padding_mask",
    "visible_keys",
]
