"""Saved tasks with tiny encoders, and a runner of command lines in this process."""

from __future__ import annotations

import pytest
from click.testing import CliRunner

from bert4keras.cli import main
from helpers.task_table import build


@pytest.fixture(scope="session")
def saved(tmp_path_factory):
    """Return the directory of a task by its class, saved at the first request."""
    known = {}

    def directory(name: str) -> str:
        if name not in known:
            known[name] = str(tmp_path_factory.mktemp("tasks") / name)
            build(name, "bert").save(known[name])
        return known[name]

    return directory


@pytest.fixture
def bert4keras():
    """Run the command line in this process; a result has exit_code, stdout and stderr."""

    def run(*arguments: object, stdin: str | bytes | None = None):
        return CliRunner().invoke(main, [str(one) for one in arguments], input=stdin)

    return run
