"""Read directories of sentence-transformers.

`modules.json` lists the parts of a model and where their files are: the Transformer (as a rule in
the directory itself), `1_Pooling`, perhaps `2_Dense`, and `Normalize`, which has no weights.
`config_sentence_transformers.json` has the prompts and the similarity,
`sentence_bert_config.json` the longest text in tokens. Its versions up to 6 wrote different keys;
all are read.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

import keras
import numpy as np

from ..._json import read_json, short_repr
from ...checkpoints import open_checkpoint
from ...models import Backbone
from ...tokenizers.base import TokenizerBase
from ..base import TaskError
from ..encoder import EncoderFacts
from ..pretrained import open_encoder
from .functions import SIMILARITIES
from .models import dense_layer, normalize_layer, pool

MODULES_FILE, SETTINGS, LENGTHS = (
    "modules.json",
    "config_sentence_transformers.json",
    "sentence_bert_config.json",
)
LEGACY_MODES = {
    "pooling_mode_cls_token": "cls",
    "pooling_mode_max_tokens": "max",
    "pooling_mode_mean_tokens": "mean",
    "pooling_mode_mean_sqrt_len_tokens": "mean_sqrt_len_tokens",
    "pooling_mode_weightedmean_tokens": "weightedmean",
    "pooling_mode_lasttoken": "lasttoken",
}
ACTIVATIONS = {
    "Identity": "linear",
    "Tanh": "tanh",
    "ReLU": "relu",
    "GELU": "gelu",
    "SiLU": "silu",
    "Sigmoid": "sigmoid",
}
OURS = "sentence_transformers.models."
TORCH = "torch.nn.modules.activation."


@dataclasses.dataclass(frozen=True)
class Module:
    """A part of a model of sentence-transformers: its kind, and its directory."""

    kind: str
    path: Path


@dataclasses.dataclass(frozen=True)
class Description:
    """A directory of sentence-transformers.

    Attributes:
        transformer: directory of the encoder.
        modules: what follows it, Pooling first.
        maxlen: tokens of the longest text; None: not said.
        lower_case: texts are put into lower case before the tokenizer gets them.
        prompts: text put before others, by name.
        default_prompt: name of the prompt that is used by default.
        similarity: name of the similarity function.
    """

    transformer: Path
    modules: tuple[Module, ...]
    maxlen: int | None = None
    lower_case: bool = False
    prompts: Mapping[str, str] = dataclasses.field(default_factory=dict)
    default_prompt: str | None = None
    similarity: str = "cosine"


def is_sentence_encoder(directory: Path) -> bool:
    """Tell whether sentence-transformers wrote this directory, with a Pooling."""
    if not (directory / MODULES_FILE).is_file():
        return False
    modules = read_json(directory / MODULES_FILE, TaskError, expected=list)
    return any(_kind(module) == "Pooling" for module in modules)


def describe(directory: Path) -> Description:
    """Read what the json files of a directory say.

    Raises:
        TaskError: no such directory, a module that is not known, or a path that leads out of it.
    """
    path = directory / MODULES_FILE
    if not path.is_file():
        raise TaskError(
            f"{directory} has no {MODULES_FILE}, so sentence-transformers did not write it. Choose "
            "how its vectors are pooled: SentenceEncoder.build(directory, pooling='mean')."
        )
    modules = [
        Module(_kind(module), _inside(path, module.get("path")))
        for module in read_json(path, TaskError, expected=list)
        if isinstance(module, dict)
    ]
    kinds = [module.kind for module in modules]
    known = all(kind in ("Dense", "Normalize", "Dropout") for kind in kinds[2:])
    if kinds[:2] != ["Transformer", "Pooling"] or not known:
        raise TaskError(
            f"{path} lists {', '.join(kinds) or 'nothing'}; read are a Transformer, a Pooling, and "
            "then any number of Dense, Dropout and Normalize."
        )
    transformer = modules[0].path
    settings, lengths = _optional(directory / SETTINGS), _optional(transformer / LENGTHS)
    maxlen = lengths.get("max_seq_length")
    if maxlen is None:
        maxlen = _optional(transformer / "tokenizer_config.json").get("model_max_length")
    return Description(
        transformer,
        tuple(module for module in modules[1:] if module.kind != "Dropout"),
        int(maxlen) if isinstance(maxlen, (int, float)) and 0 < maxlen < 1e6 else None,
        lengths.get("do_lower_case") is True,
        _prompts(directory / SETTINGS, settings),
        settings.get("default_prompt_name"),
        _similarity(directory / SETTINGS, settings),
    )


def read_encoder(
    directory: Path, tokenizer: TokenizerBase | None, options: Mapping[str, Any]
) -> tuple[TokenizerBase, keras.Model, dict[str, Any]]:
    """Read a directory.

    Args:
        directory: the directory.
        tokenizer: in place of the directory's own.
        options: of `build_transformer_model`.

    Returns:
        Tokenizer, model, and options of `SentenceEncoder`.
    """
    known = describe(directory)
    tokenizer, bert = open_encoder(known.transformer, tokenizer, options)
    model = _attach_modules(bert, known.modules)
    lengths = (known.maxlen, EncoderFacts.of(model).max_length)
    return (
        tokenizer,
        model,
        {
            "prompts": known.prompts,
            "default_prompt": known.default_prompt,
            "similarity": known.similarity,
            "lower_case": known.lower_case,
            "maxlen": min(filter(None, lengths)) if known.maxlen else None,
            "encoder_config": bert.config.to_json_dict(),
        },
    )


def _attach_modules(bert: Backbone, modules: Sequence[Module]) -> keras.Model:
    """Put the modules behind the Transformer on an encoder, with their weights.

    Returns:
        Model with the inputs of the encoder and output (B, D), float32.
    """
    x: Any = None
    weights: list[tuple[keras.layers.Layer, list[np.ndarray]]] = []
    for module in modules:
        if module.kind == "Pooling":
            x = pool(bert, _modes(module.path / "config.json"))
        elif module.kind == "Normalize":
            x = normalize_layer()(x)
        else:
            layer, values = _dense(module.path, len(weights) + 1)
            if x.shape[-1] != len(values[0]):
                raise TaskError(
                    f"{module.path} takes vectors of size {len(values[0])}, but gets {x.shape[-1]}."
                )
            x = layer(x)
            weights.append((layer, values))
    for layer, values in weights:
        layer.set_weights(values)
    return keras.Model(bert.inputs, x, name="Sentence-Encoder")


def _kind(module: Any) -> str:
    """Return the class name of a module without its package, which differs by version."""
    return str(module.get("type", "")).rpartition(".")[2] if isinstance(module, dict) else ""


def _inside(path: Path, part: Any) -> Path:
    """Return the directory of a module; raise if it lies outside the directory of modules.json."""
    parts = PurePosixPath(part).parts if isinstance(part, str) else ("..",)
    if ".." in parts or str(part).startswith("/") or any(c in str(part) for c in "\\\0:"):
        raise TaskError(f"{path}: path {short_repr(part)} is no directory beside it.")
    return path.parent / part


def _optional(path: Path) -> Mapping[str, Any]:
    return read_json(path, TaskError) if path.is_file() else {}


def _prompts(path: Path, settings: Mapping[str, Any]) -> dict[str, str]:
    prompts = settings.get("prompts") or {}
    wrong = not isinstance(prompts, dict)
    if wrong or not all(isinstance(text, str) for text in prompts.values()):
        raise TaskError(f"{path}: prompts must be texts by name, not {short_repr(prompts)}.")
    default = settings.get("default_prompt_name")
    if default is not None and default not in prompts:
        raise TaskError(
            f"{path}: there is no prompt {short_repr(default)}, the default_prompt_name."
        )
    return prompts


def _similarity(path: Path, settings: Mapping[str, Any]) -> str:
    name = settings.get("similarity_fn_name") or "cosine"
    if name not in SIMILARITIES:
        known = ", ".join(SIMILARITIES)
        raise TaskError(f"{path}: similarity_fn_name {short_repr(name)} must be one of {known}.")
    return name


def _modes(path: Path) -> list[str]:
    """Return the modes of a Pooling, in the order in which their vectors are joined."""
    values = read_json(path, TaskError)
    if values.get("include_prompt") is False:
        raise TaskError(f"{path}: vectors without the tokens of the prompt cannot be computed.")
    modes = values.get("pooling_mode")
    if modes is None:
        modes = [mode for key, mode in LEGACY_MODES.items() if values.get(key)] or ["mean"]
    modes = [modes] if isinstance(modes, str) else modes
    unknown = [mode for mode in modes if mode not in LEGACY_MODES.values()]
    if unknown or not modes:
        raise TaskError(
            f"{path}: pooling_mode {short_repr(unknown or modes)} must be one of "
            f"{', '.join(LEGACY_MODES.values())}."
        )
    return modes


def _dense(directory: Path, number: int) -> tuple[keras.layers.Dense, list[np.ndarray]]:
    """Return a Dense module: the layer, and its weights."""
    path = directory / "config.json"
    values = read_json(path, TaskError)
    named = str(values.get("activation_function", "Tanh")).rpartition(".")[2]
    if named not in ACTIVATIONS:
        known = ", ".join(ACTIVATIONS)
        raise TaskError(f"{path}: activation_function {named!r} must be one of {known}.")
    if values.get("use_residual") or values.get("module_input_name") not in (
        None,
        "sentence_embedding",
    ):
        raise TaskError(f"{path}: a Dense on tokens, or with a residual connection, is not read.")
    if not (directory / "model.safetensors").is_file():
        raise TaskError(
            f"{directory} has no model.safetensors. A pytorch_model.bin is not read: unpickling it "
            "runs any code its author put there. Save the model again with sentence-transformers."
        )
    with open_checkpoint(directory / "model.safetensors") as reader:
        arrays = {name: reader.read(name) for name in reader.names}
    if "linear.weight" not in arrays or arrays["linear.weight"].ndim != 2:
        raise TaskError(f"{directory / 'model.safetensors'} has no matrix `linear.weight`.")
    kernel, bias = arrays["linear.weight"].T, arrays.get("linear.bias")
    if bias is not None and bias.shape != kernel.shape[1:]:
        raise TaskError(f"{directory / 'model.safetensors'}: `linear.bias` has {bias.shape}.")
    layer = dense_layer(number, kernel.shape[1], ACTIVATIONS[named], bias is not None)
    return layer, [kernel] if bias is None else [kernel, bias]
