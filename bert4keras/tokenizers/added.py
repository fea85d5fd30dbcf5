"""Added tokens: found in a text as they are, before it is split into words."""

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
    """Added token with the flags of Hugging Face's `tokenizers`.

    Attributes:
        content: the token.
        id: None means the id that the vocabulary gives it, or the next free one.
        single_word: True: it is not found inside a word.
        lstrip, rstrip: True: blanks before, or after, it belong to it.
        normalized: True: it is searched for in the normalized (e.g. lower-cased) text.
        special: True: it marks structure, not text.
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
        """Make an added token from a string, or from a dict of the attributes.

        Args:
            token: string, dict, or an `AddedToken`, which is returned unchanged.
            **changes: attributes (`id`, `special`, ...) that replace those of `token`.
        """
        if isinstance(token, AddedToken):
            return token
        known = {"content": token} if isinstance(token, str) else token
        names = ("content", "id", *FLAGS)
        return cls(**{**{k: known[k] for k in names if k in known}, **changes})

    def as_json(self) -> dict[str, Any]:
        """Return the entry for the list `added_tokens` of a tokenizer.json."""
        return asdict(self)

    @property
    def flags(self) -> dict[str, bool]:
        """Flags by name."""
        return {name: getattr(self, name) for name in FLAGS}


def number_added(
    vocab: Mapping[str, int], added: Iterable[AddedToken]
) -> tuple[dict[str, int], list[AddedToken]]:
    """Give every added token an id.

    Returns:
        The vocabulary with the added tokens, and the added tokens with their ids.

    Raises:
        TokenizerError: a token has another id in the vocabulary.
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
    """Splitter of texts at added tokens, as in the Rust library, for tokenizers without it.

    Args:
        added: the tokens, with ids.
        lowercase: True: tokens with `normalized` are searched for in lower-cased text.
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
        """Split a text into parts: (start, end, id of an added token or None)."""
        if self._rust is None:
            return [(0, len(text), None)]
        with rust_errors("A text cannot be searched for added tokens"):
            found = self._rust.encode(without_surrogates(text), add_special_tokens=False)
        parts = zip(found.offsets, found.ids, strict=True)
        return [(start, end, self._ids[i]) for (start, end), i in parts]
