"""`bert4keras convert`: a checkpoint in another format."""

from __future__ import annotations

import contextlib
from functools import partial
from pathlib import Path

import click

from .common import ModelCommand, emit, quiet_libraries, wants_json
from .errors import Failure

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
@click.option(
    "--keep-tokens-of",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    multiple=True,
    metavar="FILE",
    help="Keep only the tokens of the lines of a text file; may be given repeatedly.",
)
@click.option(
    "--keep-scripts",
    metavar="NAMES",
    help="Keep only the tokens written in scripts, such as Han,ASCII; digits, punctuation and "
    "symbols stay.",
)
@click.option(
    "--split",
    type=click.Choice(("none", "punctuation", "characters")),
    default="none",
    help="Of the kept tokens, drop those that join punctuation, or also Chinese characters.",
)
@click.option("--max-tokens", type=int, help="Keep at most so many, the most frequent ones.")
def command(
    source: str,
    destination: Path,
    format: str | None,
    force: bool,
    max_shard_size: str | None,
    keep_tokens_of: tuple[Path, ...],
    keep_scripts: str | None,
    split: str,
    max_tokens: int | None,
) -> None:
    """Convert the checkpoint SOURCE and write DESTINATION, with a smaller vocabulary if asked to.

    SOURCE is a directory, a *.safetensors file, a TensorFlow prefix *.ckpt, a name such as
    minilm-l6, or hf://org/name. Its config and vocabulary are converted too. Tensors that are left
    out are listed. Of a saved task, a checkpoint that transformers opens is written.

    Example: bert4keras convert chinese_bert/bert_model.ckpt out --format huggingface
    Example: bert4keras convert multilingual-e5-small out --keep-tokens-of mine.txt
    Example: bert4keras convert my_tagger for_transformers
    """
    if (Path(source) / "task.json").is_file():
        if keep_tokens_of or keep_scripts or max_shard_size or format == "google":
            raise Failure("a task is converted whole, to the format huggingface in one file.")
        _convert_task(source, destination, force)
        return
    from ..checkpoints import convert
    from ..data import read_lines
    from ..tokenizers import select_vocabulary

    keep = None
    if keep_tokens_of or keep_scripts:
        keep = partial(
            select_vocabulary,
            texts=(line for path in keep_tokens_of for line in read_lines(path)),
            scripts=[name.strip() for name in (keep_scripts or "").split(",") if name.strip()],
            split=split,
            max_tokens=max_tokens,
        )
    elif split != "none" or max_tokens is not None:
        raise Failure(
            "--split and --max-tokens choose among the tokens to keep: give --keep-scripts or "
            "--keep-tokens-of too."
        )
    if format is None:
        format = "google" if destination.suffix == ".ckpt" else "huggingface"
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
        keep_tokens=keep,
    )
    values = {"files": [str(path) for path in done.files], "tensors": len(done.tensors)}
    values |= {"ignored": dict(done.ignored), "unexpected": list(done.unexpected)}
    emit(values, str(done))


def _convert_task(source: str, destination: Path, force: bool) -> None:
    """Write a saved task for transformers."""
    from .. import tasks

    with quiet_libraries():
        task = tasks.load(source)
    if not hasattr(task, "save_huggingface"):
        known = [name for name, cls in tasks.TASKS.items() if hasattr(cls, "save_huggingface")]
        raise Failure(
            f"{source} holds a {type(task).__name__}; transformers has classes for "
            f"{', '.join(known)}."
        )
    if destination.is_file():
        raise Failure(f"{destination} is a file; a task becomes a directory.")
    if destination.is_dir() and any(destination.iterdir()) and not force:
        raise Failure(f"{destination} exists; give another destination, or --force.")
    task.save_huggingface(destination)
    files = sorted(path.name for path in destination.iterdir())
    emit({"directory": str(destination), "files": files}, f"{destination}: {', '.join(files)}")
