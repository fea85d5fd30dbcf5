"""Checkpoints that a command line names."""

from __future__ import annotations

import argparse
from pathlib import Path

import pytest

from bert4keras import tasks
from bert4keras.checkpoints import CheckpointError, presets

pytestmark = pytest.mark.spread

TINY = Path(__file__).parents[1] / "fixtures" / "bert_gelu"


def parse(*arguments):
    parser = argparse.ArgumentParser()
    parser.add_argument("--checkpoint", type=tasks.checkpoint_argument, default="minilm-l6")
    parser.add_argument("--random-weights", dest="checkpoint", action="store_const", const=None)
    return parser.parse_args(arguments).checkpoint


def test_an_argument_names_a_checkpoint(monkeypatch, capsys):
    def unreachable(name):
        raise CheckpointError(f"{name} could not be downloaded: no network.")

    monkeypatch.setattr(presets, "fetch", unreachable)
    assert parse("--checkpoint", str(TINY)) == TINY
    assert parse("--random-weights") is None  # and nothing is fetched
    for arguments in ([], ["--checkpoint", "nowhere"]):
        with pytest.raises(SystemExit):
            parse(*arguments)
        line = capsys.readouterr().err.splitlines()[-1]
        assert "Without a network, pass the directory of a checkpoint, or start from" in line
        assert ("minilm-l6 could not" in line) != ("nowhere is no directory" in line)
