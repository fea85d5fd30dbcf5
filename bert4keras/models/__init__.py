"""Model families and the one function that builds them."""

from .._absent import absent
from ..config import TransformerConfig
from . import (  # noqa: F401
    albert,
    bert,
    deberta,
    distilbert,
    electra,
    ernie,
    gau,
    gpt,
    modernbert,
    nezha,
    roberta,
    roformer,
    t5,
)
from .backbone import Backbone
from .bert import BERT
from .build import build_transformer_model
from .filling import fill_gaps
from .pretraining_heads import PretrainingHeads
from .registry import FAMILIES, register_model
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
    "build_transformer_model",
    "fill_gaps",
    "register_model",
]
__getattr__ = absent(__name__)
