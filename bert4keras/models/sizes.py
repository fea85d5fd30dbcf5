"""Sizes of a model before it is built, to compare them with a checkpoint and with the memory."""

from __future__ import annotations

import math
import os

import keras

from .._json import short_repr
from ..checkpoints.assignment import WeightSpec
from ..config import ConfigError
from .transformer import Transformer

_MOST_BLOCKS = 1000  # depth of the deepest published model: DeepNet, 2022 (arXiv:2203.00555)
_UNKNOWN_MEMORY = 10**12  # bytes, on systems that do not say


def weight_specs(transformer: Transformer) -> list[WeightSpec]:
    """Return paths and shapes of the large weights of embeddings, first and last block.

    The list is empty for families from outside the package: a stage that they override may create
    other weights.
    """
    if not _is_ours(transformer):
        return []
    found = _embeddings(transformer)
    for stack in transformer.stacks:
        for index in {0, stack.depth - 1}:
            found |= _block(stack, index)
    return [WeightSpec(path, shape) for path, shape in found.items()]


def depths(transformer: Transformer) -> dict[str, tuple[str, int]]:
    """Return for each config key of a depth: the prefix of the blocks' paths, and the depth."""
    found = {}
    for stack in transformer.stacks:
        first, second = (_path(stack, stack.layer_name(index, "")) for index in (0, 1))
        if first != second:  # blocks that share weights have one name
            own = stack is transformer and getattr(stack.config, "num_decoder_layers", None)
            option = "num_decoder_layers" if own else "num_hidden_layers"
            found[option] = (first.replace("-0-", "-{i}-"), stack.depth)
    return found


def require_possible(transformer: Transformer) -> None:
    """Refuse a model that is too large for this machine, before hours are spent on building it.

    Raises:
        ConfigError: more blocks than any published model has, or more weights than memory.
    """
    config = transformer.config
    way_out = (
        "Correct the config; Backbone(Transformer(config)) of bert4keras.models, with the class of "
        "the family, builds without this check."
    )
    for stack in transformer.stacks:
        if stack.depth > _MOST_BLOCKS:
            raise ConfigError(
                f"config asks for {short_repr(stack.depth)} blocks (`num_hidden_layers`), and at "
                f"most {_MOST_BLOCKS} are built. {way_out}"
            )
    dtype = keras.config.dtype_policy().variable_dtype
    # While a weight is created, its initial value and a copy of that are in memory too.
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
    """Return the approximate number of weights; biases and norms are small and left out."""
    if not _is_ours(transformer):
        return 0
    config, width = transformer.config, transformer.config.hidden_size
    condition = config.layer_norm_cond or 0
    hidden = config.layer_norm_cond_hidden_size or 0
    others = {  # where a family has them
        "conv_kernel_size": width * width,
        "task_type_vocab_size": width,
        "max_relative_position": 2 * (config.attention_head_size or 0),
        "max_relative_positions": 2 * width,
        "position_buckets": 2 * width,
    }
    total = sum(max(0, getattr(config, key, 0)) * factor for key, factor in others.items())
    total += condition * (hidden or 2 * width) + 2 * hidden * width
    total += sum(map(math.prod, _embeddings(transformer).values()))
    for stack in transformer.stacks:
        names = {stack.layer_name(index, "") for index in (0, 1)}
        depth = stack.depth if len(names) > 1 else 1
        total += depth * sum(map(math.prod, _block(stack, 0).values()))
    return total


def _memory() -> int:
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, OSError, ValueError):  # Windows does not say
        return _UNKNOWN_MEMORY


def _is_ours(transformer: Transformer) -> bool:
    """Return whether the family is part of this package."""
    return type(transformer).__module__.partition(".")[0] == __package__.partition(".")[0]


def _path(transformer: Transformer, name: str) -> str:
    """Name of a layer without the user's prefix."""
    return transformer.full_name(name).removeprefix(transformer.prefix)


def _embeddings(transformer: Transformer) -> dict[str, tuple[int, ...]]:
    config, width = transformer.config, transformer.embedding_width
    found = {"Token": (config.vocab_size, config.embedding_size or config.hidden_size)}
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
    # Not `attention_options`: its initializer draws from the global random state.
    head_size, inner = config.attention_head_size or 0, config.intermediate_size or 0
    kernels = transformer.attention_layer.kernel_shapes(
        width,
        heads=config.num_attention_heads,
        head_size=head_size,
        key_size=config.attention_key_size or head_size,
        units=inner,
    )
    parts = {transformer.attention_name: kernels}
    if transformer.feed_forward_layer is not None:
        parts["FeedForward"] = {"inner": (width, inner), "output": (inner, width)}
    return {
        f"{_path(transformer, transformer.layer_name(index, part))}/{name}/kernel": shape
        for part, shapes in parts.items()
        for name, shape in shapes.items()
    }
