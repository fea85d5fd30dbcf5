"""Byte-level BPE and Unigram tokenizers, on the Rust `tokenizers` library."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import tokenizers as rust
from bert4keras.tokenizers.base import TokenizerBase
from bert4keras.tokenizers.frame import Frame
from bert4keras.tokenizers.rust_batch import encode_all
from bert4keras.tokenizers.texts import Span, tidy_spans, without_surrogates
from bert4keras.tokenizers.vocabulary import check_keep_tokens, read_json

# The usual names, for a tokenizer.json that does not come with a tokenizer_config.json.
_USUAL = {
    "token_start": ("[CLS]", "<s>", "<|endoftext|>"),
    "token_end": ("[SEP]", "</s>", "<|endoftext|>"),
    "token_pad": ("[PAD]", "<pad>"),
    "token_unk": ("[UNK]", "<unk>"),
    "token_mask": ("[MASK]", "<mask>"),
}
# Noncharacters, which no text has: names that no text can be cut into.
_HIDDEN = "\U0010ffff\U0010fffe"


class SubwordTokenizer(TokenizerBase):
    """A tokenizer.json with a BPE model (GPT-2, RoBERTa, ModernBERT) or a Unigram model (T5,
    XLM-R, ALBERT, DeBERTa).

    A blank in front of a word belongs to its token ("Ġthe", "▁the") but not to the token's
    offsets. Each of the tokens that make up one character of several bytes has the span of that
    character; a token that stands for no character has an empty span. Added tokens besides the
    five special ones, such as T5's "<extra_id_0>", are found in texts.

    Args:
        source: path of a tokenizer.json, or its content.
        keep_tokens: ids of the tokens to keep, numbered anew in this order (Unigram only).
        options: see `TokenizerBase`. The frame of a pair is read from the post-processor, and
            special tokens that are not named are those with one of the usual names.

    References: Sennrich et al., subword units (arXiv:1508.07909); Radford et al., GPT-2 (2019),
        for bytes; Kudo, subword regularization (arXiv:1804.10959), for Unigram.
    """

    def __init__(
        self,
        source: str | os.PathLike | Mapping[str, Any],
        keep_tokens: Sequence[int] | None = None,
        **options,
    ):
        content = dict(source) if isinstance(source, Mapping) else read_json(Path(source))
        check_kind(content, "This tokenizer.json" if isinstance(source, Mapping) else source)
        vocab = vocab_of(content)
        options = {**_guess(content, vocab), **read_frame(content.get("post_processor")), **options}
        special = {token for name, token in options.items() if name in _USUAL}
        if keep_tokens is not None:
            vocab, content = _restrict(content, vocab, keep_tokens)
        super().__init__(vocab, **options)
        self._rust = _build(content, special)
        self._always = {token["content"] for token in content.get("added_tokens") or ()}
        self._blank_id = vocab.get("▁")

    def _cut_texts(self, texts: list[str], offsets: bool) -> list[tuple[list[int], list[Span]]]:
        encodings = encode_all(self._rust, [without_surrogates(t) for t in texts], offsets)
        if not offsets:
            return [(encoding.ids, []) for encoding in encodings]
        cut = []
        for text, encoding in zip(texts, encodings, strict=True):
            ids = encoding.ids
            cut.append((ids, tidy_spans(text, ids, encoding.offsets, self._blank_id)))
        return cut

    def _join(self, tokens: list[str]) -> str:
        return self._rust.decoder.decode(tokens) if self._rust.decoder else " ".join(tokens)


def byte_pair_content(
    vocab: Mapping[str, int], merges: Sequence[str], add_prefix_space: bool = False
) -> dict[str, Any]:
    """A tokenizer.json of byte-level BPE.

    Args:
        vocab: dict token -> id.
        merges: "left right", the most important first.
        add_prefix_space: whether a text begins as if a blank stood before it.
    """
    byte_level = {"type": "ByteLevel", "trim_offsets": False, "use_regex": True}
    byte_level["add_prefix_space"] = add_prefix_space
    return {
        "version": "1.0",
        "added_tokens": [],
        "pre_tokenizer": byte_level,
        "decoder": byte_level,
        "model": {"type": "BPE", "vocab": dict(vocab), "merges": list(merges)},
    }


def model_kind(content: Mapping[str, Any]) -> str | None:
    """BPE, Unigram, WordPiece or another kind of model that a tokenizer.json holds."""
    model = content.get("model") or {}
    if "type" not in model:  # written before 2020
        return "BPE" if "merges" in model else "Unigram" if "unk_id" in model else None
    return model["type"]


def check_kind(content: Mapping[str, Any], where: str | os.PathLike) -> None:
    """Raise ValueError unless a tokenizer.json holds a BPE or a Unigram model."""
    if model_kind(content) not in ("BPE", "Unigram"):
        raise ValueError(
            f"{where} holds a {model_kind(content)} model, which is not supported; BPE and Unigram "
            "are, and WordPiece by Tokenizer.from_pretrained."
        )


def vocab_of(content: Mapping[str, Any]) -> dict[str, int]:
    """The vocabulary of a tokenizer.json, added tokens included."""
    vocab = content["model"]["vocab"]
    if not isinstance(vocab, Mapping):  # Unigram: [token, score] in the order of ids
        vocab = {token: i for i, (token, _) in enumerate(vocab)}
    added = {token["content"]: token["id"] for token in content.get("added_tokens") or ()}
    return {**vocab, **added}


def read_frame(post_processor: Mapping[str, Any] | None) -> dict[str, Any]:
    """Arguments of `TokenizerBase` that put the special tokens of a post-processor.

    There are many kinds of post-processors; what one does is read off from what it makes of a
    pair of one-word texts.
    """
    content = {
        "version": "1.0",
        "added_tokens": [],
        "post_processor": post_processor,
        "model": {"type": "WordLevel", "vocab": {"*": 0}, "unk_token": "*"},
    }
    probe = _load(content).encode("*", "*")
    first, second = (i for i, text in enumerate(probe.sequence_ids) if text is not None)
    head, tail = probe.tokens[:first], probe.tokens[second + 1 :]
    names = {**dict.fromkeys(head, "S"), **dict.fromkeys(tail, "E")}
    between = [names.get(token, "?") for token in probe.tokens[first + 1 : second]]
    pattern = "".join(["S" * len(head), "*", *between, "*", "E" * len(tail)])
    try:
        Frame.parse(pattern)
    except ValueError:
        raise ValueError(
            "tokenizer.json puts special tokens in a way that is not supported: "
            f"{' '.join(probe.tokens)}, where * is a text."
        ) from None
    options: dict[str, Any] = {"pattern": pattern, "segments": (0, 0)}
    if pattern != "**":
        options["segments"] = probe.type_ids[first], probe.type_ids[second]
    return {
        **options,
        **({"token_start": head[0]} if head else {}),
        **({"token_end": tail[0]} if tail else {}),
    }


def _guess(content: Mapping[str, Any], vocab: Mapping[str, int]) -> dict[str, str | None]:
    guess = {
        name: next((token for token in tokens if token in vocab), None)
        for name, tokens in _USUAL.items()
    }
    model = content["model"]
    if model.get("unk_id") is not None:
        guess["token_unk"] = model["vocab"][model["unk_id"]][0]
    elif model.get("unk_token") is not None:
        guess["token_unk"] = model["unk_token"]
    return guess


def _restrict(
    content: dict[str, Any], vocab: Mapping[str, int], keep_tokens: Sequence[int]
) -> tuple[dict[str, int], dict[str, Any]]:
    """The vocabulary and the content with the kept tokens alone."""
    model = content["model"]
    if model_kind(content) != "Unigram":
        raise ValueError(
            "keep_tokens needs a Unigram or WordPiece vocabulary: the merges of BPE build tokens "
            "out of others, so none can be taken away."
        )
    tokens = {i: token for token, i in vocab.items()}
    kept = {tokens[i]: n for n, i in enumerate(check_keep_tokens(keep_tokens, tokens))}
    unknown = None if model.get("unk_id") is None else model["vocab"][model["unk_id"]][0]
    if unknown is not None and unknown not in kept:
        raise ValueError(f"keep_tokens must keep the unknown token {unknown}.")
    scores = dict(model["vocab"])
    model = {
        **model,
        "vocab": [[token, scores.get(token, 0.0)] for token in kept],
        "unk_id": kept.get(unknown),
    }
    added = [
        {**token, "id": kept[token["content"]]}
        for token in content.get("added_tokens") or ()
        if token["content"] in kept
    ]
    return kept, {**content, "model": model, "added_tokens": added}


def _build(content: dict[str, Any], special: set[str | None]) -> rust.Tokenizer:
    """The Rust tokenizer: it finds added tokens in texts, but no special ones."""
    model = content["model"]
    if model_kind(content) == "Unigram":
        # Unigram would take a special token for a word, were one written in a text.
        hidden = [[_HIDDEN + t if t in special else t, score] for t, score in model["vocab"]]
        model = {**model, "vocab": hidden}
    added = [t for t in content.get("added_tokens") or () if t["content"] not in special]
    changed = {"model": model, "added_tokens": added, "post_processor": None}
    return _load({**content, **changed, "truncation": None, "padding": None})


def _load(content: Mapping[str, Any]) -> rust.Tokenizer:
    try:
        return rust.Tokenizer.from_str(json.dumps(content))
    except Exception as error:  # the library raises nothing more precise
        raise ValueError(
            f"tokenizer.json is not one that the installed tokenizers {rust.__version__} can read: "
            f"{error}. A newer release of that package may."
        ) from error
