"""Errors of the command line: one line on standard error with the way out."""

from __future__ import annotations

import contextlib
import errno
from collections.abc import Iterator

import click

DEBUG = "bert4keras.debug"  # key of the context's `meta`: show tracebacks


class Failure(click.ClickException):
    """Error that a command reports in one line; exit status 1."""

    @classmethod
    def of_usage(cls, error: click.UsageError) -> Failure:
        """Turn click's error about options or arguments into one line that names the help."""
        where = error.ctx.command_path if error.ctx else "bert4keras"
        message = error.format_message()
        if error.__class__.__name__ == "NoArgsIsHelpError":  # click's message is then the help
            message = "a command or an argument is missing."
        return cls(f"{message} See {where} --help")

    def show(self, file=None) -> None:
        click.echo(f"error: {' '.join(self.format_message().split())}", file=file, err=True)


@contextlib.contextmanager
def failures(ctx: click.Context) -> Iterator[None]:
    """Turn the errors that are raised inside into a `Failure`, unless --debug is given.

    Errors of the library about files, models and values say what to do, so their message is
    enough. Any other exception is a defect, and the message says how to see where.
    """
    try:
        yield
    except (click.ClickException, click.exceptions.Exit, click.Abort):
        raise
    except (KeyboardInterrupt, EOFError) as error:
        if ctx.meta.get(DEBUG) and isinstance(error, EOFError):
            raise
        click.echo("interrupted", err=True)
        ctx.exit(130)
    except Exception as error:
        if ctx.meta.get(DEBUG) or getattr(error, "errno", None) == errno.EPIPE:
            raise
        raise Failure(_message(error)) from error


def _message(error: Exception) -> str:
    text = str(error)
    if isinstance(error, OSError) and error.filename is not None and error.strerror:
        return f"{error.filename}: {error.strerror}"
    if isinstance(error, MemoryError):
        return f"out of memory; a smaller --batch-size or --maxlen needs less. {text}"
    if isinstance(error, (ValueError, OSError, ImportError, NotImplementedError)) and text:
        return text.replace("columns=", "--text-column C --label-column C")  # of a reader
    return f"{type(error).__name__}: {text}; --debug shows where this happened."
