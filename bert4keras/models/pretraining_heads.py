"""What may follow the last block: which heads a model has, and BERT's own of each kind."""

from __future__ import annotations

import dataclasses
from typing import Any

import keras

from ..layers import FirstToken, VocabularyBias, get_activation


@dataclasses.dataclass(frozen=True)
class PretrainingHeads:
    """Which heads a model has; with none it returns the last hidden state (B, T, D).

    Attributes:
        with_pool: vector of [CLS] through a dense layer, (B, D); True is tanh, or an activation.
        with_nsp: probabilities (B, 2) that the second text follows the first; implies pooling.
        with_mlm: scores over the vocabulary (B, T, V); True is softmax, or an activation such as
            `"linear"`.
        with_discriminator: probability (B, T, 1) that a token was replaced; True is sigmoid, or
            an activation.
    """

    with_pool: bool | str = False
    with_nsp: bool | str = False
    with_mlm: bool | str = False
    with_discriminator: bool | str = False

    @property
    def gives_logits(self) -> bool:
        """True if the scores over the vocabulary are logits."""
        return self.with_mlm == "linear"

    @property
    def gives_probabilities(self) -> bool:
        """True if the scores over the vocabulary are probabilities."""
        return self.with_mlm in (True, "softmax")

    def apply(self, transformer: Any, x: Any, context: Any) -> Any:
        """Put the heads on `x` (B, T, D); one tensor, or a list in the order of the attributes."""
        outputs = []
        if self.with_pool or self.with_nsp:
            outputs.append(transformer.apply_pooler(x))
        if self.with_mlm:
            outputs.append(transformer.apply_language_model(x, context))
        if self.with_discriminator:
            outputs.append(transformer.apply_discriminator(x))
        if not outputs:
            return x
        return outputs[0] if len(outputs) == 1 else outputs


def activation_of(option: bool | str, default: str) -> str:
    """The activation that a `with_...` option names; True (or an implied head) is the default."""
    return default if isinstance(option, bool) else option


def pooler(transformer: Any, x: Any) -> Any:
    """The vector of the first token through a dense layer, and with `with_nsp` its classifier."""
    heads = transformer.pretraining_heads
    x = transformer.apply(x, FirstToken, name="Pooler")
    x = dense(
        transformer,
        x,
        "Pooler-Dense",
        transformer.config.hidden_size,
        activation_of(heads.with_pool, "tanh"),
    )
    if not heads.with_nsp:
        return x
    return dense(transformer, x, "NSP-Proba", 2, activation_of(heads.with_nsp, "softmax"))


def language_model(transformer: Any, x: Any, context: Any) -> Any:
    """BERT's head: dense, norm, tied scores with a bias."""
    width, activation = transformer.embedding_width, transformer.config.hidden_act
    x = dense(transformer, x, "MLM-Dense", width, activation)
    x = transformer.norm(x, "MLM-Norm", context)
    x = transformer.embed_tokens(x, reverse=True)
    return vocabulary_scores(transformer, transformer.apply(x, VocabularyBias, name="MLM-Bias"))


def vocabulary_scores(transformer: Any, x: Any) -> Any:
    """The last step of every language-model head: the activation that `with_mlm` names."""
    return transformer.apply(
        x,
        keras.layers.Activation,
        name="MLM-Activation",
        # In float32 whatever the policy: a softmax over a vocabulary does not fit half.
        dtype="float32",
        activation=activation_of(transformer.pretraining_heads.with_mlm, "softmax"),
    )


def dense(
    transformer: Any, x: Any, name: str, units: int, activation: Any = None, **options: Any
) -> Any:
    """A `Dense` layer of a head."""
    return transformer.apply(
        x,
        keras.layers.Dense,
        name=name,
        units=units,
        activation=get_activation(activation),
        kernel_initializer=transformer.initializer,
        **options,
    )
