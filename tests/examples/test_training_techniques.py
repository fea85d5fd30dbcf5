"""The examples of techniques of training run, and draw what they are asked to."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
TINY = ROOT / "tests" / "fixtures" / "bert_gelu"
SMALL = ["--model", TINY, "--limit", "8", "--eval-limit", "8", "--epochs", "1", "--maxlen", "16"]


def run(script: str, *arguments) -> str:
    command = [sys.executable, str(ROOT / "examples" / script), *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout


@pytest.mark.script
def test_theseus_runs():
    printed = run("task_bert_of_theseus.py", *SMALL, "--layers", 1)
    assert "predecessor, 3 blocks: test accuracy" in printed
    assert "successor, 1 blocks, fine-tuned after it: test accuracy" in printed
    assert "baseline, first 1 blocks fine-tuned directly: test accuracy" in printed


@pytest.mark.script
def test_rates_by_layer_run():
    printed = run("task_layerwise_learning_rates.py", *SMALL)
    assert "test accuracy of the most frequent training label" in printed
    scored = [line for line in printed.splitlines() if line.startswith("test accuracy, decay")]
    assert [line.split(":")[0].split()[-1] for line in scored] == ["1", "0.8"]


@pytest.mark.script
def test_attributions_are_printed_and_drawn(tmp_path):
    """Own texts; the picture as a page has the text and nothing else, apart from marks."""
    picture = tmp_path / "words.html"
    text = "A fine <day>"
    printed = run(
        "basic_integrated_gradients.py", *SMALL, "--text", text, "--picture", picture, "--steps", 4
    )
    assert "what the parts lack on average" in printed
    assert "one hidden token takes" in printed
    assert "\x1b" not in printed  # to a pipe the weights go as numbers
    assert re.search(r"gap [+-]\d\.\d{4}: .*\([+-]\d\.\d{3}\)", printed)
    page = picture.read_text(encoding="utf-8")
    assert "&lt;</span>" in page
    assert "rgba(" in page
