"""Building bricks: each a `keras.layers.Layer`, usable alone."""

from ..masks import AttentionMask
from ..positions import PositionEmbedding
from .activations import gelu_tanh, get_activation
from .attention import MultiHeadAttention
from .embeddings import TokenEmbedding
from .feed_forward import FeedForward
from .language_model import VocabularyBias
from .pooling import FirstToken, MaskedMeanPooling

__all__ = [
    "AttentionMask",
    "FeedForward",
    "FirstToken",
    "MaskedMeanPooling",
    "MultiHeadAttention",
    "PositionEmbedding",
    "TokenEmbedding",
    "VocabularyBias",
    "gelu_tanh",
    "get_activation",
]
