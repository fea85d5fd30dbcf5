"""BERT's own heads, after the last block: pooling, next-sentence and masked-language-model."""

from __future__ import annotations

import dataclasses
from typing import Any

import keras

from ..layers import FirstToken, VocabularyBias, get_activation


@dataclasses.dataclass(frozen=True)
class Outputs:
    """Which heads a model has; with none it returns the last hidden state (B, T, D).

    Attributes:
        with_pool: vector of [CLS] through a dense layer, (B, D); True is tanh, or an activation.
        with_nsp: probabilities (B, 2) that the second text follows the first; implies pooling.
        with_mlm: scores over the vocabulary (B, T, V); True is softmax, or an activation such as
            `"linear"`.
    """

    with_pool: bool | str = False
    with_nsp: bool | str = False
    with_mlm: bool | str = False

    def apply(self, transformer: Any, x: Any) -> Any:
        """Put the heads on `x` (B, T, D); one tensor, or a list in the order pool/nsp, mlm."""
        outputs = []
        if self.with_pool or self.with_nsp:
            outputs.append(self.pool(transformer, x))
        if self.with_mlm:
            outputs.append(self.language_model(transformer, x))
        if not outputs:
            return x
        return outputs[0] if len(outputs) == 1 else outputs

    def pool(self, transformer: Any, x: Any) -> Any:
        x = transformer.apply(x, FirstToken, name="Pooler")
        x = transformer.apply(
            x,
            keras.layers.Dense,
            name="Pooler-Dense",
            units=transformer.config.hidden_size,
            activation="tanh" if self.with_pool in (True, False) else self.with_pool,
            kernel_initializer=transformer.initializer,
        )
        if not self.with_nsp:
            return x
        return transformer.apply(
            x,
            keras.layers.Dense,
            name="NSP-Proba",
            units=2,
            activation="softmax" if self.with_nsp is True else self.with_nsp,
            kernel_initializer=transformer.initializer,
        )

    def language_model(self, transformer: Any, x: Any) -> Any:
        config = transformer.config
        x = transformer.apply(
            x,
            keras.layers.Dense,
            name="MLM-Dense",
            units=config.embedding_size,
            activation=get_activation(config.hidden_act),
            kernel_initializer=transformer.initializer,
        )
        x = transformer.norm(x, "MLM-Norm")
        x = transformer.embed_tokens(x, reverse=True)
        x = transformer.apply(x, VocabularyBias, name="MLM-Bias")
        return transformer.apply(
            x,
            keras.layers.Activation,
            name="MLM-Activation",
            # In float32 whatever the policy: a softmax over a vocabulary does not fit half.
            dtype="float32",
            activation="softmax" if self.with_mlm is True else self.with_mlm,
        )
