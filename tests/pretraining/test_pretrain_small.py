"""The script that makes a small model of texts and a teacher: files, card, resuming, errors."""

from __future__ import annotations

import types

import numpy as np
import pytest

from bert4keras import build_transformer_model, checkpoints, tasks
from bert4keras.checkpoints import open_checkpoint
from bert4keras.checkpoints.safetensors_reader import SafetensorsReader
from helpers.packed_rows import CONFIG, TOKENIZER

pytest.importorskip("pretrain_small", reason="the scripts are not part of this tree")

import pretrain_small


@pytest.fixture(scope="module")
def given(tmp_path_factory):
    """A tiny teacher and texts, as arguments."""
    directory = tmp_path_factory.mktemp("given")
    checkpoints.save(build_transformer_model(CONFIG, model="bert"), directory / "teacher")
    TOKENIZER.save(directory / "teacher")
    lines = ["a b c d e. " * (3 + n % 4) + chr(97 + n % 20) for n in range(60)]
    (directory / "a.txt").write_text("\n".join(lines), encoding="utf-8")
    sizes = "--layers 1 --hidden 8 --heads 2 --length 16 --batch-size 4 --workers 0 --held-out 0.2"
    options = ["--teacher", str(directory / "teacher"), "--documents", "lines", *sizes.split()]
    return [*options, "--text", f"letters={directory / 'a.txt'}"]


@pytest.mark.spread
def test_checkpoint_card_and_resuming(given, tmp_path, monkeypatch, capsys):
    output = tmp_path / "small"
    command = [str(output), *given, "--hours", "1e-6", "--licence", "Apache-2.0"]

    def full(path):
        raise OSError("no space left")

    with monkeypatch.context() as patched:
        patched.setattr(pretrain_small, "to_half", full)
        assert pretrain_small.main(command) == 1
    assert "error: no space left" in capsys.readouterr().err
    assert pretrain_small.main([*command, "--seed", "2"]) == 1
    assert "is of a run with other options" in capsys.readouterr().err
    exact = {}
    with open_checkpoint(output / "model.safetensors") as reader:
        exact = {name: np.array(reader.read(name)) for name in reader.names}
    assert pretrain_small.main(command) == 0  # what was trained is not trained again
    assert f"saved {output}: 1 steps, 0.0 MB" in capsys.readouterr().out
    assert not (tmp_path / "small.training").exists()
    reader = SafetensorsReader(output / "model.safetensors")
    assert {str(reader._stored(name)) for name in reader.names} == {"float16"}
    for name, array in exact.items():
        np.testing.assert_array_equal(reader.read(name), array.astype("float16"))
    reader.close()
    card = (output / "README.md").read_text(encoding="utf-8")
    licence = "license: apache-2.0", "made it: Apache-2.0"
    for text in ("1 layers of width 8", "letters (a.txt)", *licence, "by PCA."):
        assert text in card
    assert len(tasks.load(output)("a b [MASK] d")) > 0
    assert pretrain_small.main(command) == 1
    assert "exists; give another directory" in capsys.readouterr().err


@pytest.mark.spread
def test_deadline():
    for at, stops in ((0.0, True), (float("inf"), False)):
        deadline = pretrain_small.Deadline(at)
        deadline.set_params({"epochs": 3})
        deadline.set_model(model := types.SimpleNamespace(stop_training=False))
        deadline.on_epoch_begin(0)
        deadline.on_epoch_end(0, {"loss": 1.0})
        assert model.stop_training is stops


@pytest.mark.spread
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--steps", "1"], "no texts: name files"),
        (["--steps", "1", "--text", "a.txt"], "'a.txt' must be NAME=FILE"),
        (["a.txt", "--steps", "0"], "--hours and --steps must be above 0"),
    ],
)
def test_errors_of_arguments(arguments, message, capsys):
    with pytest.raises(SystemExit):
        pretrain_small.main(["out", *arguments])
    assert message in capsys.readouterr().err
