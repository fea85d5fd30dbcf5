"""Tokens that are found in a text as they are, before it is cut into words."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

import tokenizers as rust

from .errors import TokenizerError, rust_errors
from .spans import without_surrogates

FLAGS = ("single_word", "lstrip", "rstrip", "normalized", "special")


@dataclass(frozen=True)
class AddedToken:
    """An added token, with the flags of Hugging Face's `tokenizers`.

    Attributes:
        content: the token.
        id: None: that of the vocabulary, or the next free one.
        single_word: it is not found inside of a word.
        lstrip, rstrip: blanks before, and after it belong to it.
        normalized: it is searched for in the normalized (e.g. lower-cased) text.
        special: it marks structure, not text.
    """

    content: str
    id: int | None = None
    single_word: bool = False
    lstrip: bool = False
    rstrip: bool = False
    normalized: bool = False
    special: bool = False

    @classmethod
    def make(cls, token: str | Mapping[str, Any] | AddedToken, **changes) -> AddedToken:
        """Return a token given as a string, as a dict of the attributes, or as it is.

        Args:
            token: what is given.
            **changes: attributes (`id`, `special`, ...) that differ from what is given.
        """
        if isinstance(token, AddedToken):
            return token
        known = {"content": token} if isinstance(token, str) else token
        names = ("content", "id", *FLAGS)
        return cls(**{**{k: known[k] for k in names if k in known}, **changes})

    def as_json(self) -> dict[str, Any]:
        """Return an entry of the list `added_tokens` of a tokenizer.json."""
        return asdict(self)

    @property
    def flags(self) -> dict[str, bool]:
        """The flags by name."""
        return {name: getattr(self, name) for name in FLAGS}


def number_added(
    vocab: Mapping[str, int], added: Iterable[AddedToken]
) -> tuple[dict[str, int], list[AddedToken]]:
    """Give every added token an id.

    Returns:
        The vocabulary with the added tokens, and these with their ids.
    """
    vocab, numbered = dict(vocab), []
    highest = max(vocab.values(), default=-1)
    for token in added:
        known = vocab.get(token.content)
        i = known if token.id is None else token.id
        if i is None:
            i = highest + 1
        if known is not None and known != i:
            raise TokenizerError(
                f"The added token {token.content!r} should have the id {i}, but the vocabulary "
                f"gives it {known}: the files do not belong together."
            )
        highest = max(highest, i)
        vocab[token.content] = i
        numbered.append(AddedToken(token.content, i, **token.flags))
    return vocab, numbered


class AddedTokenFinder:
    """Parts texts at added tokens, as the Rust library does, for tokenizers without it.

    Args:
        added: the tokens, with ids.
        lowercase: whether tokens with `normalized` are searched for in lower-cased text.
    """

    def __init__(self, added: Iterable[AddedToken], lowercase: bool = False):
        added = list(added)
        self._ids = [None, *(token.id for token in added)]  # by the id in the Rust library
        content = {
            "version": "1.0",
            "added_tokens": [{**t.as_json(), "id": n} for n, t in enumerate(added, 1)],
            "normalizer": {"type": "Lowercase"} if lowercase else None,
            "model": {"type": "WordLevel", "vocab": {"": 0}, "unk_token": ""},
        }
        with rust_errors("The added tokens cannot be used"):
            self._rust = rust.Tokenizer.from_str(json.dumps(content)) if added else None

    def split(self, text: str) -> list[tuple[int, int, int | None]]:
        """Return (start, end, id of an added token or None) of the parts of a text, in order."""
        if self._rust is None:
            return [(0, len(text), None)]
        with rust_errors("A text cannot be searched for added tokens"):
            found = self._rust.encode(without_surrogates(text), add_special_tokens=False)
        parts = zip(found.offsets, found.ids, strict=True)
        return [(start, end, self._ids[i]) for (start, end), i in parts]
