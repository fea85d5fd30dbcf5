"""Tasks to serve, from directories."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from ..tasks import Task, TaskError
from ..tasks import load as load_task

_TASK_FILES = ("task.json", "config.json", "modules.json")


def open_tasks(sources: Sequence[str]) -> dict[str, Task]:
    """Load tasks, by the names under which they are served.

    Args:
        sources: each a directory of `Task.save`, anything else that `tasks.load` takes, or a
            directory of such directories. `NAME=SOURCE` names a task; else it has the last part of
            its path.

    Raises:
        TaskError: one cannot be loaded, two have the same name, or there is none.
    """
    found: dict[str, str] = {}
    for source in sources:
        for name, place in _tasks_of(source):
            if name in found:
                raise TaskError(
                    f"two tasks have the name {name!r}: {found[name]} and {place}. Give one "
                    f"another name: other-{name}={place}."
                )
            found[name] = place
    return {name: load_task(place) for name, place in found.items()}


def _tasks_of(source: str) -> list[tuple[str, str]]:
    """Return (name, what `load` takes) of the tasks of a source."""
    given = re.fullmatch(r"([A-Za-z0-9][A-Za-z0-9._-]*)=(.+)", source)
    if given and not Path(source).exists():
        return [(given[1], given[2])]
    directory = Path(source)
    if not directory.is_dir() or _is_task(directory):
        return [(_name_of(source), source)]
    parts = sorted(part for part in directory.iterdir() if part.is_dir() and _is_task(part))
    if not parts:
        raise TaskError(
            f"{source} holds no task: it has none of {', '.join(_TASK_FILES)}, and none of its "
            "directories has. Task.save writes one."
        )
    return [(_name_of(str(part)), str(part)) for part in parts]


def _is_task(directory: Path) -> bool:
    return any((directory / name).is_file() for name in _TASK_FILES)


def _name_of(source: str) -> str:
    """Return the last part of a path or address, without what an address cannot have."""
    last = Path(source).resolve().name if Path(source).exists() else source.rpartition("/")[2]
    return re.sub(r"[^A-Za-z0-9._-]+", "-", last).strip("-._") or "task"
