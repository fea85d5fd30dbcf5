"""The command line as a whole: help without Keras, errors in one line, exit statuses."""

from __future__ import annotations

import importlib
import os
import subprocess
import sys
from pathlib import Path

import keras
import pytest
from click.testing import CliRunner

from bert4keras import cli
from bert4keras.cli import COMMANDS, main
from bert4keras.cli.common import Command, ModelCommand, emit, note
from helpers.command_line import HEAVY, imported

pytestmark = pytest.mark.spread


@pytest.mark.parametrize("program", ["/usr/bin/bert4keras", "bert4keras.exe"])
def test_help_imports_nothing_heavy(program):
    text, names = imported(program, "--help")
    assert all(f"  {name} " in text and line in text for name, line in COMMANDS.items())
    assert not names


def test_another_program_imports_all_for_its_registrations():
    _, names = imported("my_script.py", "--help")
    assert {"keras", "numpy", "bert4keras.tasks"} <= set(names)


def test_as_a_module():
    command = [sys.executable, "-X", "importtime", "-m", "bert4keras", "--version"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.stdout.startswith("bert4keras 1")
    names = {line.split("|")[-1].strip() for line in done.stderr.splitlines()}
    assert "bert4keras.cli" in names
    assert not names & set(HEAVY)


def test_one_module_for_each_command():
    folder = Path(cli.__file__).parent
    for name in COMMANDS:
        module = name.replace("-", "_")
        if (folder / f"{module}.py").exists():
            command = importlib.import_module(f"bert4keras.cli.{module}").command
            assert command.name == name
            assert isinstance(command, Command)


@pytest.fixture
def run(monkeypatch):
    """Run a command line with the command `try`, whose body the test gives."""

    def invoke(body, *arguments, cls=Command):
        command = cls("try", callback=body)
        lookup = type(main).get_command
        monkeypatch.setattr(
            type(main), "get_command", lambda *a: command if a[-1] == "try" else lookup(*a)
        )
        return CliRunner().invoke(main, ["try", *arguments])

    return invoke


def raising(error: BaseException):
    def body():
        raise error

    return body


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (ValueError("the file\n  has no rows"), "error: the file has no rows"),
        (FileNotFoundError(2, "No such file", "a.tsv"), "error: a.tsv: No such file"),
        (ImportError("pip install bert4keras[hub]"), "error: pip install bert4keras[hub]"),
        (MemoryError(), "error: out of memory; a smaller --batch-size or --maxlen needs less."),
        (KeyError("x"), "error: KeyError: 'x'; --debug shows where this happened."),
    ],
)
def test_an_error_is_one_line(run, error, line):
    done = run(raising(error))
    assert (done.exit_code, done.stdout, done.stderr) == (1, "", line + "\n")


def test_debug_shows_where(run):
    done = run(raising(ValueError("broken")), "--debug")
    assert done.exit_code == 1
    assert isinstance(done.exception, ValueError)
    assert not done.stderr


def test_an_interrupt(run):
    done = run(raising(KeyboardInterrupt()))
    assert (done.exit_code, done.stderr) == (130, "interrupted\n")


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["trian"], "error: No such command 'trian'."),
        (["try", "--nothing"], "error: No such option '--nothing'."),
        (["try", "--backend", "theano"], "error: Invalid value for '--backend': 'theano' is not"),
        (["--nothing"], "error: No such option '--nothing'."),
    ],
)
def test_wrong_usage_is_one_line_and_2(run, arguments, line):
    run(lambda: None, cls=ModelCommand)
    done = CliRunner().invoke(main, arguments)
    assert done.exit_code == 2
    assert done.stderr.startswith(line)
    assert done.stderr.rstrip().endswith("--help")
    assert done.stderr.count("\n") == 1


def test_results_go_to_stdout_and_the_rest_to_stderr(run):
    import warnings

    import numpy as np

    def body():
        note("reading")
        warnings.warn("two rows\nare equal")
        emit({"f1": np.float32(0.5), "path": Path("a")}, "F1 0.5")

    with warnings.catch_warnings():
        warnings.simplefilter("default")
        done = run(body)
        machine = run(body, "--json")
    assert done.stdout == "F1 0.5\n"
    assert done.stderr == "reading\nwarning: two rows are equal\n"
    assert machine.stdout == '{"f1": 0.5, "path": "a"}\n'


def test_the_backend_cannot_change_in_a_process(run):
    done = run(lambda: emit({}, "done"), "--backend", keras.backend.backend(), cls=ModelCommand)
    assert done.stdout == "done\n", done.output
    other = next(b for b in ("torch", "jax") if b != keras.backend.backend())
    done = run(lambda: None, "--backend", other, cls=ModelCommand)
    assert done.exit_code == 1
    assert f"Keras already runs on {keras.backend.backend()}" in done.stderr


CHOOSES = """
import sys
sys.argv = ["bert4keras"]
from bert4keras.cli.common import _set_backend
import importlib.util
absent, find = sys.orig_argv[-1].split(","), importlib.util.find_spec
importlib.util.find_spec = lambda name: None if name in absent else find(name)
from bert4keras.cli.errors import Failure
try:
    _set_backend(None)
except Failure as error:
    print(error.message)
else:
    import keras
    from keras.saving import get_registered_object
    print(keras.backend.backend(), bool(get_registered_object("bert4keras>MultiHeadAttention")))
"""


@pytest.mark.parametrize(
    ("absent", "given", "answer"),
    [
        ("tensorflow,jax", None, "torch True"),
        (
            "tensorflow,jax,torch,openvino",
            None,
            "no backend is installed: pip install bert4keras[tensorflow",
        ),
        ("jax", "jax", "jax is not installed: pip install bert4keras[jax]."),
    ],
)
def test_the_backend_that_is_installed(tmp_path, absent, given, answer):
    environment = {k: v for k, v in os.environ.items() if k != "KERAS_BACKEND"}
    environment |= {"KERAS_HOME": str(tmp_path)} | ({"KERAS_BACKEND": given} if given else {})
    if "torch" in answer:
        pytest.importorskip("torch")
    done = subprocess.run(
        [sys.executable, "-c", CHOOSES, absent], capture_output=True, text=True, env=environment
    )
    assert done.stdout.startswith(answer), done.stderr
