"""`bert4keras download`: fetch a checkpoint into the cache."""

from __future__ import annotations

from pathlib import Path

import click

from .common import Command, emit
from .errors import Failure


@click.command("download", cls=Command)
@click.argument("name")
def command(name: str) -> None:
    """Fetch the checkpoint NAME if it is not in the cache, and print its directory.

    NAME is minilm-l6, multilingual-e5-small, multilingual-e5-small-zh-en, bert-mini-zh-en (which
    is part of the package), or hf://org/name[@revision], for which huggingface_hub is needed: pip
    install bert4keras[hub].

    Example: bert4keras download minilm-l6
    """
    from ..checkpoints import PRESETS, fetch
    from ..checkpoints.hub import is_address, resolve

    if name in PRESETS:
        directory = fetch(name)
    elif is_address(name):
        directory = resolve(name)
    else:
        here = f"; the directory {name} is here already" if Path(name).is_dir() else ""
        raise Failure(
            f"there is no checkpoint named {name!r}{here}. Names: {', '.join(PRESETS)}, or "
            "hf://org/name."
        )
    files = sorted(path.name for path in directory.iterdir() if path.is_file())
    emit({"directory": str(directory), "files": files}, str(directory))
