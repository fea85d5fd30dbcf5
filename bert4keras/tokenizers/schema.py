"""Checks of the JSON files of a tokenizer before they are used."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from .added import FLAGS
from .errors import TokenizerError
from .template import PATTERN

_MAX_IDS = 10_000_000  # the largest published vocabularies have about a million
_ALGORITHMS = ("BPE", "Unigram", "WordPiece")
_Check = tuple[Callable[[Any], bool], str]  # test of a value, and what it allows, in words


def _is_bool(value) -> bool:
    return isinstance(value, bool)


def _is_int(low: int, high: int) -> Callable[[Any], bool]:
    return lambda value: type(value) is int and low <= value <= high


def _is_text(value) -> bool:
    return isinstance(value, str) and value != ""


def _is_token(value) -> bool:
    return _is_text(value) or (isinstance(value, Mapping) and _is_text(value.get("content")))


def _is_token_list(value) -> bool:
    if isinstance(value, Mapping):
        value = list(value.values())
    return isinstance(value, list) and all(map(_is_token, value))


def _is_text_list(value) -> bool:
    return isinstance(value, list) and all(map(_is_text, value))


def _is_object(value) -> bool:
    return isinstance(value, Mapping)


def _are_segments(value) -> bool:
    return isinstance(value, list) and len(value) == 2 and all(type(v) is int for v in value)


def _is_pattern(value) -> bool:
    return isinstance(value, str) and PATTERN.fullmatch(value) is not None


def _are_ids(value) -> bool:
    return value is None or (isinstance(value, list) and all(map(_is_int(0, _MAX_IDS), value)))


def _is_translation(value) -> bool:
    return isinstance(value, Mapping) and all(isinstance(v, str) for v in value.values())


BOOL: _Check = (_is_bool, "true or false")
TEXT: _Check = (_is_text, "a string that is not empty")
_TOKEN_ENTRY: _Check = (_is_token, 'a token, or an object with the token as "content"')
TOKENS: _Check = (_is_token_list, "a list of tokens (or an object name -> token)")
_OBJECT: _Check = (_is_object, "an object")
_ID: _Check = (_is_int(0, _MAX_IDS - 1), f"an id from 0 to {_MAX_IDS - 1}")

TOKEN_KEYS = tuple(f"{name}_token" for name in ("bos", "eos", "unk", "sep", "pad", "cls", "mask"))
# Keys of tokenizer_config.json and special_tokens_map.json; null counts as absent.
_CONFIG: dict[str, _Check] = {
    **dict.fromkeys(TOKEN_KEYS, _TOKEN_ENTRY),
    **dict.fromkeys(("additional_special_tokens", "extra_special_tokens"), TOKENS),
    **dict.fromkeys(
        ("do_lower_case", "strip_accents", "tokenize_chinese_chars", "do_basic_tokenize"), BOOL
    ),
    **dict.fromkeys(("split_by_punct", "keep_accents", "remove_space", "legacy"), BOOL),
    **dict.fromkeys(("add_prefix_space", "add_bos_token", "add_eos_token"), BOOL),
    **dict.fromkeys(("tokenizer_class", "wordpieces_prefix"), TEXT),
    "never_split": (_is_text_list, "a list of strings"),
    "max_input_chars_per_word": (_is_int(1, 10_000), "a number from 1 to 10000"),
    "extra_ids": (_is_int(0, 10_000), "a number from 0 to 10000"),
    **dict.fromkeys(("sp_model_kwargs", "added_tokens_decoder", "auto_map", "bert4keras"), _OBJECT),
}
_NAME: _Check = (lambda value: value is None or isinstance(value, str), "a string or null")
# Arguments under the key "bert4keras": of every tokenizer, and of an `SpTokenizer`.
_OURS: dict[str, _Check] = {
    "class": (lambda value: value == "SpTokenizer", "SpTokenizer"),
    "pattern": (_is_pattern, "a pattern of a pair of texts such as S*E*E"),
    "segments": (_are_segments, "two numbers"),
    "token_translate": (_is_translation, "an object token -> token"),
    "pre_tokenize": BOOL,
    **dict.fromkeys(("token_start", "token_end", "token_pad", "token_unk", "token_mask"), _NAME),
}
_OURS_SP: dict[str, _Check] = {
    **dict.fromkeys(("first_tokens", "last_tokens"), (_is_text_list, "a list of tokens")),
    "keep_tokens": (_are_ids, "null, or a list of ids"),
    "added_tokens": TOKENS,
    **dict.fromkeys(("do_lower_case", "strip_accents", "plain_quotes"), BOOL),
}


def require(
    where: str | os.PathLike, key: str, value: Any, check: _Check, optional: bool = False
) -> None:
    """Raise TokenizerError naming file, key, value and what is allowed, unless it is allowed."""
    accepts, allowed = check
    if (optional and value is None) or accepts(value):
        return
    shown = repr(value)
    shown = shown if len(shown) <= 60 else f"{shown[:57]}..."
    raise TokenizerError(f"{where}: {key} is {shown}; it must be {allowed}.")


def check_config(where: str | os.PathLike, config: Mapping[str, Any]) -> None:
    """Check a tokenizer_config.json or special_tokens_map.json."""
    for key, check in _CONFIG.items():
        require(where, key, config.get(key), check, optional=True)
    for i, token in (config.get("added_tokens_decoder") or {}).items():
        number = int(i) if i.isascii() and i.isdigit() and len(i) < 10 else i
        require(where, "an id of added_tokens_decoder", number, _ID)
        require(where, f"added_tokens_decoder.{i}", token, _TOKEN_ENTRY)
        _check_flags(where, f"added_tokens_decoder.{i}", token)


def check_vocab_ids(where: str | os.PathLike, vocab: Mapping[str, Any]) -> None:
    """Check a vocab.json or added_tokens.json, an object token -> id."""
    wrong = next((token for token, i in vocab.items() if not _ID[0](i)), None)
    if wrong is not None:
        require(where, f"the id of {wrong!r}", vocab[wrong], _ID)


def check_ours(where: str | os.PathLike, ours: Mapping[str, Any]) -> None:
    """Check the arguments that `TokenizerBase.save` wrote under the key "bert4keras"."""
    known = {**_OURS, **(_OURS_SP if ours.get("class") == "SpTokenizer" else {})}
    wrong = [name for name in ours if name not in known]
    if wrong:
        raise TokenizerError(
            f"{where}: bert4keras has the key {wrong[0]!r}; known are {', '.join(known)}. Was it "
            "written by a newer release?"
        )
    for key in ours:
        require(where, f"bert4keras.{key}", ours[key], known[key])
    for n, token in enumerate(ours.get("added_tokens", ())):
        _check_flags(where, f"bert4keras.added_tokens[{n}]", token)


def check_tokenizer_json(content: Mapping[str, Any], where: str | os.PathLike) -> None:
    """Check the parts of a tokenizer.json that this package reads; Rust checks the rest."""
    model: Any = content.get("model")
    require(where, "model", model, _OBJECT)
    require(where, "model.type", model.get("type"), TEXT, optional=True)
    if model.get("type") not in (None, *_ALGORITHMS):
        raise TokenizerError(
            f"{where} holds a {model['type']} model, which is not supported. Supported: "
            f"{', '.join(_ALGORITHMS)}."
        )
    vocab = model.get("vocab")
    is_list: _Check = (lambda value: isinstance(value, list), "a list of pairs [token, score]")
    if model.get("type", "Unigram" if isinstance(vocab, list) else None) != "Unigram":
        require(where, "model.vocab", vocab, (_is_object, "an object token -> id"))
        check_vocab_ids(where, vocab)
    else:
        is_pair: _Check = (_is_scored_piece, "a pair [token, score]")
        require(where, "model.vocab", vocab, is_list)
        _require_items(where, "model.vocab", vocab, is_pair)
        unk: _Check = (_is_int(0, len(vocab) - 1), "null or the number of an entry of model.vocab")
        require(where, "model.unk_id", model.get("unk_id"), unk, optional=True)
    if not vocab:
        raise TokenizerError(f"{where}: model.vocab is empty. It must have at least one token.")
    _check_model_options(model, where)
    added = content.get("added_tokens")
    a_list: _Check = (lambda value: isinstance(value, list), "a list")
    require(where, "added_tokens", added, a_list, optional=True)
    for n, token in enumerate(added or ()):
        require(where, f"added_tokens[{n}]", token, _OBJECT)
        require(where, f"added_tokens[{n}].content", token.get("content"), TEXT)
        require(where, f"added_tokens[{n}].id", token.get("id"), _ID)
        _check_flags(where, f"added_tokens[{n}]", token)
    for key in ("normalizer", "pre_tokenizer", "post_processor", "decoder"):
        require(where, key, content.get(key), _OBJECT, optional=True)


def _require_items(where: str | os.PathLike, key: str, items: Sequence[Any], check: _Check) -> None:
    for n, item in enumerate(items):
        if not check[0](item):
            require(where, f"{key}[{n}]", item, check)


def _check_model_options(model: Mapping[str, Any], where: str | os.PathLike) -> None:
    a_list: _Check = (lambda value: isinstance(value, list), "a list")
    text: _Check = (lambda value: isinstance(value, str), "a string")
    chars = _CONFIG["max_input_chars_per_word"]
    require(where, "model.merges", model.get("merges"), a_list, optional=True)
    is_merge: _Check = (_is_merge, 'two tokens: "a b" or ["a", "b"]')
    _require_items(where, "model.merges", model.get("merges") or (), is_merge)
    for key in ("unk_token", "continuing_subword_prefix"):
        require(where, f"model.{key}", model.get(key), text, optional=True)
    key = "max_input_chars_per_word"
    require(where, f"model.{key}", model.get(key), chars, optional=True)


def _check_flags(where: str | os.PathLike, key: str, token: Any) -> None:
    if isinstance(token, Mapping):
        for flag in FLAGS:
            if flag in token:
                require(where, f"{key}.{flag}", token[flag], BOOL)


def _is_scored_piece(pair: Any) -> bool:
    return (
        isinstance(pair, list)
        and len(pair) == 2
        and isinstance(pair[0], str)
        and type(pair[1]) in (int, float)
        and abs(pair[1]) < 1e30
    )


def _is_merge(merge: Any) -> bool:
    parts = merge.split(" ") if isinstance(merge, str) else merge
    return isinstance(parts, list) and len(parts) == 2 and all(isinstance(p, str) for p in parts)
