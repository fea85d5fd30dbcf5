"""Errors and warnings of tokenizers."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator


class TokenizerError(ValueError):
    """Files or arguments that make no tokenizer, or a text that one cannot tokenize.

    The message names the file, the key, the value, and what is allowed.
    """


class TokenizerNotFoundError(TokenizerError, FileNotFoundError):
    """A directory without the files of a tokenizer, or a file that does not exist."""


class TokenizerFilesWarning(UserWarning):
    """Two files of a tokenizer contradict each other; the message says which one is used."""


class TruncationWarning(UserWarning):
    """Texts were cut to `maxlen` by a call that did not say `truncate=True`."""


class UnknownTokensWarning(UserWarning):
    """Most characters of a text are unknown to the vocabulary."""


@contextlib.contextmanager
def rust_errors(doing: str) -> Iterator[None]:
    """Raise what goes wrong in a library of another language as `TokenizerError`.

    A panic of Rust arrives as a `PanicException`, which is no `Exception`: a caller's
    `except Exception` would miss it.

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
