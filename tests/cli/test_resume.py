"""A killed `bert4keras train` goes on with --resume, to the same weights."""

from __future__ import annotations

import signal
import subprocess
import sys
import time

import keras
import numpy as np
import pytest

from bert4keras import tasks
from helpers.command_line import head, run, tiny_options

pytestmark = pytest.mark.spread


def test_kill_and_resume(tmp_path):
    files = [head(f"reviews/{part}.tsv", tmp_path, 24) for part in ("train", "valid")]
    given = ["train", "text-classifier", "--train", files[0], "--valid", files[1], *tiny_options()]
    given += ["--epochs", 4, "--batch-size", 4, "--maxlen", 32]
    whole = run(*given, "--output", tmp_path / "whole")
    assert whole.exit_code == 0, whole.output

    command = [sys.executable, "-m", "bert4keras", *given, "--output", tmp_path / "part"]
    state = tmp_path / "part.training"
    process = subprocess.Popen(list(map(str, command)), stderr=subprocess.PIPE)
    while process.poll() is None and not (state / "backup" / "backup.json").exists():
        time.sleep(0.002)
    process.send_signal(signal.SIGKILL)
    _, errors = process.communicate()
    assert process.returncode == -signal.SIGKILL, errors.decode()
    assert not (tmp_path / "part").exists()

    done = run(*given, "--output", tmp_path / "part")
    assert "is of an interrupted training: --resume it, or --force anew" in done.stderr
    done = run(*given, "--output", tmp_path / "part", "--resume", "--batch-size", 8)
    assert "is of a training with batch_size=4, not 8" in done.stderr
    done = run(*given, "--output", tmp_path / "part", "--resume")
    assert done.exit_code == 0, done.output
    assert "epoch 1/4" not in done.stderr  # the first epoch was not trained again
    assert "epoch 4/4" in done.stderr
    assert done.stdout.replace("part", "whole") == whole.stdout
    weights = [tasks.load(tmp_path / name).model.get_weights() for name in ("whole", "part")]
    # On TensorFlow the tests turn Grappler off in their own process, not in the killed one.
    rounding = 1e-7 if keras.backend.backend() == "tensorflow" else 0.0
    for one, other in zip(*weights, strict=True):
        np.testing.assert_allclose(one, other, rtol=0, atol=rounding)
    assert not state.exists()
