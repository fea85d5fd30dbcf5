"""The command `serve`."""

from __future__ import annotations

from typing import Any

import click

from .common import ModelCommand, note

# Name of the option, its default in `serving.ServerSettings`, its type, and its help.
_LIMITS = (
    ("max-batch", 32, int, "Largest number of texts in a batch."),
    (
        "max-wait",
        0.005,
        float,
        "Seconds that a model waits at most for further texts before a batch.",
    ),
    ("queue", 2048, int, "Largest number of texts that wait for a model (else 429)."),
    ("max-streams", 8, int, "Largest number of streams that a model generates at once (else 429)."),
    ("timeout", 30.0, float, "Seconds until a request is given up (504)."),
    ("body-timeout", 10.0, float, "Seconds in which a request must have arrived (408)."),
    ("max-body", 4 << 20, int, "Largest number of bytes of a request (413)."),
    ("max-texts", 1024, int, "Largest number of texts of a request (413)."),
    ("max-characters", 200_000, int, "Largest number of characters of a request (413)."),
)


def _with_limits(command: Any) -> Any:
    for name, default, kind, text in reversed(_LIMITS):
        option = click.option(f"--{name}", type=kind, default=default, show_default=True, help=text)
        command = option(command)
    return command


@click.command("serve", cls=ModelCommand)
@click.argument("sources", nargs=-1, required=True, metavar="DIR...")
@click.option(
    "--host",
    default="127.0.0.1",
    show_default=True,
    help="Address to listen at; the default is reached from this machine only.",
)
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=8000,
    show_default=True,
    help="0: any free one.",
)
@click.option(
    "--key",
    envvar="BERT4KERAS_KEY",
    show_envvar=True,
    help="Clients must send 'Authorization: Bearer KEY'. Others may see the option in the list of "
    "processes, but not the variable.",
)
@click.option(
    "--log-level",
    type=click.Choice(["error", "warning", "info", "debug"]),
    default="info",
    show_default=True,
    help="With debug, each request is logged.",
)
@_with_limits
def command(
    sources: tuple[str, ...], host: str, port: int, key: str | None, log_level: str, **limits: Any
) -> None:
    """Answer over HTTP for the tasks in directories.

    DIR is a task directory, a fine-tuned checkpoint, an address hf://org/name, or a directory of
    such directories. NAME=DIR serves a task under another name than that of its directory.

    The server's page to try the tasks is at /, its routes are at /docs. It stops at Ctrl-C or
    SIGTERM, after it has answered what it has taken.
    """
    from ..serving import ServerSettings, open_tasks, run

    settings = ServerSettings(**limits, key=key or None)
    tasks = open_tasks(sources)
    for name, task in tasks.items():
        note(f"/v1/tasks/{name}: {type(task).__name__}")
    note(f"try them at http://{f'[{host}]' if ':' in host else host}:{port or '...'}/")
    run(tasks, host, port, settings, log_level)
