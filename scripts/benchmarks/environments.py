"""The environments of the peers, each its own virtual environment."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

CACHE = Path(__file__).resolve().parents[2] / ".cache" / "benchmark"
TORCH = "torch==2.13.0"
PEERS = {  # name: the pip commands' arguments
    "keras-hub": [["keras-hub", "tensorflow", "jax", TORCH]],  # brings tensorflow-text itself
    "transformers": [["transformers", "accelerate", TORCH]],
    # --no-deps: the ancestor requires a Keras that can no longer be installed
    "pytorch-crf": [[TORCH, "numpy"], ["pytorch-crf"]],
    "ancestor": [["tensorflow", "tf-keras"], ["--no-deps", "bert4keras==0.11.5"]],
}


def python_of(directory: Path) -> Path:
    return directory / ("Scripts/python.exe" if os.name == "nt" else "bin/python")


def interpreters(overrides: list[str]) -> dict[str, str]:
    """Return the interpreter of each peer that is installed.

    Args:
        overrides: ``PEER=DIRECTORY`` items that replace the default directories.

    Raises:
        SystemExit: an override that names no peer or no environment.
    """
    directories = {name: CACHE / name for name in PEERS}
    for item in overrides:
        name, _, directory = item.partition("=")
        if name not in PEERS:
            raise SystemExit(f"--env {item}: no such peer; there are {', '.join(PEERS)}.")
        if not python_of(Path(directory)).exists():
            raise SystemExit(f"--env {item}: {python_of(Path(directory))} does not exist.")
        directories[name] = Path(directory)
    found = {name: python_of(path) for name, path in directories.items()}
    # not resolved: the link itself is what selects the environment
    return {name: str(path.absolute()) for name, path in found.items() if path.exists()}


def install(names: list[str]) -> None:
    """Make the environments from scratch."""
    for name in names:
        directory = CACHE / name
        print(f"installing {name} into {directory}", flush=True)
        # removed on failure, so that half an environment is not taken for a whole one
        shutil.rmtree(directory, ignore_errors=True)
        try:
            subprocess.run([sys.executable, "-m", "venv", str(directory)], check=True)
            for arguments in PEERS[name]:
                pip = [str(python_of(directory)), "-m", "pip", "install", "-q", *arguments]
                subprocess.run(pip, check=True)
        except (subprocess.CalledProcessError, KeyboardInterrupt):
            shutil.rmtree(directory, ignore_errors=True)
            raise


def minilm_directory(given: Path | None = None) -> Path:
    """Return the directory given, or the one that `checkpoints.fetch` returns.

    Raises:
        SystemExit: it cannot be fetched, or the weights are not those expected.
    """
    from bert4keras.checkpoints import CheckpointError, fetch
    from bert4keras.checkpoints.presets import MINILM_FILES, digest

    try:
        if given is None:
            return fetch("minilm-l6")
        found = digest(given / "model.safetensors")
        if found != MINILM_FILES["model.safetensors"]:
            raise SystemExit(f"{given} holds other weights than minilm-l6 (SHA-256 {found}).")
        return given
    except (CheckpointError, OSError) as error:
        raise SystemExit(f"{error}") from None
