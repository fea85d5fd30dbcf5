"""Tokens without which the kept tokens of a tokenizer.json cannot be made."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

_BYTE = re.compile(r"<0x[0-9A-F]{2}>")


def unknown_token(content: Mapping[str, Any]) -> str | None:
    """Return the unknown token of the model of a tokenizer.json, or None."""
    model = content["model"]
    if isinstance(model["vocab"], list):
        number = model.get("unk_id")
        return None if number is None else model["vocab"][number][0]
    return model.get("unk_token")


def required_tokens(content: Mapping[str, Any], kept: Iterable[str]) -> set[str]:
    """Return the tokens of the model that a smaller vocabulary must have.

    - The unknown token.
    - Bytes, so that every text can be written: those of byte-level BPE, and "<0x00>", ... of
      models that fall back to bytes.
    - BPE: the tokens that a kept one can be merged from, and those that these are merged from.
    - Unigram: a piece with the lowest score, which the penalty of unknown characters depends on.

    Args:
        content: a tokenizer.json.
        kept: tokens to keep.
    """
    model = content["model"]
    found = {unknown_token(content)} - {None}
    if isinstance(model["vocab"], list):
        scores = dict(model["vocab"])
        if model.get("byte_fallback"):
            found.update(filter(_BYTE.fullmatch, scores))
        return {*found, min(scores, key=scores.__getitem__)}
    vocab = model["vocab"]
    suffix = model.get("end_of_word_suffix") or ""
    if model.get("byte_fallback"):
        found.update(filter(_BYTE.fullmatch, vocab))
    if "ByteLevel" in {
        *_step_types(content.get("pre_tokenizer")),
        *_step_types(content.get("decoder")),
    }:
        found.update(token for token in vocab if len(token) == 1)
        found.update(token for token in vocab if suffix and len(token.removesuffix(suffix)) == 1)
    sources: dict[str, set[str]] = {}
    for merge in model.get("merges") or ():
        left, right, result = merge_of(merge, model)
        sources.setdefault(result, set()).update((left, right))
    open_tokens = [*found, *kept]
    while open_tokens:
        new = sources.get(open_tokens.pop(), set()) - found
        found |= new
        open_tokens.extend(new)
    return found


def required_pieces(scores: Mapping[str, float], is_bpe: bool, kept: Iterable[str]) -> set[str]:
    """Return the pieces of a SentencePiece model that a smaller one must have.

    As `required_tokens`; BPE of SentencePiece merges any two pieces whose concatenation is one.

    Args:
        scores: piece -> score, without control symbols and bytes.
        is_bpe: True for BPE, False for Unigram.
        kept: pieces to keep.
    """
    if not is_bpe:
        return {min(scores, key=scores.__getitem__)} if scores else set()
    found: set[str] = set()
    open_pieces = [*kept]
    while open_pieces:
        piece = open_pieces.pop()
        halves = ((piece[:at], piece[at:]) for at in range(1, len(piece)))
        parts = {part for pair in halves if scores.keys() >= {*pair} for part in pair}
        open_pieces.extend(parts - found)
        found |= parts
    return found


def merge_of(merge: str | Iterable[str], model: Mapping[str, Any]) -> tuple[str, str, str]:
    """Return the two tokens that a merge joins, and the result."""
    left, right = merge.split(" ") if isinstance(merge, str) else merge
    prefix = model.get("continuing_subword_prefix") or ""
    return left, right, left + right[len(prefix) :]


def _step_types(step: Mapping[str, Any] | None) -> Iterator[str]:
    """Yield the types of a pre-tokenizer or decoder, and of the steps inside it."""
    if step is not None:
        yield step.get("type", "")
        for key in ("pretokenizers", "decoders"):
            for inner in step.get(key) or ():
                yield from _step_types(inner)
