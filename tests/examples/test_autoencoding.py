"""The scripts of autoencoders: each copied into an empty folder, with a small file."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from bert4keras import tasks

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
TINY = Path(__file__).resolve().parents[1] / "fixtures" / "bert_gelu"
TEXTS = "".join(f"the {word} is late {i}\t{word}\n" for i in range(12) for word in ("bus", "film"))
CASES = [
    ("task_sentence_vae.py", ["--size", "4"], "active_units"),
    ("task_sentence_vae.py", ["--checkpoint", TINY, "--anneal", "0"], "active_units"),
    ("task_discrete_autoencoder.py", ["--codes", "3"], "code_perplexity"),
    ("task_discrete_autoencoder.py", ["--latent", "gumbel"], "code_perplexity"),
]


@pytest.mark.script
@pytest.mark.parametrize(("script", "arguments", "expected"), CASES)
def test_a_script_alone(script, arguments, expected, tmp_path):
    shutil.copy(EXAMPLES / script, tmp_path)
    (tmp_path / "mine.txt").write_text(TEXTS, encoding="utf-8")
    command = [sys.executable, script, "--train", "mine.txt", "--epochs", "1", "--maxlen", "16"]
    command += ["--save", "saved", *map(str, arguments)]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-2000:]
    for part in ("test: loss_per_token", expected, "samples: ", "walk: "):
        assert part in done.stdout
    assert isinstance(tasks.load(tmp_path / "saved"), tasks.SentenceAutoencoder)
