"""Model families and the one function that builds them."""

from ..config import TransformerConfig
from . import albert, bert, distilbert, electra, ernie, gpt, nezha, roberta, roformer  # noqa: F401
from .backbone import Backbone
from .bert import BERT
from .build import build_transformer_model
from .outputs import Outputs
from .registry import FAMILIES, register_model
from .transformer import Context, Transformer

__all__ = [
    "BERT",
    "FAMILIES",
    "Backbone",
    "Context",
    "Outputs",
    "Transformer",
    "TransformerConfig",
    "build_transformer_model",
    "register_model",
]
