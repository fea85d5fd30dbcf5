"""`bert4keras info`: a description of a checkpoint or task directory, read off its files."""

from __future__ import annotations

from typing import Any

import click

from .common import Command, emit

_MOST = 20  # labels that are shown


@click.command("info", cls=Command)
@click.argument("name")
def command(name: str) -> None:
    """Describe NAME: a task directory, a checkpoint, a name such as minilm-l6, or hf://org/name.

    Only files are read; no model is built. Of hf://org/name the weights are not fetched.

    Example: bert4keras info minilm-l6
    """
    from .description import describe_model

    values = describe_model(name)
    emit(values, _info_text(values))


def _info_text(values: dict[str, Any]) -> str:
    """Return the description for people, a line for each fact."""
    lines = []
    for key in ("directory", "kind", "task", "architectures", "head", "family"):
        if values.get(key):
            value = values[key]
            lines.append(_line(key, ", ".join(value) if isinstance(value, list) else value))
    sizes = values["sizes"]
    lines += [_line(key.replace("_", " "), f"{number:,}") for key, number in sizes.items()]
    if values["weights"]:
        lines.append(_line("weights", f"{values['weights']:,}"))
    if labels := values["labels"]:
        shown = ", ".join(labels[:_MOST]) + (", ..." if len(labels) > _MOST else "")
        lines.append(_line("labels", f"{len(labels)}: {shown}"))
    lines += [_line(key, _spelt(value)) for key, value in values["options"].items()]
    lines.append(_line("tokenizer", values["tokenizer"]))
    lines.append(_line("files", ", ".join(f"{f} ({_size(n)})" for f, n in values["files"].items())))
    lines += ["", "What can be done with it:"]
    lines += [f"  {use}" for use in values["uses"]]
    return "\n".join(lines)


def _line(name: str, value: Any) -> str:
    return f"{name:<20} {value}"


def _spelt(value: Any) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)


def _size(count: int) -> str:
    """Return a number of bytes in a readable unit."""
    number = float(count)
    for unit in ("B", "kB", "MB"):
        if number < 1000:
            return f"{number:.0f} {unit}" if unit == "B" else f"{number:.1f} {unit}"
        number /= 1000
    return f"{number:.1f} GB"
