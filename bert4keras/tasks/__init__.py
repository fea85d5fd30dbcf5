"""From a text to an answer: a tokenizer, a model, and what turns one into the other."""

from __future__ import annotations

# Imported for what they register with Keras and as tasks.
from . import (  # noqa: F401
    generation,
    linking,
    reading,
    relations,
    sql,
    tagging,
)
from .base import TASKS, Encoded, Task, TaskError, register_task
from .classification import Classification, TextClassifier
from .from_scratch import from_scratch
from .pretrained import locate, open_encoder
from .similarity import Neighbour, Ranked, Reranker, SentenceEncoder, TextIndex
from .storage import load_task as load

__all__ = [
    "TASKS",
    "Classification",
    "Encoded",
    "Neighbour",
    "Ranked",
    "Reranker",
    "SentenceEncoder",
    "Task",
    "TaskError",
    "TextClassifier",
    "TextIndex",
    "from_scratch",
    "load",
    "locate",
    "open_encoder",
    "register_task",
]
