"""Files of a model directory, as transformers, sentence-transformers and PEFT lay them out."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path, PurePosixPath
from typing import TypeGuard

from .._files import atomic_file
from .._json import read_json, short_repr
from .errors import CheckpointError

CONFIGS = ("config.json", "bert_config.json")
WEIGHTS, WEIGHTS_INDEX = "model.safetensors", "model.safetensors.index.json"
ADAPTER_FILE, _MODULES_FILE = "adapter_config.json", "modules.json"
_MAX_NAME = 255  # bytes
# Modules of sentence-transformers; those in directories are written as `1_Pooling/config.json`.
MODULE_FILES = re.compile(
    r"modules\.json|config_sentence_transformers\.json|sentence_\w+_config\.json"
    r"|\d{1,2}_[A-Z][A-Za-z]{1,40}/(config\.json|model\.safetensors)"
)


def model_directory(directory: Path) -> Path:
    """Return the directory that holds a model's config and weights.

    Args:
        directory: the directory that the user gave.

    Returns:
        Usually `directory` itself. In one that sentence-transformers wrote, the Transformer module
        may have its own subdirectory, and that is returned.

    Raises:
        CheckpointError: a PEFT adapter, which is no model, or a `modules.json` without a usable
            path of the Transformer.
    """
    if (directory / ADAPTER_FILE).exists():
        raise CheckpointError(_describe_adapter(directory))
    if find_config(directory) or not (directory / _MODULES_FILE).exists():
        return directory
    module = _transformer_module(directory / _MODULES_FILE)
    return model_directory(directory / module) if module else directory


def copy_modules(source: Path, destination: Path) -> list[Path]:
    """Copy what sentence-transformers adds to a model: the list of modules, pooling, prompts.

    Args:
        source: directory of a model; nothing is copied if it has no `modules.json`.
        destination: directory in which the model itself was written.

    Returns:
        The files written, `modules.json` last.
    """
    if not (source / _MODULES_FILE).is_file() or source.resolve() == destination.resolve():
        return []
    modules = read_json(source / _MODULES_FILE, CheckpointError, expected=list)
    inner = model_directory(source).relative_to(source).as_posix()
    for module in modules:
        if isinstance(module, dict) and module.get("path") == inner:
            module["path"] = ""  # the Transformer now lies beside the list
    names = [f for path in source.iterdir() if MODULE_FILES.fullmatch(f := path.name)]
    names += [
        f for path in source.glob("*/*") if MODULE_FILES.fullmatch(f := _relative(path, source))
    ]
    files = [destination / name for name in sorted(names) if name != _MODULES_FILE]
    for path in files:
        with atomic_file(path) as new:
            shutil.copyfile(source / path.relative_to(destination), new)
    with atomic_file(destination / _MODULES_FILE) as new:
        new.write_text(json.dumps(modules, indent=2) + "\n", encoding="utf-8")
    return [*files, destination / _MODULES_FILE]


def _relative(path: Path, directory: Path) -> str:
    """Return the path relative to a directory, with slashes."""
    return path.relative_to(directory).as_posix()


def find_config(directory: Path) -> Path | None:
    """Return the config json of a model directory, or None if none has a usual name."""
    return next((path for name in CONFIGS if (path := directory / name).exists()), None)


def list_files(directory: Path, limit: int = 12) -> str:
    """Return the first names in a directory, for a message."""
    names = sorted(entry.name for entry in directory.iterdir())
    more = f", ... ({len(names)} in all)" if len(names) > limit else ""
    return ", ".join(names[:limit]) + more if names else "nothing"


def _describe_adapter(directory: Path) -> str:
    """Return the message for a directory of a PEFT adapter: its kind and how to merge it."""
    values = read_json(directory / ADAPTER_FILE, CheckpointError)
    base = values.get("base_model_name_or_path")
    base = base if isinstance(base, str) and base else "..."
    kind = values.get("peft_type") if isinstance(values.get("peft_type"), str) else "of PEFT"
    return (
        f"{directory} holds an adapter ({kind:.40}) for the model {short_repr(base)}, which "
        "changes that model when it is loaded. Merge the two where PEFT is installed:\n"
        f"    model = AutoModel.from_pretrained({short_repr(base)})\n"
        f'    PeftModel.from_pretrained(model, "{directory}").merge_and_unload()'
        '.save_pretrained("merged")\n'
        "and pass that directory; or pass the model without the adapter: its config.json and the "
        "path of its weights."
    )


def _transformer_module(path: Path) -> str:
    """Return the subdirectory of the Transformer that a `modules.json` names; "" if it has none."""
    modules = read_json(path, CheckpointError, expected=list)
    for module in (module for module in modules if isinstance(module, dict)):
        if str(module.get("type", "")).rpartition(".")[2] == "Transformer":
            return _checked_subdirectory(path, module.get("path"))
    raise CheckpointError(
        f"{path} names no Transformer among its modules; pass the directory that has a config.json."
    )


def _checked_subdirectory(path: Path, name: object) -> str:
    """Return the directory that a `modules.json` names, if it lies inside that of the file."""
    if not _is_plain(name) or ".." in PurePosixPath(name).parts or name.startswith("/"):
        raise CheckpointError(
            f"{path} places the Transformer in {short_repr(name)}, which is no directory beside it."
        )
    if name and not (path.parent / name).is_dir():
        raise CheckpointError(f"{path} places the Transformer in {name!r}, which is missing.")
    return name


def _is_plain(name: object) -> TypeGuard[str]:
    """Return whether a value can be part of a path on every system."""
    if not isinstance(name, str) or "\\" in name or "\0" in name:
        return False
    return len(name.encode("utf-8", "replace")) <= _MAX_NAME


def read_shard_index(path: Path) -> dict[str, object]:
    """Read an index of shards: tensor name -> file, as written there and not checked.

    Raises:
        CheckpointError: the file does not exist or is no index.
    """
    try:
        values = read_json(path, CheckpointError)
    except FileNotFoundError as error:
        raise CheckpointError(f"{path} does not exist") from error
    files = values.get("weight_map")
    if not isinstance(files, dict) or not files:
        raise CheckpointError(
            f"{path} is not an index of shards: `weight_map` must be an object that gives the file "
            f"of each tensor, not {short_repr(files)}."
        )
    return files


def indexed_files(path: Path) -> dict[str, str]:
    """Read an index of shards and check its file names: tensor name -> file beside the index.

    Raises:
        CheckpointError: no index, or a shard that is no safetensors file beside it.
    """
    files: dict[str, str] = {}
    for name, file in read_shard_index(path).items():
        if not _is_plain(file) or file != Path(file).name or not file.endswith(".safetensors"):
            raise CheckpointError(
                f"{path} places `{name:.80}` in {short_repr(file)}; a shard must be a .safetensors "
                "file beside the index"
            )
        files[name] = file
    return files
