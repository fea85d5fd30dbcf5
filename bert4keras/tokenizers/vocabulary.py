"""Vocabulary files: one token per line, whose number from 0 is the id."""

from __future__ import annotations

import os
import re
from collections.abc import Container, Iterable, Mapping, Sequence
from pathlib import Path

from .._files import atomic_file
from .characters import is_cjk, is_punctuation
from .errors import TokenizerError, TokenizerNotFoundError
from .read_file import read_file
from .scripts import ASCII, is_written_in

_COUNTED = re.compile(r"(\S+)[ \t]+\d+")
UNUSED = re.compile(r"\[unused\d+\]")
_SPECIAL_TOKENS = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")


def load_vocab(
    dict_path: str | os.PathLike,
    encoding: str = "utf-8",
    simplified: bool = False,
    startswith: Sequence[str] | None = None,
) -> dict[str, int] | tuple[dict[str, int], list[int]]:
    """Read a vocabulary file.

    A line is a token with all its blanks, as in Hugging Face's tokenizers. If every line has a
    count behind its token, the counts are ignored.

    Args:
        dict_path: text file with one token per line; a byte order mark and CRLF are accepted.
        encoding: encoding of the file.
        simplified: drop the tokens that the tokenizer can never produce, such as "##中" or
            "[unused1]", and renumber the rest.
        startswith: tokens at the beginning of a simplified vocabulary; by default, the special
            tokens of the file.

    Returns:
        The dict token -> id; if simplified, also the list of old ids, the argument `keep_tokens`
        of `build_transformer_model`: the token with the new id n had the id `keep_tokens[n]`.

    Raises:
        TokenizerNotFoundError: no such file.
        TokenizerError: not a vocabulary: a line is empty, occurs twice, or has blanks around its
            token; the message has its number.
    """
    token_dict = parse_vocab(read_vocab_lines(Path(dict_path), encoding), dict_path)
    if not simplified:
        return token_dict
    if startswith is None:
        startswith = [token for token in _SPECIAL_TOKENS if token in token_dict]
    absent = [token for token in startswith if token not in token_dict]
    if absent:
        raise TokenizerError(f"startswith names tokens that {dict_path} does not have: {absent}.")
    tokens = dict.fromkeys(startswith)
    tokens.update(dict.fromkeys(token for token in token_dict if not _is_redundant(token)))
    return {token: i for i, token in enumerate(tokens)}, [token_dict[token] for token in tokens]


def save_vocab(
    path: str | os.PathLike, token_dict: Mapping[str, int], encoding: str = "utf-8"
) -> None:
    """Write a vocabulary file, replacing an old one atomically.

    Args:
        path: file to write.
        token_dict: token -> id; the ids are 0, 1, 2 ... without gaps.
        encoding: encoding of the file.
    """
    tokens = sorted(token_dict, key=token_dict.__getitem__)
    if [token_dict[token] for token in tokens] != list(range(len(tokens))):
        raise TokenizerError(
            f"Cannot write {path}: the ids must be 0 ... {len(tokens) - 1}, each once, because the "
            "line number is the id."
        )
    broken = [token for token in tokens if not fits_on_line(token)]
    if broken:
        raise TokenizerError(
            f"Cannot write {path}: tokens that do not fit on a line: {broken[:5]}."
        )
    with atomic_file(path) as new, open(new, "w", encoding=encoding, newline="\n") as file:
        file.writelines(f"{token}\n" for token in tokens)


def _is_redundant(token: str) -> bool:
    """Return whether a longer token has a character that BERT always splits off."""
    stem = token[2:] if token.startswith("##") else token
    return len(token) > 1 and any(is_cjk(char) or is_punctuation(char) for char in stem)


def is_chinese_or_english(token: str) -> bool:
    """Return whether a token has only ASCII, Chinese characters, punctuation and symbols."""
    return is_written_in(token, (ASCII, "Han"))


def check_keep_tokens(keep_tokens: Iterable[int], known: Container[int]) -> list[int]:
    """Return ids as a list; TokenizerError unless all are known and each occurs once."""
    keep_tokens = [int(i) for i in keep_tokens]
    absent = [i for i in keep_tokens if i not in known]
    if absent:
        raise TokenizerError(f"keep_tokens has ids that no token has: {absent[:5]}.")
    if len(set(keep_tokens)) != len(keep_tokens):
        raise TokenizerError("keep_tokens has the same id twice.")
    return keep_tokens


def fits_on_line(token: str) -> bool:
    """Return whether `load_vocab` can read a token back from a vocabulary file."""
    inner = token.strip(" \t")
    counted = _COUNTED.fullmatch(token) is not None
    return not (
        "\n" in token or "\r" in token or not token or counted or 0 < len(inner) < len(token)
    )


def read_vocab_lines(path: Path, encoding: str = "utf-8") -> list[str]:
    """Return the lines of a vocabulary file, without the empty ones at its end."""
    if path.is_dir():
        raise TokenizerError(
            f"{path} is a directory: use Tokenizer.from_pretrained, or name the file."
        )
    if not path.exists():
        raise TokenizerNotFoundError(f"There is no vocabulary file {path}.")
    return parse_vocab_lines(read_file(path), path, encoding)


def parse_vocab_lines(data: bytes, path: str | os.PathLike, encoding: str = "utf-8") -> list[str]:
    """Return the lines of the content of a vocabulary file; see `read_vocab_lines`."""
    if encoding.lower().replace("_", "-") in ("utf-8", "utf8"):
        encoding = "utf-8-sig"
    try:
        text = data.decode(encoding)
    except UnicodeDecodeError as error:
        raise TokenizerError(f"{path} is not a text file in {encoding}: {error}.") from error
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    return text.rstrip("\n").split("\n")


def parse_vocab(lines: Sequence[str], path: str | os.PathLike) -> dict[str, int]:
    """Return the dict token -> id of the lines of a vocabulary file; see `load_vocab`."""
    counted = [_COUNTED.fullmatch(line) for line in lines]
    if all(counted):
        lines = [match[1] for match in counted if match]
    token_dict: dict[str, int] = {}
    for number, line in enumerate(lines):
        where = f"Line {number + 1} of {path}"
        inner = line.strip(" \t")  # a token may itself be a blank
        if not line:
            raise TokenizerError(f"{where} is empty; without it, all later ids would be shifted.")
        if counted[number] and not all(counted):
            raise TokenizerError(
                f"{where} is {line!r}, which looks like a token with a count, but other lines have "
                "no count. Remove the counts: each line must be one token."
            )
        if inner and inner != line:
            raise TokenizerError(
                f"{where} is {line!r}: a token with blanks around it is never found in a text. "
                "Remove them."
            )
        if line in token_dict:
            raise TokenizerError(
                f"{path} has the token {line!r} twice, in lines {token_dict[line] + 1} and "
                f"{number + 1}; the line number is the id, so every token must occur once."
            )
        token_dict[line] = number
    return token_dict
