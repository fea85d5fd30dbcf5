"""Training on several devices and processes against one device; the child process computes both."""

from __future__ import annotations

import json
import os
import runpy
import socket
import subprocess
import sys
from pathlib import Path

import h5py
import keras
import numpy as np
import pytest

from bert4keras import distribution, optimizers, training
from bert4keras.models import build_transformer_model
from helpers import families, pages

CHILD = Path(__file__).parent / "helpers" / "distributed_child.py"
PAGE = CHILD.parents[2] / "docs" / "distributed.md"
FAST = "--xla_backend_optimization_level=0 --xla_llvm_disable_expensive_passes=true"
# All that is promised, in few models: each is compiled for every number of devices.
NAMES = ["tags+rdrop", "crf+fgm+clip+accumulate+lookahead+ema", "mlm"]
EACH = ["tags+widths", "crf", "fgm", "rdrop", "accumulate", "lookahead", "ema", "clip"]

on_jax = pytest.mark.skipif(keras.backend.backend() != "jax", reason="distributes on JAX only")


def start(
    job: str,
    output: Path,
    count: int,
    backend: str = "jax",
    variables: dict | None = None,
    **options,
) -> subprocess.Popen:
    """Start a process with a number of virtual devices, and with environment variables."""
    flags = f"--xla_force_host_platform_device_count={count} {FAST}"
    search = os.pathsep.join([str(CHILD.parents[2]), os.environ.get("PYTHONPATH", "")])
    environment = {**os.environ, "KERAS_BACKEND": backend, "XLA_FLAGS": flags, "PYTHONPATH": search}
    environment.pop("JAX_COMPILATION_CACHE_DIR", None)  # of programs for other devices
    environment |= variables or {}
    command = [sys.executable, "-W", "ignore", str(CHILD), job, str(output), json.dumps(options)]
    return subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True)


def results(started: dict[Path, subprocess.Popen]) -> list[dict]:
    """Wait for processes; return what each has written."""
    for process in started.values():
        try:
            _, errors = process.communicate(timeout=1500)  # all slow ones in turn
        except subprocess.TimeoutExpired:
            for other in started.values():
                other.kill()
            raise
        assert process.returncode == 0, errors[-3000:]
    return [json.loads(path.read_text(encoding="utf-8")) for path in started]


def run_devices(directory: Path, names: list[str], counts: list) -> dict:
    path = directory / "devices.json"
    return results({path: start("devices", path, 4, names=names, counts=counts)})[0]


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("localhost", 0))
        return free.getsockname()[1]


def slurm_step(rank: int, job: int) -> dict[str, str]:
    """Return the variables that `srun --ntasks=2` sets; JAX derives the port from the job."""
    values = {"JOB_ID": job, "STEP_NODELIST": "localhost", "STEP_NUM_NODES": 1}
    values |= {"NTASKS": 2, "PROCID": rank, "LOCALID": rank}
    return {f"SLURM_{name}": str(value) for name, value in values.items()}


def run_processes(
    directory: Path, names: list[str], alone: list[str], slurm: bool = False
) -> list[dict]:
    """Start two processes with two devices each; return what each has written."""
    options = {"names": names, "alone": alone, "directory": str(directory)}
    port, started = free_port(), {}
    for rank in range(2):
        path = directory / f"process{rank}.json"
        place = None if slurm else (f"localhost:{port}", 2, rank)
        variables = slurm_step(rank, port) if slurm else {}
        started[path] = start("processes", path, 2, variables=variables, place=place, **options)
    return results(started)


def gap(found: dict, expected: dict) -> float:
    """Largest difference of losses, scores, weights and averages."""
    assert found.keys() == expected.keys()
    return max(float(np.abs(np.subtract(found[k], expected[k])).max()) for k in found)


@pytest.fixture(scope="module")
def one_and_four(tmp_path_factory):
    return run_devices(tmp_path_factory.mktemp("devices"), NAMES, [0, 4])


@on_jax
@pytest.mark.parametrize("name", NAMES)
def test_four_devices_train_as_one_does(one_and_four, name):
    expected = one_and_four[f"{name} 0"]
    assert gap(one_and_four[f"{name} 4"], expected) < 1e-5
    assert expected["loss"][1] < expected["loss"][0] - 0.1


@on_jax
def test_two_processes_of_slurm_train_as_one_does(one_and_four, tmp_path):
    names = [NAMES[0], "mlm"]
    first, second = run_processes(tmp_path, names, names[:1], slurm=True)
    for name in names:
        expected = one_and_four[f"{name} 0"]
        assert gap(first[name], second[name]) < 1e-7
        assert gap(first[name], expected) < 1e-5
    name = names[0]
    expected = one_and_four[f"{name} 0"]
    # Without its part of the data, each process trains on the same batches.
    assert gap(first[f"{name} alone"], expected) > 1e-3


@pytest.mark.slow
@on_jax
def test_each_technique_on_devices_and_processes(tmp_path):
    devices = run_devices(tmp_path, EACH, [0, 2, 4])
    devices |= run_devices(tmp_path, ["crf"], [1, "split"])
    layouts = devices.pop("layouts")
    assert "'model'" in layouts["Transformer-0-FeedForward/inner/kernel"]
    assert "'model'" not in layouts["Scores/bias"]  # 3 classes on 2 devices
    processes = run_processes(tmp_path, EACH, [])
    gaps = {name: gap(devices[name], devices[f"{name.split()[0]} 0"]) for name in devices}
    gaps |= {
        f"{name}, process {rank}": gap(found[name], devices[f"{name} 0"])
        for rank, found in enumerate(processes)
        for name in EACH
    }
    assert {name: value for name, value in gaps.items() if value > 1e-5} == {}


@pytest.mark.spread(over="torch")
@pytest.mark.skipif(keras.backend.backend() != "torch", reason="a script for torch")
@pytest.mark.skipif(not PAGE.is_file(), reason="docs are not part of this tree")
def test_the_script_for_torch_trains_as_one_process_does(tmp_path, monkeypatch):
    sources = [source for _, source in pages.blocks(PAGE.read_text(encoding="utf-8"))]
    (tmp_path / "ddp.py").write_text(next(s for s in sources if "torchrun" in s), encoding="utf-8")
    output = str(tmp_path / "two.weights.h5")
    command = [sys.executable, "-W", "ignore", str(tmp_path / "ddp.py"), output]
    variables = {"MASTER_ADDR": "localhost", "WORLD_SIZE": "2", "MASTER_PORT": str(free_port())}
    search = os.pathsep.join([str(CHILD.parents[2]), os.environ.get("PYTHONPATH", "")])
    started = [
        subprocess.Popen(
            command,
            env={**os.environ, **variables, "RANK": str(rank), "PYTHONPATH": search},
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank in range(2)
    ]
    for name, value in {**variables, "WORLD_SIZE": "1", "RANK": "0"}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("MASTER_PORT", str(free_port()))
    monkeypatch.setattr(sys, "argv", ["ddp.py", str(tmp_path / "one.weights.h5")])
    runpy.run_path(str(tmp_path / "ddp.py"), run_name="__main__")
    for process in started:
        _, errors = process.communicate(timeout=300)
        assert process.returncode == 0, errors[-3000:]
    weights = []
    for name in ("one", "two"):
        with h5py.File(tmp_path / f"{name}.weights.h5") as file:
            names: list[str] = []
            file.visit(names.append)
            weights.append([file[n][()] for n in names if isinstance(file[n], h5py.Dataset)])
    assert len(weights[0]) > 20
    assert max(np.abs(a - b).max() for a, b in zip(*weights, strict=True)) < 1e-5


def tiny():
    return build_transformer_model(
        {"model_type": "bert", "vocab_size": 20, "hidden_size": 8, "num_hidden_layers": 1}
        | {"num_attention_heads": 2, "intermediate_size": 12, "max_position": 16}
    )


@pytest.mark.skipif(keras.backend.backend() == "jax", reason="JAX distributes")
def test_distribution_that_does_nothing_is_refused():
    nothing = keras.distribution.DataParallel(devices=["cpu:0", "cpu:1"])  # silently, in Keras
    backend = keras.backend.backend()
    other = {"tensorflow": "MirroredStrategy", "torch": "DistributedDataParallel"}[backend]
    with nothing.scope(), pytest.raises(ValueError, match=f"does nothing on {backend}.*{other}"):
        tiny()
    for make in (distribution.data_parallel, lambda: distribution.model_parallel(1)):
        with pytest.raises(ValueError, match="Use JAX"):
            make()
    assert distribution.data_shard() == (0, 1)
    assert distribution.num_replicas() == 1


@pytest.mark.spread(over="torch")
@pytest.mark.parametrize("family", [*families.NAMES, "gau_alpha"])
def test_layouts_split_every_matrix_of_the_blocks(family):
    if family == "gau_alpha":
        sizes = {"vocab_size": 20, "hidden_size": 8, "num_hidden_layers": 1, "max_position": 16}
        model = build_transformer_model(
            {"model_type": family, "intermediate_size": 16, "attention_key_size": 4, **sizes}
        )
    else:
        model = families.build(family)
    mesh = keras.distribution.DeviceMesh((1, 1), ("batch", "model"), ["cpu:0"])
    layouts = distribution.layout_map(mesh)
    found = {v.path: layouts[v.path] for v in model.weights}  # an error if two patterns match
    copied = {path for path, layout in found.items() if layout is None}
    kernels = {v.path for v in model.weights if "Transformer" in v.path and len(v.shape) == 2}
    assert len(kernels) > 1
    assert kernels & copied == set()
    assert any(path.endswith("Embedding-Token/embeddings") for path in found.keys() - copied)
    assert all(len(found[v.path].axes) == len(v.shape) for v in model.weights if found[v.path])


@on_jax
def test_one_device_is_a_distribution_too():
    with distribution.data_parallel().scope():
        assert distribution.data_shard() == (0, 1)
        assert distribution.num_replicas() == len(keras.distribution.list_devices())
    with pytest.raises(ValueError, match="model_devices=3 must divide"):
        distribution.model_parallel(3, ["cpu:0"])
    mesh = keras.distribution.DeviceMesh((1, 1), ("batch", "model"), ["cpu:0"])
    with pytest.raises(ValueError, match=r"axis='rows' must be one of .*'batch', 'model'"):
        distribution.layout_map(mesh, "rows")


@pytest.mark.spread(over="tensorflow")
@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="replicas of TensorFlow")
def test_what_replicas_of_tensorflow_cannot_do(monkeypatch):
    """The rest trains as on one device, as the slow test of the mirrored strategy shows."""
    for module in (optimizers.checks, training.regularized):
        monkeypatch.setattr(module, "tensorflow_replicas", lambda: 2)
    for extension in (optimizers.Clip(1.0), optimizers.Accumulate(2)):
        with pytest.raises(ValueError, match=r"one of the 2 replicas .* or use JAX"):
            optimizers.ExtendedOptimizer("sgd", [extension])
    optimizers.ExtendedOptimizer("sgd", [optimizers.Lookahead(), optimizers.EMA()])
    encoder = tiny()
    scores = keras.layers.Dense(3, "softmax")(encoder.output)
    model = training.RegularizedModel(keras.Model(encoder.input, scores), [training.FGM(0.5)])
    with pytest.raises(ValueError, match=r"FGM scales .* the 2 replicas"):
        model.compile("sgd", "sparse_categorical_crossentropy")


@pytest.mark.slow
@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="replicas of TensorFlow")
def test_mirrored_replicas_train_as_one_device_does(tmp_path):
    path = tmp_path / "mirrored.json"
    names = ["plain", "rdrop", "lookahead", "ema", "tags"]
    found = results({path: start("mirrored", path, 1, "tensorflow", names=names)})[0]
    gaps = {name: gap(found[f"{name} 2"], found[f"{name} 1"]) for name in names}
    # The mean over the replicas of means over their tokens, which is not the mean over all tokens.
    assert gaps.pop("tags") > 1e-3
    assert {name: value for name, value in gaps.items() if value > 1e-5} == {}
