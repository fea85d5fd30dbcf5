"""The scripts about masked and permuted tokens: each copied to a folder, on a file there."""

from __future__ import annotations

import importlib.util
import json
import lzma
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from bert4keras import tasks
from bert4keras.tasks import FillMask

ROOT = Path(__file__).parents[2]
TINY = ROOT / "tests" / "fixtures" / "bert_gelu"


def run(script: str, directory: Path, *arguments) -> str:
    """Return the output of a script that is copied into an empty folder."""
    shutil.copy(ROOT / "examples" / script, directory)
    paths = os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])
    done = subprocess.run(
        [sys.executable, script, *map(str, arguments)],
        cwd=directory,
        env={**os.environ, "PYTHONPATH": paths},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout


@pytest.fixture
def texts(tmp_path):
    path = tmp_path / "texts.txt.xz"
    lines = ["the film is good", "the story is bad", "a very good play", "not a bad film"] * 6
    path.write_bytes(lzma.compress("\n".join(lines).encode()))
    return path


@pytest.mark.script
def test_a_new_model_is_trained_and_sampled_from(texts, tmp_path):
    text = "the [MASK] is [MASK]"
    options = ["--train", texts, "--epochs", 2, "--save", tmp_path / "tiny", "--text", text]
    found = run("basic_masked_language_model.py", tmp_path, *options)
    assert re.search(r"^valid: accuracy 0\.\d{4}, perplexity \d+\.\d{4}$", found, re.M)
    assert re.search(r"^the \[MASK\] is \[MASK\]\n  the \w+ is \w+ 0\.\d{3}$", found, re.M)
    assert isinstance(tasks.load(tmp_path / "tiny"), FillMask)
    options = ["--checkpoint", tmp_path / "tiny", "--sweeps", 1, "--tokens", 4]
    found = run("basic_gibbs_sampling_via_mlm.py", tmp_path, *options)
    assert re.search(r"^sweeps: 1; on average -\d+\.\d\d nats a token$", found, re.M)


@pytest.mark.script
def test_a_checkpoint_answers_at_once(tmp_path):
    asked = tmp_path / "asked.txt"
    asked.write_text("the film is [MASK]\n\n我爱[MASK][MASK]\n", encoding="utf-8")
    options = ["--checkpoint", TINY, "--predict", asked, "--maxlen", 32]
    found = run("basic_masked_language_model.py", tmp_path, *options)
    assert "Epoch" not in found
    assert re.search(r"^the film is \[MASK\]\n  (\S+ 0\.\d{3}(, )?){5}$", found, re.M)


@pytest.mark.script
def test_features(tmp_path):
    options = ["--checkpoint", TINY, "good film", "bad film", "--save", tmp_path / "found.npz"]
    assert "(2, 4, 32) (sentences, tokens, features)" in run(
        "basic_extract_features.py", tmp_path, *options
    )
    with np.load(tmp_path / "found.npz") as arrays:
        vectors, sentences = arrays["vectors"], arrays["sentences"]
    assert sentences.tolist() == ["good film", "bad film"]
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, rtol=1e-5)


@pytest.mark.script
@pytest.mark.parametrize("reading", ["one", "two"])
def test_any_order(reading, texts, tmp_path):
    texts.write_bytes(lzma.compress("".join(f"line {i} of many\n" for i in range(40)).encode()))
    options = ["--train", texts, "--epochs", 1, "--maxlen", 16, "--reading", reading]
    found = run("task_permutation_language_model.py", tmp_path, *options)
    assert re.search(r"^held-out loss \d\.\d{3} nats a character$", found, re.M)
    assert found.count(" right)") == 3
    assert "(random; 0." in found


@pytest.mark.script
@pytest.mark.parametrize("pretrained", [False, True])
def test_answers_of_several_characters(pretrained, tmp_path):
    def paragraph(i):
        context = f"我爱北京{i}大京。not very good film"
        answers = [{"text": f"北京{i}", "answer_start": 2}] if i % 3 else []
        return {
            "context": context,
            "qas": [{"question": "我爱 good?", "id": i, "answers": answers}],
        }

    path = tmp_path / "questions.json"
    data = {"data": [{"paragraphs": [paragraph(i) for i in range(12)]}]}
    path.write_text(json.dumps(data), encoding="utf-8")
    options = ["--train", path, "--epochs", 1, "--answer", 4, "--question", 8, "--maxlen", 40]
    options += ["--predict", path, "--save", tmp_path / "saved"]
    options += ["--checkpoint", TINY] if pretrained else ["--random-weights"]
    found = run("task_reading_comprehension_by_mlm.py", tmp_path, *options)
    assert re.search(r"^test: em [01]\.\d{4}, f1 [01]\.\d{4}$", found, re.M)
    assert len(re.findall(r"^我爱 good\? .+$", found, re.M)) == 12
    assert isinstance(tasks.load(tmp_path / "saved"), FillMask)


class Conditionals:
    """A FillMask whose answers are the conditionals of a known joint of two bits."""

    joint = np.array([[0.4, 0.1], [0.2, 0.3]])  # of tokens 3 and 4 at two places

    def __init__(self):
        self.model = self.encoder = self.tokenizer = self
        self.token_mask_id, self.input = 2, []

    def select(self, ids, segments):
        return ids, segments

    def predict_on_batch(self, inputs):
        ids = inputs[0]
        out = np.full((*ids.shape, 5), -70.0)
        for row, place in zip(*np.nonzero(ids == 2), strict=True):
            given = self.joint if place == 2 else self.joint.T
            out[row, place, 3:] = np.log(given[ids[row, 3 - place] - 3])
        return out


def test_gibbs_sampling_draws_from_the_joint():
    """And the pseudo-log-likelihood is that of the table, by hand."""
    path = ROOT / "examples" / "basic_gibbs_sampling_via_mlm.py"
    spec = importlib.util.spec_from_file_location("gibbs", path)
    gibbs = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(gibbs)
    rng, allowed, task = np.random.default_rng(0), np.array([3, 4]), Conditionals()
    ids = np.array([[0, 3, 3, 1]] * 20000)
    found = gibbs.pseudo_log_likelihood(task, np.array([[0, 4, 3, 1]]))
    assert abs(found[0] - (np.log(0.2 / 0.6) + np.log(0.2 / 0.5)) / 2) < 1e-12
    for _ in range(10):
        ids = gibbs.sweep(task, ids, allowed, rng)
    shares = np.bincount((ids[:, 1] - 3) * 2 + ids[:, 2] - 3, minlength=4) / len(ids)
    # Four standard errors; the start, and a sampler that ignores the other token, are far off.
    assert np.abs(shares - Conditionals.joint.ravel()).max() < 4 * 0.5 / len(ids) ** 0.5
    assert (ids[:, [0, 3]] == [0, 1]).all()
