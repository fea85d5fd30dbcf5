"""The examples of similarity, copied to an empty directory, with a user's file."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from bert4keras import tasks
from bert4keras.tasks.similarity import VectorIndex

ROOT = Path(__file__).resolve().parent.parent.parent
TINY = ROOT / "tests" / "fixtures" / "bert_gelu"
ADJECTIVES = ("good", "bad", "very good", "very bad")


def run(directory: Path, script: str, *arguments) -> str:
    shutil.copyfile(ROOT / "examples" / script, directory / script)
    rows = [
        f"the film is {a}\tthe story is {b}\t{int(a == b)}" for a in ADJECTIVES for b in ADJECTIVES
    ]
    (directory / "pairs.tsv").write_text("text_a\ttext_b\tlabel\n" + "\n".join(rows) + "\n")
    fixed = ["--train", "pairs.tsv", "--checkpoint", TINY, "--save", "saved", "--epochs", "1"]
    command = [sys.executable, script, *fixed, "--maxlen", "24", *arguments]
    done = subprocess.run(
        list(map(str, command)), cwd=directory, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout


@pytest.mark.script
def test_pairs_read_as_one_text(tmp_path):
    (tmp_path / "new.txt").write_text("good film\tbad film\n")
    out = run(tmp_path, "task_sentence_similarity.py", "--predict", "new.txt")
    assert "12 pairs to train on, 2 to choose the epoch, 2 to test on" in out
    assert "test: accuracy " in out
    answer = json.loads(out.strip().split("\n")[-1])
    saved = tasks.load(tmp_path / "saved")
    assert saved(("good film", "bad film")) == pytest.approx(answer["score"], abs=1e-5)


@pytest.mark.script
def test_an_index_of_codes(tmp_path):
    pairs = [f"the film {i} is good\tthe story {i} is bad\t{i % 2}" for i in range(160)]
    (tmp_path / "more.tsv").write_text("text_a\ttext_b\tlabel\n" + "\n".join(pairs) + "\n")
    run(tmp_path, "task_sentence_embedding.py", "--train", "more.tsv", "--code-size", "4")
    index = VectorIndex.load(tmp_path / "saved" / "index.npz")
    assert index.codes.shape[1] == 4


@pytest.mark.script
@pytest.mark.parametrize("objective", ["cosent", "simcse"])
def test_vectors_of_sentences(tmp_path, objective):
    (tmp_path / "new.txt").write_text("good film\n")
    options = ("--objective", objective, "--predict", "new.txt", "--limit", "8")
    out = run(tmp_path, "task_sentence_embedding.py", *options)
    assert "test, before training: spearman " in out
    assert "test, after training: spearman " in out
    answer = json.loads(out.strip().split("\n")[-1])
    saved = tasks.load(tmp_path / "saved")
    index = tasks.TextIndex.load(tmp_path / "saved" / "index.npz", saved)
    (nearest, *_) = index.search("good film", k=3)
    assert answer["nearest"][0] == {
        "text": nearest.text,
        "score": pytest.approx(nearest.score, abs=1e-5),
    }


@pytest.mark.script
@pytest.mark.parametrize("flow", ["glow", "iresnet"])
def test_vectors_made_isotropic(tmp_path, flow):
    train = ROOT / "examples" / "datasets" / "sentence_pairs" / "train.tsv"
    options = ("--flow", flow, "--train", train, "--limit", "20", "--test", "pairs.tsv")
    options += ("--layer", "1", "--blocks", "2")
    out = run(tmp_path, "task_sentence_embedding_flow.py", *options)
    assert "texts to train on, 16 pairs to test on" in out
    for name in ("plain", "whitened", flow):
        assert f"{name}: mean cosine " in out
    assert tasks.load(tmp_path / "saved")("good film").shape == (32,)
