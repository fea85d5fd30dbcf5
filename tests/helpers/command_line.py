"""Run the command line in this process, or in another one that says what it imported."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from click.testing import CliRunner, Result

from bert4keras.cli import main

DATASETS = Path(__file__).parents[2] / "examples" / "datasets"
TINY = ["hidden_size=16", "num_hidden_layers=1", "num_attention_heads=2"]
HEAVY = ("keras", "numpy", "tensorflow", "jax", "torch", "tokenizers", "h5py", "bert4keras.tasks")
_IMPORTED = """
import atexit, sys
heavy, program, *arguments = sys.argv[1:]
atexit.register(lambda: print("imported:", *(n for n in heavy.split(",") if n in sys.modules)))
sys.argv = [program, *arguments]
from bert4keras.cli import main
main()
"""


def run(*arguments: Any) -> Result:
    """Run a command line; `exit_code`, `stdout` and `stderr` are in the result."""
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


def run_json(*arguments: Any) -> Any:
    """Run a command line with --json that must succeed; return its object."""
    done = run(*arguments, "--json")
    assert done.exit_code == 0, done.output + repr(done.exception)
    return json.loads(done.stdout)


def imported(program: str, *arguments: Any) -> tuple[str, list[str]]:
    """Run the command line in a process called `program`; return its output, and heavy modules."""
    command = [sys.executable, "-c", _IMPORTED, ",".join(HEAVY), program, *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode in (0, 1, 2), done.stderr
    if program != "my_script.py":  # TensorFlow writes to it when it is imported
        assert not done.stderr, done.stderr
    text, names = done.stdout.split("imported:")
    return text, names.split()


def head(name: str, directory: Path, lines: int) -> Path:
    """Copy the first lines of a shipped file, such as "reviews/train.tsv", into a directory."""
    path = directory / name.replace("/", "-")
    text = (DATASETS / name).read_text(encoding="utf-8").splitlines(keepends=True)
    path.write_text("".join(text[:lines]), encoding="utf-8")
    return path


def tiny_options() -> list[str]:
    """Return the options of `train` for a tiny encoder with random weights."""
    return ["--from-scratch", *(x for option in TINY for x in ("--option", option))]
