"""A runner of command lines in this process."""

from __future__ import annotations

import pytest
from click.testing import CliRunner

from bert4keras.cli import main


@pytest.fixture
def bert4keras():
    """Run the command line in this process; a result has exit_code, stdout and stderr."""

    def run(*arguments: object, stdin: str | bytes | None = None):
        return CliRunner().invoke(main, [str(one) for one in arguments], input=stdin)

    return run
