"""Mutants of json files, for fuzzers: seeded, so that a failure can be made again."""

from __future__ import annotations

import copy
import json
import random
from typing import Any

ODD = (
    None, True, False, 0, 1, -1, 2, 3, 7, 10**6, 10**9, 10**12, 2**63, 10**30, -(10**9), 10**400,
    0.0, -0.0, 0.5, 1.0, -1.5, 1e-300, 1e300, "", "x", "gelu", "gelu_new", "bert", "a" * 10_000,
    "\0", "\x1b[31m", "\ud800", "../x", "/dev/zero", "NaN", [], [[]], {}, {"a": 1}, ["a", 1, None],
    {"": {}}, [0] * 100, {"rope_type": "yarn"}, "model-00001-of-00002.safetensors", "x.safetensors",
)  # fmt: skip
CONSTANTS = (b"NaN", b"Infinity", b"-Infinity", b"1e999", b"1" * 6000, b'"', b"{", b"]", b"\\u12")


def mutate(random: random.Random, seed: dict, keys: tuple[str, ...]) -> bytes:
    """The text of a json object some of whose values, keys or bytes are others.

    Args:
        random: where chance comes from.
        seed: the object.
        keys: to add some of.
    """
    values = copy.deepcopy(seed)
    for _ in range(random.choice((1, 1, 1, 2, 4))):
        _change(random, values, keys)
    text = json.dumps(values).encode()
    kind = random.random()
    if kind < 0.1:
        text = _damage(random, text)
    elif kind < 0.15:
        depth = random.choice((10, 60, 70, 900, 5000, 100_000))
        key = json.dumps(random.choice((*keys, "x"))).encode()
        opening, closing = random.choice(((b"[", b"]"), (b'{"a":', b"}")))
        text = b"{" + key + b": " + opening * depth + b"1" + closing * depth + b", " + text[1:]
    elif kind < 0.17:
        text = random.choice((b"\xef\xbb\xbf" + text, text.decode().encode("utf-16"), b"", b"[]"))
    elif kind < 0.2:
        text = text[:-1] + b", " + text[1:]  # every key twice
    return text


def _change(random: random.Random, values: dict, keys: tuple[str, ...]) -> None:
    node: Any = values
    while isinstance(node, dict) and node and random.random() < 0.3:
        inner = [child for child in node.values() if isinstance(child, (dict, list)) and child]
        if not inner:
            break
        node = random.choice(inner)
    places = list(node) if isinstance(node, dict) else list(range(len(node)))
    kind = random.random()
    if kind < 0.15 and places:
        del node[random.choice(places)]
    elif kind < 0.4 and isinstance(node, dict):
        node[random.choice(keys)] = _value(random, values)
    elif places:
        node[random.choice(places)] = _value(random, values)


def _value(random: random.Random, values: dict) -> Any:
    if random.random() < 0.3:
        return copy.deepcopy(random.choice(list(values.values()) or [None]))
    if random.random() < 0.2:
        return random.randrange(1, 200)
    return copy.deepcopy(random.choice(ODD))


def _damage(random: random.Random, text: bytes) -> bytes:
    place = random.randrange(len(text) + 1)
    kind = random.randrange(3)
    if kind == 0:
        return text[:place]
    if kind == 1:
        return text[:place] + bytes([random.randrange(256)]) + text[place + 1 :]
    return text[:place] + random.choice(CONSTANTS) + text[place:]
