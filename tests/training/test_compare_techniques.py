"""scripts/experiments/compare_techniques.py trains all techniques on the same terms."""

from __future__ import annotations

import json
import runpy
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).resolve().parents[2]
SCRIPT = ROOT / "scripts" / "experiments" / "compare_techniques.py"
SMALL = [
    "--checkpoint",
    ROOT / "tests" / "fixtures" / "bert_gelu",
    "--batch-size",
    "8",
    "--epochs",
    "2",
]


@pytest.mark.script
def test_runs_go_on_where_they_stopped(tmp_path):
    """A seed has one result, whether it is the first of a process or follows another."""

    def runs(file: str, seeds: int) -> list[dict]:
        options = ["--sizes", 24, "--maxlen", 16, "--test-limit", 16, "--buckets", 1]
        options += ["--graded", 1, "--techniques", "plain", "ema", "vat"]
        options += ["--results", tmp_path / file, "--seeds", seeds]
        command = [sys.executable, SCRIPT, *SMALL, *options]
        done = subprocess.run(map(str, command), capture_output=True, text=True, timeout=300)
        assert done.returncode == 0, done.stderr[-2000:]
        assert "left out, since they compare classes: vat" in done.stdout
        assert "| 24 | ema | " in done.stdout
        return [json.loads(line) for line in (tmp_path / file).read_text().splitlines()]

    def scores(found: list[dict]) -> dict:
        return {(run["technique"], run["seed"]): run["score"] for run in found}

    first = runs("a", 1)
    resumed = runs("a", 2)
    assert resumed[:2] == first
    assert len(resumed) == 4
    assert scores(resumed) == pytest.approx(scores(runs("b", 2)))
    assert len({run["score"] for run in resumed}) > 1  # seeds do differ


def test_hidden_labels_change_nothing_else(monkeypatch):
    """Batches of plain training are the first halves of those with hidden labels."""
    monkeypatch.setattr(sys, "argv", ["compare", *map(str, SMALL), "--pool", "4", "--maxlen", "16"])
    script = runpy.run_path(str(SCRIPT))
    experiment = script["Experiment"](script["read_arguments"]())
    plain = np.array(experiment.rows(40, 1, hidden=False), object).reshape(10, 8, 2)
    both = np.array(experiment.rows(40, 1, hidden=True), object).reshape(10, 16, 2)
    assert (both[:, :8] == plain).all()
    assert set(both[:, 8:, 1].flat) == {-1}
    labelled = set(plain[:, :, 0].flat)
    assert len(labelled) == 40
    assert not labelled & set(both[:, 8:, 0].flat)
    for epoch in (plain[:5], plain[5:]):  # 4 batches are sorted by length together
        lengths = np.sort([max(map(len, batch[:, 0])) for batch in epoch])
        assert lengths[0] < lengths[-1] / 1.5
    assert (experiment.rows(40, 2, hidden=False) != plain.reshape(-1, 2)).any()


def test_ones_own_texts_are_not_scored_on_the_shipped_ones(monkeypatch, capsys):
    script = runpy.run_path(str(SCRIPT))
    monkeypatch.setattr(sys, "argv", ["compare", "--train", "mine.tsv"])
    with pytest.raises(SystemExit):
        script["read_arguments"]()
    assert "--train and --test need each other" in capsys.readouterr().err
