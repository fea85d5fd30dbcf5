"""What a checkpoint directory says about its tokenizer."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from bert4keras.tokenizers.vocabulary import load_vocab

# Hugging Face's name of a special token -> the argument of Tokenizer.
_SPECIAL_NAMES = {
    "cls_token": "token_start",
    "sep_token": "token_end",
    "pad_token": "token_pad",
    "unk_token": "token_unk",
    "mask_token": "token_mask",
}


def read_directory(directory: Path) -> dict[str, Any]:
    """Arguments of `Tokenizer` for a directory with vocab.txt or tokenizer.json.

    Raises FileNotFoundError if it has neither, ValueError if tokenizer.json is not WordPiece.
    """
    vocab_path, json_path = directory / "vocab.txt", directory / "tokenizer.json"
    if vocab_path.exists():
        options = {"token_dict": load_vocab(vocab_path)}
        if json_path.exists():
            options.update(_normalizer_options(_read_json(json_path)))
    elif json_path.exists():
        options = _from_tokenizer_json(json_path)
    else:
        raise FileNotFoundError(
            f"{directory} has neither vocab.txt nor tokenizer.json. A tokenizer can also be made "
            "from a file: Tokenizer('path/to/vocab.txt', do_lower_case=...)."
        )
    options.update(_from_config(directory / "tokenizer_config.json"))
    if "do_lower_case" not in options:
        options["do_lower_case"] = not _has_capitals(options["token_dict"])
    return options


def _from_config(path: Path) -> dict[str, Any]:
    config = _read_json(path) if path.exists() else {}
    options = {
        ours: config[theirs]
        for theirs, ours in (
            ("do_lower_case", "do_lower_case"),
            ("strip_accents", "strip_accents"),
            ("tokenize_chinese_chars", "split_cjk"),
        )
        if config.get(theirs) is not None
    }
    for theirs, ours in _SPECIAL_NAMES.items():
        token = config.get(theirs)
        token = token.get("content") if isinstance(token, dict) else token
        if token is not None:
            options[ours] = token
    return options


def _from_tokenizer_json(path: Path) -> dict[str, Any]:
    content = _read_json(path)
    model = content.get("model") or {}
    if model.get("type") != "WordPiece" or model.get("continuing_subword_prefix", "##") != "##":
        raise ValueError(
            f"{path} describes a {model.get('type')} tokenizer; only WordPiece with the prefix "
            "'##' is supported here."
        )
    vocab = {**model["vocab"]}
    for token in content.get("added_tokens", ()):
        vocab.setdefault(token["content"], token["id"])
    options = {"token_dict": vocab, **_normalizer_options(content)}
    if "unk_token" in model:
        options["token_unk"] = model["unk_token"]
    if "max_input_chars_per_word" in model:
        options["word_maxlen"] = model["max_input_chars_per_word"]
    return options


def _normalizer_options(content: dict[str, Any]) -> dict[str, Any]:
    normalizer = content.get("normalizer") or {}
    if normalizer.get("type") != "BertNormalizer":
        return {}
    return {
        "do_lower_case": normalizer.get("lowercase", True),
        "strip_accents": normalizer.get("strip_accents"),
        "split_cjk": normalizer.get("handle_chinese_chars", True),
    }


def _has_capitals(vocab: dict[str, int]) -> bool:
    return any(
        token != token.lower() for token in vocab if not (token[0] == "[" and token[-1] == "]")
    )


def _read_json(path: Path) -> dict[str, Any]:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"{path} is not valid JSON: {error}.") from error
