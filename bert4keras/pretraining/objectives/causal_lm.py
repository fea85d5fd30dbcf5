"""Causal language model: predict each token from those before it in its document."""

from __future__ import annotations

from typing import Any, ClassVar

import keras
import numpy as np

from ...config import ConfigError
from ...data.masking import IGNORED
from ...masks import LM, Packed
from ...models import Backbone, build_transformer_model
from ...models.model_config import ConfigSource
from ...registry import language_model_class
from ..rows import TokenRows
from .base import Arrays, PretrainingObjective, named_model, register_objective


@register_objective
class CausalLM(PretrainingObjective):
    """Predict each token from those before it in its document.

    Every token but the first of a document is predicted, its end token too, so the head is computed
    everywhere. GPT families are causal by themselves; for the others, such as BERT, the config that
    is saved says `is_decoder: true`, so that `build_transformer_model` makes the same mask.

    Args:
        tokenizer: of the model.

    Raises:
        ConfigError: from `build`, a family whose config cannot say that it is causal.
    """

    name: ClassVar[str] = "lm"

    def corrupt(self, rows: TokenRows, rng: np.random.Generator) -> tuple[Arrays, np.ndarray]:
        ids, documents = rows.token_ids, rows.document_ids
        targets = np.full_like(ids, IGNORED)
        together = (documents[:, 1:] == documents[:, :-1]) & (documents[:, 1:] > 0)
        targets[:, :-1] = np.where(together, ids[:, 1:], IGNORED)
        return {"token_ids": ids, "document_ids": documents}, targets

    def build(self, checkpoint: ConfigSource, **options: Any) -> keras.Model:
        options = {"application": LM() & Packed(), "with_mlm": "linear", **options}
        backbone = build_transformer_model(checkpoint, **options)
        transformer = backbone.transformer
        if "encoder_token_ids" in backbone.input_order:
            raise ConfigError(
                f"the objective lm cannot train {backbone.config.model_type}, whose decoder reads "
                "an encoder: choose the objective t5, or another family."
            )
        if transformer.native_application != "lm" and not backbone.config.reads_is_decoder:
            raise ConfigError(
                f"the objective lm cannot train {backbone.config.model_type}: its config has no "
                "key that says that a checkpoint is causal, so it would be read as an encoder. "
                "Choose a GPT, or a family such as bert, roberta or roformer."
            )
        return named_model(self.check_vocabulary(backbone), ("token_ids", "document_ids"))

    def saved_config(self, backbone: Backbone) -> dict[str, Any]:
        values = super().saved_config(backbone)
        if name := language_model_class(values["model_type"]):
            values["architectures"] = [name]
        if backbone.config.reads_is_decoder:
            values["is_decoder"] = True
        return values
