"""The example of novelty detection, copied to an empty directory, with a user's files."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from bert4keras import tasks

ROOT = Path(__file__).resolve().parents[2]
TINY = ROOT / "tests" / "fixtures" / "bert_gelu"


@pytest.mark.script
def test_known_and_foreign_texts_of_ones_own(tmp_path):
    shutil.copy(ROOT / "examples" / "task_novelty.py", tmp_path)
    words = ("good", "bad", "film", "story")
    known = [f"the {a} {b} {c}\t1" for a in words for b in words for c in words]
    (tmp_path / "known.tsv").write_text("\n".join(known), encoding="utf-8")
    foreign = [f"it was not very play it was not it was {word}" for word in ("it", "was", "not")]
    (tmp_path / "foreign.txt").write_text("\n".join(foreign), encoding="utf-8")
    command = [sys.executable, "task_novelty.py", "--checkpoint", TINY, "--method", "mahalanobis"]
    command += ["--known", "known.tsv", "--foreign", "foreign.txt", "--save", "saved"]
    command += ["--maxlen", "32"]
    done = subprocess.run(
        [*map(str, command)], capture_output=True, text=True, timeout=300, cwd=tmp_path
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert "known texts; test: 1" in done.stdout
    assert "test: {'auroc': 1.0" in done.stdout
    assert done.stdout.count("  novel (p ") >= 2
    assert tasks.load(tmp_path / "saved")(foreign[0]).is_novel
