"""Strategies and processors as plain JSON values, to be saved with a task."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from ...generation import (
    BannedTokens,
    BeamSearch,
    ForcedPrefix,
    Greedy,
    MinLength,
    NoRepeatNGram,
    RepetitionPenalty,
    Sample,
    SpansOfPrompt,
)
from ..base import TaskError

STRATEGIES = {cls.__name__: cls for cls in (Greedy, Sample, BeamSearch)}
PROCESSORS = {
    cls.__name__: cls
    for cls in (
        BannedTokens,
        ForcedPrefix,
        MinLength,
        NoRepeatNGram,
        RepetitionPenalty,
        SpansOfPrompt,
    )
}


def to_values(setting: Any) -> dict[str, Any]:
    """Return a strategy or processor as its name and its fields."""
    return {"name": type(setting).__name__, **dataclasses.asdict(setting)}


def setting_of(value: Any, known: Mapping[str, type]) -> Any:
    """Return a strategy or processor from itself, or from what `to_values` made of it.

    Raises:
        TaskError: another one than those that are known, or fields that it does not have.
    """
    if type(value) in known.values():
        return value
    fields = dict(value) if isinstance(value, Mapping) else {}
    cls = known.get(fields.pop("name", None))
    if cls is None:
        raise TaskError(
            f"{value!r:.100} is none of {', '.join(known)}, which are saved with a task. Another "
            "one is given with the call: generator(text, processors=[...])."
        )
    try:
        return cls(**fields)
    except (TypeError, ValueError) as error:
        raise TaskError(f"{cls.__name__}: {error}") from None


def with_options(strategy: Any, n: int | None, seed: int | None) -> Any:
    """Return the strategy with another number of answers, and another seed.

    Raises:
        TaskError: a strategy that has neither.
    """
    fields = {field.name for field in dataclasses.fields(strategy)}
    changes = {name: value for name, value in (("n", n), ("seed", seed)) if value is not None}
    if changes.get("n") == 1 and "n" not in fields:
        del changes["n"]
    wrong = sorted(set(changes) - fields)
    if wrong:
        raise TaskError(
            f"{type(strategy).__name__} has no {' and no '.join(wrong)}: several answers come from "
            "strategy=BeamSearch(...) or Sample(...); only Sample has a seed."
        )
    if isinstance(strategy, BeamSearch) and changes.get("n", 1) > strategy.beams:
        changes["beams"] = changes["n"]
    return dataclasses.replace(strategy, **changes)
