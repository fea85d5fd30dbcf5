"""Loading of the tokenizer of a checkpoint directory."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from ..checkpoints.presets import PRESETS, local_path
from ..registry import TOKENIZERS
from .added import AddedToken
from .base import TokenizerBase
from .classes import (
    check_class,
    find_family,
    find_family_of_file,
    is_generic_class,
    known_families,
)
from .directory import TokenizerFiles, read_added, read_names
from .errors import TokenizerError, TokenizerNotFoundError
from .post_processor import read_template
from .saving import CONFIG, MODEL_FILES, arguments, dump
from .schema import check_vocab_ids
from .sentencepiece import SpTokenizer
from .subword import (
    SubwordTokenizer,
    added_of,
    algorithm_of,
    byte_pair_content,
    check_algorithm,
    model_vocab,
)
from .vocabulary import check_keep_tokens
from .wordpiece import Tokenizer
from .wordpiece_files import word_piece_options


def load_tokenizer(
    directory: str | os.PathLike, family: str | None = None, **options
) -> TokenizerBase:
    """Load a tokenizer; see `TokenizerBase.from_pretrained`."""
    directory = local_path(directory, weights=False)
    if not directory.is_dir():
        raise TokenizerNotFoundError(
            f"{directory} is not a directory, and none of the names {', '.join(PRESETS)}. A "
            "tokenizer can also be made from a file: Tokenizer('path/to/vocab.txt', "
            "do_lower_case=...), SubwordTokenizer('path/to/tokenizer.json') or "
            "SpTokenizer('path/to/spiece.model', ...)."
        )
    files = TokenizerFiles(directory)
    ours = files.ours
    if ours.pop("pre_tokenize", False) and "pre_tokenize" not in options:
        raise TokenizerError(
            f"{directory} was saved from a tokenizer with a function pre_tokenize, which cannot "
            "be saved. Give it again: from_pretrained(directory, pre_tokenize=...)."
        )
    tokenizer = _load(files, family, ours, options)
    _compare_case(files, tokenizer)
    if not options:
        loaded = dict(files.loaded)
        if files.family_from_model:  # `save` does not copy the config.json of the model
            known = {**files.tokenizer_config, "tokenizer_class": files.family_from_model}
            loaded[CONFIG] = dump(known)
        tokenizer._files = loaded, arguments(tokenizer)
    return tokenizer


def _compare_case(files: TokenizerFiles, tokenizer: Any) -> None:
    """Warn if tokenizer.json and tokenizer_config.json differ in lower-casing."""
    wanted = files.tokenizer_config.get("do_lower_case")
    if files.tokenizer_json is None or wanted is None:
        return
    if not isinstance(tokenizer, (Tokenizer, SubwordTokenizer)):
        return
    if (tokenizer._pipeline.content.get("normalizer") or {}).get("type") == "BertNormalizer":
        return  # `word_piece_options` has applied the setting, or has warned
    lowers = "a" in tokenizer._pipeline.normalize("A")
    if lowers != wanted:
        files.tell(
            f"do_lower_case is {wanted} in {CONFIG}, but the normalizer of tokenizer.json "
            f"{'lower-cases' if lowers else 'keeps capitals'}. The latter is used."
        )


def _with_prefix_space(files: TokenizerFiles, content: dict[str, Any]) -> dict[str, Any]:
    """Apply `add_prefix_space` of tokenizer_config.json if transformers does, too."""
    wanted = files.tokenizer_config.get("add_prefix_space")
    step = content.get("pre_tokenizer") or {}
    if step.get("type") != "ByteLevel" or wanted in (None, step.get("add_prefix_space")):
        return content
    is_fast = is_generic_class(files.class_name, fast=True)
    files.tell(
        f"add_prefix_space is {wanted} in {CONFIG}, but {step.get('add_prefix_space')} in "
        f"tokenizer.json. The {'latter' if is_fast else 'former'} is used, as in transformers."
    )
    return (
        content if is_fast else {**content, "pre_tokenizer": {**step, "add_prefix_space": wanted}}
    )


def _load(
    files: TokenizerFiles, family: str | None, ours: Mapping[str, Any], options: Mapping[str, Any]
) -> TokenizerBase:
    """Load a tokenizer from the first of its files: tokenizer.json, vocab.txt, vocab.json, model.

    Args:
        files: files of the directory.
        family: family that the caller named.
        ours: arguments that `TokenizerBase.save` wrote.
        options: arguments of the caller, which replace all others.
    """
    if ours.get("class") == "SpTokenizer":
        return _load_own_sentencepiece(files, ours, options)
    content = files.tokenizer_json
    if family is None:
        check_class(files, "pre_tokenize" in options)
    kind = None if content is None else algorithm_of(content)
    if kind == "WordPiece" or (content is None and files.has("vocab.txt")):
        return Tokenizer(**{**word_piece_options(files, options), **ours, **options})
    if content is not None:
        check_algorithm(content, files.path("tokenizer.json"))
        _compare_byte_pairs(files, content)
        content = _with_prefix_space(files, content)
        added = read_added(files, added_of(content), model_vocab(content))
        content = {**content, "added_tokens": [token.as_json() for token in added]}
        template = read_template(content.get("post_processor"))
        return SubwordTokenizer(content, **{**read_names(files), **template, **ours, **options})
    if files.has("vocab.json") or files.has("merges.txt"):
        return _load_byte_pair(files, family, {**ours, **options})
    models = [name for name in MODEL_FILES if files.has(name)]
    if models:
        return _load_sentencepiece(files, models[0], family, options)
    raise TokenizerNotFoundError(
        f"{files.directory} has neither tokenizer.json nor vocab.txt, nor vocab.json with "
        f"merges.txt, nor a SentencePiece model ({', '.join(MODEL_FILES)}). A tokenizer can also "
        "be made from a file of any name: Tokenizer('path/to/vocab.txt', do_lower_case=...) or "
        "SpTokenizer('path/to/a.model', ...)."
    )


def _load_byte_pair(
    files: TokenizerFiles, family: str | None, options: Mapping[str, Any]
) -> SubwordTokenizer:
    names = "vocab.json", "merges.txt"
    for name, other in (names, names[::-1]):
        if not files.has(name):
            raise TokenizerNotFoundError(
                f"{files.directory} has {other} but no {name}; byte-level BPE needs both. "
                "Fetch the other file of the same checkpoint, or its tokenizer.json."
            )
    path = files.path("vocab.json")
    vocab = files.json("vocab.json")
    check_vocab_ids(path, vocab)
    if any(token.endswith("</w>") for token in vocab):
        raise TokenizerError(
            f"{path} marks ends of words with </w>, so it is not byte-level BPE and not "
            "supported. Use a tokenizer.json of the same checkpoint."
        )
    guess = "roberta" if "<mask>" in vocab else "gpt2" if "<|endoftext|>" in vocab else None
    family = _family(family, files, lambda: guess, path)
    defaults = TOKENIZERS[family]
    if not defaults.byte_level_bpe or defaults.options is None:
        raise TokenizerError(f"{path} is of byte-level BPE, which {family} does not use.")
    config = files.config
    content = byte_pair_content(
        vocab, _read_merges(files, vocab), bool(config.get("add_prefix_space"))
    )
    # As in transformers, blanks before this token belong to it.
    has_mask = defaults.options["token_mask"] == "<mask>" and "<mask>" in vocab
    mask = [AddedToken("<mask>", lstrip=True, special=True)] if has_mask else []
    content["added_tokens"] = [token.as_json() for token in read_added(files, mask, vocab)]
    template = dict(defaults.options)
    if config.get("add_eos_token"):
        raise TokenizerError(
            f"add_eos_token of {files.path('tokenizer_config.json')} is not supported with "
            "vocab.json. Use a tokenizer.json of the same checkpoint."
        )
    if config.get("add_bos_token"):
        template["pattern"] = "S*S*"
    return SubwordTokenizer(content, **{**template, **read_names(files), **options})


def _read_merges(files: TokenizerFiles, vocab: Mapping[str, int]) -> list[str]:
    lines = files.text("merges.txt").split("\n")
    merges = [line for line in lines if line.strip() and not line.startswith("#version")]
    for line in merges:
        pair = line.split(" ")
        if len(pair) != 2 or not {*pair, "".join(pair)} <= vocab.keys():
            raise TokenizerError(
                f"{files.path('merges.txt')} does not belong to the vocab.json beside it: it "
                f"merges {line!r}, but that vocabulary lacks one of the two tokens or their "
                "concatenation."
            )
    return merges


def _compare_byte_pairs(files: TokenizerFiles, content: Mapping[str, Any]) -> None:
    """Raise TokenizerError unless vocab.json agrees with tokenizer.json."""
    vocab = files.json("vocab.json") if algorithm_of(content) == "BPE" else {}
    known = {**model_vocab(content), **{t.content: t.id for t in added_of(content)}}
    for token, i in vocab.items():
        if known.get(token, i) != i:
            raise TokenizerError(
                f"{files.path('vocab.json')} gives {token!r} the id {i}, but tokenizer.json beside "
                f"it {known[token]}. Remove the wrong file."
            )


def _load_own_sentencepiece(
    files: TokenizerFiles, ours: Mapping[str, Any], options: Mapping[str, Any]
) -> SpTokenizer:
    """Load an `SpTokenizer` from the files that `TokenizerBase.save` wrote."""
    ours = {name: value for name, value in ours.items() if name != "class"}
    saved, wanted = ours.get("keep_tokens"), options.get("keep_tokens")
    if saved is not None and wanted is not None:  # its ids are those of the saved tokenizer
        options = {
            **options,
            "keep_tokens": [saved[i] for i in check_keep_tokens(wanted, range(len(saved)))],
        }
    path = files.path("sentencepiece.model")
    try:
        return SpTokenizer(path, **{**ours, **options})
    except TypeError as error:
        raise TokenizerError(
            f"{files.path('tokenizer_config.json')}: bert4keras does not have the arguments of "
            f"SpTokenizer: {error}."
        ) from error


def _load_sentencepiece(
    files: TokenizerFiles, name: str, family: str | None, options: Mapping[str, Any]
) -> SpTokenizer:
    """Load a SentencePiece model with the ids of its family, and compare those of the files."""
    path = files.path(name)
    family = _family(family, files, lambda: find_family_of_file(name), path)
    defaults = TOKENIZERS[family]
    if defaults.sentencepiece is None or defaults.options is None:
        raise TokenizerError(f"{path} is a SentencePiece model, which {family} does not use.")
    _refuse_settings(files)
    layout = {**defaults.options, **defaults.sentencepiece(files.config)}
    plain = SpTokenizer(path, **{**layout, **read_names(files)})
    added = read_added(files, (), plain.vocab)
    layout["added_tokens"] = sorted(added, key=lambda token: token.id)
    made = plain
    if added or options:
        made = SpTokenizer(path, **{**layout, **read_names(files), **options})
    wrong = [token for token in added if made.vocab.get(token.content) != token.id]
    if wrong and not {"keep_tokens", "first_tokens", "last_tokens"} & options.keys():
        token = wrong[0].content
        raise TokenizerError(
            f"{files.directory} gives {token!r} the id {wrong[0].id}, but in the layout of "
            f"{family} it is {made.vocab.get(token)}. Give the right family=, or the layout: "
            "first_tokens=, last_tokens=."
        )
    return made


def _refuse_settings(files: TokenizerFiles) -> None:
    """Raise TokenizerError for settings that only a tokenizer.json can describe."""
    config = files.config
    unsupported = {"split_by_punct": True, "remove_space": False, "legacy": False}
    wrong = [key for key, value in unsupported.items() if config.get(key) is value]
    wrong += ["sp_model_kwargs"] if config.get("sp_model_kwargs") else []
    if wrong:
        raise TokenizerError(
            f"{wrong[0]}: {config[wrong[0]]!r} of {files.path('tokenizer_config.json')} is not "
            "supported. Use a tokenizer.json of the same checkpoint."
        )


def _family(
    given: str | None, files: TokenizerFiles, guess: Callable[[], str | None], path: Path
) -> str:
    """Return the family: given, or of the class, else of config.json, else guessed.

    Args:
        given: family that the caller named.
        files: files of the directory.
        guess: function that returns the family that the files suggest, if nothing names one.
        path: the file that needs a family, for messages.
    """
    named = [given] if given else [files.class_name, files.model_type]
    named = [name for name in named if name and (given or not is_generic_class(name))]
    found = [family for name in named if name and (family := find_family(name))]
    if found and files.class_name in TOKENIZERS[found[-1]].other_classes:
        found = found[-1:]
    if found and (given or found[0] != find_family(files.class_name or "")):
        files.family_from_model = TOKENIZERS[found[0]].class_name
    guessed = None if found or named else guess()
    if guessed:
        found = [guessed]
    if not found:
        raise TokenizerError(
            f"Which special tokens belong to {path}? "
            f"{'Nothing beside it says so' if not named else f'{named[0]!r} is not known'}. "
            "Tokenizer.from_pretrained(directory, family=...) names a family like it: "
            f"{', '.join(known_families())}."
        )
    return found[0]
