"""Tokenizers of the Rust library: one that finds special tokens in texts, one that does not."""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import tokenizers as rust

from .added import AddedToken
from .errors import TokenizerError, rust_errors
from .spans import Span, without_surrogates

if TYPE_CHECKING:
    from .base import TokenizerBase

# Prefix that no text has: random digits between two noncharacters of Unicode.
_HIDDEN = f"\U0010ffff{secrets.token_hex(8)}\U0010fffe"
_MAX_GAPS = 100_000


class RustPipeline:
    """Tokenizer of a tokenizer.json in which special tokens in a text can be plain text.

    The library always finds the special tokens that are added tokens. So there are two library
    tokenizers: with `special=True` the tokenizer.json as it is; otherwise one in which special
    tokens are no added tokens, and have a name in the vocabulary that no text contains.

    Args:
        content: a tokenizer.json: normalizer, pre-tokenizer, model, added tokens.
        vocab: token -> id, with the added tokens.
        special: special tokens, which are plain text in a text unless `special=True`.
    """

    def __init__(
        self, content: Mapping[str, Any], vocab: Mapping[str, int], special: Iterable[str]
    ):
        self.content = content
        self._vocab = vocab
        self._special = set(special)
        self._built: dict[bool, tuple[rust.Tokenizer, dict[int, int]]] = {}
        self._get(False)

    @property
    def tokenizer(self) -> rust.Tokenizer:
        """Tokenizer of the library to which special tokens in a text are plain text."""
        return self._get(False)[0]

    def normalize(self, text: str) -> str:
        """Apply the normalizer to a text."""
        normalizer = self.tokenizer.normalizer
        with rust_errors("A text cannot be normalized"):
            return text if normalizer is None else normalizer.normalize_str(text)

    def encode(
        self, texts: Sequence[str], offsets: bool, special: bool = False
    ) -> list[tuple[list[int], list[Span]]]:
        """Return (ids, spans) of each text; spans are empty without `offsets`."""
        tokenizer, renumber = self._get(special)
        texts = [without_surrogates(text) for text in texts]
        encodings = [
            (encoding.ids, encoding.offsets if offsets else [])
            for encoding in encode_all(tokenizer, texts, offsets)
        ]
        if renumber:
            encodings = [([renumber.get(i, i) for i in ids], spans) for ids, spans in encodings]
        return encodings

    def describe(self, tokenizer: TokenizerBase) -> dict[str, Any]:
        """Return a tokenizer.json with the special tokens and the template of a tokenizer."""
        from .post_processor import write_template

        return {**self._with_special(), "post_processor": write_template(tokenizer)}

    def _get(self, special: bool) -> tuple[rust.Tokenizer, dict[int, int]]:
        if special not in self._built:
            content = self._with_special() if special else self._without_special()
            model = content["model"]
            if isinstance(model["vocab"], Mapping):
                model = {**model, "vocab": _without_gaps(model["vocab"])}
                content = {**content, "model": model}
            built = _load_rust(content)
            # The library ignores the ids of added tokens in the file and numbers them itself.
            renumber: dict[int, int] = {}
            for token in content["added_tokens"]:
                i, ours = built.token_to_id(token["content"]), self._vocab[token["content"]]
                if i is not None and i != ours:
                    renumber[i] = ours
            taken = renumber.keys() & self._model_ids() if renumber else ()
            if taken:
                raise TokenizerError(
                    f"The ids of the vocabulary have gaps (id {min(taken)} is not below its number "
                    "of tokens), so added tokens cannot be numbered. Close the gaps."
                )
            self._built[special] = built, renumber
        return self._built[special]

    def _model_ids(self) -> set[int]:
        vocab = self.content["model"]["vocab"]
        return set(vocab.values() if isinstance(vocab, Mapping) else range(len(vocab)))

    def _with_special(self) -> dict[str, Any]:
        added = list(self.content.get("added_tokens") or ())
        known = {token["content"] for token in added}
        for token in sorted(self._special - known, key=lambda t: self._vocab.get(t, -1)):
            if token in self._vocab:
                added.append(AddedToken(token, self._vocab[token], special=True).as_json())
        return {**self.content, "added_tokens": added}

    def _without_special(self) -> dict[str, Any]:
        """Return the content without special added tokens, and with hidden names for them."""
        model, hide = self.content["model"], self._special
        vocab: dict[str, int] | list[list[Any]]
        if isinstance(model.get("vocab"), Mapping):
            # The tokens of BPE merges keep their names, which the merges refer to.
            merged = {part for merge in model.get("merges") or () for part in _parts(merge)}
            hide = hide - merged
            vocab = {_HIDDEN + t if t in hide else t: i for t, i in model["vocab"].items()}
        else:
            vocab = [[_HIDDEN + t if t in hide else t, score] for t, score in model["vocab"]]
        model = {**model, "vocab": vocab}
        if model.get("unk_token") in hide:
            model["unk_token"] = _HIDDEN + model["unk_token"]
        added = self.content.get("added_tokens") or ()
        added = [token for token in added if token["content"] not in self._special]
        return {**self.content, "model": model, "added_tokens": added}


def encode_all(
    tokenizer: rust.Tokenizer, texts: list[str], offsets: bool = True
) -> list[rust.Encoding]:
    """Encode texts without adding special tokens; several texts on all cores."""
    with rust_errors("A text cannot be tokenized"):
        if len(texts) == 1:
            return [tokenizer.encode(texts[0], add_special_tokens=False)]
        batch = tokenizer.encode_batch if offsets else tokenizer.encode_batch_fast
        return batch(texts, add_special_tokens=False)


def _load_rust(content: Mapping[str, Any]) -> rust.Tokenizer:
    """Load a tokenizer.json without truncation, padding and post-processor."""
    plain = {"truncation": None, "padding": None, "post_processor": None}
    return parse_rust({"version": "1.0", "added_tokens": [], **content, **plain})


def parse_rust(content: Mapping[str, Any]) -> rust.Tokenizer:
    """Load a tokenizer.json."""
    reading = f"tokenizer.json cannot be read by the installed tokenizers {rust.__version__}"
    try:
        with rust_errors(reading):
            return rust.Tokenizer.from_str(json.dumps(content))
    except TokenizerError as error:
        raise TokenizerError(f"{error} A newer release may.") from error.__cause__


def _without_gaps(vocab: Mapping[str, int]) -> Mapping[str, int]:
    """Fill the unused ids of a vocabulary with hidden names.

    The library numbers added tokens from the number of tokens on, so these ids must be free.
    """
    gaps = max(vocab.values(), default=-1) + 1 - len(vocab)
    if not 0 < gaps <= _MAX_GAPS:
        return vocab
    used = set(vocab.values())
    unused = (i for i in range(len(vocab) + gaps) if i not in used)
    return {**vocab, **{f"{_HIDDEN}{i}": i for i in unused}}


def _parts(merge: str | Sequence[str]) -> list[str]:
    """Return the two tokens that a merge joins, and the result."""
    pair = merge.split(" ") if isinstance(merge, str) else list(merge)
    return [*pair, "".join(pair)]
