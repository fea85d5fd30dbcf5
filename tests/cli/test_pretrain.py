"""`bert4keras pretrain`: a small run, the same command again, and wrong options."""

from __future__ import annotations

import json

import keras
import pytest

from bert4keras.tasks import FillMask
from helpers.command_line import DATASETS, run, run_json

pytestmark = pytest.mark.spread
SIZES = [f"--size={size}" for size in ("hidden_size=16", "num_hidden_layers=1")]
SIZES += ["--size=num_attention_heads=2", "--vocab-size=120", "--maxlen=32", "--workers=0"]
CORPUS = DATASETS / "corpus_en.txt"


def test_from_scratch_and_continued(tmp_path):
    output = tmp_path / "out"
    options = [CORPUS, "--documents=lines", "--output", output, "--batch-size=4", "--epochs=1"]
    options += ["--interval=20", "--from-scratch", "--held-out=0.1", *SIZES]
    done = run_json("pretrain", *options)
    assert done["steps"] > 20
    assert {"loss", "val_loss", "tokens_per_second", "peak_share"} <= done["log"][-1].keys()
    assert not output.with_name("out.training").exists()
    assert FillMask.build(output)("the [MASK] opens.")
    again = run("pretrain", *options)
    assert again.exit_code == 0
    assert "is complete; nothing to continue" in again.stderr
    changed = run("pretrain", *options, "--seed=5")
    assert "is of a training with seed=1, not 5" in changed.stderr
    (tmp_path / "new.txt").write_text("sunrise\ntomatoes\n", encoding="utf-8")
    more = [CORPUS, "--model", output, "--output", tmp_path / "more", "--steps=2", "--maxlen=32"]
    more += ["--new-tokens", tmp_path / "new.txt", "--max-positions=1024", "--workers=0"]
    adapted = run(
        "pretrain", *more, "--option=unit=spans", "--ema=0.9", "--clip=0", "--valid", CORPUS
    )
    assert adapted.exit_code == 0, adapted.stderr
    sizes = [json.loads((path / "config.json").read_text()) for path in (output, tmp_path / "more")]
    assert sizes[1]["vocab_size"] > sizes[0]["vocab_size"]
    assert sizes[1]["max_position_embeddings"] == 1024


def test_data_parallel(tmp_path):
    options = ["--documents=lines", "--from-scratch", "--steps=1", "--data-parallel", *SIZES]
    try:
        found = run("pretrain", CORPUS, "--output", tmp_path / "out", *options)
    finally:
        keras.distribution.set_distribution(None)
    if keras.backend.backend() == "jax":
        assert found.exit_code == 0, found.stderr
        assert (tmp_path / "out" / "model.safetensors").is_file()
    else:
        assert "error: keras.distribution does nothing on" in found.stderr.lower()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ([], "give either --model or --from-scratch"),
        (["--from-scratch"], "give either --steps or --epochs"),
        (["--from-scratch", "--steps=1", "--max-positions=9"], "--max-positions goes with --model"),
        (["--from-scratch", "--steps=1", "--objective=x"], "--objective 'x' is unknown; known are"),
        (["--from-scratch", "--steps=1", "--option=x=1"], "--objective mlm, --option: "),
        (["--from-scratch", "--steps=1", "--family=x"], "--family x: known are albert"),
    ],
)
def test_wrong_options(tmp_path, options, message):
    found = run("pretrain", CORPUS, "--output", tmp_path / "out", "--vocab-size=120", *options)
    assert found.exit_code in (1, 2)
    assert message in found.stderr
    (tmp_path / "file").touch()


def test_places_in_use(tmp_path):
    (tmp_path / "file").touch()
    options = ["--from-scratch", "--steps=1", "--output"]
    assert "is a file" in run("pretrain", CORPUS, *options, tmp_path / "file").stderr
    assert "holds no pretraining" in run("pretrain", CORPUS, *options, tmp_path).stderr
