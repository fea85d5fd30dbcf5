"""The code of docs/optimizers.md runs, and its table is true."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import keras
import numpy as np
import pytest

from bert4keras.models import build_transformer_model

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "optimizers.md"
BLOCK = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)

if not PAGE.is_file():  # an sdist
    pytestmark = pytest.mark.skip("docs are not part of this tree")


def test_code_runs(tmp_path, monkeypatch, capsys):
    shutil.copytree(ROOT / "tests" / "fixtures" / "bert_gelu", tmp_path / "bert")
    config = json.loads((tmp_path / "bert" / "config.json").read_text())
    config["num_hidden_layers"] = 1  # one block keeps this quick
    (tmp_path / "bert" / "config.json").write_text(json.dumps(config))
    monkeypatch.chdir(tmp_path)
    names: dict = {"build_transformer_model": build_transformer_model}
    blocks = BLOCK.findall(PAGE.read_text(encoding="utf-8"))
    assert len(blocks) >= 6
    for number, source in enumerate(blocks, 1):
        exec(compile(source, f"docs/optimizers.md, block {number}", "exec"), names)
    assert "Embedding-" in capsys.readouterr().out
    optimizer = names["model"].optimizer
    assert names["NoLongerThan"](0.5) in optimizer.extensions
    again = keras.models.load_model(tmp_path / "averaged.keras")
    x = [np.ones((2, 6), "int32"), np.zeros((2, 6), "int32")]
    np.testing.assert_allclose(
        again.predict(x, verbose=0), names["model"].predict(x, verbose=0), atol=1e-4
    )
    assert int(again.optimizer.updates) == 2


def test_every_public_name_is_documented():
    from bert4keras import optimizers

    text = PAGE.read_text(encoding="utf-8")
    assert [name for name in optimizers.__all__ if f"`{name}" not in text] == []
