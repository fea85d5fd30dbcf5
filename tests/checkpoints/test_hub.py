"""Checkpoints by hub name, from a server on loopback."""

from __future__ import annotations

import importlib
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from bert4keras.checkpoints import CheckpointError, convert, load, open_checkpoint, save
from bert4keras.checkpoints import hub as module
from bert4keras.checkpoints.hub import is_address, resolve
from bert4keras.tokenizers import Tokenizer
from helpers import tiny
from helpers.hub_server import Hub, commit, serving
from helpers.named_weights import arrays_of, assert_same, bag, values, weight_shapes

pytestmark = pytest.mark.spread

pytest.importorskip("huggingface_hub", reason="the extra `hub` is not installed")

NAME = "org/tiny"
CUT = 0.5  # the part of a file that arrives before the connection is closed


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def forget_connections() -> None:
    """Call the function under its name in this version of the library; it changed in 1.0."""
    utils = importlib.import_module("huggingface_hub.utils")
    getattr(utils, "close_session" if hasattr(utils, "close_session") else "reset_sessions")()


@pytest.fixture(scope="module")
def repository(tmp_path_factory) -> dict[str, bytes]:
    """Return the files of a repository, some of which must not be downloaded."""
    folder = tmp_path_factory.mktemp("repository")
    save(bag(1), folder, config={"model_type": "bert"})
    others = ("README.md", "pytorch_model.bin", "vocab.pkl", "training_args.bin", "model.onnx")
    tokenizer = {"vocab.txt": b"[PAD]\n[UNK]\n", "tokenizer.json": b"{}", "spm.model": b"x"}
    return contents(folder) | tokenizer | dict.fromkeys(others, b"of no use")


@pytest.fixture
def settings(tmp_path, monkeypatch):
    """Set the constants of the library: a temporary cache and no pauses."""
    constants = importlib.import_module("huggingface_hub.constants")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1,localhost")
    for name in ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    for name in ("HF_TOKEN_PATH", "HF_HUB_CACHE", "AGENT_HARNESSES_PATH"):
        monkeypatch.setattr(constants, name, str(tmp_path / "home" / name), raising=False)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(time, "sleep", lambda seconds: None)
    forget_connections()
    yield lambda **values: [monkeypatch.setattr(constants, *pair) for pair in values.items()]
    forget_connections()


@pytest.fixture
def hub(settings, repository, monkeypatch):
    """A server with one repository, which the library uses as its endpoint."""
    with serving() as server:
        server.repos[NAME] = {"main": dict(repository)}
        template = server.url + "/{repo_id}/resolve/{revision}/{filename}"
        settings(ENDPOINT=server.url, HUGGINGFACE_CO_URL_TEMPLATE=template)
        # Before 1.0 the library kept a copy.
        copy = "huggingface_hub.file_download.HUGGINGFACE_CO_URL_TEMPLATE"
        monkeypatch.setattr(copy, template, raising=False)
        yield server


def path_of(hub: Hub, file: str) -> str:
    return f"/{NAME}/resolve/{commit(NAME, hub.repos[NAME]['main'])}/{file}"


def blob_of(hub: Hub) -> str:
    """Return the path of the weights on the server."""
    folder = resolve(f"hf://{NAME}")  # the link in the cache is named after the blob
    return f"/blobs/{(folder / 'model.safetensors').resolve().name}"


def refused(address: str = f"hf://{NAME}") -> str:
    with pytest.raises(CheckpointError) as caught:
        resolve(address)
    message = str(caught.value)
    assert message.startswith((address, repr(address)))
    return message


def test_what_is_fetched(hub, repository, capfd):
    folder = resolve(f"hf://{NAME}")
    wanted = {"config.json", "model.safetensors", "spm.model", "tokenizer.json", "vocab.txt"}
    assert contents(folder) == {name: repository[name] for name in wanted}
    assert "Fetching 5 files" in capfd.readouterr().err  # the bar
    assert not any(hub.asked(name) for name in repository.keys() - wanted)

    hub.requests.clear()
    assert resolve(Path(f"hf://{NAME}")) == folder  # from the cache now
    assert not hub.asked("/blobs/")
    assert not hub.asked("/resolve/")


def test_modules_of_sentence_transformers_are_fetched(hub):
    modules = ("modules.json", "1_Pooling/config.json", "2_Dense/model.safetensors")
    others = ("openvino/model.safetensors", "1_Pooling/evil.json", "2_Dense/pytorch_model.bin")
    hub.repos[NAME]["main"] |= dict.fromkeys((*modules, *others), b"[]")
    folder = resolve(f"hf://{NAME}")
    assert all((folder / name).read_bytes() == b"[]" for name in modules)
    assert not any((folder / name).exists() for name in others)


def test_tokenizer_files_without_the_weights(hub):
    folder = resolve(f"hf://{NAME}", weights=False)
    assert "vocab.txt" in contents(folder)
    assert not hub.asked("safetensors")
    assert "model.safetensors" in contents(resolve(f"hf://{NAME}"))


def test_a_tokenizer_by_name(hub, fixtures):
    hub.repos["org/words"] = {"main": contents(fixtures / "bert_gelu")}
    local = Tokenizer.from_pretrained(fixtures / "bert_gelu")
    found = Tokenizer.from_pretrained("hf://org/words").encode("good film")
    assert found == local.encode("good film")
    assert len(found[0]) == 4
    assert not hub.asked("safetensors")


def test_load_open_and_convert(hub, tmp_path):
    source, target = bag(1), bag(0)
    report = load(target, f"hf://{NAME}")
    assert not report.unexpected
    assert_same(values(target), values(source))
    with open_checkpoint(f"hf://{NAME}") as reader:
        assert len(reader.names) == len(report.loaded)
    done = convert(f"hf://{NAME}", tmp_path / "out", "huggingface", progress=False)
    assert tmp_path / "out" / "vocab.txt" in done.files
    assert not (tmp_path / "out" / "vocab.txt").is_symlink()
    assert_same(arrays_of(tmp_path / "out"), arrays_of(f"hf://{NAME}"))


def test_a_model_is_built_by_name(hub, tmp_path):
    from bert4keras.models import build_transformer_model

    source = tiny.build()
    save(source, tmp_path / "tiny", config=tiny.config())
    hub.repos["org/model"] = {"main": contents(tmp_path / "tiny")}
    again = build_transformer_model("hf://org/model")
    x = tiny.inputs()
    np.testing.assert_array_equal(again.predict(x, verbose=0), source.predict(x, verbose=0))
    random = build_transformer_model(tiny.config())
    assert np.abs(random.predict(x, verbose=0) - source.predict(x, verbose=0)).max() > 0.1


def test_revisions(hub, repository):
    changed = repository | {"vocab.txt": b"another\n"}
    hub.repos[NAME]["v2/b-1"] = changed
    for revision, files in (("main", repository), ("v2/b-1", changed)):
        for name in (revision, commit(NAME, files)):
            folder = resolve(f"hf://{NAME}@{name}")
            assert (folder / "vocab.txt").read_bytes() == files["vocab.txt"]
    message = refused(f"hf://{NAME}@v3")
    assert "there is no revision 'v3'" in message
    assert f"{hub.url}/{NAME}/tree/main" in message


@pytest.fixture
def sharded(hub, repository, tmp_path) -> dict[str, bytes]:
    """The repository with its weights in several files instead of one."""
    arrays = arrays_of(f"hf://{NAME}")
    source = tmp_path / "sharded"
    convert(arrays, source, "huggingface", progress=False, max_shard_size=500)
    files = {name: data for name, data in repository.items() if name != "model.safetensors"}
    hub.repos[NAME]["main"] = files | contents(source)
    assert len(contents(source)) > 4
    return hub.repos[NAME]["main"]


def test_shards(hub, sharded):
    target = bag(0)
    load(target, f"hf://{NAME}")
    assert_same(values(target), values(bag(1)))


@pytest.mark.parametrize("place", ["../x.safetensors", "absent.safetensors", "pytorch_model.bin"])
def test_an_index_that_names_something_else(hub, sharded, place):
    index = json.loads(sharded["model.safetensors.index.json"])
    index["weight_map"]["pooler.dense.bias"] = place
    sharded["model.safetensors.index.json"] = json.dumps(index).encode()
    assert f"names {place!r}, which is no safetensors file" in refused()
    assert not hub.asked("pytorch_model.bin")


def test_pickles_are_not_fetched(hub):
    del hub.repos[NAME]["main"]["model.safetensors"]
    message = refused()
    assert "only pytorch_model.bin, training_args.bin, vocab.pkl" in message
    assert "weights_only=True" in message
    assert f"hf://{NAME}@refs/pr/1" in message
    assert not hub.asked("/resolve/")


def test_no_weights_at_all(hub):
    hub.repos[NAME]["main"] = {"README.md": b"soon"}
    assert (
        "neither model.safetensors nor model.safetensors.index.json; it holds README" in refused()
    )


def test_an_unknown_repository(hub, monkeypatch):
    assert "no such repository or file, or it is private" in refused("hf://org/absent")
    monkeypatch.setenv("HF_TOKEN", "hf_mine")  # the server answers 404 and not 401 then
    assert "no such repository or file, or it is private" in refused("hf://org/absent")
    assert not hub.asked("/resolve/")


def test_a_gated_repository(hub, monkeypatch):
    hub.gated[NAME] = "hf_right"
    assert "access is granted on request only" in refused()
    monkeypatch.setenv("HF_TOKEN", "hf_wrong")
    assert f"Ask for it at {hub.url}/{NAME}, then set HF_TOKEN" in refused()
    monkeypatch.setenv("HF_TOKEN", "hf_right")
    assert (resolve(f"hf://{NAME}") / "model.safetensors").is_file()
    assert not any(request.token for request in hub.asked("/blobs/"))  # not told to another host


def test_a_file_that_the_listing_promises_is_missing(hub):
    hub.always[path_of(hub, "vocab.txt")] = 404
    assert "try again" in refused().lower()


@pytest.mark.parametrize("file", ["config.json", "model.safetensors"])
@pytest.mark.parametrize("fault", [CUT, 503, 429])
def test_a_passing_fault(hub, repository, tmp_path, settings, file, fault):
    blob = blob_of(hub)
    path = blob if file == "model.safetensors" else path_of(hub, file)
    settings(HF_HUB_CACHE=str(tmp_path / "empty"))
    hub.requests.clear()
    hub.faults[path] = [fault, fault]
    folder = resolve(f"hf://{NAME}")
    assert (folder / file).read_bytes() == repository[file]
    assert len(hub.asked(path)) == 3


@pytest.mark.parametrize("fault", [CUT, 503])
def test_a_lasting_fault(hub, repository, tmp_path, settings, monkeypatch, fault):
    blob, cache = blob_of(hub), tmp_path / "empty"
    settings(HF_HUB_CACHE=str(cache))
    hub.requests.clear()
    hub.always[blob] = fault
    monkeypatch.setattr(module, "_PAUSES", (0.0,))
    message = refused()
    assert f"could not be downloaded from {hub.url}" in message
    assert "set HF_ENDPOINT to a mirror" in message
    assert len(hub.asked("/blobs/")) > 1
    assert not list(cache.rglob("model.safetensors")), "half a file must not pass for one"
    del hub.always[blob]
    assert (resolve(f"hf://{NAME}") / "model.safetensors").read_bytes() == (
        repository["model.safetensors"]
    )


@pytest.mark.parametrize("state", ["offline", "down", "broken"])
def test_without_network(hub, settings, state, monkeypatch):
    """Without a network the cache is used, and the error names what it lacks."""
    monkeypatch.setattr(module, "_PAUSES", ())
    folder = resolve(f"hf://{NAME}")
    resolve(f"hf://{NAME}@main", weights=False)
    hub.repos["org/other"] = {"main": hub.repos[NAME]["main"]}
    resolve("hf://org/other", weights=False)
    if state == "offline":
        settings(HF_HUB_OFFLINE=True)
    elif state == "down":
        hub.shutdown()
        hub.server_close()
    else:
        hub.always |= {f"/api/models/{name}/revision/main": 503 for name in (NAME, "org/other")}
    forget_connections()
    hub.requests.clear()
    assert resolve(f"hf://{NAME}") == folder
    assert resolve("hf://org/other", weights=False).is_dir()
    message = refused("hf://org/other")  # of this one, the weights were never fetched
    assert "hold all files" in message
    assert ("HF_HUB_OFFLINE forbids" in message) == (state == "offline")
    if state != "broken":
        assert "hold all files" in refused("hf://org/never")
        assert not hub.requests


@pytest.mark.parametrize(
    "address",
    ["hf://", "hf://a/b/c", "hf://a/b@", "hf://a/b@@", "hf://a b/c", "hf://../b", "hf://a/b?x=1"],
)
def test_addresses_that_are_none(settings, address):
    assert is_address(address)
    assert "name" in refused(address)


@pytest.mark.parametrize("path", ["model", "hf:/x", "/hf://a/b", "https://a/b", Path("hf"), 3])
def test_paths_that_are_no_addresses(path):
    assert not is_address(path)
    if path != 3:
        assert resolve(path) == Path(path)


def test_the_library_is_absent(monkeypatch):
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    assert "pip install bert4keras[hub]" in refused()
    assert resolve("a/directory") == Path("a/directory")


SCRIPT = """
import sys
from bert4keras.checkpoints import CheckpointError, open_checkpoint
try:
    with open_checkpoint(sys.argv[1]) as reader:
        print(len(reader.names), reader.source)
except CheckpointError as error:
    print(error)
"""


def test_settings_from_the_environment(repository, tmp_path):
    """Each case runs in a new process, since the library reads its variables once."""
    keep = {k: v for k, v in os.environ.items() if not k.startswith(("HF_", "HUGGING"))}
    home = {"HF_HOME": str(tmp_path / "hf"), "HOME": str(tmp_path / "home"), "NO_PROXY": "*"}

    def run(name: str, **variables: str) -> str:
        done = subprocess.run(
            [sys.executable, "-c", SCRIPT, name],
            env=keep | home | variables,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    with serving() as server:
        server.repos[NAME] = {"main": repository}
        found = run(f"hf://{NAME}", HF_ENDPOINT=server.url)
        assert found.startswith(f"{len(weight_shapes())} ")
        assert str(tmp_path / "hf" / "hub") in found
        server.requests.clear()
        offline = {"HF_ENDPOINT": server.url, "HF_HUB_OFFLINE": "1"}
        assert run(f"hf://{NAME}", **offline) == found
        assert "HF_HUB_OFFLINE forbids" in run("hf://org/never", **offline)
        assert not server.requests
    assert not (tmp_path / "home" / ".cache" / "huggingface").exists()
