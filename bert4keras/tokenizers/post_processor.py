"""Conversion between the post-processor of a tokenizer.json and a template of a pair."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import tokenizers as rust

from .errors import TokenizerError, rust_errors
from .rust_pipeline import parse_rust
from .template import SpecialTokensTemplate

if TYPE_CHECKING:
    from .base import TokenizerBase

_TEXT = "*"


def read_template(
    post_processor: Mapping[str, Any] | None, vocab: Mapping[str, int] | None = None
) -> dict[str, Any]:
    """Return the arguments of `TokenizerBase` that add the special tokens of a post-processor.

    There are many types of post-processors. Instead of reading their settings, this runs one on a
    single text and on a pair of texts, each with one token, and reads the template from the result.

    Args:
        post_processor: part of a tokenizer.json.
        vocab: token -> id, which the post-processor must agree with.

    Raises:
        TokenizerError: no template gives the same result, or the ids differ from the vocabulary.
    """
    content = {
        "version": "1.0",
        "added_tokens": [],
        "post_processor": post_processor,
        "model": {"type": "WordLevel", "vocab": {_TEXT: 0}, "unk_token": _TEXT},
    }
    with rust_errors("The post_processor of tokenizer.json cannot be used"):
        tokenizer = parse_rust(content)
        single, pair = tokenizer.encode(_TEXT), tokenizer.encode(_TEXT, _TEXT)
    texts = [i for i, text in enumerate(pair.sequence_ids) if text is not None]
    if [pair.sequence_ids[i] for i in texts] != [0, 1]:
        raise _unsupported(pair)
    first, second = texts
    head, tail = pair.tokens[:first], pair.tokens[second + 1 :]
    names = {**dict.fromkeys(head, "S"), **dict.fromkeys(tail, "E")}
    between = [names.get(token, "?") for token in pair.tokens[first + 1 : second]]
    pattern = "".join(["S" * len(head), _TEXT, *between, _TEXT, "E" * len(tail)])
    try:
        SpecialTokensTemplate.parse(pattern)
    except ValueError:
        raise _unsupported(pair) from None
    if single.tokens != [*head, _TEXT, *tail]:
        raise _unsupported(single)
    for token, i in zip(pair.tokens, pair.ids, strict=True):
        if token != _TEXT and vocab is not None and vocab.get(token) != i:
            raise TokenizerError(
                f"The post_processor of tokenizer.json gives {token!r} the id {i}, but the "
                f"vocabulary {vocab.get(token)}: one of them is wrong."
            )
    options: dict[str, Any] = {"pattern": pattern, "segments": (0, 0)}
    if pattern != "**":
        options["segments"] = pair.type_ids[first], pair.type_ids[second]
        _check_segments(pair, options["segments"], len(head) + 1 + len(tail))
        _check_segments(single, options["segments"], len(single.ids))
    named = {"token_start": head, "token_end": tail}
    return {**options, **{name: tokens[0] for name, tokens in named.items() if tokens}}


def write_template(tokenizer: TokenizerBase) -> dict[str, Any]:
    """Return the post-processor that adds the special tokens of a tokenizer."""
    template, vocab = tokenizer._template(None), tokenizer.vocab
    first, second = tokenizer.segments
    tokens = {"S": tokenizer.token_start, "E": tokenizer.token_end}

    def special(letter: str, segment: int) -> dict[str, Any]:
        return {"SpecialToken": {"id": tokens[letter], "type_id": segment}}

    single = [special("S", first)] if template.head else []
    single += [{"Sequence": {"id": "A", "type_id": first}}]
    single += [special("E", first)] if template.tail else []
    pair = [*single, *([special(template.lead, second)] if template.lead else [])]
    pair += [{"Sequence": {"id": "B", "type_id": second}}]
    pair += [special("E", second)] if template.tail else []
    used = {item["SpecialToken"]["id"] for item in pair if "SpecialToken" in item}
    return {
        "type": "TemplateProcessing",
        "single": single,
        "pair": pair,
        "special_tokens": {
            token: {"id": token, "ids": [vocab[token]], "tokens": [token]} for token in used
        },
    }


def _check_segments(encoding: rust.Encoding, segments: tuple[int, int], size: int) -> None:
    """Raise TokenizerError unless segment ids are those of `TokenizerBase.encode`."""
    expected = [segments[0]] * size + [segments[1]] * (len(encoding.ids) - size)
    if encoding.type_ids != expected:
        raise TokenizerError(
            "The segment ids of tokenizer.json are not supported: "
            f"{' '.join(encoding.tokens)} has {encoding.type_ids}, only {expected} is possible."
        )


def _unsupported(encoding: rust.Encoding) -> TokenizerError:
    return TokenizerError(
        "The special tokens that tokenizer.json adds are not supported: "
        f"{' '.join(encoding.tokens)}, where * is a text."
    )
