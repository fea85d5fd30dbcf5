"""Layer-wise learning rate decay: lower rates for blocks farther from the output."""

from __future__ import annotations

import re
from collections.abc import Sequence

import keras

_BLOCK_PATH = r"(^|/)(?P<stack>Encoder-|Decoder-)?Transformer-(?P<index>\d+)-"
_SHARED_PATH = r"(^|/)(Encoder-|Decoder-)?Transformer-(?!\d+-)"
_EMBEDDING_PATH = r"(^|/)(Encoder-|Decoder-)?Embedding-"


def layerwise_decay(model: keras.Model | Sequence[str], decay: float = 0.9) -> dict[str, float]:
    """Return learning rate factors: 1 for the head, `decay` times less with each block below.

    With L blocks, Transformer-i has the factor decay^(L - i), the embeddings (with their norm and
    projection) decay^(L + 1), and all others (pooling, heads, final norms) 1. The blocks of an
    encoder and a decoder are counted separately.

    Shared weights can only have one rate. The one block of ALBERT, used L times, gets that of the
    highest block, decay, and the embeddings decay^2. An output layer that is tied to the embeddings
    gets their factor.

    Args:
        model: a model of this package, with or without a head, or the paths of its variables.
        decay: from 0 to 1; 1 changes nothing, 0 trains only the head.

    Returns:
        `{"regular expression": factor}` for `LearningRateMultipliers`; no variable matches two.

    Raises:
        ValueError: another decay, or no variable belongs to a block.

    Source: Clark et al., ELECTRA, 2020, https://arxiv.org/abs/2003.10555, appendix; Howard and
    Ruder, ULMFiT, 2018, https://arxiv.org/abs/1801.06146 ("discriminative fine-tuning").

    Example:
        >>> ExtendedOptimizer("adam", [LearningRateMultipliers(layerwise_decay(model, 0.8))])
    """
    if not 0 <= decay <= 1:
        raise ValueError(f"layerwise_decay: decay must be from 0 to 1, not {decay!r}")
    paths = model
    if isinstance(model, keras.Model):
        paths = [variable.path for variable in model.trainable_variables]
    blocks = sorted(
        {
            (m["stack"] or "", int(m["index"]))
            for m in (re.search(_BLOCK_PATH, p) for p in paths)
            if m
        }
    )
    depth = {stack: 1 + max(i for s, i in blocks if s == stack) for stack, _ in blocks}
    factors = {
        rf"(^|/){stack}Transformer-{index}-": decay ** (depth[stack] - index)
        for stack, index in blocks
    }
    if not blocks:
        if not any(re.search(_SHARED_PATH, path) for path in paths):
            raise ValueError(
                "layerwise_decay: no trainable variable belongs to a block Transformer-...; the "
                f"paths are {[*paths]}"
            )
        factors[_SHARED_PATH] = decay
    if any(re.search(_EMBEDDING_PATH, path) for path in paths):
        factors[_EMBEDDING_PATH] = decay ** (1 + max(depth.values(), default=1))
    return factors
