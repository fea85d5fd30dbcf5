"""Taggers of transformers (`...ForTokenClassification`): conversion of their classes and tags."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import keras

from ...tokenizers.base import TokenizerBase
from ..base import TaskError
from ..huggingface import label_config, load_with_head, write_with_head
from .schemes import OUTSIDE, PLAIN, find_scheme, split_tag
from .tag_spelling import standard_tags

_TAG = re.compile(r"[BIEMSLUW]|[BIEMSLUW][-_/:|].+|.+[-_/:|][BIEMSLUW]", re.IGNORECASE)


def load_tags(
    directory: str | Path, options: Mapping[str, Any]
) -> tuple[tuple[TokenizerBase, keras.Model, list[str], str, list[str]], dict[str, Any]]:
    """Read (tokenizer, model, labels, scheme, tags) and the config of a fine-tuned checkpoint."""
    tokenizer, model, config = load_with_head(directory, "token", options)
    names = {int(i): str(name) for i, name in (config.get("id2label") or {}).items()}
    width = model.output.shape[-1]
    names = [names.get(i, f"LABEL_{i}") for i in range(width)]
    return (tokenizer, model, *read_tags(names)), config


def read_tags(names: Sequence[str]) -> tuple[list[str], str, list[str]]:
    """Convert names of classes to labels, scheme and tags as this package spells them.

    Names without a prefix, such as parts of speech, become types of scheme "IO", where adjacent
    tokens of one type are one entity.

    Raises:
        TaskError: no class names an entity.

    >>> read_tags(["O", "B-PER", "I-PER"])
    (['PER'], 'BIO', ['O', 'B-PER', 'I-PER'])
    >>> read_tags(["NOUN", "VERB"])
    (['NOUN', 'VERB'], 'IO', ['I-NOUN', 'I-VERB'])
    """
    spelt = [name for name in names if _TAG.fullmatch(name)]
    if 2 * len(spelt) < len([name for name in names if name != OUTSIDE]):
        spelt = []
    standard = standard_tags(spelt)
    tags = [standard.get(x, OUTSIDE if x == OUTSIDE else f"I-{x}") for x in names]
    labels = list(dict.fromkeys(split_tag(tag)[1] for tag in tags if tag != OUTSIDE))
    if not labels:
        raise TaskError(
            f"none of the classes {list(names)} names an entity; expected names like B-PER or NOUN."
        )
    parts = sorted({split_tag(tag)[::-1] for tag in tags})  # sorted by type, B before I
    if {prefix for _, prefix in parts} <= {"I", OUTSIDE}:
        return labels, PLAIN, tags
    return (
        labels,
        find_scheme(f"{prefix}-{label}" if label else prefix for label, prefix in parts),
        tags,
    )


def save_tags(task: Any, directory: str | Path) -> None:
    """Write a tagger, see `Tagger.save_huggingface`.

    Raises:
        TaskError: the head is not a softmax, the only one that transformers has a class for.
    """
    if task.head != "softmax":
        raise TaskError(
            f'transformers has no class for the head "{task.head}", only for "softmax". Use '
            "`save` instead."
        )
    plain = task.scheme == PLAIN
    names = [tag.removeprefix("I-") if plain else tag for tag in task.tags]
    write_with_head(task, "token", directory, label_config(names))
