"""A tokenizer.json in the Rust library: special tokens hidden from texts, or found in them."""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import tokenizers as rust

from .added import AddedToken
from .errors import TokenizerError, rust_errors
from .spans import without_surrogates

# A name that no text can be cut into: noncharacters around what nobody can guess.
_HIDDEN = f"\U0010ffff{secrets.token_hex(8)}\U0010fffe"
_MAX_GAPS = 100_000


class RustPipeline:
    """Cuts texts as a tokenizer.json says.

    Args:
        content: a tokenizer.json: normalizer, pre-tokenizer, model, added tokens.
        vocab: token -> id, with the added tokens.
        control: special tokens that a text holds as plain text unless it is cut with
            `special=True`.
    """

    def __init__(
        self, content: Mapping[str, Any], vocab: Mapping[str, int], control: Iterable[str | None]
    ):
        self.content = content
        self._vocab = vocab
        self._control = {token for token in control if token is not None}
        self._built: dict[bool, tuple[rust.Tokenizer, dict[int, int]]] = {}
        self._get(False)

    @property
    def tokenizer(self) -> rust.Tokenizer:
        """The library's tokenizer, with the special tokens hidden."""
        return self._get(False)[0]

    def normalize(self, text: str) -> str:
        """The text as the normalizer leaves it."""
        normalizer = self.tokenizer.normalizer
        with rust_errors("A text cannot be normalized"):
            return text if normalizer is None else normalizer.normalize_str(text)

    def encode(self, texts: Sequence[str], offsets: bool, special: bool = False):
        """(ids, spans) of each text; spans empty without `offsets`."""
        tokenizer, renumber = self._get(special)
        texts = [without_surrogates(text) for text in texts]
        encodings = [
            (encoding.ids, encoding.offsets if offsets else [])
            for encoding in encode_all(tokenizer, texts, offsets)
        ]
        if renumber:
            encodings = [([renumber.get(i, i) for i in ids], spans) for ids, spans in encodings]
        return encodings

    def describe(self, tokenizer) -> dict[str, Any]:
        """A tokenizer.json with the special tokens and the frame of a `TokenizerBase`."""
        from .post_processor import write_template

        return {**self._with_control(), "post_processor": write_template(tokenizer)}

    def _get(self, special: bool) -> tuple[rust.Tokenizer, dict[int, int]]:
        if special not in self._built:
            content = self._with_control() if special else self._without_control()
            model = content["model"]
            if isinstance(model["vocab"], Mapping):
                model = {**model, "vocab": _without_gaps(model["vocab"])}
                content = {**content, "model": model}
            built = load_rust(content)
            # The library numbers added tokens by itself, whatever the file says.
            renumber = {}
            for token in content["added_tokens"]:
                i, ours = built.token_to_id(token["content"]), self._vocab[token["content"]]
                if i != ours:
                    renumber[i] = ours
            taken = renumber.keys() & self._model_ids() if renumber else ()
            if taken:
                raise TokenizerError(
                    f"The ids of the vocabulary have gaps (id {min(taken)} is beyond its number of "
                    "tokens), so added tokens cannot be numbered: close the gaps."
                )
            self._built[special] = built, renumber
        return self._built[special]

    def _model_ids(self) -> set[int]:
        vocab = self.content["model"]["vocab"]
        return set(vocab.values() if isinstance(vocab, Mapping) else range(len(vocab)))

    def _with_control(self) -> dict[str, Any]:
        added = list(self.content.get("added_tokens") or ())
        known = {token["content"] for token in added}
        for token in sorted(self._control - known, key=lambda t: self._vocab.get(t, -1)):
            if token in self._vocab:
                added.append(AddedToken(token, self._vocab[token], special=True).as_json())
        return {**self.content, "added_tokens": added}

    def _without_control(self) -> dict[str, Any]:
        """Without the added tokens that are special, and with other names for them."""
        model, hide = self.content["model"], self._control
        if isinstance(model.get("vocab"), Mapping):
            # A merge of BPE needs its tokens; those that merges make are no special tokens.
            merged = {part for merge in model.get("merges") or () for part in _parts(merge)}
            hide = hide - merged
            vocab = {_HIDDEN + t if t in hide else t: i for t, i in model["vocab"].items()}
        else:
            vocab = [[_HIDDEN + t if t in hide else t, score] for t, score in model["vocab"]]
        model = {**model, "vocab": vocab}
        if model.get("unk_token") in hide:
            model["unk_token"] = _HIDDEN + model["unk_token"]
        added = self.content.get("added_tokens") or ()
        added = [token for token in added if token["content"] not in self._control]
        return {**self.content, "model": model, "added_tokens": added}


def encode_all(
    tokenizer: rust.Tokenizer, texts: list[str], offsets: bool = True
) -> list[rust.Encoding]:
    """Encodings of texts without special tokens; on all cores if there are several."""
    with rust_errors("A text cannot be tokenized"):
        if len(texts) == 1:
            return [tokenizer.encode(texts[0], add_special_tokens=False)]
        batch = tokenizer.encode_batch if offsets else tokenizer.encode_batch_fast
        return batch(texts, add_special_tokens=False)


def load_rust(content: Mapping[str, Any]) -> rust.Tokenizer:
    """The library's tokenizer of a tokenizer.json, which neither cuts, pads nor frames texts."""
    plain = {"truncation": None, "padding": None, "post_processor": None}
    return parse_rust({"version": "1.0", "added_tokens": [], **content, **plain})


def parse_rust(content: Mapping[str, Any]) -> rust.Tokenizer:
    """The library's tokenizer of a tokenizer.json."""
    reading = f"tokenizer.json is not one that the installed tokenizers {rust.__version__} can read"
    try:
        with rust_errors(reading):
            return rust.Tokenizer.from_str(json.dumps(content))
    except TokenizerError as error:
        raise TokenizerError(f"{error} A newer release of that package may.") from error.__cause__


def _without_gaps(vocab: Mapping[str, int]) -> Mapping[str, int]:
    """A vocabulary with a name that no text has for each unused id.

    The library gives added tokens the ids from the number of tokens on, which must be free.
    """
    gaps = max(vocab.values(), default=-1) + 1 - len(vocab)
    if not 0 < gaps <= _MAX_GAPS:
        return vocab
    used = set(vocab.values())
    unused = (i for i in range(len(vocab) + gaps) if i not in used)
    return {**vocab, **{f"{_HIDDEN}{i}": i for i in unused}}


def _parts(merge: str | Sequence[str]) -> list[str]:
    pair = merge.split(" ") if isinstance(merge, str) else list(merge)
    return [*pair, "".join(pair)]
