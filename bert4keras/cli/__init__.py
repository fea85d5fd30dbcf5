"""The command line: `bert4keras COMMAND`, or `python -m bert4keras COMMAND`.

Each command is a module of this package with a click command called `command`. It is imported only
when it runs, so the help and wrong usage are answered without Keras. Commands are thin: they
turn options into calls of `bert4keras.tasks`.
"""

from __future__ import annotations

import functools
import importlib
import sys
from typing import Any

import click

from .errors import Failure, failures

__all__ = ["main"]

# Name -> its line in the help. The module is called like the command, with "_" for "-".
COMMANDS = {
    "train": "Train a task on a file, and write a task directory.",
    "pretrain": "Train a language model on raw texts, and write a checkpoint.",
    "predict": "Answer the texts of a file or of standard input.",
    "evaluate": "Score a task on a labelled file, and show its errors.",
    "debug-data": "Check labelled files before training.",
    "find-threshold": "Choose the threshold of a task on a labelled file.",
    "info": "Describe a checkpoint or a task directory.",
    "convert": "Convert a checkpoint to another format.",
    "export": "Write a task so that it runs without Keras.",
    "serve": "Answer over HTTP.",
    "benchmark": "Measure speed and memory of a task directory.",
    "download": "Fetch a checkpoint, and print its directory.",
}


class _LazyGroup(click.Group):
    """Group of commands that are imported when they run."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        module = importlib.import_module(f".{cmd_name.replace('-', '_')}", __name__)
        return module.command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))

    def invoke(self, ctx: click.Context) -> Any:
        with failures(ctx):
            return super().invoke(ctx)

    def main(self, *args: Any, standalone_mode: bool = True, **options: Any) -> Any:
        """Run the command line; wrong usage too is reported in one line."""
        run = functools.partial(super().main, *args, standalone_mode=False, **options)
        if not standalone_mode:
            return run()
        try:
            status = run()
        except click.UsageError as error:
            Failure.of_usage(error).show()
            status = error.exit_code
        except click.ClickException as error:
            error.show()
            status = error.exit_code
        except click.Abort:
            status = 130
        sys.exit(status)


def _print_version(ctx: click.Context, _: click.Parameter, wanted: bool) -> None:
    if wanted and not ctx.resilient_parsing:
        from .. import __version__

        click.echo(f"bert4keras {__version__}")
        ctx.exit()


@click.group("bert4keras", cls=_LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--version",
    is_flag=True,
    expose_value=False,
    is_eager=True,
    callback=_print_version,
    help="Print the version.",
)
def main() -> None:
    """Train, use and serve BERT-family models for tasks on texts.

    `bert4keras COMMAND --help` describes a command. Results are on standard output, everything else
    on standard error. Exit status: 0 done, 1 failed, 2 wrong usage, 130 interrupted.
    """
