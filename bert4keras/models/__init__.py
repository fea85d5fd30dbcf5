"""Model families and the one function that builds them."""

from .._absent import old_name
from ..config import TransformerConfig
from ..registry import FAMILIES, register_model
from .attention_weights import attention_weights
from .backbone import Backbone
from .build import build_transformer_model
from .pretraining_heads import PretrainingHeads
from .transformer import Context, Transformer
from .two_stream import TwoStream

__all__ = [
    "BERT",
    "FAMILIES",
    "Backbone",
    "Context",
    "PretrainingHeads",
    "Transformer",
    "TransformerConfig",
    "TwoStream",
    "attention_weights",
    "build_transformer_model",
    "register_model",
]


def __getattr__(name: str):
    return old_name(__name__, name)
