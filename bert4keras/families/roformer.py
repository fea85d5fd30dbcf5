"""RoFormer: BERT with rotary positions. RoFormerV2: also without biases and norm weights."""

from __future__ import annotations

import dataclasses
from typing import Any, ClassVar

import keras
import numpy as np

from .._schema import Only, Positive
from ..checkpoints.table import Ignored, Rename
from ..config import ConfigError, TransformerConfig
from ..layers import UnscaledRMSNormalization
from ..models.pretraining_heads import dense, vocabulary_scores
from ..models.task_heads import TaskHead, TaskHeads
from ..models.transformer import Transformer
from ..positions import Rotary
from ..registry import register_model
from ..tokenizers.defaults import TokenizerDefaults
from . import bert


@dataclasses.dataclass(frozen=True)
class RoFormerConfig(TransformerConfig):
    """RoFormer's defaults; `rotary_value` is not supported."""

    unsupported: ClassVar[dict] = {"rope_theta": Only(10000)}

    def __post_init__(self):
        super().__post_init__()
        self.require_even_keys()


GOOGLE = bert.GOOGLE.without("Embedding-Position/*").renamed("RoFormer, Google names", ())


def _sines_then_cosines(config: Any) -> np.ndarray:
    size = config.attention_head_size
    angles = np.arange(config.max_position)[:, None] / 10000 ** (np.arange(0, size, 2) / size)
    return np.concatenate([np.sin(angles), np.cos(angles)], axis=1).astype("float32")


HUGGINGFACE = GOOGLE.renamed(
    "RoFormer, Hugging Face names",
    (
        Rename(r"^bert/encoder/embedding_hidden_mapping_in", "roformer/embeddings_project"),
        Rename(r"^bert/", "roformer/"),
        *bert.TO_HUGGINGFACE,
    ),
    format="huggingface",
    root="roformer",
    roots=(),
    ignored=(
        *bert.huggingface_ignored("roformer"),
        Ignored(
            "roformer.encoder.embed_positions.weight",
            "constant sines of the positions",
            constant=_sines_then_cosines,
        ),
    ),
)

# No biases, no weights of norms; the head has only the token embedding.
V2_GOOGLE = GOOGLE.without("*/bias", "*/gamma", "*/beta", "Pooler-*", "NSP-*", "MLM-*").renamed(
    "RoFormerV2, Google names", ()
)

TABLES = (HUGGINGFACE, GOOGLE)
_V2_TABLES = (V2_GOOGLE,)


TOKENIZER = TokenizerDefaults("RoFormerTokenizer", word_splitter="jieba.cut(text, HMM=False)")


HEADS = TaskHeads(TaskHead("classifier.out_proj", "first", "classifier.dense", ":hidden_act"))


@register_model(
    "roformer", tables=TABLES, tokenizer=TOKENIZER, heads=HEADS, class_prefix="RoFormer"
)
class RoFormer(Transformer):
    """BERT with rotary position embeddings.

    Source: Su et al., RoFormer, 2021 (arXiv:2104.09864).
    """

    config_class: ClassVar[type[RoFormerConfig]] = RoFormerConfig
    config: RoFormerConfig
    position = Rotary()


@dataclasses.dataclass(frozen=True)
class RoFormerV2Config(RoFormerConfig):
    """RoFormerV2's defaults."""

    norm_epsilon: Positive = 1e-7

    # Third-party files have the `model_type` of RoFormer; pass `model="roformer_v2"`.
    unsupported: ClassVar[dict] = {
        **RoFormerConfig.unsupported,
        "use_bias": Only(False),
        "norm_type": Only("rmsnorm", "custom_norm"),
    }


@register_model("roformer_v2", tables=_V2_TABLES)
class RoFormerV2(RoFormer):
    """RoFormer without biases; its norms divide by the root mean square and have no weights.

    Source: https://github.com/ZhuiyiTechnology/roformer-v2.
    """

    config_class: ClassVar[type[RoFormerConfig]] = RoFormerV2Config
    use_bias = False
    norm_layer = UnscaledRMSNormalization

    @property
    def initializer(self):
        """Truncated normal that shrinks with width and depth, as in the authors' code."""
        config = self.config
        stddev = 1.13684723 / (config.hidden_size * config.num_hidden_layers) ** 0.5
        return keras.initializers.TruncatedNormal(stddev=stddev)

    def norm(self, x, name, context):
        if context.condition is not None:
            raise ConfigError("layer_norm_cond: RoFormerV2's norms have no gain to condition.")
        return super().norm(x, name, context)

    def norm_embeddings(self, x, context):
        return self.norm(self.dropout(x, "Embedding-Dropout"), "Embedding-Norm", context)

    def apply_language_model(self, x, context):
        if self.config.embedding_size != self.config.hidden_size:
            x = dense(self, x, "Output-Mapping", self.embedding_width, use_bias=False)
        x = self.dropout(x, "MLM-Dropout")
        return vocabulary_scores(self, self.embed_tokens(x, reverse=True))
