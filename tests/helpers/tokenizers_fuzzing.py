"""Broken files of tokenizers, made from good ones by a seeded generator."""

from __future__ import annotations

import json
import random
from typing import Any

VALUES: list[Any] = [None, True, False, -1, 0, 1, 10**12, 10**400, 1e308, -0.5, "", "x", "\ud800"]
VALUES += [[], {}, [[]], [None], ["a", 1], {"a": {}}, {"content": "the"}, "[UNK]", "a b", "\0"]
VALUES += [{"type": name} for name in ("Sequence", "BertNormalizer", "Split", "Odd", "ByteLevel")]
VALUES += [
    {"type": "Precompiled", "precompiled_charsmap": "AAAA"},
    {"type": "FixedLength", "length": 0},
    {"type": "Replace", "pattern": {"String": ""}, "content": "x"},
    {"type": "Strip", "strip_left": True, "strip_right": False},
    {"type": "Prepend", "prepend": "▁"},
    {"type": "Metaspace", "replacement": "▁▁", "prepend_scheme": "always", "split": True},
    {"type": "Split", "pattern": {"Regex": "("}, "behavior": "Isolated", "invert": False},
    {"type": "Split", "pattern": {"Regex": ""}, "behavior": "Removed", "invert": True},
    {"id": 3, "content": "the", "special": False},
]
KEYS = ["type", "vocab", "merges", "content", "id", "unk_id", "unk_token", "pattern", "special"]
KEYS += ["tokenizer_class", "extra_ids", "do_lower_case", "added_tokens_decoder", "bert4keras"]
KEYS += ["additional_special_tokens", "pad_token", "cls_token", "model_type", "segments", "dropout"]
CHUNKS = [b"", b"\0", b"\n", b"\n\n", b"\xff", b"\xef\xbb\xbf", b"{", b"[" * 5000, b"\\ud800"]
CHUNKS += [b'"', b"null", b"1e999", b"NaN", b" 5\n", b"the\n", "中".encode(), b"\r", b"-"]


def break_bytes(data: bytes, rng: random.Random) -> bytes:
    """Cut, double, overwrite or insert something."""
    for _ in range(rng.randint(1, 3)):
        a, b = sorted(rng.randint(0, len(data)) for _ in range(2))
        b = min(b, a + rng.choice((0, 1, 4, 64, 10**6)))
        new = rng.choice((rng.choice(CHUNKS), data[a:b] * 2, rng.randbytes(rng.randint(1, 8))))
        data = data[:a] + new + data[b:]
    return data


def break_json(content: Any, rng: random.Random) -> Any:
    """Replace, remove, add or move values at random places, mostly near the root."""
    for _ in range(rng.randint(1, 3)):
        inner = content
        while isinstance(inner, (dict, list)) and inner:
            keys = list(inner) if isinstance(inner, dict) else range(len(inner))
            key = rng.choice(keys)
            if not isinstance(inner[key], (dict, list)) or not inner[key] or rng.random() < 0.3:
                break
            inner = inner[key]
        else:
            return rng.choice(VALUES)
        action = rng.randrange(5)
        if action == 0:
            del inner[key]
        elif action == 1 and isinstance(inner, dict):
            inner[rng.choice(KEYS)] = rng.choice(VALUES)
        elif action == 2:
            inner[key] = inner[rng.choice(keys)]
        else:
            inner[key] = rng.choice(VALUES)
    return content


def break_files(files: dict[str, bytes], rng: random.Random) -> dict[str, bytes]:
    """The files of a directory with one or two of them broken."""
    broken = dict(files)
    for name in rng.sample(sorted(files), min(len(files), rng.randint(1, 2))):
        if name.endswith(".json") and rng.random() < 0.7:
            content = break_json(json.loads(files[name]), rng)
            try:
                broken[name] = json.dumps(content).encode()
            except ValueError:  # a value refers to itself
                broken[name] = b"{}"
        else:
            broken[name] = break_bytes(files[name], rng)
    return broken
