"""Arguments of a WordPiece tokenizer from the files of a directory."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from .classes import is_generic_class
from .directory import TokenizerFiles, read_added, read_names
from .errors import TokenizerError
from .post_processor import read_template
from .saving import CONFIG
from .subword import added_of, model_vocab
from .vocabulary import parse_vocab, parse_vocab_lines

# Key of tokenizer_config.json -> (argument of `Tokenizer`, key of BERT's normalizer).
_SETTINGS = {
    "do_lower_case": ("do_lower_case", "lowercase"),
    "strip_accents": ("strip_accents", "strip_accents"),
    "tokenize_chinese_chars": ("split_cjk", "handle_chinese_chars"),
}


def word_piece_options(files: TokenizerFiles, given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the arguments of `Tokenizer` for a directory.

    Args:
        files: files of the directory.
        given: arguments of the caller, which have priority.
    """
    content = files.tokenizer_json
    _refuse_settings(files)
    if content is None:
        path = files.path("vocab.txt")
        options: dict[str, Any] = {
            "token_dict": parse_vocab(parse_vocab_lines(files.loaded["vocab.txt"], path), path)
        }
    else:
        _compare_vocabularies(files, content)
        options = _from_tokenizer_json(files, content, given)
    _add_settings(files, options)
    known = () if content is None else added_of(content)
    options["added_tokens"] = read_added(files, known, options["token_dict"])
    template: dict[str, Any] = {
        name: options[name] for name in ("token_start", "token_end") if name in options
    }
    options = {**options, **read_names(files, only_first=True), **template}
    if "do_lower_case" not in options and "normalizer" not in options.get("pipeline", {}):
        options["do_lower_case"] = not _has_capitals(options["token_dict"])
    return options


def _from_tokenizer_json(
    files: TokenizerFiles, content: Mapping[str, Any], given: Mapping[str, Any]
) -> dict[str, Any]:
    model, path = content["model"], files.path("tokenizer.json")
    options: dict[str, Any] = {"token_dict": model_vocab(content)}
    names = {"unk_token": "token_unk", "max_input_chars_per_word": "word_maxlen"}
    names["continuing_subword_prefix"] = "prefix"
    options |= {ours: model[theirs] for theirs, ours in names.items() if theirs in model}
    unknown = read_names(files).get("token_unk")
    if unknown is not None and options.get("token_unk", unknown) != unknown:
        raise TokenizerError(
            f"{path}: model.unk_token is {model['unk_token']!r}, but unk_token of "
            f"{files.path(CONFIG)} is {unknown!r}. Correct one of them."
        )
    pipeline: dict[str, Any] = {}
    normalizer: Any = content.get("normalizer")
    if _is_berts(normalizer):
        for ours, theirs in _SETTINGS.values():
            options[ours] = normalizer[theirs]
    else:
        pipeline["normalizer"] = normalizer
        changed = sorted({ours for ours, _ in _SETTINGS.values()} & given.keys())
        if changed:
            raise TokenizerError(
                f"{changed[0]}= has no effect: the normalizer of {path} is not BERT's, but "
                f"{(normalizer or {}).get('type')!r}."
            )
    if (content.get("pre_tokenizer") or {}).get("type") != "BertPreTokenizer":
        pipeline["pre_tokenizer"] = content.get("pre_tokenizer")
    if pipeline:
        options["pipeline"] = pipeline
    if content.get("post_processor") or is_generic_class(files.class_name, fast=True):
        vocab = {**options["token_dict"], **{t.content: t.id for t in added_of(content)}}
        options.update(read_template(content.get("post_processor"), vocab))
    return options


def _add_settings(files: TokenizerFiles, options: dict[str, Any]) -> None:
    """Apply the settings of tokenizer_config.json as transformers' `BertTokenizer` does."""
    config = files.tokenizer_config
    if "normalizer" in options.get("pipeline", {}):
        return  # another normalizer ignores these settings, as in transformers
    for theirs, (ours, _) in _SETTINGS.items():
        if theirs not in config:
            continue
        old = options.get(ours, config[theirs])
        if old != config[theirs] and is_generic_class(files.class_name, fast=True):
            files.tell(
                f"{theirs} is {config[theirs]} in {CONFIG}, but {old} in tokenizer.json, which is "
                f"used because the class is {files.class_name}."
            )
            continue
        if old != config[theirs]:
            files.tell(
                f"{theirs} is {config[theirs]} in {CONFIG}, but {old} in tokenizer.json. The "
                "former is used, as in transformers."
            )
        options[ours] = config[theirs]
    for theirs, ours in (
        ("wordpieces_prefix", "prefix"),
        ("max_input_chars_per_word", "word_maxlen"),
    ):
        if config.get(theirs, options.get(ours)) != options.get(ours, config.get(theirs)):
            raise TokenizerError(
                f"{files.directory}: {theirs} is {config[theirs]!r} in {CONFIG}, but "
                f"{options[ours]!r} in tokenizer.json. Correct one of them."
            )
        if theirs in config:
            options[ours] = config[theirs]


def _refuse_settings(files: TokenizerFiles) -> None:
    config = files.tokenizer_config
    special = {*read_names(files).values(), "[UNK]", "[SEP]", "[PAD]", "[CLS]", "[MASK]"}
    if not config.get("do_basic_tokenize", True):
        raise TokenizerError(
            f"do_basic_tokenize: False of {files.path(CONFIG)} is not supported: words would be "
            "split at blanks only. Split the text yourself and pass the list of tokens to encode."
        )
    if not special.issuperset(config.get("never_split", ())):
        raise TokenizerError(
            f"never_split: {config['never_split']} of {files.path(CONFIG)} is not supported. "
            "Remove it and make them added tokens: from_pretrained(..., added_tokens=[...])."
        )


def _compare_vocabularies(files: TokenizerFiles, content: Mapping[str, Any]) -> None:
    """Raise TokenizerError unless vocab.txt has the vocabulary of tokenizer.json."""
    if not files.has("vocab.txt"):
        return
    path = files.path("vocab.txt")
    listed = {line: n for n, line in enumerate(parse_vocab_lines(files.loaded["vocab.txt"], path))}
    known = {**model_vocab(content), **{t.content: t.id for t in added_of(content)}}
    for token, n in listed.items():
        if known.get(token) != n:
            raise TokenizerError(
                f"Line {n + 1} of {path} is {token!r}, so its id is {n}, but it is "
                f"{known.get(token)} in tokenizer.json beside it. Remove the wrong file."
            )


def _is_berts(normalizer: Mapping[str, Any] | None) -> bool:
    keys = {theirs for _, theirs in _SETTINGS.values()}
    return (
        normalizer is not None
        and normalizer.get("type") == "BertNormalizer"
        and normalizer.get("clean_text") is True
        and keys <= normalizer.keys()
        and all(normalizer[key] in (True, False, None) for key in keys)
    )


def _has_capitals(vocab: Mapping[str, int]) -> bool:
    return any(token != token.lower() for token in vocab if not re.fullmatch(r"\[.*\]", token))
