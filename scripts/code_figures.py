#!/usr/bin/env python
"""Print figures of the code's form: sizes, types, prose, names, and what one must read.

    python scripts/code_figures.py [--by-folder] [--read]
    python scripts/code_figures.py --list RULE [PATH ...]

Everything is read off the source, except --read: it runs tiny models, and counts the lines of the
functions that ran. --list prints the places of a rule, "all" those of every rule, in the files
that begin with one of PATH. tests/test_figures.py keeps the figures from rising.
"""

from __future__ import annotations

import argparse
import statistics
import sys
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))

from figures import names, prose, signatures, sizes
from figures.source import ROOT, Place, Source, notebooks, package, pages, surroundings


def _unused() -> list[Place]:
    return names.unused_exports(package(), [*surroundings(), *pages(), *notebooks()])


def _undocumented_exports() -> list[Place]:
    readable = [source for source in surroundings() if not source.path.startswith("tests/")]
    return names.undocumented_exports(package(), [*readable, *pages(), *notebooks()])


def _outside() -> list[Source]:
    return [*surroundings(), *pages()]


RULES: dict[str, Callable[[], list[Place]]] = {
    "long-file": lambda: sizes.long_files(package()),
    "long-function": lambda: sizes.long_functions(package()),
    "relative-clause": lambda: prose.relative_clauses(package()),
    "relative-clause-outside": lambda: prose.relative_clauses(surroundings()),
    "undocumented": lambda: prose.undocumented(package()),
    "dialect": lambda: prose.dialect(package()),
    "dialect-outside": lambda: prose.dialect(_outside()),
    "repeated-name": lambda: names.repeated_names(package()),
    "repeated-private-name": lambda: names.repeated_names(package(), private=True),
    "unused-export": _unused,
    "undocumented-export": _undocumented_exports,
    "absolute-import": lambda: names.absolute_imports(package()),
    "any": lambda: signatures.untyped(package()),
}


def spread(values: Sequence[int]) -> str:
    """Return the smallest, the middle and the largest of the numbers."""
    return f"{min(values)} / {statistics.median(values):g} / {max(values)}"


def folder(path: str) -> str:
    """Return the part of a path by which figures are grouped."""
    parts = Path(path).parts
    if parts[0] == "bert4keras":
        return "/".join(parts[: 3 if parts[1] == "tasks" else 2][: len(parts) - 1]) or parts[0]
    return parts[0]


def print_summary() -> None:
    """Print one line for each figure."""
    sources = package()
    lines = [sizes.file_lines(source) for source in sources]
    functions = [found[-1] for source in sources for found in sizes.function_lines(source)]
    code = sum(len(source.code_lines) for source in sources)
    print(
        f"files: {len(sources)}, {sum(lines)} lines, {code} of code; {spread(lines)} lines a file"
    )
    print(f"functions: {len(functions)}; {spread(functions)} lines without docstring")
    core = [s for s in sources if s.path.split("/")[1].removesuffix(".py") in signatures.CORE]
    shares = [f"{100 * signatures.share(group):.1f} %" for group in (sources, core)]
    print(f"Any among annotated parameters of public functions: {shares[0]}; core {shares[1]}")
    for rule, places in RULES.items():
        print(f"{rule}: {len(places())}")


def print_by_folder() -> None:
    """Print a table: how often each rule is broken in each folder."""
    counts = {rule: Counter(folder(place.path) for place in RULES[rule]()) for rule in RULES}
    shares = {
        name: signatures.share([source for source in package() if folder(source.path) == name])
        for name in sorted({folder(source.path) for source in package()})
    }
    rows = sorted({*shares, *(name for count in counts.values() for name in count)})
    print("\t".join(["folder", "share of Any", *RULES]))
    for row in rows:
        part = f"{100 * shares[row]:.0f} %" if row in shares else ""
        print("\t".join([row, part, *(str(counts[rule][row] or "") for rule in RULES)]))


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--by-folder", action="store_true", help="a table of folders by rules")
    parser.add_argument("--read", action="store_true", help="what one must read (runs models)")
    parser.add_argument("--list", choices=[*RULES, "all"], help="the places of a rule")
    parser.add_argument("paths", nargs="*", help="with --list: beginnings of paths")
    options = parser.parse_args()
    if options.list:
        for rule in RULES if options.list == "all" else [options.list]:
            for place in RULES[rule]():
                if place.path.startswith(tuple(options.paths) or ""):
                    print(f"{place.path}:{place.line}: {place.rule}: {place.text}")
    elif options.by_folder:
        print_by_folder()
    elif options.read:
        from figures import reading

        sys.path.insert(0, str(ROOT))
        print(reading.report(details=True))
    else:
        print_summary()


if __name__ == "__main__":
    main()
