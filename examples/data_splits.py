"""Which rows the example scripts train on, choose the epoch with and test on; all of it printed."""

from __future__ import annotations

import argparse
import collections
import itertools
import random
import sys
from collections.abc import Callable, Hashable, Iterable, Sequence
from pathlib import Path
from typing import Any

TENTH, MOST_SHOWN = 10, 12
Labels = Callable[[Any], Iterable[Hashable]]
Parts = dict[str, list]


def splits(
    options: argparse.Namespace,
    read: Callable[[Path], list],
    labels: Labels | None = None,
    group: Callable[[list], list[list]] | None = None,
    check: Callable[[Parts, str], Any] | None = None,
) -> list[list]:
    """Rows of `--train`, `--valid` and `--test`, printed with their files and labels.

    A file that is not given stands beside a `--train` called `train.*`, with the same endings, as
    `valid.*` or `test.*`. If none does, a tenth of the training file is held out: drawn at random,
    always the same one, with a share of each label. Shipped files never join those of a user.

    Args:
        options: train, valid, test, limit and eval_limit.
        read: all rows of a file.
        labels: the labels of a row, to count them.
        group: rows that must not be divided between the parts, together; each row alone if None.
        check: refuses parts by their labels, before `--limit`; the name of the training file with
            them. See `classes` and `grades`. Needs `labels`.

    Raises:
        SystemExit: too few rows, or a limit that leaves one label where `check` wants more.
    """
    paths = {"train": options.train, **{s: _path(options, s) for s in ("valid", "test")}}
    parts = {split: read(path) for split, path in paths.items() if path}
    missing = [split for split, path in paths.items() if not path]
    origin = {split: f"of {path}" for split, path in paths.items()}
    if missing:
        groups = group(parts["train"]) if group else [[row] for row in parts["train"]]
        parts["train"], *held = _hold_out(groups, len(missing), labels)
        for split, rows in zip(missing, held, strict=True):
            parts[split] = rows
            origin[split] = f"held out of {options.train}, a tenth drawn at random"
    parts = {split: parts[split] for split in paths}
    for split, rows in parts.items():
        if not rows:
            sys.exit(
                f"{options.train} has too few rows to hold some out for --{split}: give that file."
                if split in missing
                else f"{paths[split]}: there are too few rows to train, choose and test."
            )
    if check:
        check(parts, str(options.train))
    kept = shown(options, parts, origin, labels)
    if check and options.limit and len({label for row in kept[0] for label in labels(row)}) < 2:
        sys.exit(f"--limit {options.limit} leaves rows of one label: nothing can be learnt.")
    return kept


def shown(
    options: argparse.Namespace,
    parts: Parts,
    origin: dict[str, str],
    labels: Labels | None = None,
) -> list[list]:
    """Print the size of each part, where it is from and its labels; return what the limits leave.

    `--limit` cuts the training rows only, `--eval-limit` the others.
    """
    kept = {}
    for split, rows in parts.items():
        limit = options.limit if split == "train" else getattr(options, "eval_limit", None)
        kept[split] = rows[:limit]
        some = len(kept[split])
        count = f"{some}" if some == len(rows) else f"{some} of {len(rows)}"
        print(f"{split}: {count} rows {origin[split]}{_counted(kept, split, labels)}", flush=True)
    return list(kept.values())


def origins(parts: Parts, paths: Iterable) -> dict[str, str]:
    """`origin` of `shown` for parts of the same files."""
    return dict.fromkeys(parts, f"of {', '.join(map(str, paths))}, mixed")


def classes(parts: Parts, name: str) -> int:
    """Refuse labels, the last of each row, that are not the numbers from 0 on of the training rows.

    Returns:
        How many there are.

    Raises:
        SystemExit: a negative label, a gap, a single class, or one that training does not have.
    """
    known = {row[-1] for row in parts["train"]}
    if len(known) < 2:
        sys.exit(f"{name} has only the label {min(known)}: there is nothing to tell apart.")
    if known != set(range(len(known))):
        wrong = min(known - set(range(len(known))))
        sys.exit(
            f"{name}: {len(known)} different labels must be the numbers from 0 to "
            f"{len(known) - 1}, but one is {wrong}: number them anew."
        )
    for split, rows in parts.items():
        if unknown := {row[-1] for row in rows} - known:
            sys.exit(f"The {split} rows have the label {min(unknown)}, which {name} lacks.")
    return len(known)


def grades(parts: Parts, name: str) -> None:
    """Refuse grades, the last of each row, from which nothing can be learnt.

    Raises:
        SystemExit: a negative grade, or only one.
    """
    for split, rows in parts.items():
        if (low := min(row[-1] for row in rows)) < 0:
            sys.exit(f"The {split} rows have the label {low}: labels must be 0 or more.")
    if len({row[-1] for row in parts["train"]}) < 2:
        sys.exit(f"{name} has only the label {parts['train'][0][-1]}: nothing can be learnt.")


def by(key: Callable[[Any], Hashable]) -> Callable[[list], list[list]]:
    """`group` of `splits` for rows that have something in common."""

    def group(rows: list) -> list[list]:
        found = collections.defaultdict(list)
        for row in rows:
            found[key(row)].append(row)
        return list(found.values())

    return group


def _path(options: argparse.Namespace, split: str) -> Path | None:
    given, train = getattr(options, split), options.train
    if given:
        return given
    beside = train.with_name(split + train.name.removeprefix("train"))
    return beside if train.name.startswith("train.") and beside.is_file() else None


def _hold_out(groups: Sequence[list], count: int, labels: Labels | None) -> list[list]:
    """All but `count` tenths of the groups, and these; one group of each label stays at least."""
    strata = collections.defaultdict(list)
    for number, rows in enumerate(groups):
        strata[_stratum(rows, labels)].append(number)
    if TENTH * len(strata) > len(groups):  # too few of each to take a share
        strata = {None: list(range(len(groups)))}
    draw, order = random.Random(0), []
    for numbers in strata.values():
        draw.shuffle(numbers)
        order += numbers[1:]
    held = [sorted(order[k::TENTH]) for k in range(count)]
    rest = sorted(set(range(len(groups))).difference(*held))
    return [list(itertools.chain.from_iterable(groups[i] for i in some)) for some in (rest, *held)]


def _stratum(rows: list, labels: Labels | None) -> frozenset | None:
    return frozenset(label for row in rows for label in labels(row)) if labels else None


def _counted(parts: Parts, split: str, labels: Labels | None) -> str:
    """The labels of a part and how often each occurs, and those that training does not have."""
    if labels is None:
        return ""
    counts, known = (
        collections.Counter(label for row in parts[s] for label in labels(row))
        for s in (split, "train")
    )
    some = [f"{label} ({n})" for label, n in sorted(counts.items(), key=_by_label)]
    text = f"; labels {', '.join(some)}" if len(some) <= MOST_SHOWN else f"; {len(some)} labels"
    unknown = sorted((item for item in counts.items() if item[0] not in known), key=_by_label)
    if unknown:
        some = [f"{label} ({n})" for label, n in unknown[:MOST_SHOWN]]
        text += f"; {len(unknown)} labels not in train: {', '.join(some)}"
    return text if counts else "; no labels"


def _by_label(item: tuple[Hashable, int]) -> tuple[bool, Any]:
    return (isinstance(item[0], str), item[0])
