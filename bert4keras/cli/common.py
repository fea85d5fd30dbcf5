"""Parts that all commands share: their common options, the backend, output.

    @click.command("predict", cls=ModelCommand)
    @click.argument("directory")
    def command(directory: str) -> None:
        from ..tasks import load                # with the backend that --backend asks for

        task = load(directory)
        emit({"answers": 3}, "3 answers")       # an object with --json, else the text

Import Keras, numpy and all modules of the package except `cli` inside functions only.
"""

from __future__ import annotations

import contextlib
import importlib.util
import json
import logging
import os
import sys
import tempfile
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import click

from .errors import DEBUG, Failure

BACKENDS = ("tensorflow", "jax", "torch", "openvino")  # the last one only predicts
FILE_PATH = click.Path(path_type=Path)
PRECISIONS = ("float32", "mixed_float16", "mixed_bfloat16")
OPTIMIZER_OPTIONS = (
    click.option("--weight-decay", default=0.01, type=click.FloatRange(0), show_default=True),
    click.option(
        "--clip",
        default=1.0,
        type=click.FloatRange(0),
        show_default=True,
        help="Highest norm of all gradients as one vector; 0: none.",
    ),
)
_JSON = "bert4keras.json"


def add_options(options: Sequence[Callable[[Any], Any]]) -> Callable[[Any], Any]:
    """Return a decorator that gives a command options, in this order in its help."""

    def decorate(command: Any) -> Any:
        for option in reversed(options):
            command = option(command)
        return command

    return decorate


def _kept_option(key: str) -> Callable[[click.Context, click.Parameter, Any], None]:
    """Return the callback of an option that is kept for the whole run under a key."""

    def callback(ctx: click.Context, _: click.Parameter, value: Any) -> None:
        ctx.meta[key] = value

    return callback


class Command(click.Command):
    """Command with the options --json and --debug, which needs no model."""

    def __init__(
        self, name: str | None, params: list[click.Parameter] | None = None, **options: Any
    ):
        super().__init__(name, params=[*(params or []), *self.common_options()], **options)

    def common_options(self) -> list[click.Parameter]:
        """Return the options that are added to those of the command."""
        return [
            click.Option(
                ["--json"],
                is_flag=True,
                expose_value=False,
                callback=_kept_option(_JSON),
                help="Write the result as one JSON object to standard output.",
            ),
            click.Option(
                ["--debug"],
                is_flag=True,
                is_eager=True,
                expose_value=False,
                callback=_kept_option(DEBUG),
                help="Show where an error happened.",
            ),
        ]

    def prepare(self, ctx: click.Context) -> None:
        """Prepare the process before the command runs."""

    def invoke(self, ctx: click.Context) -> None:
        with warnings.catch_warnings():
            warnings.showwarning = _show_warning
            self.prepare(ctx)
            super().invoke(ctx)


class ModelCommand(Command):
    """Command that runs a model: with --backend too."""

    def common_options(self) -> list[click.Parameter]:
        backend = click.Option(
            ["--backend"],
            type=click.Choice(BACKENDS),
            expose_value=False,
            callback=_kept_option("bert4keras.backend"),
            help="Backend of Keras. Default: $KERAS_BACKEND, Keras' file, or the one installed.",
        )
        return [backend, *super().common_options()]

    def prepare(self, ctx: click.Context) -> None:
        name = ctx.meta.get("bert4keras.backend")
        if name is None and _only_exports(ctx.params):
            from .. import register_classes

            register_classes(with_keras=False)
            return
        _set_backend(name)


def _only_exports(values: Mapping[str, Any]) -> bool:
    """Tell whether all directories among the arguments of a command are exports."""
    given = [values.get("directory"), *(values.get("sources") or ())]
    places = [Path(str(value).rpartition("=")[2]) for value in given if value]
    return bool(places) and all((place / "export.json").is_file() for place in places)


def _set_backend(name: str | None) -> None:
    """Choose the backend of Keras, then import the package with its registrations.

    Args:
        name: one of `BACKENDS`. None: that of the environment or of Keras' file, else the first of
            `BACKENDS` that is installed.

    Raises:
        Failure: it is not installed, or Keras already runs on another one.
    """
    logging.getLogger("jax").setLevel(logging.ERROR)  # that there is no GPU
    if "keras" not in sys.modules:
        name = name or os.environ.get("KERAS_BACKEND") or _default_backend()
        if name is not None:
            if name in BACKENDS and importlib.util.find_spec(name) is None:
                raise Failure(f"{name} is not installed: pip install bert4keras[{name}].")
            os.environ["KERAS_BACKEND"] = name
    if importlib.util.find_spec("keras") is None:
        raise Failure(
            f"Keras is not installed: pip install bert4keras[{BACKENDS[0]}]. Without it only "
            "exported tasks run (bert4keras export)."
        )
    with quiet_libraries():
        import keras

    from .. import register_classes

    if name is not None and keras.backend.backend() != name:
        raise Failure(
            f"--backend {name}: Keras already runs on {keras.backend.backend()} in this process."
        )
    register_classes()


@contextlib.contextmanager
def quiet_libraries() -> Iterator[None]:
    """Discard what native libraries write to standard error while they are imported.

    TensorFlow's log begins before its level can be set. It is shown if the import fails, or with
    --debug.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    context = click.get_current_context(silent=True)
    if context and context.meta.get(DEBUG):
        yield
        return
    sys.stderr.flush()
    kept = os.dup(2)
    with tempfile.TemporaryFile() as log:
        os.dup2(log.fileno(), 2)
        try:
            yield
        except BaseException:
            log.seek(0)
            os.write(kept, log.read())
            raise
        finally:
            os.dup2(kept, 2)
            os.close(kept)


def _default_backend() -> str | None:
    """Return the first backend that is installed; None if the file of Keras names one."""
    home = Path(os.environ.get("KERAS_HOME") or Path.home() / ".keras")
    if (home / "keras.json").is_file():
        return None
    for name in BACKENDS:
        if importlib.util.find_spec(name) is not None:
            return name
    raise Failure(f"no backend is installed: pip install bert4keras[{BACKENDS[0]}].")


def wants_json() -> bool:
    """Return whether --json is given."""
    return bool(click.get_current_context().meta.get(_JSON))


def emit(values: Mapping[str, Any], text: str) -> None:
    """Write the result of a command to standard output.

    Args:
        values: the result for --json; numbers of numpy become plain ones.
        text: the result for people.
    """
    if wants_json():
        text = json.dumps(values, ensure_ascii=False, default=_plain_value)
    click.echo(text)


def note(text: str) -> None:
    """Write a line for people to standard error."""
    click.echo(text, err=True)


def _plain_value(value: Any) -> Any:
    """Return a value of numpy, or a path, as one that JSON has."""
    return value.tolist() if hasattr(value, "tolist") else str(value)


def _show_warning(message, category, filename, lineno, file=None, line=None) -> None:
    note(f"warning: {' '.join(str(message).split())}")
