"""Reading of a file that others wrote."""

from __future__ import annotations

import os
from pathlib import Path

from .._json import require_regular_file
from .errors import TokenizerError

# Parsed JSON of this size takes less than 2 GB. The largest published tokenizer.json has 35 MB.
_MAX_FILE_BYTES = 64 << 20


def read_file(path: str | os.PathLike) -> bytes:
    """Return the content of a regular file.

    Raises:
        FileNotFoundError: no such file.
        TokenizerError: the file is not regular (a directory, a pipe, a device), too large, or
            cannot be read.
    """
    file = require_regular_file(Path(path), TokenizerError)
    try:
        size = file.stat().st_size
        if size > _MAX_FILE_BYTES:
            raise TokenizerError(f"{path} has {size:,} bytes, more than {_MAX_FILE_BYTES:,}.")
        return file.read_bytes()
    except OSError as error:
        raise TokenizerError(f"{path} cannot be read: {error.strerror or error}.") from error
