"""Agreement of config and tokenizer files of a checkpoint: vocabulary size and padding token.

Only numbers of tokens are read here. A file that cannot be read, or has another form, is skipped:
the tokenizer itself reports it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..config import ConfigError, TransformerConfig

NAMES = ("tokenizer_config.json", "special_tokens_map.json")  # the first that names a token counts
_WAY_OUT = (
    "To load the weights without these files, give the config json as config_path and the weights "
    "as checkpoint_path."
)


def check_tokenizer(directory: Path | None, config: TransformerConfig, pad_is_given: bool) -> None:
    """Refuse a tokenizer that does not belong to the model.

    Args:
        directory: of the checkpoint; None: no tokenizer is known.
        config: of the model.
        pad_is_given: `pad_token_id` was given by the user, whose value takes precedence.

    Raises:
        ConfigError: the tokenizer has ids beyond the embedding (on JAX they would give NaN), or a
            padding token that the model would not mask.
    """
    if directory is None:
        return
    file, ids = _token_ids(directory)
    size = max(ids.values(), default=-1) + 1
    if size > config.vocab_size:
        raise ConfigError(
            f"{file} has {size} tokens, more than the {config.vocab_size} rows of the embedding "
            f"(`vocab_size`). The vocabulary and the weights do not belong together. {_WAY_OUT}"
        )
    name = _padding_token(directory, file)
    padding = None if name is None else ids.get(name)
    if pad_is_given or None in (padding, config.pad_token_id) or padding == config.pad_token_id:
        return
    raise ConfigError(
        f"config `pad_token_id` is {config.pad_token_id}, but the tokenizer in {directory} pads "
        f"with {name} of id {padding} ({file.name}): the model would read padding as text. Say "
        f"which is right: build_transformer_model(..., pad_token_id={padding})."
    )


def _token_ids(directory: Path) -> tuple[Path, dict[str, int]]:
    """Return the vocabulary file and the ids of its tokens, added tokens included."""
    for name, read in (
        ("tokenizer.json", _of_tokenizer_json),
        ("vocab.txt", _of_lines),
        ("vocab.json", lambda path: _of_pairs(_read(path))),
    ):
        ids = read(directory / name)
        if ids:
            break
    added = _of_pairs(_read(directory / "added_tokens.json"))
    decoder = _dict(_read(directory / NAMES[0]).get("added_tokens_decoder"))
    for number, token in decoder.items():
        if number.isdecimal() and len(number) < 10:
            added[str(_dict(token).get("content"))] = int(number)
    return directory / name, {**ids, **added} if ids else {}


def _of_tokenizer_json(path: Path) -> dict[str, int]:
    content = _read(path)
    vocab = _dict(content.get("model")).get("vocab")
    if isinstance(vocab, list):  # Unigram: pieces with their scores
        pieces = [row[0] if isinstance(row, list) and row else None for row in vocab]
        vocab = {piece: number for number, piece in enumerate(pieces) if isinstance(piece, str)}
    added = content.get("added_tokens")
    rows = [_dict(row) for row in added] if isinstance(added, list) else []
    return {**_of_pairs(vocab), **_of_pairs({str(r.get("content")): r.get("id") for r in rows})}


def _of_lines(path: Path) -> dict[str, int]:
    if not path.is_file():
        return {}
    with path.open(encoding="utf-8", errors="replace", newline="\n") as lines:
        tokens = [line for line in (line.strip("\r\n") for line in lines) if line]
    return {token: number for number, token in enumerate(tokens)} if tokens else {}


def _padding_token(directory: Path, file: Path) -> str | None:
    """Return the padding token that the files name, or BERT's for a `vocab.txt`."""
    named = [_read(directory / name).get("pad_token") for name in NAMES]
    named.append(_dict(_read(file).get("padding")).get("pad_token") if _is_json(file) else None)
    for token in named:
        token = token.get("content") if isinstance(token, dict) else token
        if isinstance(token, str):
            return token
    return "[PAD]" if file.name == "vocab.txt" else None


def _is_json(file: Path) -> bool:
    return file.name == "tokenizer.json"


def _of_pairs(value: Any) -> dict[str, int]:
    """Return the entries whose ids are whole numbers."""
    return {key: i for key, i in _dict(value).items() if type(i) is int and i >= 0}


def _dict(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _read(path: Path) -> Mapping[str, Any]:
    """Return the object in a json file; an empty one if there is none."""
    if not path.is_file():
        return {}
    try:
        return _dict(json.loads(path.read_bytes()))
    except (ValueError, RecursionError, OSError):
        return {}
