"""Fixtures that more than one part of the tests uses."""

from __future__ import annotations

import os
from pathlib import Path

import hypothesis
import keras
import numpy as np
import pytest

from bert4keras.checkpoints import presets
from helpers.spread import runs_here

FIXTURES = Path(__file__).parent / "fixtures"

# The first example of a property compiles a model, so a limit per example says nothing.
hypothesis.settings.register_profile("default", deadline=None)
hypothesis.settings.load_profile("default")


def pytest_configure():
    """Compile in a hurry where `scripts/test` asks for it.

    JAX does not write the files of its compilation cache atomically: each worker has a directory.
    """
    backend = keras.backend.backend()
    cache, worker = map(os.environ.get, ("JAX_COMPILATION_CACHE_DIR", "PYTEST_XDIST_WORKER"))
    if backend == "tensorflow" and os.environ.get("OPTIMIZE") == "0":
        import tensorflow as tf

        tf.config.optimizer.set_experimental_options({"disable_meta_optimizer": True})
    if backend == "jax" and cache and worker:
        import jax

        os.environ["JAX_COMPILATION_CACHE_DIR"] = directory = f"{cache}/{worker}"
        jax.config.update("jax_compilation_cache_dir", directory)


def pytest_collection_modifyitems(config, items):
    """Run a test marked `spread` or `script` on one of the backends that this test run covers.

    A test is marked if the backend makes no difference to it, if it is one of very many of its
    kind, or if it runs a script, which imports and compiles its own model while its parts are
    tested on every backend. Tests of one file that are marked `spread(by="NAME")` run on the same
    backend, so that what they share is trained there only; one that is marked
    `spread(over="tensorflow jax")` runs on one of these. See `helpers.spread`.
    """
    parts: tuple[list, list] = ([], [])
    for item in items:
        mark = item.get_closest_marker("spread") or item.get_closest_marker("script")
        options = mark.kwargs if mark else {}
        file = item.nodeid.split("::")[0]
        name = f"{file}::{options['by']}" if "by" in options else item.nodeid
        parts[not mark or runs_here(name, options.get("over", ""))].append(item)
    if parts[0]:
        config.hook.pytest_deselected(items=parts[0])
        items[:] = parts[1]


@pytest.fixture(autouse=True)
def fixed_seed():
    """Every test starts from the same random state, whatever ran before it."""
    keras.utils.set_random_seed(0)


@pytest.fixture(autouse=True)
def float32_policy():
    """No test inherits the dtype policy of another."""
    before = keras.config.dtype_policy()
    yield
    keras.config.set_dtype_policy(before)


@pytest.fixture(scope="session")
def saved(tmp_path_factory):
    """Return the directory of a task by its class, saved at the first request."""
    from helpers.task_table import build

    known = {}

    def directory(name: str) -> str:
        if name not in known:
            known[name] = str(tmp_path_factory.mktemp("tasks") / name)
            build(name, "bert").save(known[name])
        return known[name]

    return directory


@pytest.fixture(scope="session")
def fixtures() -> Path:
    """Directory of the recorded checkpoints and reference values."""
    return FIXTURES


@pytest.fixture(scope="session")
def load_reference():
    """Reads the reference values of a checkpoint by its name."""

    def read(name: str) -> dict[str, np.ndarray]:
        with np.load(FIXTURES / name / "reference.npz") as arrays:
            return dict(arrays)

    return read


@pytest.fixture(scope="session")
def minilm() -> Path:
    """Directory of the pretrained MiniLM that `scripts/test` fetched.

    A test downloads nothing: where the checkpoint is absent it is skipped, and in CI it fails.
    """
    given = os.environ.get("BERT4KERAS_MINILM")
    directory = Path(given) if given else presets.cached("minilm-l6")
    files = ("config.json", "model.safetensors", "vocab.txt", "tokenizer.json")
    wrong = [
        name
        for name in files
        if directory is None
        or not (directory / name).is_file()
        or presets.digest(directory / name) != presets.MINILM_FILES[name]
    ]
    if wrong:
        (pytest.fail if os.environ.get("CI") else pytest.skip)(
            f"MiniLM is absent: {directory or 'the cache'} lacks {', '.join(wrong)}, or has other "
            'files of that name. bert4keras.checkpoints.fetch("minilm-l6") fetches it.'
        )
    return directory


@pytest.fixture(scope="session")
def _cache_of_minilm(tmp_path_factory, minilm) -> Path:
    place = tmp_path_factory.mktemp("cache") / "minilm-l6" / "package"
    for path in minilm.rglob("*"):
        if path.is_file() and path.name != "fetched.json":
            (place / path.relative_to(minilm)).parent.mkdir(parents=True, exist_ok=True)
            (place / path.relative_to(minilm)).symlink_to(path.resolve())
    presets._write_receipt(place, "package", "a test", {})
    return place.parents[1]


@pytest.fixture
def minilm_by_name(_cache_of_minilm, monkeypatch) -> str:
    """The name of the pretrained MiniLM, in a cache that has nothing else."""
    monkeypatch.setenv("BERT4KERAS_CACHE", str(_cache_of_minilm))
    return "minilm-l6"
