"""Reading triples for task_triples_to_text.py; goes with its last user."""

from __future__ import annotations

from pathlib import Path

import common

from bert4keras.tasks.relations import RelationSample, read_relations


def read(path: Path, limit: int | None = None) -> list[RelationSample]:
    """As `read_relations`; ends the script where a file cannot be read."""
    with common.exits():
        return read_relations(path)[:limit]
