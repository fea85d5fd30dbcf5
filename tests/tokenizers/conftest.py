"""Tokenizers of every kind, from the recorded directories."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from bert4keras.tokenizers import Tokenizer

DIRECTORY = Path(__file__).parents[1] / "fixtures" / "tokenizers"
KINDS = sorted(path.name for path in DIRECTORY.iterdir() if path.is_dir())


@pytest.fixture(scope="session")
def directories() -> Path:
    """The directory that holds a directory for each kind."""
    return DIRECTORY


@pytest.fixture(scope="session")
def reference() -> dict:
    """Texts, and the ids and offsets that transformers gives; see scripts/fixtures."""
    return json.loads((DIRECTORY / "reference.json").read_text("utf-8"))


@pytest.fixture(scope="session", params=KINDS)
def kind(request) -> str:
    """Each of the recorded directories, by its name."""
    return request.param


@pytest.fixture(scope="session")
def tokenizer(kind):
    """The tokenizer of each of them."""
    return Tokenizer.from_pretrained(DIRECTORY / kind)
