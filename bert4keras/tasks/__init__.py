"""From a text to an answer: a tokenizer, a model, and what turns one into the other."""

from __future__ import annotations

# Imported for what they register with Keras and as tasks.
from . import (  # noqa: F401
    linking,
    reading,
    relations,
    sql,
    tagging,
)
from .autoencoding import SentenceAutoencoder
from .base import TASKS, Encoded, Task, TaskError, register_task
from .classification import Classification, TextClassifier
from .filling import FilledText, Filling, FillMask
from .from_scratch import from_scratch, word_tokenizer
from .generation import Generation, Generator, Prompt
from .linking import CCKS2019Linker, EntityLinker, LinkedMention
from .novelty import Novelty, NoveltyDetector
from .parsing import Parse, SentenceParser
from .pretrained import checkpoint_argument, open_encoder
from .reading import Answer, ExtractiveQA, Question
from .relations import Relation, RelationExtractor
from .similarity import Neighbour, Ranked, Reranker, SentenceEncoder, TextIndex
from .sql import SQLAnswer, TableQA
from .storage import load_task as load
from .tagging import Entity, Tagger, WordSegmenter

__all__ = [
    "TASKS",
    "Answer",
    "CCKS2019Linker",
    "Classification",
    "Encoded",
    "Entity",
    "EntityLinker",
    "ExtractiveQA",
    "FillMask",
    "FilledText",
    "Filling",
    "Generation",
    "Generator",
    "LinkedMention",
    "Neighbour",
    "Novelty",
    "NoveltyDetector",
    "Parse",
    "Prompt",
    "Question",
    "Ranked",
    "Relation",
    "RelationExtractor",
    "Reranker",
    "SQLAnswer",
    "SentenceAutoencoder",
    "SentenceEncoder",
    "SentenceParser",
    "TableQA",
    "Tagger",
    "Task",
    "TaskError",
    "TextClassifier",
    "TextIndex",
    "WordSegmenter",
    "checkpoint_argument",
    "from_scratch",
    "load",
    "open_encoder",
    "register_task",
    "word_tokenizer",
]
