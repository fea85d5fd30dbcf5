"""Options and output that `find_words.py` and `find_terms.py` share."""

from __future__ import annotations

import argparse
import json
import math
import sys
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

from bert4keras._files import atomic_file
from bert4keras.data import DataFileError

FORMATS = ("tsv", "jsonl", "jieba")


def make_parser(name: str, description: str) -> argparse.ArgumentParser:
    """Return a parser with the options of both commands."""
    parser = argparse.ArgumentParser(
        prog=name, description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--min-count", type=int, default=8, help="least number of occurrences (%(default)s)")
    add("--order", type=int, default=4, help="longest n-gram that is counted (%(default)s)")
    add(
        "--min-pmi",
        type=float,
        nargs="+",
        help="least mutual information in nats: one number, or one for each length (0 2 4 6)",
    )
    add("--min-length", type=int, default=2, help="least number of units of a word (%(default)s)")
    add("--encoding", help="encoding of the files (UTF-8)")
    add("--format", choices=FORMATS, default="tsv", help="default: %(default)s")
    add("--output", type=Path, help="file to write (standard output)")
    add("--limit", type=int, help="print only the first ones")
    add("--quiet", action="store_true", help="no progress bar")
    return parser


def discovery_options(options: argparse.Namespace) -> dict:
    """Return the arguments of `find_words` and `find_terms` that the options give."""
    given = {
        "min_count": options.min_count,
        "order": options.order,
        "min_length": options.min_length,
        "encoding": options.encoding,
        "progress": False if options.quiet else None,
    }
    if options.min_pmi:
        given["min_pmi"] = options.min_pmi[0] if len(options.min_pmi) == 1 else options.min_pmi
    return given


def run(search: Callable[[], Iterable[NamedTuple]], options: argparse.Namespace) -> int:
    """Search, write the rows found, and return the exit status; errors of input go to stderr."""
    try:
        rows = list(search())[: options.limit]
        if options.output is None:
            sys.stdout.write(as_text(rows, options.format))
        else:
            with atomic_file(options.output) as path:
                path.write_bytes(as_text(rows, options.format).encode("utf-8"))
    except (DataFileError, ValueError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    if not rows:
        print(
            "Nothing was found. Give more text, or smaller --min-count and --min-pmi.",
            file=sys.stderr,
        )
    return 0


def as_text(rows: Sequence[NamedTuple], form: str) -> str:
    """Return rows as a table with a header (tsv), as objects (jsonl) or as jieba's dictionary."""
    if form == "jieba":
        return "".join(f"{row.text} {row.count}\n" for row in rows)
    if form == "jsonl":
        objects = ({key: _figure(value) for key, value in row._asdict().items()} for row in rows)
        return "".join(json.dumps(one, ensure_ascii=False) + "\n" for one in objects)
    lines = [rows[0]._fields, *rows] if rows else []
    cells = ((f"{x:.4g}" if isinstance(x, float) else str(x) for x in row) for row in lines)
    return "".join("\t".join(row) + "\n" for row in cells)


def _figure(value: object) -> object:
    """Return a value for JSON, which has neither infinity nor nan."""
    if isinstance(value, float):
        return round(value, 4) if math.isfinite(value) else None
    return value
