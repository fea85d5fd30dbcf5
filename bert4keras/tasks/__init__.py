"""From a text to an answer: a tokenizer, a model, and what turns one into the other."""

from __future__ import annotations

# Imported for what they register with Keras and as tasks.
from . import (  # noqa: F401
    linking,
    reading,
    relations,
    similarity,
    sql,
    tagging,
)
from .base import TASKS, Encoded, Task, TaskError, register_task
from .classification import Classification, TextClassifier
from .from_scratch import from_scratch
from .generation import Generation, Generator, Prompt
from .pretrained import locate, open_encoder
from .storage import load_task as load

__all__ = [
    "TASKS",
    "Classification",
    "Encoded",
    "Generation",
    "Generator",
    "Prompt",
    "Task",
    "TaskError",
    "TextClassifier",
    "from_scratch",
    "load",
    "locate",
    "open_encoder",
    "register_task",
]
