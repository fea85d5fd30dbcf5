"""The command line of the example scripts: checked arguments, one line for a mistake, colours."""

from __future__ import annotations

import argparse
import functools
import math
import os
import re
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from bert4keras.display import visible

# Numbers that may be 0; all others must be more.
MAY_BE_ZERO = {"bigrams", "columns", "dropout", "epochs", "focal", "label_smoothing", "negatives"}
MAY_BE_ZERO |= {"alpha", "epsilon", "rate", "seed", "smoothing", "sweeps"}
MOST = dict.fromkeys(("dropout", "label_smoothing", "rate", "smoothing"), 1.0) | {"seed": 2**32 - 1}
FEWEST = {"maxlen": 3}  # a token between two special ones
WRITTEN, DIRECTORIES = {"output", "picture"}, {"model", "conll", "output"}


class Parser(argparse.ArgumentParser):
    """An argument parser that checks numbers and paths, and whose errors are one line.

    Numbers are finite and not negative, files to read exist and are not empty, and what is to be
    written can be, so that nobody learns of a mistake only after the training.
    """

    def __init__(self, *args, **options):
        super().__init__(*args, allow_abbrev=False, **options)
        self.given: set[str] = set()

    def error(self, message: str):
        """End the script with exit code 2."""
        self.exit(2, f"{self.prog}: error: {visible(message)} (--help lists the options)\n")

    def parse_args(self, args: Sequence[str] | None = None, namespace=None):
        """The arguments, checked; `given` becomes the names of those that were typed."""
        args = sys.argv[1:] if args is None else list(args)
        options = super().parse_args(args, namespace)
        typed = {arg.split("=", 1)[0] for arg in map(str, args)}
        self.given = {a.dest for a in self._actions if typed.intersection(a.option_strings)}
        for action in self._actions:
            if action.dest == "help":
                continue
            value, name = getattr(options, action.dest), (action.option_strings or [action.dest])[0]
            for one in value if isinstance(value, (list, tuple)) else [value]:
                if isinstance(one, Path):
                    self._check_path(name, action.dest, one)
                elif isinstance(one, (int, float)) and not isinstance(one, bool):
                    self._check_number(name, action.dest, one)
        return options

    def refuse(self, names: Sequence[str], condition: bool, why: str) -> None:
        """End the script if one of these was typed although, under a condition, it has no effect.

        Args:
            names: as in the result of `parse_args`.
            condition: whether they have none.
            why: completes "--name has no effect ".
        """
        ignored = [name for name in names if name in self.given]
        if condition and ignored:
            self.error(f"--{ignored[0].replace('_', '-')} has no effect {why}")

    def _check_number(self, name: str, dest: str, value: float) -> None:
        if not math.isfinite(value):
            self.error(f"{name} must be a finite number, not {value}")
        fewest = FEWEST.get(dest, 0)
        if value < fewest or (value == 0 and dest not in MAY_BE_ZERO):
            bound = f"at least {fewest}" if fewest or dest in MAY_BE_ZERO else "more than 0"
            self.error(f"{name} must be {bound}, not {value}")
        if value > MOST.get(dest, math.inf):
            self.error(f"{name} must be at most {MOST[dest]:g}, not {value}")

    def _check_path(self, name: str, dest: str, path: Path) -> None:
        if dest in WRITTEN:
            self._check_written(name, dest, path)
        elif not path.exists():
            self.error(f"{name} {path} does not exist")
        elif dest in DIRECTORIES and not path.is_dir():
            self.error(f"{name} {path} is a file; a directory is needed")
        elif dest not in DIRECTORIES and not path.is_file():
            kind = "a directory" if path.is_dir() else "no regular file"
            self.error(f"{name} {path} is {kind}; a file is needed")
        elif dest not in DIRECTORIES and not path.stat().st_size:
            self.error(f"{name} {path} is empty")

    def _check_written(self, name: str, dest: str, path: Path) -> None:
        if dest in DIRECTORIES and path.exists() and not path.is_dir():
            self.error(f"{name} {path} is a file; a directory is needed")
        if dest not in DIRECTORIES and path.is_dir():
            self.error(f"{name} {path} is a directory; the name of a file is needed")
        there = path if path.is_dir() else path.absolute().parent
        while dest in DIRECTORIES and not there.exists():
            there = there.parent
        if not there.is_dir():
            self.error(f"{name} {path} cannot be written: {there} is no directory")
        if not os.access(there, os.W_OK):
            self.error(f"{name} {path} cannot be written: no permission to write in {there}")


def script(main: Callable[[], None]) -> Callable[[], None]:
    """Decorate the `main` of a script: an error that its user can mend is one line, exit code 1.

    These are errors of values, files, memory and missing libraries; others are bugs and keep their
    traceback, which the environment variable TRACEBACK=1 shows of these, too.
    """

    @functools.wraps(main)
    def run() -> None:
        try:
            main()
        except (ValueError, OSError, ImportError, MemoryError) as error:
            if os.environ.get("TRACEBACK"):
                raise
            text = " ".join(str(error).split()) or type(error).__name__
            sys.exit(visible(f"error: {text} (TRACEBACK=1 in the environment shows where)"))
        except KeyboardInterrupt:
            sys.exit("error: interrupted")
        except SystemExit as error:
            if isinstance(error.code, str):
                raise SystemExit(visible(error.code)) from None
            raise

    return run


def colours() -> bool:
    """Whether to print colours: to a terminal, unless NO_COLOR is set (https://no-color.org)."""
    return sys.stdout.isatty() and not os.environ.get("NO_COLOR")


def coloured(text: str) -> str:
    """A text of `*_to_ansi`, without its colours where `colours` says so."""
    return text if colours() else re.sub("\x1b\\[[0-9;]*m", "", text)


def verbosity() -> int:
    """`verbose` of `fit`: a bar that moves in a terminal, else one line an epoch."""
    return 1 if sys.stdout.isatty() else 2
