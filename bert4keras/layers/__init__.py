"""Layers of the models; each is a `keras.layers.Layer` and can be used on its own."""

from .._absent import absent
from .._old_names import old_names
from ..masks import AttentionMask
from ..positions import PositionEmbedding
from .activations import gelu_tanh, get_activation
from .attention import MultiHeadAttention
from .bucket_embedding import BucketEmbedding
from .cross_attention import CrossAttention
from .disentangled_attention import DisentangledAttention, MaskedConvolution, RelativeEmbedding
from .embeddings import FactorizedTokenEmbedding, SegmentEmbedding, TokenEmbedding
from .feed_forward import FeedForward
from .gated_attention import GatedAttentionUnit
from .language_model import VocabularyBias
from .masking import PaddingMask
from .normalization import (
    ConditionalLayerNormalization,
    ConditionalRMSNormalization,
    RMSNormalization,
    UnscaledRMSNormalization,
)
from .on_lstm import ONLSTM, ONLSTMCell, syntax_distances
from .pooling import FirstToken, MaskedMeanPooling, TokensAt
from .relative_attention import RelativeAttention

__all__ = [
    "ONLSTM",
    "AttentionMask",
    "BucketEmbedding",
    "ConditionalLayerNormalization",
    "ConditionalRMSNormalization",
    "CrossAttention",
    "DisentangledAttention",
    "FactorizedTokenEmbedding",
    "FeedForward",
    "FirstToken",
    "GatedAttentionUnit",
    "MaskedConvolution",
    "MaskedMeanPooling",
    "MultiHeadAttention",
    "ONLSTMCell",
    "PaddingMask",
    "PositionEmbedding",
    "RMSNormalization",
    "RelativeAttention",
    "RelativeEmbedding",
    "SegmentEmbedding",
    "TokenEmbedding",
    "TokensAt",
    "UnscaledRMSNormalization",
    "VocabularyBias",
    "gelu_tanh",
    "get_activation",
    "syntax_distances",
]
__getattr__ = absent(__name__)
__all__.extend(set(old_names("layers")) - set(__all__))  # `import *` of old scripts
