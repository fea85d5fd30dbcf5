"""Which files of a directory are the model: layouts of sentence-transformers and of PEFT."""

from __future__ import annotations

from pathlib import Path, PurePosixPath
from typing import Any

from .._json import read_json, short_repr
from .errors import CheckpointError

MODULES, ADAPTER = "modules.json", "adapter_config.json"
_MAX_NAME = 255  # bytes
CONFIGS = ("config.json", "bert_config.json")


def model_directory(directory: Path) -> Path:
    """The directory in which a model's config and weights lie.

    Args:
        directory: as given by a user.

    Returns:
        `directory` as a rule; the part called Transformer of one that sentence-transformers wrote,
        where that part has a directory of its own.

    Raises:
        CheckpointError: a PEFT adapter, which is no model, or a `modules.json` that names no
            directory.
    """
    if (directory / ADAPTER).exists():
        raise CheckpointError(_describe_adapter(directory))
    own = any((directory / name).exists() for name in CONFIGS)
    if own or not (directory / MODULES).exists():
        return directory
    part = _transformer_part(directory / MODULES)
    return model_directory(directory / part) if part else directory


def _describe_adapter(directory: Path) -> str:
    """What a directory of a PEFT adapter is, and the way out; for messages."""
    values = read_json(directory / ADAPTER, CheckpointError)
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


def _transformer_part(path: Path) -> str:
    """Name of the sub-directory of the Transformer, "" for the directory itself."""
    modules = read_json(path, CheckpointError, expected=list)
    for module in (module for module in modules if isinstance(module, dict)):
        if str(module.get("type", "")).rpartition(".")[2] == "Transformer":
            return _inside(path, module.get("path"))
    raise CheckpointError(
        f"{path} names no Transformer among its modules; pass the directory that has a config.json."
    )


def _inside(path: Path, part: Any) -> str:
    if not _is_plain(part) or ".." in PurePosixPath(part).parts or part.startswith("/"):
        raise CheckpointError(
            f"{path} places the Transformer in {short_repr(part)}, which is no directory beside it."
        )
    if part and not (path.parent / part).is_dir():
        raise CheckpointError(f"{path} places the Transformer in {part!r}, which is missing.")
    return part


def _is_plain(name: Any) -> bool:
    """Whether a value can be part of a path on every system."""
    if not isinstance(name, str) or "\\" in name or "\0" in name:
        return False
    return len(name.encode("utf-8", "replace")) <= _MAX_NAME


def weight_map(path: Path) -> dict[str, Any]:
    """What an index of shards says of each tensor, by name.

    Raises:
        CheckpointError: no such file, or not an index.
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
    """Tensor name -> file, of an index of shards.

    Raises:
        CheckpointError: not an index, or a shard that is no safetensors file beside it.
    """
    files = weight_map(path)
    for name, file in files.items():
        if not _is_plain(file) or file != Path(file).name or not file.endswith(".safetensors"):
            raise CheckpointError(
                f"{path} places `{name:.80}` in {short_repr(file)}; a shard must be a .safetensors "
                "file beside the index"
            )
    return files
