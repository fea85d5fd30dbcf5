"""`bert4keras convert`: a checkpoint in another format."""

from __future__ import annotations

import contextlib
from pathlib import Path

import click

from .common import ModelCommand, emit, quiet_libraries, wants_json

FORMATS = ("google", "huggingface")


@click.command("convert", cls=ModelCommand)
@click.argument("source")
@click.argument("destination", type=click.Path(path_type=Path))
@click.option(
    "--format",
    type=click.Choice(FORMATS),
    help="Default: google for a destination *.ckpt, else huggingface.",
)
@click.option("--force", is_flag=True, help="Replace an existing destination.")
@click.option("--max-shard-size", metavar="SIZE", help="Split files above, such as 2GB.")
def command(
    source: str, destination: Path, format: str | None, force: bool, max_shard_size: str | None
) -> None:
    """Convert the checkpoint SOURCE and write DESTINATION.

    SOURCE is a directory, a *.safetensors file, a TensorFlow prefix *.ckpt, a name such as
    minilm-l6, or hf://org/name. Its config and vocabulary are converted too. Tensors that are left
    out are listed.

    Example: bert4keras convert chinese_bert/bert_model.ckpt out --format huggingface
    """
    from ..checkpoints import PRESETS, convert, fetch

    if format is None:
        format = "google" if destination.suffix == ".ckpt" else "huggingface"
    if source in PRESETS and not Path(source).exists():
        source = str(fetch(source))
    if (
        format == "google"
        or source.endswith((".ckpt", ".index"))
        or any(Path(source).glob("*.index"))
    ):
        with quiet_libraries(), contextlib.suppress(ImportError):  # `convert` says if it is absent
            import tensorflow  # noqa: F401
    done = convert(
        source,
        destination,
        format,
        overwrite=force,
        progress=not wants_json(),
        max_shard_size=max_shard_size,
    )
    values = {"files": [str(path) for path in done.files], "tensors": len(done.tensors)}
    values |= {"ignored": dict(done.ignored), "unexpected": list(done.unexpected)}
    emit(values, str(done))
