"""Facts about a model from its files: no model is built, Keras is not imported."""

from __future__ import annotations

import json
import math
import re
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from .._json import read_json
from ..checkpoints import PRESETS, CheckpointError, open_checkpoint
from ..checkpoints.directories import find_config, list_files, model_directory
from ..checkpoints.presets import local_path
from ..registry import FAMILIES
from .common import quiet_libraries
from .data import TASK_KINDS
from .errors import Failure

# Ending of a class name in transformers -> task that reads it, by the name of the command line.
TASK_OF_ENDING = {
    "ForSequenceClassification": "text-classifier",
    "ForTokenClassification": "tagger",
    "ForQuestionAnswering": "extractive-qa",
    "ForMaskedLM": "fill-mask",
    "ForPreTraining": "fill-mask",
    "LMHeadModel": "generator",
    "ForConditionalGeneration": "generator",
}
# Keys of a config for each size; families call them differently.
_SIZE_KEYS = {
    "vocab_size": ("vocab_size",),
    "hidden_size": ("hidden_size", "dim", "n_embd", "d_model"),
    "layers": ("num_hidden_layers", "n_layers", "n_layer", "num_layers"),
    "attention_heads": ("num_attention_heads", "n_heads", "n_head", "num_heads"),
    "feed_forward": ("intermediate_size", "hidden_dim", "n_inner", "d_ff"),
    "positions": ("max_position_embeddings", "max_position", "n_positions"),
}
_DECODERS = ("gpt", "gpt2", "openai-gpt", "gpt2_ml")
# An encoder writes as a UniLM, which marks the answer by segments.
_WITHOUT_SEGMENTS = (
    "deberta-v2",
    "distilbert",
    "modernbert",
    "roberta",
    "xlm-roberta",
    "camembert",
)
_NOT_SHOWN = (
    "labels",
    "predicates",
    "encoder_config",
    "tags",
)  # options that are long, or shown as labels


def describe_model(name: str) -> dict[str, Any]:
    """Return the facts about a directory, a preset or a repository of the hub.

    Raises:
        Failure: it is none of these, or holds no model.
        CheckpointError, TaskError: a file that cannot be read.
    """
    directory = _locate(name)
    found: dict[str, Any] = {"name": name, "directory": str(directory), "labels": [], "options": {}}
    found |= {"sizes": {}, "weights": 0, "family": "", "architectures": [], "head": ""}
    if (directory / "task.json").is_file():
        found |= _of_task(directory)
    elif (directory / "modules.json").is_file() or find_config(directory):
        found |= _of_checkpoint(directory)
    else:
        raise Failure(
            f"{directory} holds neither task.json nor config.json, so it is no model; it holds "
            f"{list_files(directory)}."
        )
    files = sorted(path for path in directory.iterdir() if path.is_file())
    found["files"] = {path.name: path.stat().st_size for path in files}
    found["tokenizer"] = _tokenizer(directory)
    return found


def _locate(name: str) -> Path:
    path = local_path(name, weights=False)
    if not path.exists():
        names = ", ".join(PRESETS)
        raise Failure(f"{name} is no directory. Give one, hf://org/name, or one of {names}.")
    if not path.is_dir():
        raise Failure(f"{name} is a file; give the directory that holds it.")
    return path


def _of_task(directory: Path) -> dict[str, Any]:
    """Return the facts of a directory that `Task.save` wrote."""
    values = read_json(directory / "task.json", Failure)
    options, task = values.get("options"), values.get("task")
    if not isinstance(options, dict) or not isinstance(task, str):
        raise Failure(f"{directory / 'task.json'} has no task and options, so it is no task.")
    kind = next((kind.name for kind in TASK_KINDS.values() if kind.task == task), "")
    shown = {k: v for k, v in options.items() if k not in _NOT_SHOWN and v is not None and v != []}
    found = {
        "kind": f"task of bert4keras {values.get('bert4keras', '')}".strip(),
        "task": f"{task} ({kind})" if kind else task,
        "labels": [*(options.get("labels") or options.get("predicates") or [])],
        "options": shown,
        "uses": _uses_of_task(directory, kind),
    }
    exported = directory / "export.json"
    found |= (
        _of_export(exported) if exported.is_file() else _of_model_file(directory / "model.keras")
    )
    if isinstance(options.get("encoder_config"), dict):
        found["family"] = str(options["encoder_config"].get("model_type", ""))
    return found


def _uses_of_task(directory: Path, kind: str) -> list[str]:
    uses = [f"bert4keras predict {directory} FILE"]
    if kind and kind != "novelty":
        uses.append(f"bert4keras evaluate {directory} FILE   ({TASK_KINDS[kind].files})")
    uses += [f"bert4keras serve {directory}", f"bert4keras benchmark {directory}"]
    return [*uses, f'Python: bert4keras.tasks.load("{directory}")']


def _of_export(path: Path) -> dict[str, Any]:
    """Return engine, head and number of weights of an exported task."""
    values = read_json(path, Failure)
    facts = values.get("facts")
    if not isinstance(facts, dict):
        raise Failure(f"{path} has no facts, so it describes no exported task.")
    return {
        "kind": f"exported task: {values.get('engine')}, {values.get('precision')}",
        "head": str(facts.get("head", "")),
        "weights": int(facts.get("weights") or 0),
    }


def _of_model_file(path: Path) -> dict[str, Any]:
    """Return sizes and head of the layers in a `.keras` file."""
    import h5py

    try:
        with zipfile.ZipFile(path) as archive:
            layers = list(_layers(json.loads(archive.read("config.json"))))
            with archive.open("model.weights.h5") as stream, h5py.File(stream, "r") as file:
                shapes: list[tuple[int, ...]] = []
                _collect_shapes(file, shapes)
    except (OSError, KeyError, ValueError, zipfile.BadZipFile) as error:
        raise Failure(f"{path} cannot be read: {error}") from None
    sizes = {}
    for layer in layers:
        config = layer["config"]
        if layer["class_name"] == "TokenEmbedding" and "vocab_size" not in sizes:
            sizes |= {"vocab_size": config["input_dim"], "hidden_size": config["output_dim"]}
    names = [str(layer["config"].get("name", "")) for layer in layers]
    blocks = {m[1] for name in names if (m := re.search(r"(?:^|-)Transformer-(\d+)-", name))}
    if blocks:
        sizes["layers"] = len(blocks)
    return {
        "sizes": sizes,
        "weights": sum(math.prod(shape) for shape in shapes),
        "head": layers[-1]["class_name"] if layers else "",
    }


def _layers(value: Any) -> Iterator[Mapping[str, Any]]:
    """Yield the configs of all layers in a config of Keras, nested models included."""
    config = value.get("config") if isinstance(value, Mapping) else None
    for layer in config.get("layers", []) if isinstance(config, Mapping) else []:
        inner = layer.get("config")
        if isinstance(inner, Mapping) and "layers" in inner:
            yield from _layers(layer)
        elif isinstance(inner, Mapping):
            yield layer


def _collect_shapes(group: Any, shapes: list[tuple[int, ...]]) -> None:
    """Collect the shapes of the weights in a group, without seeds and the optimizer's."""
    for name, item in group.items():
        if name in ("optimizer", "seed_generator"):
            continue
        if hasattr(item, "items"):
            _collect_shapes(item, shapes)
        else:
            shapes.append(item.shape)


def _of_checkpoint(directory: Path) -> dict[str, Any]:
    """Return the facts of a checkpoint of transformers, sentence-transformers or Google."""
    folder = model_directory(directory)
    path = find_config(folder)
    if path is None:
        raise Failure(f"{folder} has no config.json, so it is no checkpoint.")
    config = read_json(path, Failure)
    architectures = [str(name) for name in config.get("architectures") or []]
    family = str(config.get("model_type") or "bert")
    sentences = (directory / "modules.json").is_file()
    sizes = {}
    for name, keys in _SIZE_KEYS.items():
        known = next((config[key] for key in keys if type(config.get(key)) is int), None)
        if known is not None:
            sizes[name] = known
    return {
        "kind": "checkpoint of " + ("sentence-transformers" if sentences else _origin(path)),
        "architectures": architectures,
        "family": family if family in FAMILIES.names() else f"{family} (not supported)",
        "sizes": sizes,
        "weights": _count(folder),
        "labels": _named_labels(config),
        "uses": _uses_of_checkpoint(directory, family, architectures, sentences),
    }


def _origin(path: Path) -> str:
    return "Google" if path.name == "bert_config.json" else "transformers"


def _named_labels(config: Mapping[str, Any]) -> list[str]:
    """Return the names of `id2label`, without those that transformers fills in."""
    named = config.get("id2label")
    if not isinstance(named, Mapping):
        return []
    try:
        labels = [str(named[key]) for key in sorted(named, key=int)]
    except (TypeError, ValueError):
        return []
    usual = all(label == f"LABEL_{i}" for i, label in enumerate(labels))
    return [] if usual and len(labels) <= 2 else labels


def _count(folder: Path) -> int:
    """Return the number of weights in the checkpoint of a folder; 0 if there is none."""
    try:
        with (
            quiet_libraries(),
            open_checkpoint(folder) as reader,
        ):  # a Google checkpoint: TensorFlow
            return sum(math.prod(reader.shape(name)) for name in reader.names)
    except CheckpointError:
        return 0  # only config and tokenizer are here, or weights that are not read


def trainable_tasks(family: str) -> list[str]:
    """Return the tasks that `bert4keras train` puts on an encoder of a family."""
    if family.startswith(("t5", "mt5")):
        return ["generator"]
    without: tuple[str, ...] = ()
    if family in _DECODERS:
        without = ("fill-mask", "table-qa")
    elif family in _WITHOUT_SEGMENTS:
        without = ("generator", "language-model")
    return [name for name, kind in TASK_KINDS.items() if not kind.refusal and name not in without]


def _uses_of_checkpoint(
    directory: Path, family: str, architectures: list[str], sentences: bool
) -> list[str]:
    if family not in FAMILIES.names():
        return [f"nothing yet: families are {', '.join(FAMILIES.names())}"]
    uses = []
    heads = [
        task for end, task in TASK_OF_ENDING.items() if any(x.endswith(end) for x in architectures)
    ]
    if sentences:
        heads = ["sentence-encoder"]
    if heads:
        uses += [f"bert4keras predict {directory} FILE   (as {heads[0]})"]
        uses += [f"bert4keras serve {directory}"]
    tasks = ", ".join(trainable_tasks(family))
    uses.append(f"bert4keras train TASK --model {directory} ...   (TASK: {tasks})")
    uses.append(f"bert4keras convert {directory} DESTINATION")
    return [*uses, f'Python: bert4keras.models.build_transformer_model("{directory}")']


def _tokenizer(directory: Path) -> str:
    """Return the kind of tokenizer that the files of a directory describe_model."""
    folder = model_directory(directory) if not (directory / "task.json").is_file() else directory
    for path in (directory, folder):
        if (path / "tokenizer.json").is_file():
            model = read_json(path / "tokenizer.json", Failure).get("model") or {}
            kind, size = model.get("type") or "of tokenizers", len(model.get("vocab") or ())
            return f"{kind}, {size:,} tokens"
        if (path / "vocab.txt").is_file():
            text = (path / "vocab.txt").read_text(encoding="utf-8")
            return f"WordPiece, {len(text.splitlines()):,} tokens"
        if (path / "merges.txt").is_file():
            return "BPE"
        if any(path.glob("*.model")):
            return "SentencePiece"
    return "none"
