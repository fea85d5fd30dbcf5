"""Byte-level BPE and Unigram tokenizers, based on the Rust `tokenizers` library."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from .._json import parse_json_content
from .added import AddedToken, number_added
from .base import TokenizerBase
from .core import Encoding
from .errors import TokenizerError, rust_errors
from .post_processor import read_template
from .read_file import read_file
from .required import merge_of, required_tokens, unknown_token
from .rust_pipeline import RustPipeline
from .saving import dump
from .schema import check_tokenizer_json
from .spans import tidy_spans
from .vocabulary import check_keep_tokens

# Usual names of the special tokens, for a tokenizer.json without a tokenizer_config.json.
_USUAL = {
    "token_start": ("[CLS]", "<s>", "<|endoftext|>"),
    "token_end": ("[SEP]", "</s>", "<|endoftext|>"),
    "token_pad": ("[PAD]", "<pad>"),
    "token_unk": ("[UNK]", "<unk>"),
    "token_mask": ("[MASK]", "<mask>"),
}


class SubwordTokenizer(TokenizerBase):
    """BPE tokenizer (GPT-2, RoBERTa, ModernBERT) or Unigram tokenizer (T5, XLM-R, ALBERT,
    DeBERTa) of a tokenizer.json.

    The blank before a word is part of its token ("Ġthe", "▁the"), but not of the token's span. If
    a character of several bytes has several tokens, each has the span of the character; a token
    without a character of the text has an empty span. Added tokens other than the five special
    ones, such as T5's "<extra_id_0>", are found in texts.

    Args:
        source: path of a tokenizer.json, or its content.
        keep_tokens: ids of the tokens to keep; their order gives the new ids. BPE also needs the
            tokens that they are merged from, which `used_tokens` and `select_vocabulary` include.
        added_tokens: more added tokens: strings, or dicts with the keys of `AddedToken`.
        options: see `TokenizerBase`. The template of a pair is read from the post-processor;
            special tokens that are not given are those with one of the usual names.

    References: Sennrich et al., subword units (arXiv:1508.07909); Radford et al., GPT-2 (2019),
        for bytes; Kudo, subword regularization (arXiv:1804.10959), for Unigram.
    """

    def __init__(
        self,
        source: str | os.PathLike | Mapping[str, Any],
        keep_tokens: Sequence[int] | None = None,
        added_tokens: Sequence[str | Mapping[str, Any] | AddedToken] = (),
        **options,
    ):
        if isinstance(source, Mapping):
            content, where = dict(source), "This tokenizer.json"
        else:
            where = os.fspath(source)
            content = parse_json_content(read_file(source), source, TokenizerError)
        check_tokenizer_json(content, where)
        check_algorithm(content, where)
        added = [AddedToken.make(token) for token in (*added_of(content), *added_tokens)]
        vocab, added = number_added(model_vocab(content), added)
        content["added_tokens"] = [token.as_json() for token in added]
        options = {
            **_guess(content, vocab),
            **read_template(content.get("post_processor"), vocab),
            **options,
        }
        if keep_tokens is not None:
            vocab, content = _restrict(content, vocab, keep_tokens)
        super().__init__(vocab, **options)
        self._pipeline = RustPipeline(content, self.vocab, self._special)
        self._find_added(AddedToken.make(token) for token in content["added_tokens"])
        self._protected = {token["content"] for token in content["added_tokens"]}
        self._blank_id = vocab.get("▁")

    def _with_required(self, ids: Iterable[int]) -> list[int]:
        kept = {self._tokens[i] for i in super()._with_required(ids)}
        kept |= required_tokens(self._pipeline.content, kept)
        return sorted(self.vocab[token] for token in kept)

    def _tokenize_texts(
        self, texts: list[str], offsets: bool, special: bool = False
    ) -> list[Encoding]:
        encodings = self._pipeline.encode(texts, offsets, special)
        if not offsets:
            return encodings
        pairs = zip(texts, encodings, strict=True)
        return [(ids, tidy_spans(text, ids, spans, self._blank_id)) for text, (ids, spans) in pairs]

    def _describe(self) -> tuple[dict[str, bytes], dict[str, Any]]:
        config = {"tokenizer_class": "PreTrainedTokenizerFast"}
        return {"tokenizer.json": dump(self._pipeline.describe(self))}, config

    def _join(self, tokens: list[str]) -> str:
        decoder = self._pipeline.tokenizer.decoder
        with rust_errors("These tokens cannot be decoded"):
            return decoder.decode(tokens) if decoder else " ".join(tokens)


def byte_pair_content(
    vocab: Mapping[str, int], merges: Sequence[str], add_prefix_space: bool = False
) -> dict[str, Any]:
    """Return the tokenizer.json of byte-level BPE.

    Args:
        vocab: dict token -> id.
        merges: "left right", the one to apply first at the beginning.
        add_prefix_space: True: a text is tokenized as if it began with a blank.
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


def algorithm_of(content: Mapping[str, Any]) -> str | None:
    """Return the algorithm of a tokenizer.json: "BPE", "Unigram", "WordPiece" or another one."""
    model = content.get("model") or {}
    if "type" not in model:  # written before 2020
        marks = {"merges": "BPE", "unk_id": "Unigram", "max_input_chars_per_word": "WordPiece"}
        return next((kind for key, kind in marks.items() if key in model), None)
    return model["type"]


def check_algorithm(content: Mapping[str, Any], where: str | os.PathLike) -> None:
    """Raise TokenizerError unless a tokenizer.json holds a BPE or a Unigram model."""
    if algorithm_of(content) not in ("BPE", "Unigram"):
        raise TokenizerError(
            f"{where} holds a {algorithm_of(content)} model, which is not supported. BPE and "
            "Unigram are supported, and WordPiece by Tokenizer.from_pretrained."
        )
    if content["model"].get("dropout"):
        raise TokenizerError(
            f"{where}: dropout {content['model']['dropout']!r} of its BPE model makes the "
            "tokens of a text random, which is not supported; set it to null."
        )


def model_vocab(content: Mapping[str, Any]) -> dict[str, int]:
    """Return the vocabulary of a tokenizer.json, without added tokens."""
    vocab = content["model"]["vocab"]
    if isinstance(vocab, Mapping):
        return dict(vocab)
    return {token: i for i, (token, _) in enumerate(vocab)}  # Unigram: in the order of ids


def added_of(content: Mapping[str, Any]) -> list[AddedToken]:
    """Return the added tokens of a tokenizer.json, with its ids."""
    return [AddedToken.make(token) for token in content.get("added_tokens") or ()]


def _guess(content: Mapping[str, Any], vocab: Mapping[str, int]) -> dict[str, str | None]:
    """Return the special tokens with usual names; the unknown token is the model's."""
    guess = {
        name: next((token for token in tokens if token in vocab), None)
        for name, tokens in _USUAL.items()
    }
    unknown = unknown_token(content)
    return guess if unknown is None else {**guess, "token_unk": unknown}


def _restrict(
    content: dict[str, Any], vocab: Mapping[str, int], keep_tokens: Sequence[int]
) -> tuple[dict[str, int], dict[str, Any]]:
    """Reduce a vocabulary to the kept tokens, which are numbered in the order given.

    Scores of Unigram and merges of BPE stay. An added token that is no token of the model becomes
    one (with the score 0); it is never used to tokenize, only found.

    Returns:
        Vocabulary and content of the reduced tokenizer.json.
    """
    model = content["model"]
    tokens = {i: token for token, i in vocab.items()}
    kept = {tokens[i]: n for n, i in enumerate(check_keep_tokens(keep_tokens, tokens))}
    unknown = unknown_token(content)
    if unknown is not None and unknown in vocab and unknown not in kept:
        raise TokenizerError(f"keep_tokens must keep the unknown token {unknown}.")
    if algorithm_of(content) == "Unigram":
        scores = dict(model["vocab"])
        model = {
            **model,
            "vocab": [[token, scores.get(token, 0.0)] for token in kept],
            "unk_id": None if unknown is None else kept[unknown],
        }
    else:
        absent = sorted(required_tokens(content, kept) - kept.keys())
        if absent:
            raise TokenizerError(
                f"keep_tokens must keep {absent[0]!r} (id {vocab[absent[0]]}), from which BPE "
                f"merges other tokens; it lacks {len(absent)} such tokens or bytes. used_tokens, "
                "select_vocabulary and prune_tokenizer include them."
            )
        merges = [m for m in model["merges"] if kept.keys() >= {*merge_of(m, model)}]
        model = {**model, "vocab": kept, "merges": merges}
    added = [
        {**token, "id": kept[token["content"]]}
        for token in content["added_tokens"]
        if token["content"] in kept
    ]
    return kept, {**content, "model": model, "added_tokens": added}
