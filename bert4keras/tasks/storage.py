"""A task as one directory: `task.json`, the model, the tokenizer's files and a model card.

The directory is written beside its place and renamed, so a reader sees the old one or the new one,
whole. Loading runs no code from it: the class is one that is registered, Keras reads the model in
safe mode, and every path is a fixed name inside the directory.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import keras

from .. import __version__
from ..tokenizers import Tokenizer
from .base import TASKS, Task, TaskError

FORMAT = 1
TASK, MODEL, CARD = "task.json", "model.keras", "README.md"


def save_task(task: Task, directory: str | Path, card: str | None = None) -> None:
    """See `Task.save`."""
    raise NotImplementedError


def load_task(directory: str | Path) -> Task:
    """See `bert4keras.tasks.load`."""
    directory = Path(directory)
    values = read_task_file(directory)
    cls = TASKS.get(values["task"])
    if cls is None:
        raise TaskError(
            f"{directory} holds a {values['task']}, which is not known here. Import the module "
            f"that registers it first. Known: {', '.join(TASKS)}."
        )
    tokenizer = Tokenizer.from_pretrained(directory)
    model = keras.saving.load_model(directory / MODEL, compile=False, safe_mode=True)
    return cls(tokenizer, model, **values["options"])


def read_task_file(directory: Path) -> dict[str, Any]:
    """The content of task.json, checked."""
    path = directory / TASK
    if not path.is_file():
        raise TaskError(f"{directory} has no {TASK}, so it is no task saved by bert4keras.")
    values = json.loads(path.read_text(encoding="utf-8"))
    if values.get("format", 0) > FORMAT:
        raise TaskError(
            f"{path} has format {values['format']}, and this version of bert4keras "
            f"({__version__}) knows {FORMAT}: install a newer one."
        )
    return values
