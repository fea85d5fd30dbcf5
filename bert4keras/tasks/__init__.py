"""From a text to an answer: a tokenizer, a model, and what turns one into the other."""

from __future__ import annotations

from .base import TASKS, Encoded, Task, TaskError, register_task
from .classification import Classification, TextClassifier

__all__ = [
    "TASKS",
    "Classification",
    "Encoded",
    "Task",
    "TaskError",
    "TextClassifier",
    "register_task",
]
