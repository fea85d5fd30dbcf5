"""Vocabulary files: one token a line, the line number is the id."""

from __future__ import annotations

import json
import os
from collections.abc import Container, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from bert4keras._files import replace_file
from bert4keras.tokenizers.characters import is_cjk, is_punctuation

SPECIAL_TOKENS = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")


def load_vocab(
    path: str | os.PathLike,
    encoding: str = "utf-8",
    simplified: bool = False,
    startswith: Sequence[str] | None = None,
) -> dict[str, int] | tuple[dict[str, int], list[int]]:
    """Read a vocabulary file.

    Args:
        path: text file with one token a line; a byte order mark and CRLF are accepted.
        encoding: of the file.
        simplified: drop the tokens that the tokenizer can never produce, such as "##中" or
            "[unused1]", and number the rest anew.
        startswith: the tokens which come first in a simplified vocabulary; the special tokens
            that the file has, unless given.

    Returns:
        The dict token -> id; if simplified, also the list of old ids, which belongs into
        `build_transformer_model(keep_tokens=...)`.
    """
    token_dict = _parse(Path(path), encoding)
    if not simplified:
        return token_dict
    if startswith is None:
        startswith = [token for token in SPECIAL_TOKENS if token in token_dict]
    absent = [token for token in startswith if token not in token_dict]
    if absent:
        raise ValueError(f"startswith names tokens that {path} does not have: {absent}.")
    tokens = dict.fromkeys(startswith)
    tokens.update(dict.fromkeys(token for token in token_dict if not is_redundant(token)))
    return {token: i for i, token in enumerate(tokens)}, [token_dict[token] for token in tokens]


def save_vocab(
    path: str | os.PathLike, token_dict: Mapping[str, int], encoding: str = "utf-8"
) -> None:
    """Write a vocabulary file, replacing an old one atomically.

    Args:
        path: the file to write.
        token_dict: token -> id, the ids being 0, 1, 2 ... without gaps.
        encoding: of the file.
    """
    tokens = sorted(token_dict, key=token_dict.__getitem__)
    if [token_dict[token] for token in tokens] != list(range(len(tokens))):
        raise ValueError(
            f"Cannot write {path}: the ids must be 0 ... {len(tokens) - 1}, each once, because the "
            "line number is the id."
        )
    broken = [token for token in tokens if not token or "\n" in token or "\r" in token]
    if broken:
        raise ValueError(f"Cannot write {path}: tokens that do not fit on a line: {broken[:5]}.")
    with replace_file(path) as new, open(new, "w", encoding=encoding, newline="\n") as file:
        file.writelines(f"{token}\n" for token in tokens)


def is_redundant(token: str) -> bool:
    """Whether a token of several characters holds one that BERT always splits off."""
    stem = token[2:] if token.startswith("##") else token
    return len(token) > 1 and any(is_cjk(char) or is_punctuation(char) for char in stem)


def is_chinese_or_english(token: str) -> bool:
    """Whether a token has only ASCII, Chinese characters and punctuation."""
    return all(char.isascii() or is_cjk(char) or is_punctuation(char) for char in token)


def read_json(path: Path) -> dict[str, Any]:
    """The object in a JSON file; ValueError if it holds none."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"{path} is not valid JSON: {error}.") from error
    if not isinstance(content, dict):
        raise ValueError(f"{path} holds a JSON {type(content).__name__}, not an object.")
    return content


def check_keep_tokens(keep_tokens: Iterable[int], known: Container[int]) -> list[int]:
    """Raise ValueError unless the ids are known and each occurs once; return them as a list."""
    keep_tokens = [int(i) for i in keep_tokens]
    absent = [i for i in keep_tokens if i not in known]
    if absent:
        raise ValueError(f"keep_tokens has ids that no token has: {absent[:5]}.")
    if len(set(keep_tokens)) != len(keep_tokens):
        raise ValueError("keep_tokens has the same id twice.")
    return keep_tokens


def _parse(path: Path, encoding: str) -> dict[str, int]:
    if path.is_dir():
        raise ValueError(f"{path} is a directory: use Tokenizer.from_pretrained, or name the file.")
    if not path.exists():
        raise FileNotFoundError(f"There is no vocabulary file {path}.")
    if encoding.lower().replace("_", "-") in ("utf-8", "utf8"):
        encoding = "utf-8-sig"
    try:
        lines = path.read_text(encoding=encoding).rstrip("\n").split("\n")
    except UnicodeDecodeError as error:
        raise ValueError(f"{path} is not a text file in {encoding}: {error}.") from error
    token_dict: dict[str, int] = {}
    for number, line in enumerate(lines):
        # What follows a blank is a count in some vocabularies; a token may itself be a blank.
        token = line.split()[0] if line.strip() else line
        if not token:
            raise ValueError(
                f"Line {number + 1} of {path} is empty; leaving it out would shift all later ids."
            )
        if token in token_dict:
            raise ValueError(
                f"{path} has the token {token!r} twice, in lines {token_dict[token] + 1} and "
                f"{number + 1}; the line number is the id, so every token must occur once."
            )
        token_dict[token] = number
    return token_dict
