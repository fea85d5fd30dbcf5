"""Learning rates that fall with the distance from the output."""

from __future__ import annotations

import re
from collections.abc import Sequence

import keras

BLOCK = r"(^|/)(?P<stack>Encoder-|Decoder-)?Transformer-(?P<index>\d+)-"
SHARED = r"(^|/)(Encoder-|Decoder-)?Transformer-(?!\d+-)"
EMBEDDING = r"(^|/)(Encoder-|Decoder-)?Embedding-"


def layerwise_decay(model: keras.Model | Sequence[str], decay: float = 0.9) -> dict[str, float]:
    """Return learning rate factors: 1 for the head, `decay` times less with each block below.

    Of L blocks, Transformer-i has decay^(L - i), the embeddings (with their norm and projection)
    decay^(L + 1); what is neither (pooling, heads, final norms) keeps the full rate. Encoder and
    decoder are counted each by itself. The one block of ALBERT is the lowest and the highest at
    once, so it counts as the highest: decay, and the embeddings decay^2; rates of single passes
    are not possible, for they share their weights. So do a head tied to the embeddings and these:
    the matrix then has their factor.

    Args:
        model: a model of ours, with or without a head, or the paths of its trainable variables.
        decay: 0 to 1; 1 changes nothing, 0 trains the head alone.

    Returns:
        `{"regular expression": factor}` for `LearningRateMultipliers`; no variable matches two.

    Raises:
        ValueError: another decay, or variables among which there are no blocks.

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
        {(m["stack"] or "", int(m["index"])) for m in (re.search(BLOCK, p) for p in paths) if m}
    )
    depth = {stack: 1 + max(i for s, i in blocks if s == stack) for stack, _ in blocks}
    factors = {
        rf"(^|/){stack}Transformer-{index}-": decay ** (depth[stack] - index)
        for stack, index in blocks
    }
    if not blocks:
        if not any(re.search(SHARED, path) for path in paths):
            raise ValueError(
                f"layerwise_decay: no trainable variable is in a block Transformer-...: {[*paths]}"
            )
        factors[SHARED] = decay
    if any(re.search(EMBEDDING, path) for path in paths):
        factors[EMBEDDING] = decay ** (1 + max(depth.values(), default=1))
    return factors
