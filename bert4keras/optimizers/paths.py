"""Groups of variables by regular expressions on their paths."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

# Biases, and everything in a normalization, of our models and of Keras' own layers.
NORMS_AND_BIASES = r"(^|[/_-])(bias|beta|gamma|scale)$|[Nn]orm"


def matching(pattern: str, paths: Sequence[str], owner: str) -> list[int]:
    """The indices of the paths in which a pattern is found (`re.search`).

    Args:
        pattern: a regular expression.
        paths: of variables, such as `Transformer-0-FeedForward/inner/kernel`.
        owner: who asks; errors begin with it.

    Raises:
        ValueError: the pattern is not a regular expression, or is found in no path.
    """
    try:
        found = [index for index, path in enumerate(paths) if re.search(pattern, path)]
    except re.error as error:
        raise ValueError(f"{owner}: {pattern!r} is no regular expression: {error}") from error
    if not found:
        raise ValueError(
            f"{owner}: {pattern!r} matches no variable. Patterns are searched for in the paths of "
            f"the trainable variables: {shortened(paths)}"
        )
    return found


def group_by_path(
    paths: Sequence[str],
    groups: Mapping[str, Sequence[str]],
    total: bool = True,
    owner: str = "group_by_path",
) -> dict[str, list[int]]:
    """Put each variable into the one group of which a pattern is found in its path.

    Args:
        paths: of the variables, `[v.path for v in model.trainable_variables]`.
        groups: for each group's name its regular expressions.
        total: whether every variable must be in a group.
        owner: who asks; errors begin with it.

    Returns:
        for each group's name the indices of its paths, in order.

    Raises:
        ValueError: a variable is in two groups, or in none though `total`; a pattern that is
            wrong or matches nothing. Variables and patterns are named.

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
                f"{owner}: {path!r} is in the groups {names}; a variable is in one. Make the "
                "patterns exclude each other"
            )
    missing = [path for i, path in enumerate(paths) if not any(i in s for s in found.values())]
    if total and missing:
        raise ValueError(f"{owner}: no group of {list(groups)} has {shortened(missing)}")
    return {name: sorted(indices) for name, indices in found.items()}


def excluded(paths: Sequence[str], patterns: Sequence[str] | None, owner: str) -> set[int]:
    """The indices of the paths that patterns exclude; None excludes norms and biases, if any."""
    if patterns is None:
        return {i for i, path in enumerate(paths) if re.search(NORMS_AND_BIASES, path)}
    return {index for pattern in patterns for index in matching(pattern, paths, owner)}


def as_patterns(patterns: str | Sequence[str] | None) -> tuple[str, ...] | None:
    """One pattern or several as a tuple; None stays None."""
    if patterns is None:
        return None
    return (patterns,) if isinstance(patterns, str) else tuple(patterns)


def as_list(patterns: Sequence[str] | None) -> list[str] | None:
    """Patterns as a config holds them."""
    return None if patterns is None else list(patterns)


def shortened(paths: Sequence[str], most: int = 6) -> str:
    """The first paths of many, for a message."""
    rest = f" and {len(paths) - most} more" if len(paths) > most else ""
    return ", ".join(paths[:most]) + rest
