"""Files of a tokenizer in a directory: content, special tokens and added tokens."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

from .._json import parse_json_content, read_json
from .added import AddedToken, number_added
from .errors import TokenizerError, TokenizerFilesWarning
from .read_file import read_file
from .saving import CONFIG, FILES
from .schema import (
    TEXT,
    TOKEN_KEYS,
    check_config,
    check_ours,
    check_tokenizer_json,
    check_vocab_ids,
    require,
)

# Argument -> Hugging Face's keys for this special token; the first that is given is used.
_SPECIAL_NAMES = {
    "token_start": ("cls_token", "bos_token"),
    "token_end": ("sep_token", "eos_token"),
    "token_pad": ("pad_token",),
    "token_unk": ("unk_token",),
    "token_mask": ("mask_token",),
}


class TokenizerFiles:
    """Files of a directory from which a tokenizer is made, each read once.

    Args:
        directory: the directory.

    Attributes:
        loaded: name -> content of the existing files, except for the model's config.json.
        family_from_model: class of the tokenizer if its own files do not name it, but config.json
            or the caller does.
    """

    def __init__(self, directory: Path):
        self.directory = directory
        present = [name for name in FILES if self.path(name).exists()]
        self.loaded = {name: read_file(self.path(name)) for name in present}
        self.family_from_model: str | None = None

    def path(self, name: str) -> Path:
        """Return the path of a file."""
        return self.directory / name

    def has(self, name: str) -> bool:
        """Return whether the directory has this file."""
        return name in self.loaded

    def text(self, name: str) -> str:
        """Return the content of a text file."""
        try:
            text = self.loaded[name].decode("utf-8-sig")
        except UnicodeDecodeError as error:
            raise TokenizerError(
                f"{self.path(name)} is not a text file in utf-8: {error}."
            ) from error
        return text.replace("\r\n", "\n").replace("\r", "\n")

    def json(self, name: str) -> dict[str, Any]:
        """Return the content of a JSON file; an empty dict if it does not exist."""
        if name not in self.loaded:
            return {}
        return parse_json_content(self.loaded[name], self.path(name), TokenizerError)

    @cached_property
    def tokenizer_json(self) -> dict[str, Any] | None:
        """Checked content of tokenizer.json; None if there is no such file."""
        if not self.has("tokenizer.json"):
            return None
        content = self.json("tokenizer.json")
        check_tokenizer_json(content, self.path("tokenizer.json"))
        return content

    @cached_property
    def tokenizer_config(self) -> dict[str, Any]:
        """Checked content of tokenizer_config.json, without nulls."""
        config = self.json(CONFIG)
        check_config(self.path(CONFIG), config)
        return {key: value for key, value in config.items() if value is not None}

    @cached_property
    def config(self) -> dict[str, Any]:
        """Settings of special_tokens_map.json, replaced by those of tokenizer_config.json."""
        name = "special_tokens_map.json"
        mapping = self.json(name)
        check_config(self.path(name), mapping)
        return {**mapping, **self.tokenizer_config}

    @cached_property
    def model_type(self) -> str | None:
        """Type of the model in config.json."""
        path = self.path("config.json")
        config = read_json(path, TokenizerError) if path.exists() else {}
        require(path, "model_type", config.get("model_type"), TEXT, optional=True)
        return config.get("model_type")

    @property
    def class_name(self) -> str | None:
        """Class of transformers that the files name."""
        return self.tokenizer_config.get("tokenizer_class")

    @property
    def ours(self) -> dict[str, Any]:
        """Arguments that `TokenizerBase.save` wrote."""
        ours = dict(self.tokenizer_config.get("bert4keras", {}))
        check_ours(self.path(CONFIG), ours)
        return ours

    def tell(self, message: str) -> None:
        """Warn that files contradict each other."""
        warnings.warn(f"{self.directory}: {message}", TokenizerFilesWarning, stacklevel=6)


def read_names(files: TokenizerFiles, only_first: bool = False) -> dict[str, str]:
    """Return the special tokens of the files as arguments of `TokenizerBase`."""
    options: dict[str, str] = {}
    for ours, theirs in _SPECIAL_NAMES.items():
        for name in theirs[: 1 if only_first else None]:
            token = files.config.get(name)
            token = token["content"] if isinstance(token, Mapping) else token
            if token is not None:
                options.setdefault(ours, token)
    return options


def read_added(
    files: TokenizerFiles, known: Iterable[AddedToken], vocab: Mapping[str, int]
) -> list[AddedToken]:
    """Return the added tokens of all files, with their ids and flags.

    The priority is that of transformers: tokenizer.json, then added_tokens_decoder or, without
    it, added_tokens.json, then tokens that are only listed as special tokens.

    Args:
        files: the files.
        known: added tokens of tokenizer.json.
        vocab: vocabulary of the model, token -> id.

    Raises:
        TokenizerError: two files give a token different ids.
    """
    found = {token.content: token for token in known}
    control = {name for key in TOKEN_KEYS for name in _contents(files.config.get(key))}
    for source, token in _of_config(files, control):
        old = found.get(token.content)
        if old is None:
            found[token.content] = token
            continue
        if None not in (old.id, token.id) and old.id != token.id:
            raise TokenizerError(
                f"{files.directory}: {token.content!r} has the id {token.id} in {source}, but "
                f"{old.id} in another file of this tokenizer. Correct one of them."
            )
        if old.id is None and token.id is not None:
            found[token.content] = AddedToken(token.content, token.id, **old.flags)
        if token.content not in control and source == CONFIG and old.flags != token.flags:
            files.tell(
                f"tokenizer.json and {source} give {token.content!r} different flags; those of the "
                "former are used, as in transformers."
            )
    return number_added(vocab, found.values())[1]


def _of_config(files: TokenizerFiles, control: set[str]) -> Iterable[tuple[str, AddedToken]]:
    """Yield (file, token) for the added tokens of all files except tokenizer.json."""
    listed = []
    for key in ("additional_special_tokens", "extra_special_tokens"):
        tokens = files.config.get(key) or []
        listed += tokens.values() if isinstance(tokens, Mapping) else tokens
    special = control | {name for token in listed for name in _contents(token)}
    decoder = files.tokenizer_config.get("added_tokens_decoder") or {}
    for i, token in sorted(decoder.items(), key=lambda item: int(item[0])):
        if isinstance(token, str):
            token = {"content": token, "normalized": token not in special}
        token = {"normalized": not token.get("special", False), **token}
        yield CONFIG, AddedToken.make(token, id=int(i))
    name = "added_tokens.json"
    added = files.json(name)
    check_vocab_ids(files.path(name), added)
    for token, i in sorted(added.items(), key=lambda item: item[1]):
        is_special = token in special
        yield name, AddedToken(token, i, normalized=not is_special, special=is_special)
    for token in listed:
        token = {"content": token} if isinstance(token, str) else token
        yield "special tokens", AddedToken.make(token, id=None, special=True)
    for key in TOKEN_KEYS:
        token = files.config.get(key)
        if isinstance(token, Mapping):
            yield "special tokens", AddedToken.make(token, id=None, special=True)


def _contents(token: str | Mapping[str, Any] | None) -> list[str]:
    if token is None:
        return []
    return [token if isinstance(token, str) else token["content"]]
