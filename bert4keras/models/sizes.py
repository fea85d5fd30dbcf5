"""Sizes of a model before it is built: for a comparison with a checkpoint, and with the memory."""

from __future__ import annotations

import math
import os
from typing import Any

import keras

from .._json import short_repr
from ..checkpoints.assignment import WeightSpec
from ..config import ConfigError
from ..layers import GatedAttentionUnit, MultiHeadAttention
from .transformer import Transformer

MOST_BLOCKS = 1000  # of the deepest that was published: DeepNet, 2022 (arXiv:2203.00555)
UNKNOWN_MEMORY = 10**12  # bytes, where the system does not say


def weight_specs(transformer: Transformer) -> list[WeightSpec]:
    """The large weights of embeddings, first and last block, under the paths they will have.

    Of other people's families nothing is known: a stage that they override may make other weights.
    """
    if not type(transformer).__module__.startswith(f"{__package__}."):
        return []
    found = _embeddings(transformer)
    for stack in _stacks(transformer):
        for index in {0, stack.depth - 1}:
            found |= _block(stack, index)
    return [WeightSpec(path, shape) for path, shape in found.items()]


def depths(transformer: Transformer) -> dict[str, tuple[str, int]]:
    """Option of the config -> how the paths of a block's weights begin, and number of blocks."""
    found = {}
    for stack in _stacks(transformer):
        first, second = (_path(stack, stack.layer_name(index, "")) for index in (0, 1))
        if first != second:  # the blocks are not one and the same
            own = stack is transformer and getattr(stack.config, "num_decoder_layers", None)
            option = "num_decoder_layers" if own else "num_hidden_layers"
            found[option] = (first.replace("-0-", "-{i}-"), stack.depth)
    return found


def require_possible(transformer: Transformer) -> None:
    """Refuse a model that this machine cannot build: it would try for hours, or until it is killed.

    Raises:
        ConfigError: more blocks than any published model has, or more weights than memory.
    """
    config = transformer.config
    way_out = (
        "Correct the config; Backbone(Transformer(config)) of bert4keras.models, with the class of "
        "the family, builds without this check."
    )
    for stack in _stacks(transformer):
        if stack.depth > MOST_BLOCKS:
            raise ConfigError(
                f"config asks for {short_repr(stack.depth)} blocks (`num_hidden_layers`), and at "
                f"most {MOST_BLOCKS} are built. {way_out}"
            )
    dtype = keras.config.dtype_policy().variable_dtype
    # While a weight is made, its initial value and a copy of that are there too.
    largest = max((math.prod(weight.shape) for weight in weight_specs(transformer)), default=0)
    weights = count_weights(transformer) + 2 * largest
    need = weights * (2 if "16" in dtype else 8 if "64" in dtype else 4)
    if need > _memory():
        sizes = ("vocab_size", "hidden_size", "intermediate_size", "max_position")
        stated = ", ".join(f"`{key}` {short_repr(getattr(config, key))}" for key in sizes)
        raise ConfigError(
            f"building this config takes {min(need, 10**300):.3g} bytes, more than the "
            f"{_memory():.3g} of memory here ({stated}). {way_out}"
        )


def count_weights(transformer: Transformer) -> int:
    """About the number of weights: without biases and norms, which are small beside the others."""
    if not type(transformer).__module__.startswith(f"{__package__}."):
        return 0
    config, width = transformer.config, transformer.config.hidden_size
    condition = config.layer_norm_cond or 0
    hidden = config.layer_norm_cond_hidden_size or 0
    others = {  # where a family has them
        "conv_kernel_size": width * width,
        "task_type_vocab_size": width,
        "max_relative_position": 2 * config.attention_head_size,
        "max_relative_positions": 2 * width,
        "position_buckets": 2 * width,
    }
    total = sum(max(0, getattr(config, key, 0)) * factor for key, factor in others.items())
    total += condition * (hidden or 2 * width) + 2 * hidden * width
    total += sum(map(math.prod, _embeddings(transformer).values()))
    for stack in _stacks(transformer):
        names = {stack.layer_name(index, "") for index in (0, 1)}
        depth = stack.depth if len(names) > 1 else 1
        total += depth * sum(map(math.prod, _block(stack, 0).values()))
    return total


def _memory() -> int:
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, OSError, ValueError):  # Windows does not say
        return UNKNOWN_MEMORY


def _stacks(transformer: Any) -> list[Any]:
    """The stacks of blocks: a T5 has an encoder beside its decoder."""
    encoder = getattr(transformer, "encoder_class", None)
    return [transformer, *([transformer.part(encoder)] if encoder else [])]


def _path(transformer: Transformer, name: str) -> str:
    """Name of a layer without the prefix that the user asked for."""
    return transformer.full_name(name).removeprefix(transformer.prefix)


def _embeddings(transformer: Transformer) -> dict[str, tuple[int, ...]]:
    config, width = transformer.config, transformer.embedding_width
    found = {"Token": (config.vocab_size, config.embedding_size)}
    position = transformer.position.embedding(config, width)
    if position is not None:
        found["Position"] = (position.options["input_dim"], width)
    if config.segment_vocab_size and not config.shared_segment_embeddings:
        found["Segment"] = (config.segment_vocab_size, width)
    return {
        f"{_path(transformer, f'Embedding-{name}')}/embeddings": shape
        for name, shape in found.items()
    }


def _block(transformer: Transformer, index: int) -> dict[str, tuple[int, ...]]:
    config, width = transformer.config, transformer.config.hidden_size
    attention = _path(transformer, transformer.layer_name(index, transformer.attention_name))
    if issubclass(transformer.attention_layer, GatedAttentionUnit):
        inner = 2 * config.intermediate_size + config.attention_key_size
        kernels = {"inner": (width, inner), "output": (config.intermediate_size, width)}
        return {f"{attention}/{name}/kernel": shape for name, shape in kernels.items()}
    heads, found = config.num_attention_heads, {}
    if issubclass(transformer.attention_layer, MultiHeadAttention):
        keys, values = heads * config.attention_key_size, heads * config.attention_head_size
        kernels = {"query": keys, "key": keys, "value": values}
        found = {f"{attention}/{name}/kernel": (width, units) for name, units in kernels.items()}
        found[f"{attention}/output/kernel"] = (values, width)
    feed_forward = _path(transformer, transformer.layer_name(index, "FeedForward"))
    found[f"{feed_forward}/inner/kernel"] = (width, config.intermediate_size)
    found[f"{feed_forward}/output/kernel"] = (config.intermediate_size, width)
    return found
