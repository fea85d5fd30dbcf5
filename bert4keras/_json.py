"""Strict reading of json files from other programs: configs, indexes and tokenizers."""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Any

_MAX_BYTES = 256 << 20  # the largest published tokenizer.json has 35 MB
_MAX_DEPTH = 64  # levels of lists and objects; the files of transformers have up to 8


def require_regular_file(path: str | Path, error: type[Exception] = ValueError) -> Path:
    """Return the path if it is a regular file or a link to one.

    Reading a pipe would wait for ever, and a device such as /dev/zero has no end.

    Args:
        path: path of the file.
        error: type of the error to raise.

    Raises:
        FileNotFoundError: the file does not exist.
        error: a directory, pipe, socket or device, or a path that cannot be examined.
    """
    path = Path(path)
    try:
        mode = os.stat(path).st_mode
    except FileNotFoundError:
        raise
    except (OSError, ValueError) as cause:  # a name with a NUL is a ValueError
        raise error(f"{str(path)!r} cannot be read: {cause}") from cause
    if not stat.S_ISREG(mode):
        kinds = {stat.S_IFDIR: "a directory", stat.S_IFIFO: "a pipe", stat.S_IFSOCK: "a socket"}
        kind = kinds.get(stat.S_IFMT(mode), "a device")
        raise error(f"{path} is {kind}, not a regular file. Replace it with a regular file.")
    return path


def read_json(
    path: str | Path,
    error: type[Exception] = ValueError,
    limit: int = _MAX_BYTES,
    expected: type = dict,
) -> Any:
    """Read a json object from a UTF-8 file, with or without a byte order mark.

    NaN and Infinity, and a key with two values in one object, are errors: Python's reader accepts
    them, the json standard does not.

    Args:
        path: path of the file.
        error: type of the error to raise, except for a missing file.
        limit: largest size of the file, in bytes.
        expected: `dict`, or `list` for a file that holds a list.

    Raises:
        FileNotFoundError: the file does not exist.
        error: no regular file, too large, not UTF-8 json, nested too deep, or not an object.
    """
    path = require_regular_file(path, error)
    try:
        size = path.stat().st_size
        if size > limit:
            raise error(f"{path} has {size} bytes; at most {limit} are allowed.")
        return parse_json_content(path.read_bytes(), path, error, expected)
    except OSError as cause:
        raise error(f"{path} cannot be read: {cause}") from cause


def parse_json_content(
    content: bytes | str,
    source: object,
    error: type[Exception] = ValueError,
    expected: type = dict,
) -> Any:
    """Parse the json object in a text, as strictly as `read_json`.

    Args:
        content: the text, or its UTF-8 bytes.
        source: file or other origin, named in messages.
        error: type of the error to raise.
        expected: `dict` or `list`.
    """
    try:
        text = content if isinstance(content, str) else content.decode("utf-8-sig")
        values = json.loads(text, object_pairs_hook=_object, parse_constant=_no_constant)
    except RecursionError:
        raise error(f"{source} is not a json file: {_too_deep()}") from None
    except ValueError as cause:  # bad json, bad UTF-8, a number of thousands of digits
        raise error(f"{source} is not a json file: {cause}") from cause
    if not isinstance(values, expected):
        wanted = "an object of keys" if expected is dict else "a list"
        raise error(f"{source} holds a json {type(values).__name__}, not {wanted}.")
    _require_shallow(values, source, error)
    return values


def short_repr(value: object, limit: int = 80) -> str:
    """Return the `repr` of a value, cut to `limit` characters, for a message."""
    try:
        text = repr(value)
    except (ValueError, RecursionError):  # an int of thousands of digits, a deeply nested list
        return f"a {type(value).__name__}"
    return text if len(text) <= limit else f"{text[: limit - 3]}..."


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    values = dict(pairs)
    if len(values) < len(pairs):
        for key, value in pairs:
            if values[key] != value:
                raise ValueError(f"the key {short_repr(key)} occurs twice, with different values")
    return values


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is no json number")


def _too_deep() -> str:
    return f"lists and objects are nested more than {_MAX_DEPTH} deep"


def _require_shallow(values: Mapping, source: object, error: type[Exception]) -> None:
    """Refuse deep nesting, which would be a RecursionError when copied, printed or saved."""
    level: list[Any] = [values]
    for _ in range(_MAX_DEPTH):
        level = [
            child
            for node in level
            for child in (node.values() if isinstance(node, dict) else node)
            if isinstance(child, (dict, list))
        ]
        if not level:
            return
    raise error(f"{source} is not a json file: {_too_deep()}")
