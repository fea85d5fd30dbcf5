"""The tokenizer of a checkpoint directory, from the files that are found there."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bert4keras.checkpoints.hub import resolve
from bert4keras.tokenizers.base import TokenizerBase
from bert4keras.tokenizers.families import FRAMES, LAYOUTS, find_family
from bert4keras.tokenizers.sentencepiece import SpTokenizer
from bert4keras.tokenizers.subword import (
    SubwordTokenizer,
    byte_pair_content,
    check_kind,
    model_kind,
    read_frame,
    vocab_of,
)
from bert4keras.tokenizers.vocabulary import load_vocab, read_json
from bert4keras.tokenizers.wordpiece import Tokenizer

# Hugging Face's names of a special token, the first that is given counts -> our argument.
_SPECIAL_NAMES = {
    "token_start": ("cls_token", "bos_token"),
    "token_end": ("sep_token", "eos_token"),
    "token_pad": ("pad_token",),
    "token_unk": ("unk_token",),
    "token_mask": ("mask_token",),
}
# File name -> the one family that uses it, if there is only one.
_MODEL_FILES = {
    "sentencepiece.bpe.model": "xlm-roberta",
    "spm.model": "deberta-v2",
    "spiece.model": None,
    "sentencepiece.model": None,
}


def load_tokenizer(
    directory: str | os.PathLike, family: str | None = None, **options
) -> TokenizerBase:
    """See `TokenizerBase.from_pretrained`."""
    directory = resolve(directory, weights=False)
    if not directory.is_dir():
        raise FileNotFoundError(
            f"{directory} is not a directory. A tokenizer can also be made from a file: "
            "Tokenizer('path/to/vocab.txt', do_lower_case=...), SubwordTokenizer("
            "'path/to/tokenizer.json') or SpTokenizer('path/to/spiece.model', ...)."
        )
    config = _read_config(directory)
    json_path = directory / "tokenizer.json"
    content = read_json(json_path) if json_path.exists() else None
    kind = content and model_kind(content)
    has_list = (directory / "vocab.txt").exists()
    if kind == "WordPiece" or (has_list and kind not in ("BPE", "Unigram")):
        return Tokenizer(**{**_read_word_piece(directory, content, config), **options})
    if content is not None:
        check_kind(content, json_path)
        frame = read_frame(content.get("post_processor"))
        return SubwordTokenizer(content, **{**_read_names(config), **frame, **options})
    if (directory / "vocab.json").exists() or (directory / "merges.txt").exists():
        return _load_byte_pair(directory, family, config, options)
    models = [name for name in _MODEL_FILES if (directory / name).exists()]
    if models:
        return _load_sentencepiece(directory / models[0], family, config, options)
    raise FileNotFoundError(
        f"{directory} has neither tokenizer.json nor vocab.txt, nor vocab.json with merges.txt, "
        f"nor a SentencePiece model ({', '.join(_MODEL_FILES)}). A tokenizer can also be made from "
        "a file of any name: Tokenizer('path/to/vocab.txt', do_lower_case=...) or SpTokenizer("
        "'path/to/a.model', ...)."
    )


def _read_config(directory: Path) -> dict[str, Any]:
    """What the JSON files say; the key "added" is a dict token -> id."""
    files = ("special_tokens_map.json", "tokenizer_config.json", "added_tokens.json", "config.json")
    mapping, config, added, model = (
        read_json(directory / name) if (directory / name).exists() else {} for name in files
    )
    for i, token in config.get("added_tokens_decoder", {}).items():
        added = {**added, token["content"]: int(i)}
    merged = {**mapping, **{key: value for key, value in config.items() if value is not None}}
    return {**merged, "added": added, "model_type": model.get("model_type")}


def _read_names(config: Mapping[str, Any], only_first: bool = False) -> dict[str, str]:
    """Arguments naming the special tokens."""
    options = {}
    for ours, theirs in _SPECIAL_NAMES.items():
        for name in theirs[: 1 if only_first else None]:
            token = config.get(name)
            token = token.get("content") if isinstance(token, dict) else token
            if token is not None and ours not in options:
                options[ours] = token
    return options


def _read_word_piece(
    directory: Path, content: dict[str, Any] | None, config: Mapping[str, Any]
) -> dict[str, Any]:
    path = directory / "vocab.txt"
    if path.exists():
        options: dict[str, Any] = {"token_dict": load_vocab(path)}
    else:
        options = _from_word_piece_json(directory / "tokenizer.json", content)
    normalizer = (content or {}).get("normalizer") or {}
    if normalizer.get("type") == "BertNormalizer":
        options["do_lower_case"] = normalizer.get("lowercase", True)
        options["strip_accents"] = normalizer.get("strip_accents")
        options["split_cjk"] = normalizer.get("handle_chinese_chars", True)
    if (content or {}).get("post_processor"):
        options.update(read_frame(content["post_processor"]))
    for theirs, ours in (
        ("do_lower_case", "do_lower_case"),
        ("strip_accents", "strip_accents"),
        ("tokenize_chinese_chars", "split_cjk"),
    ):
        if config.get(theirs) is not None:
            options[ours] = config[theirs]
    options.update(_read_names(config, only_first=True))
    if "do_lower_case" not in options:
        options["do_lower_case"] = not _has_capitals(options["token_dict"])
    return options


def _from_word_piece_json(path: Path, content: dict[str, Any]) -> dict[str, Any]:
    model = content["model"]
    prefix = model.get("continuing_subword_prefix", "##")
    if prefix != "##":
        raise ValueError(
            f"{path} describes a WordPiece tokenizer with the prefix {prefix!r}; only '##' is "
            "supported."
        )
    names = {"unk_token": "token_unk", "max_input_chars_per_word": "word_maxlen"}
    options = {ours: model[theirs] for theirs, ours in names.items() if theirs in model}
    return {"token_dict": vocab_of(content), **options}


def _load_byte_pair(directory: Path, family, config, options) -> SubwordTokenizer:
    paths = directory / "vocab.json", directory / "merges.txt"
    for path, other in (paths, paths[::-1]):
        if not path.exists():
            raise FileNotFoundError(
                f"{directory} has {other.name} but no {path.name}; byte-level BPE needs both. "
                "Fetch the other file of the same checkpoint, or its tokenizer.json."
            )
    vocab = read_json(paths[0])
    if any(token.endswith("</w>") for token in vocab):
        raise ValueError(
            f"{paths[0]} marks ends of words with </w>, so it is not byte-level BPE and not "
            "supported; take a tokenizer.json of the same checkpoint."
        )
    guess = "roberta" if "<mask>" in vocab else "gpt2" if "<|endoftext|>" in vocab else None
    family = _family(family, config, guess, paths[0])
    merges = _read_merges(paths[1], vocab)
    content = byte_pair_content(vocab, merges, bool(config.get("add_prefix_space")))
    flags = dict.fromkeys(("single_word", "lstrip", "rstrip", "normalized", "special"), False)
    content["added_tokens"] = [
        {"content": token, "id": i, **flags}
        for token, i in sorted(config["added"].items(), key=lambda item: item[1])
    ]
    return SubwordTokenizer(content, **{**FRAMES[family], **_read_names(config), **options})


def _read_merges(path: Path, vocab: Mapping[str, int]) -> list[str]:
    lines = path.read_text(encoding="utf-8").split("\n")
    merges = [line for line in lines if line.strip() and not line.startswith("#version")]
    for line in merges:
        pair = line.split(" ")
        if len(pair) != 2 or not {*pair, "".join(pair)} <= vocab.keys():
            raise ValueError(
                f"{path} does not belong to the vocab.json beside it: it merges {line!r}, which "
                "are not two tokens of that vocabulary whose union is one too."
            )
    return merges


def _load_sentencepiece(path: Path, family, config, options) -> SpTokenizer:
    family = _family(family, config, _MODEL_FILES[path.name], path)
    layout = dict(LAYOUTS.get(family, {}))
    if family == "t5" and config.get("extra_ids") is not None:
        layout["last_tokens"] = [f"<extra_id_{i}>" for i in reversed(range(config["extra_ids"]))]
    if family in ("albert", "deberta-v2"):
        if config.get("split_by_punct"):
            raise ValueError(
                f"split_by_punct of {path.parent / 'tokenizer_config.json'} is not supported; take "
                "a tokenizer.json of the same checkpoint."
            )
        layout["do_lower_case"] = config.get("do_lower_case", layout.get("do_lower_case", False))
    if "keep_accents" in config and family == "albert":
        layout["strip_accents"] = not config["keep_accents"]
    added = config["added"]
    layout["last_tokens"] = (*layout.get("last_tokens", ()), *sorted(added, key=added.get))
    made = SpTokenizer(path, **{**FRAMES[family], **layout, **_read_names(config), **options})
    wrong = [token for token, i in added.items() if made.vocab.get(token) != i]
    if wrong and not {"keep_tokens", "first_tokens", "last_tokens"} & options.keys():
        raise ValueError(
            f"{path.parent} says that {wrong[0]!r} has the id {added[wrong[0]]}, but by the layout "
            f"of {family} it is {made.vocab.get(wrong[0])}. Give the right family=, or the layout: "
            "first_tokens=, last_tokens=."
        )
    return made


def _family(given: str | None, config, guess: str | None, path: Path) -> str:
    named = [given] if given else [config.get("model_type"), config.get("tokenizer_class")]
    named = [name for name in named if name]
    found = [find_family(name) for name in named if find_family(name)]
    if not found and not named and guess:
        found = [guess]
    if not found:
        raise ValueError(
            f"Which special tokens belong to {path}? "
            f"{'Nothing beside it says so' if not named else f'{named[0]!r} is not known'}. "
            "Tokenizer.from_pretrained(directory, family=...) names a family like it: "
            f"{', '.join(FRAMES)}."
        )
    return found[0]


def _has_capitals(vocab: Mapping[str, int]) -> bool:
    return any(token != token.lower() for token in vocab if not re.fullmatch(r"\[.*\]", token))
