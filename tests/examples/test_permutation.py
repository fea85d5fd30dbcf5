"""The permutation language model of the examples runs, on its own data and on a file."""

from __future__ import annotations

import json
import lzma
import re
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "examples" / "task_permutation_language_model.py"


@pytest.mark.script
@pytest.mark.parametrize("own", [False, True])
def test_runs(own, tmp_path):
    arguments = ["--epochs", "1", "--limit", "40", "--eval-limit", "8", "--maxlen", "16"]
    if own:
        path = tmp_path / "poems.jsonl.xz"
        lines = [json.dumps({"paragraphs": [f"line {i},", "and the other"]}) for i in range(40)]
        path.write_bytes(lzma.compress("\n".join(lines).encode()))
        arguments += ["--text", str(path)]
    command = [sys.executable, str(SCRIPT), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-2000:]
    sizes = ("36", "4") if own else (r"40 of \d+", r"8 of \d+")
    for split, size in zip(("train", "test"), sizes, strict=True):
        assert re.search(rf"^{split}: {size} rows of ", done.stdout, re.M)
    for reading in ("one stream", "two streams"):
        assert re.search(rf"{reading}: held-out loss \d\.\d+ nats", done.stdout)
    assert done.stdout.count("(left; ") == done.stdout.count("(random; ") == 2
