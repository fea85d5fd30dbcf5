"""Selection of variables by regular expressions on their paths."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

NORMS_AND_BIASES = r"(^|[/_-])(bias|beta|gamma|scale)$|[Nn]orm"
"""Pattern of the paths of biases and norm weights, in models of this package and Keras' layers."""


def matching(pattern: str, paths: Sequence[str], owner: str) -> list[int]:
    """Return the indices of the paths in which a pattern is found (`re.search`).

    Args:
        pattern: a regular expression.
        paths: paths of variables, such as `Transformer-0-FeedForward/inner/kernel`.
        owner: name of the class or argument, with which errors begin.

    Raises:
        ValueError: the pattern is not a regular expression, or is found in no path.
    """
    try:
        found = [index for index, path in enumerate(paths) if re.search(pattern, path)]
    except re.error as error:
        raise ValueError(f"{owner}: {pattern!r} is not a regular expression: {error}") from error
    if not found:
        raise ValueError(
            f"{owner}: {pattern!r} matches no variable. Patterns are searched for in the paths of "
            f"the trainable variables: {_shortened(paths)}"
        )
    return found


def group_by_path(
    paths: Sequence[str],
    groups: Mapping[str, Sequence[str]],
    total: bool = True,
    owner: str = "group_by_path",
) -> dict[str, list[int]]:
    """Assign each variable to the group with a pattern that is found in its path.

    Args:
        paths: paths of the variables, `[v.path for v in model.trainable_variables]`.
        groups: regular expressions by name of the group.
        total: True if every variable must be in a group.
        owner: name of the class or argument, with which errors begin.

    Returns:
        Indices of paths by name of the group, in order.

    Raises:
        ValueError: a variable is in two groups, or in none although `total`; a pattern is invalid
            or matches nothing. The message names variables and patterns.

    Example:
        >>> group_by_path(["a/kernel", "a/bias"], {"decayed": ["kernel"], "plain": ["bias"]})
        {'decayed': [0], 'plain': [1]}
    """
    found: dict[str, set[int]] = {
        name: {index for pattern in patterns for index in matching(pattern, paths, owner)}
        for name, patterns in groups.items()
    }
    for index, path in enumerate(paths):
        names = [name for name, indices in found.items() if index in indices]
        if len(names) > 1:
            raise ValueError(
                f"{owner}: {path!r} is in the groups {names}, but a variable must be in one. "
                "Change the patterns so that they exclude each other"
            )
    missing = [path for i, path in enumerate(paths) if not any(i in s for s in found.values())]
    if total and missing:
        raise ValueError(
            f"{owner}: no group of {list(groups)} has {_shortened(missing)}. Add patterns for them"
        )
    return {name: sorted(indices) for name, indices in found.items()}


def excluded(paths: Sequence[str], patterns: Sequence[str] | None, owner: str) -> set[int]:
    """Return the indices of the paths that patterns match; None matches norms and biases."""
    if patterns is None:
        return {i for i, path in enumerate(paths) if re.search(NORMS_AND_BIASES, path)}
    return {index for pattern in patterns for index in matching(pattern, paths, owner)}


def as_patterns(patterns: str | Sequence[str] | None) -> tuple[str, ...] | None:
    """Return one pattern or several as a tuple; None stays None."""
    if patterns is None:
        return None
    return (patterns,) if isinstance(patterns, str) else tuple(patterns)


def as_list(patterns: Sequence[str] | None) -> list[str] | None:
    """Return patterns as a list, for a config; None stays None."""
    return None if patterns is None else list(patterns)


def _shortened(paths: Sequence[str], most: int = 6) -> str:
    """Join the first few paths, for a message."""
    rest = f" and {len(paths) - most} more" if len(paths) > most else ""
    return ", ".join(paths[:most]) + rest
