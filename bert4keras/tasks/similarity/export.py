"""Writers of sentence encoders and cross-encoders for sentence-transformers."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import keras
import numpy as np

from ..._json import short_repr
from ...checkpoints import save
from ...checkpoints.writers import write_safetensors
from ...registry import class_prefix, get_family
from ..base import TaskError
from ..huggingface import replaced
from .pooling import SentencePooling
from .sentence_transformers import (
    ACTIVATIONS,
    LEGACY_MODES,
    LENGTHS,
    MODULES_FILE,
    OURS,
    SETTINGS,
    TORCH,
)

if TYPE_CHECKING:
    from .encoder import SentenceEncoder


def write_task(task: SentenceEncoder, directory: str | Path) -> None:
    """See `SentenceEncoder.save_huggingface`."""
    settings = {
        "prompts": task.prompts,
        "default_prompt_name": task.default_prompt,
        "similarity_fn_name": task.similarity_name,
    }
    lengths = {"max_seq_length": task.maxlen, "do_lower_case": task.lower_case}
    with replaced(directory, task.encoder_config, MODULES_FILE) as new:
        task.tokenizer.save(new)
        _write_encoder(new, task.model, task.encoder_config or {}, lengths, settings)


def _write_encoder(
    directory: Path,
    model: keras.Model,
    encoder_config: Mapping[str, Any],
    lengths: Mapping[str, Any],
    settings: Mapping[str, Any],
) -> None:
    """Write a sentence encoder without its tokenizer into an empty directory.

    Args:
        directory: an existing one.
        model: of `SentenceEncoder`, with layers that have a module in sentence-transformers.
        encoder_config: config.json of its encoder.
        lengths: max_seq_length and do_lower_case.
        settings: prompts, default_prompt_name and similarity_fn_name.

    Raises:
        TaskError: a layer has no module in sentence-transformers.
    """
    pooling, following = _layers_behind(model)
    modules = [("Transformer", ""), ("Pooling", "1_Pooling")]
    for layer in following:
        kind = "Dense" if isinstance(layer, keras.layers.Dense) else "Normalize"
        modules.append((kind, f"{len(modules)}_{kind}"))
        if kind == "Dense":
            _write_dense(directory / modules[-1][1], layer)
    family = encoder_config["model_type"]
    config = get_family(family).transformer.config_class.from_dict(
        {**encoder_config, "architectures": [class_prefix(family) + "Model"]}
    )
    own = [f"{layer.name}/*" for layer in following]
    save(model, directory, tables=get_family(family).tables, config=config, ignore=own)
    modes = [layer.mode for layer in pooling]
    width = {"word_embedding_dimension": pooling[0].output.shape[-1]}
    flags = {key: mode in modes for key, mode in LEGACY_MODES.items()}
    write_json(directory / "1_Pooling" / "config.json", width | flags)
    write_json(directory / SETTINGS, dict(settings))
    write_json(directory / LENGTHS, dict(lengths))
    entries = [
        {"idx": i, "name": str(i), "path": path, "type": OURS + kind}
        for i, (kind, path) in enumerate(modules)
    ]
    write_json(directory / MODULES_FILE, entries)


def _layers_behind(
    model: keras.Model,
) -> tuple[list[SentencePooling], list[keras.layers.Layer]]:
    """Return the poolings of a model, and the layers behind them."""
    # The layers of a functional model are in the order of the computation.
    places = [i for i, x in enumerate(model.layers) if isinstance(x, SentencePooling)]
    behind = model.layers[places[0] :] if places else []
    pooling = [layer for layer in behind if isinstance(layer, SentencePooling)]
    modes = [layer.mode for layer in pooling]
    joined = len(pooling) > 1 and isinstance(behind[len(pooling)], keras.layers.Concatenate)
    following = behind[len(pooling) + joined :]
    kinds = (keras.layers.Dense, keras.layers.UnitNormalization)
    ordered = sorted(modes, key=list(LEGACY_MODES.values()).index) == modes
    if not pooling or not ordered or not all(isinstance(layer, kinds) for layer in following):
        raise TaskError(
            "sentence-transformers has no module for "
            f"{', '.join(layer.name for layer in behind) or 'this pooling'}: it has the poolings "
            f"{', '.join(LEGACY_MODES.values())}, in this order, Dense and UnitNormalization."
        )
    return pooling, following


def write_json(path: Path, values: Any) -> None:
    """Write a JSON file and, if necessary, its directory."""
    path.parent.mkdir(exist_ok=True)
    text = json.dumps(values, indent=2, ensure_ascii=False)
    path.write_text(text + "\n", encoding="utf-8")


def _write_dense(directory: Path, layer: keras.layers.Dense) -> None:
    name = keras.activations.serialize(layer.activation)
    known = {ours: theirs for theirs, ours in ACTIVATIONS.items()}
    if name not in known:
        raise TaskError(f"sentence-transformers reads {', '.join(known)}, not {short_repr(name)}.")
    kernel, *bias = layer.get_weights()
    package = "torch.nn.modules.linear." if name == "linear" else TORCH
    values = {
        "in_features": kernel.shape[0],
        "out_features": kernel.shape[1],
        "bias": bool(bias),
        "activation_function": package + known[name],
    }
    write_json(directory / "config.json", values)
    tensors = {"linear.weight": np.ascontiguousarray(kernel.T)}
    if bias:
        tensors["linear.bias"] = bias[0]
    write_safetensors(directory / "model.safetensors", tensors)
