"""Mutants of config, index and weight files: only the project's own errors, at once, in memory."""

from __future__ import annotations

import json
import random
import resource
import shutil
import struct
import time
import warnings
from collections import Counter

import pytest

from bert4keras._keys import IGNORED_KEYS, UNSUPPORTED
from bert4keras.checkpoints import CheckpointError, open_checkpoint
from bert4keras.config import ConfigError
from bert4keras.models import FAMILIES, build, build_transformer_model
from helpers import families
from helpers.mutations import mutate

pytestmark = pytest.mark.spread

OWN = (ConfigError, CheckpointError, FileNotFoundError)
COUNTS = [300, pytest.param(20_000, marks=pytest.mark.slow)]
SECONDS, KILOBYTES = 10, 2 * 1024**2
KEYS = sorted(
    {
        key
        for family in FAMILIES.values()
        for cls in [family.transformer.config_class]
        for key in (*cls.fields(), *cls.all_aliases(), *cls.ignored_keys, *cls.unsupported)
    }
    | {*UNSUPPORTED, *IGNORED_KEYS, "extra", "model_type", "feed_forward_proj", "is_gated_act"}
)


class Built(Exception):
    """Stand in for building the layers: the files were accepted."""


@pytest.fixture
def not_built(monkeypatch):
    def stop(*args, **kwargs):
        raise Built

    monkeypatch.setattr(build, "Backbone", stop)


def run(count: int, attempt) -> Counter:
    """Call `attempt(random)` so many times, and count what came of it."""
    outcomes, before = Counter(), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for seed in range(count):
        start = time.monotonic()
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                attempt(random.Random(seed))
            outcomes["read"] += 1
        except Built:
            outcomes["read"] += 1
        except OWN as error:
            outcomes[type(error).__name__ if len(str(error)) < 4000 else "long"] += 1
        except Exception as error:
            raise AssertionError(f"seed {seed} raised {error!r:.500}") from error
        assert time.monotonic() - start < SECONDS, seed
    assert not outcomes["long"]
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < KILOBYTES
    return outcomes


@pytest.mark.parametrize("count", COUNTS)
@pytest.mark.usefixtures("not_built")
def test_configs(count, tmp_path):
    seeds = []
    for name in families.NAMES:
        shutil.copytree(families.FAMILIES / name, tmp_path / name)
        seeds.append((tmp_path / name, json.loads((tmp_path / name / "config.json").read_text())))

    def attempt(chance):
        directory, seed = chance.choice(seeds)
        path = directory / "config.json"
        path.write_bytes(mutate(chance, seed, KEYS))
        # With the weights beside it, or only the config, whose sizes nothing then contradicts.
        build_transformer_model(directory if chance.random() < 0.5 else path)

    outcomes = run(count, attempt)
    assert outcomes["ConfigError"] > 0.2 * count
    assert outcomes["CheckpointError"] > 0.001 * count
    assert outcomes["read"] > 0.05 * count


def read_all(path) -> None:
    with open_checkpoint(path) as reader:
        for name in reader.names:
            reader.shape(name)
            reader.dtype(name)
            reader.read(name)


@pytest.mark.parametrize("count", COUNTS)
def test_indexes(count, fixtures, tmp_path):
    shutil.copytree(fixtures / "bert_sharded", tmp_path / "sharded")
    index = tmp_path / "sharded" / "model.safetensors.index.json"
    seed = json.loads(index.read_text())
    keys = ("weight_map", "metadata", *seed["weight_map"])

    def attempt(chance):
        index.write_bytes(mutate(chance, seed, keys))
        read_all(chance.choice((index, index.parent)))

    outcomes = run(count, attempt)
    assert outcomes["CheckpointError"] > 0.2 * count
    assert outcomes["read"] > 0.05 * count


@pytest.mark.parametrize("count", COUNTS)
def test_headers(count, fixtures, tmp_path):
    content = (fixtures / "bert_bare" / "model.safetensors").read_bytes()
    (size,) = struct.unpack("<Q", content[:8])
    seed, data = json.loads(content[8 : 8 + size]), content[8 + size :]
    path = tmp_path / "model.safetensors"
    keys = ("__metadata__", "dtype", "shape", "data_offsets", *seed)
    lengths = (0, 1, -1, 10**6, 10**12, 2**62)

    def attempt(chance):
        header = mutate(chance, seed, keys)
        header += b" " * (-len(header) % 8)
        length = len(header) + (chance.choice(lengths) if chance.random() < 0.1 else 0)
        file = struct.pack("<Q", max(0, length)) + header + data
        cut = chance.randrange(len(file)) if chance.random() < 0.05 else len(file)
        path.write_bytes(file[:cut])
        read_all(chance.choice((path, path.parent)))

    outcomes = run(count, attempt)
    assert outcomes["CheckpointError"] > 0.2 * count
    assert outcomes["read"] > 0.001 * count
