"""A task as one directory: `task.json`, the model, the tokenizer's files and a model card.

The directory is written beside its destination and renamed, so a reader sees either the old or the
new one as a whole. Loading runs no code from it: the class must be registered, Keras reads the
model in safe mode, and every file has a fixed name inside the directory.
"""

from __future__ import annotations

import inspect
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import keras

from .._files import atomic_directory, atomic_file, recover_directory
from .._json import read_json, require_regular_file, short_repr
from ..checkpoints.directories import model_directory
from ..checkpoints.hub import is_address
from ..checkpoints.presets import local_path
from ..export import ExportedModel
from ..export.storage import EXPORT_FILE, open_export
from ..saving import save_model
from ..tokenizers import Tokenizer
from .base import TASKS, Task, TaskError

_FORMAT = 1
TASK, _MODEL, _CARD = "task.json", "model.keras", "README.md"


def save_task(task: Task, directory: str | Path, card: str | None = None) -> None:
    """See `Task.save`."""
    directory = Path(directory)
    if directory.exists() and not (directory / TASK).is_file() and any(directory.iterdir()):
        raise TaskError(
            f"{directory} exists and holds no task; it is not replaced. Choose another directory, "
            "or remove it."
        )
    if isinstance(task.model, ExportedModel):
        raise TaskError(
            "an exported task has no weights to save: copy its directory, or save and export the "
            "task that it was made of."
        )
    text = description(task)
    with atomic_directory(directory) as staging:
        task.tokenizer.save(staging)
        save_model(task.model, staging / _MODEL)
        task.save_assets(staging)
        (staging / TASK).write_text(text, encoding="utf-8")
        (staging / _CARD).write_text(card or model_card(task), encoding="utf-8")


def save_options(task: Task, directory: str | Path) -> None:
    """Write the options of a task into the directory that it was loaded from.

    Args:
        task: the task, with the model and the tokenizer that the directory holds.
        directory: its directory, in which all other files stay as they are.

    Raises:
        TaskError: the options are no JSON values.
    """
    with atomic_file(Path(directory) / TASK) as new:
        new.write_text(description(task), encoding="utf-8")


def description(task: Task) -> str:
    """Return the text of task.json."""
    values = {
        "format": _FORMAT,
        "task": type(task).__name__,
        "bert4keras": _version(),
        "options": task.get_config(),
    }
    try:
        return json.dumps(values, indent=2, ensure_ascii=False, allow_nan=False) + "\n"
    except (TypeError, ValueError) as error:
        raise TaskError(
            f"the options of {type(task).__name__} are no JSON values: {error}. Let get_config() "
            "return plain values."
        ) from None


def load_task(
    directory: str | Path, cls: type[Task] | None = None, threads: int | None = None
) -> Task:
    """Load a task from a directory or from the hub.

    Args:
        directory: a directory of `Task.save` or of `Task.export`; a fine-tuned checkpoint of
            transformers whose head a task reads; a directory of sentence-transformers;
            `hf://org/name` of any of these; or a name of `checkpoints.PRESETS`.
        cls: class that reads a checkpoint of the hub; None: the class that fits it best.
        threads: number of CPU threads of an exported task; None: its engine decides.

    Raises:
        ExportError: an exported task whose engine is not installed, or whose files are damaged.
        TaskError: the directory is none of these, its task is not registered, its format is newer
            than this version, or its options do not fit the class.
    """
    if not is_address(directory):
        recover_directory(Path(directory))
    directory = local_path(directory)
    if not directory.is_dir():
        raise TaskError(
            f"{directory} is no directory; give what Task.save wrote, or hf://org/name."
        )
    foreign = any((directory / name).is_file() for name in ("config.json", "modules.json"))
    if foreign and not (directory / TASK).is_file():
        return (cls or _class_of(directory)).from_huggingface(directory)
    values = _read_task_file(directory)
    written = TASKS[values["task"]]
    known = inspect.signature(written.__init__).parameters
    unknown = sorted(set(values["options"]) - set(known))
    if unknown:
        raise TaskError(
            f"{directory / TASK} has options that {written.__name__} does not take: {unknown}. "
            "Was it "
            f"written by another version ({short_repr(values.get('bert4keras'))})?"
        )
    tokenizer = Tokenizer.from_pretrained(directory)
    exported = (directory / EXPORT_FILE).is_file()
    model: Any = open_export(directory, threads) if exported else _read_model(directory)
    return written(tokenizer, model, **values["options"], **written.load_assets(directory))


def _read_model(directory: Path) -> keras.Model:
    path = require_regular_file(directory / _MODEL, TaskError)
    try:
        return keras.saving.load_model(path, safe_mode=True)
    except (TypeError, ValueError, OSError, KeyError) as error:
        raise TaskError(f"{path} cannot be read: {error}") from error


def _read_task_file(directory: Path) -> dict[str, Any]:
    """Read task.json and check it.

    Raises:
        TaskError: naming file, key and value.
    """
    path = directory / TASK
    if not path.is_file():
        raise TaskError(
            f"{directory} has neither {TASK} (written by Task.save) nor config.json (a checkpoint "
            "of transformers), so it is no task."
        )
    values = read_json(path, TaskError)
    number = values.get("format")
    if type(number) is not int or number < 1:
        raise TaskError(f"{path}: format must be a number from 1, not {short_repr(number)}.")
    if number > _FORMAT:
        raise TaskError(
            f"{path} has format {number}, and bert4keras {_version()} reads up to "
            f"{_FORMAT}. Install a newer version."
        )
    if not isinstance(values.get("options"), Mapping):
        raise TaskError(
            f"{path}: options must be an object, not {short_repr(values.get('options'))}."
        )
    name = values.get("task")
    if not isinstance(name, str) or name not in TASKS:
        raise TaskError(
            f"{path}: task is {short_repr(name)}, which is not known here. Import the module that "
            f"registers it, or use one of {', '.join(TASKS)}."
        )
    return values


def _class_of(directory: Path) -> type[Task]:
    """Return the class of task that fits a fine-tuned checkpoint best, by its config and files."""
    path = model_directory(directory) / "config.json"
    config = read_json(path, TaskError) if path.is_file() else {}
    fits = {cls: cls.reads(directory, config) for cls in TASKS.values()}
    best = max(fits, key=lambda cls: fits[cls])
    if fits[best]:
        return best
    endings = [cls.architecture for cls in TASKS.values() if cls.architecture]
    known = [f"...{x}" for part in endings for x in ((part,) if isinstance(part, str) else part)]
    named = ", ".join(map(str, config.get("architectures") or []))
    raise TaskError(
        f"{directory} holds {named or 'a model of no named class'}. Tasks are loaded from "
        f"{', '.join(dict.fromkeys(known))}, and from directories of sentence-transformers. The "
        "encoder only: build_transformer_model(directory)."
    )


def model_card(task: Task) -> str:
    """Write the README.md of a saved task: its class, its use and its options."""
    name = type(task).__name__
    options = "\n".join(
        f"- {key}: {json.dumps(value, ensure_ascii=False)}"
        for key, value in task.get_config().items()
        if key not in task.hidden_options
    )
    return (
        f"# {name}\n\nA {name} of bert4keras, with {task.model.count_params():,} weights.\n\n"
        f'```python\nfrom bert4keras import tasks\n\ntask = tasks.load("DIRECTORY")\n'
        f'print(task("..."))\n```\n\n## Options\n{options}\n'
    )


def _version() -> str:
    from .. import __version__

    return __version__
