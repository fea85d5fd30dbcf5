"""The converter on every family: to the other format and back, byte by byte."""

from __future__ import annotations

import importlib.util
import json

import pytest
from safetensors.numpy import load_file

from bert4keras.checkpoints import TABLES, CheckpointError, convert
from helpers.families import FAMILIES, NAMES

pytestmark = pytest.mark.spread

BOTH = ("albert", "electra", "electra_generator", "gpt", "gpt2", "mt5", "roformer", "t5", "t5.1.1")
needs_tensorflow = pytest.mark.skipif(
    importlib.util.find_spec("tensorflow") is None, reason="TensorFlow writes this format"
)


@needs_tensorflow
@pytest.mark.parametrize("name", BOTH)
def test_there_and_back(name, tmp_path):
    there = convert(FAMILIES / name, tmp_path / "google", "google", progress=False)
    assert there.unexpected == ()
    convert(tmp_path / "google", tmp_path / "back", "huggingface", progress=False)
    theirs = load_file(FAMILIES / name / "model.safetensors")
    ours = load_file(tmp_path / "back" / "model.safetensors")
    # Only Hugging Face's own constants and copies have no place in the other format.
    assert set(theirs) - set(ours) == set(there.ignored)
    for key, array in ours.items():
        assert array.tobytes() == theirs[key].tobytes(), key


@pytest.mark.parametrize("name", NAMES)
def test_to_the_same_format(name, tmp_path):
    done = convert(FAMILIES / name, tmp_path / "out", "huggingface", progress=False)
    theirs = load_file(FAMILIES / name / "model.safetensors")
    ours = load_file(tmp_path / "out" / "model.safetensors")
    assert set(theirs) - set(ours) == set(done.ignored)
    assert all(array.tobytes() == theirs[key].tobytes() for key, array in ours.items())
    written = json.loads((tmp_path / "out" / "config.json").read_text())
    assert (
        written["model_type"]
        == json.loads((FAMILIES / name / "config.json").read_text())["model_type"]
    )


@pytest.mark.parametrize("name", ["roberta", "distilbert", "modernbert"])
def test_a_family_without_the_other_format(name, tmp_path):
    with pytest.raises(CheckpointError, match="this family has no 'google' format, only: "):
        convert(FAMILIES / name, tmp_path / "out", "google", progress=False)
    assert not (tmp_path / "out").exists()


def test_every_family_with_two_formats_is_here():
    both = {
        family
        for family, tables in TABLES.items()
        if {table.format for table in tables} == {"google", "huggingface"}
    }
    # BERT has its own tests; unshared ALBERT is saved as BERT.
    assert both - {"bert", "albert_unshared"} <= set(BOTH)
