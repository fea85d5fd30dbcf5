"""Errors and warnings of tokenizers."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator


class TokenizerError(ValueError):
    """Invalid tokenizer files or arguments, or a text that cannot be tokenized.

    The message names the file, the key, the value, and what is allowed.
    """


class TokenizerNotFoundError(TokenizerError, FileNotFoundError):
    """Missing file, or a directory without the files of a tokenizer."""


class TokenizerFilesWarning(UserWarning):
    """Contradiction between two files of a tokenizer; the message says which one is used."""


class TruncationWarning(UserWarning):
    """Truncation of texts to `maxlen` by a call without `truncate=True`."""


class UnknownTokensWarning(UserWarning):
    """Text whose letters are mostly unknown to the vocabulary."""


@contextlib.contextmanager
def rust_errors(doing: str) -> Iterator[None]:
    """Turn errors of a library written in Rust or C++ into `TokenizerError`.

    A Rust panic becomes a `PanicException`, which is no subclass of `Exception`: a caller's
    `except Exception` would not catch it.

    Args:
        doing: start of the message.
    """
    try:
        yield
    except TokenizerError:
        raise
    except BaseException as error:
        if not isinstance(error, Exception) and type(error).__name__ != "PanicException":
            raise
        raise TokenizerError(f"{doing}: {error}.") from error
