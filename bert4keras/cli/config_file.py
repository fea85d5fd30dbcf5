"""Options of a command from a TOML file; those of the command line win."""

from __future__ import annotations

import difflib
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import click

from .errors import Failure


def config_option(command: Callable) -> Callable:
    """Add the option --config to a command."""
    return click.option(
        "--config",
        type=click.Path(dir_okay=False, path_type=Path),
        is_eager=True,
        expose_value=False,
        callback=_apply_file,
        metavar="FILE.toml",
        help="Options by their names, such as `epochs = 3`; the command line wins.",
    )(command)


def _apply_file(ctx: click.Context, _: click.Parameter, path: Path | None) -> None:
    if path is not None:
        given = {**(ctx.default_map or {}), **_values(ctx.command, path)}
        ctx.default_map = given


def _values(command: click.Command, path: Path) -> dict[str, Any]:
    """Return the values of a file by the names of the command's parameters.

    Raises:
        Failure: no such file, no TOML, or a key that is no option; names the nearest option.
    """
    try:
        import tomllib
    except ModuleNotFoundError:  # Python 3.10
        import tomli as tomllib  # type: ignore[no-redef]
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise Failure(f"{path}: {error.strerror}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise Failure(f"{path} is no TOML: {error}") from None
    names = _settable(command)
    found = {}
    for key, value in values.items():
        plain = key.replace("_", "-")
        if plain not in names:
            near = difflib.get_close_matches(plain, names, 1)
            hint = f"did you mean {near[0]}?" if near else f"options: {', '.join(names)}."
            raise Failure(f"{path}: {key} is no option of {command.name}; {hint}")
        found[names[plain].name] = _value(names[plain], value, f"{path}: {key}")
    return found


def _settable(command: click.Command) -> dict[str, click.Parameter]:
    """Return the parameters that a file may set: long names of options, names of arguments."""
    names: dict[str, click.Parameter] = {}
    for parameter in command.params:
        if isinstance(parameter, click.Argument):
            names[parameter.human_readable_name.lower()] = parameter
        elif parameter.name != "config" and not getattr(parameter, "is_eager", False):
            options = [name for name in parameter.opts if name.startswith("--")]
            names |= {name.removeprefix("--"): parameter for name in options}
    return names


def _value(parameter: click.Parameter, value: Any, where: str) -> Any:
    """Return a value of TOML as click takes it: for an option that may be repeated a list."""
    if isinstance(value, Mapping):
        if not getattr(parameter, "multiple", False):
            raise Failure(f"{where} is a table; {parameter.name} takes one value.")
        return [f"{key}={json.dumps(part, ensure_ascii=False)}" for key, part in value.items()]
    if getattr(parameter, "multiple", False):
        return [str(part) for part in (value if isinstance(value, list) else [value])]
    if isinstance(value, list):
        raise Failure(f"{where} is a list; {parameter.name} takes one value.")
    return value
