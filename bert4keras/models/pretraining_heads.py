"""Pretraining heads: the choice of heads of a model, and BERT's head of each kind.

Legend: B batch, T length, D hidden size, V vocabulary.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

import keras

from .._types import ActivationLike, Tensor
from ..config import ConfigError
from ..layers import FirstToken, TokensAt, VocabularyBias, get_activation

if TYPE_CHECKING:
    from .context import Context
    from .transformer import Transformer


@dataclasses.dataclass(frozen=True)
class PretrainingHeads:
    """Choice of heads; a model without any returns the last hidden state (B, T, D).

    Attributes:
        with_pool: vector of [CLS] through a dense layer, (B, D); True is tanh, or an activation.
        with_nsp: probabilities (B, 2) that the second text follows the first; implies pooling.
        with_mlm: scores over the vocabulary (B, T, V); True is softmax, or an activation such as
            `"linear"`.
        with_discriminator: probability (B, T, 1) that a token was replaced; True is sigmoid, or
            an activation.
        masked_positions: True: the model has an input `masked_positions` (B, M), and the scores of
            `with_mlm` are computed only there, (B, M, V), which saves most of their work.
        document_starts: True: the model has an input `document_starts` (B, K), and pools the tokens
            there instead of the first ones: (B, K, D) or (B, K, 2), for packed documents.
        last_hidden_state: True: the last hidden state (B, T, D) is an output besides the heads.
    """

    with_pool: bool | str = False
    with_nsp: bool | str = False
    with_mlm: bool | str = False
    with_discriminator: bool | str = False
    masked_positions: bool = False
    document_starts: bool = False
    last_hidden_state: bool = False

    def __post_init__(self) -> None:
        if self.document_starts and not (self.with_pool or self.with_nsp):
            raise ConfigError(
                "document_starts=True says which tokens are pooled, and this model pools none: add "
                "with_pool=True or with_nsp=True."
            )
        if self.masked_positions and not self.with_mlm:
            raise ConfigError(
                "masked_positions=True says where the language-model head is computed, and this "
                'model has none: add with_mlm="linear".'
            )

    @property
    def input_names(self) -> tuple[str, ...]:
        """Names of the model inputs that the heads read."""
        return tuple(n for n in ("masked_positions", "document_starts") if getattr(self, n))

    @property
    def gives_logits(self) -> bool:
        """True if the scores over the vocabulary are logits."""
        return self.with_mlm == "linear"

    @property
    def gives_probabilities(self) -> bool:
        """True if the scores over the vocabulary are probabilities."""
        return self.with_mlm in (True, "softmax")

    def apply(self, transformer: Transformer, x: Tensor, context: Context) -> Tensor | list[Tensor]:
        """Apply the heads to x (B, T, D); several give a list, in the order of the attributes."""
        outputs = []
        if self.with_pool or self.with_nsp:
            pooled = x
            if self.document_starts:
                pair = [x, context.inputs["document_starts"]]
                pooled = transformer.apply(pair, TokensAt, name="Pooler-Positions")
            outputs.append(transformer.apply_pooler(pooled))
        if self.with_mlm:
            chosen = x
            if self.masked_positions:
                pair = [x, context.inputs["masked_positions"]]
                chosen = transformer.apply(pair, TokensAt, name="MLM-Positions")
            outputs.append(transformer.apply_language_model(chosen, context))
        if self.with_discriminator:
            outputs.append(transformer.apply_discriminator(x))
        if self.last_hidden_state or not outputs:
            outputs.append(x)
        return outputs[0] if len(outputs) == 1 else outputs


def activation_of(option: bool | str, default: str) -> str:
    """Return the activation that a `with_...` option names; a bool means the default."""
    return default if isinstance(option, bool) else option


def pooler(transformer: Transformer, x: Tensor) -> Tensor:
    """Apply a dense layer to the first token, and with `with_nsp` a classifier after it.

    With `document_starts` x has only first tokens, those of each document: (B, K, D).
    """
    heads = transformer.pretraining_heads
    if not heads.document_starts:
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


def language_model(transformer: Transformer, x: Tensor, context: Context) -> Tensor:
    """Apply BERT's language-model head: dense, norm, tied scores with a bias."""
    width, activation = transformer.embedding_width, transformer.config.hidden_act
    x = dense(transformer, x, "MLM-Dense", width, activation)
    x = transformer.norm(x, "MLM-Norm", context)
    x = transformer.embed_tokens(x, reverse=True)
    return vocabulary_scores(transformer, transformer.apply(x, VocabularyBias, name="MLM-Bias"))


def vocabulary_scores(transformer: Transformer, x: Tensor) -> Tensor:
    """Apply the activation of `with_mlm`, the last step of every language-model head."""
    return transformer.apply(
        x,
        keras.layers.Activation,
        name="MLM-Activation",
        # In float32 under every policy: a softmax over a vocabulary overflows float16.
        dtype="float32",
        activation=activation_of(transformer.pretraining_heads.with_mlm, "softmax"),
    )


def dense(
    transformer: Transformer,
    x: Tensor,
    name: str,
    units: int,
    activation: ActivationLike | None = None,
    **options: Any,
) -> Tensor:
    """Apply a `Dense` layer of a head."""
    return transformer.apply(
        x,
        keras.layers.Dense,
        name=name,
        units=units,
        activation=get_activation(activation),
        kernel_initializer=transformer.initializer,
        **options,
    )
