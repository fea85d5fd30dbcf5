"""A Python without Keras, TensorFlow, JAX and torch: only what exported tasks need is there."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import bert4keras

# Packages of the environment, and folders with libraries of their wheels.
NEEDED = (
    "numpy",
    "numpy.libs",
    "tokenizers",
    "tqdm",
    "click",
    "sentencepiece",
    "typing_extensions.py",
)
ENGINES = ("openvino", "onnxruntime", "ai_edge_litert", "flatbuffers", "ml_dtypes", "packaging")


def run(
    directory: Path, arguments: Sequence[str], stdin: str = ""
) -> subprocess.CompletedProcess[str]:
    """Run Python in such an environment.

    Args:
        directory: an empty one, or one of an earlier call.
        arguments: of Python, such as ("-c", code).
        stdin: what it reads.
    """
    directory.mkdir(exist_ok=True)
    site = Path(importlib.util.find_spec("numpy").origin).parents[1]
    for name in (*NEEDED, *ENGINES):
        if (site / name).exists() and not (directory / name).exists():
            (directory / name).symlink_to(site / name)
    root = str(Path(bert4keras.__file__).parents[1])
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("KERAS", "PYTHON"))}
    environment["PYTHONPATH"] = os.pathsep.join([str(directory), root])
    command = [sys.executable, "-S", *arguments]
    options = {"input": stdin, "capture_output": True, "text": True, "timeout": 300}
    return subprocess.run(command, env=environment, **options)
