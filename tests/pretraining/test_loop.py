"""A training that is stopped and continued equals one that is not, to the last bit."""

from __future__ import annotations

import json
import math

import keras
import numpy as np
import pytest

from bert4keras import build_transformer_model
from bert4keras.checkpoints import open_checkpoint
from bert4keras.optimizers import ExtendedOptimizer
from bert4keras.pretraining import (
    MaskedLM,
    PretrainingCorpus,
    PretrainingStream,
    RowPacker,
    SaveCheckpoint,
    learning_rate_schedule,
    loop,
    measure_peak,
    pretrain,
    pretraining_optimizer,
)
from bert4keras.pretraining.loop import PretrainingBackup, StreamFeed, intervals
from bert4keras.pretraining.throughput import operations_per_token

from .test_packing import TOKENIZER, make_texts

CONFIG = {"vocab_size": TOKENIZER.vocab_size, "hidden_size": 8, "num_hidden_layers": 1}
CONFIG |= {"num_attention_heads": 2, "intermediate_size": 16, "max_position": 32}


class Stop(keras.callbacks.Callback):
    """Stop after a number of batches."""

    def __init__(self, after):
        super().__init__()
        self.left = after

    def on_train_batch_end(self, batch, logs=None):
        self.left -= 1
        if not self.left:
            raise InterruptedError


def make_stream(directory, seed=3):
    path = directory / "a.txt"
    path.write_text("\n\n".join(make_texts(60, 20)), encoding="utf-8")
    objective = MaskedLM(TOKENIZER)
    packer = RowPacker(TOKENIZER, 32)
    return PretrainingStream(PretrainingCorpus(path), packer, objective, 4, seed, workers=0)


def train(directory, state, callbacks=(), seed=3):
    """Train in two intervals of 4 batches; return all variables, and the numbers of `fit`."""
    keras.utils.set_random_seed(1)
    stream = make_stream(directory, seed)
    objective = stream.objective
    model = objective.build(CONFIG)
    rate = learning_rate_schedule(0.01, 4)
    model.compile(pretraining_optimizer(rate, accumulate=2, ema=0.9), objective.loss)
    callbacks = [SaveCheckpoint(objective, directory / "out", TOKENIZER, 4, 2), *callbacks]
    logs = pretrain(model, stream, state, 8, 4, stream.rows(4), callbacks, peak=1e9)
    variables = [*model.variables, *model.optimizer.variables]
    return [keras.ops.convert_to_numpy(v) for v in variables if "seed" not in v.path], logs


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
def test_continued_as_if_never_stopped(tmp_path):
    whole, logs = train(tmp_path, tmp_path / "whole")
    assert {"loss", "val_loss", "tokens_per_second", "peak_share"} <= logs.keys()
    for after in (2, 6):
        with pytest.raises(InterruptedError):
            train(tmp_path, tmp_path / "state", [Stop(after)])
    again, logs = train(tmp_path, tmp_path / "state")
    assert len(logs["loss"]) == 1  # only the second interval
    assert all(np.array_equal(a, b) for a, b in zip(whole, again, strict=True))
    assert train(tmp_path, tmp_path / "state")[1] == {}  # complete
    other, _ = train(tmp_path, tmp_path / "other", seed=4)  # negative control
    assert not all(np.array_equal(a, b) for a, b in zip(whole, other, strict=True))
    for name in ("out", "out/step-00000008"):
        model = build_transformer_model(str(tmp_path / name), with_mlm=True)
        assert not model.load_report.missing
        assert json.loads((tmp_path / name / "config.json").read_text())["model_type"] == "bert"
        assert (tmp_path / name / "tokenizer.json").is_file()
        with open_checkpoint(tmp_path / name) as reader:
            assert "cls.predictions.transform.dense.weight" in reader.names
    with pytest.raises(ValueError, match="is of data with seed=3, but this data has 5"):
        PretrainingBackup(tmp_path / "state" / "backup", StreamFeed(make_stream(tmp_path, 5)))


@pytest.mark.spread
def test_errors(tmp_path):
    with pytest.raises(ValueError, match="data must be a StreamFeed, not int"):
        PretrainingBackup(tmp_path, 3)
    with pytest.raises(ValueError, match="steps=0 and interval=1 must be at least 1"):
        intervals(0, 1)
    with pytest.raises(ValueError, match="schedule must be one of linear, cosine, wsd, constant"):
        learning_rate_schedule(1.0, 10, "step")
    with pytest.raises(ValueError, match=r"warmup=1 must lie in \[0, 1\)"):
        learning_rate_schedule(1.0, 10, warmup=1)


@pytest.mark.spread
def test_rows_are_divided_over_devices(tmp_path, monkeypatch):
    stream = make_stream(tmp_path)  # batches of 4 rows
    rows = stream.rows(5)
    assert loop._for_devices(stream, rows) is rows
    monkeypatch.setattr(loop, "num_replicas", lambda: 2)
    inputs, targets = loop._for_devices(stream, rows)
    np.testing.assert_array_equal(inputs["token_ids"], rows[0]["token_ids"][:4])
    np.testing.assert_array_equal(targets, rows[1][:4])
    assert loop._for_devices(stream, None) is None
    with pytest.raises(ValueError, match="fewer than 2 rows to evaluate on"):
        loop._for_devices(stream, stream.rows(1))
    monkeypatch.setattr(loop, "num_replicas", lambda: 3)
    with pytest.raises(ValueError, match="4 rows cannot be divided over 3 devices"):
        loop._for_devices(stream, None)


@pytest.mark.spread
def test_intervals():
    assert intervals(100, 30) == (3, 34)
    assert intervals(10, 1000) == (1, 10)


@pytest.mark.spread
@pytest.mark.parametrize(
    ("schedule", "wanted"),
    [
        ("linear", [0, 0.5, 1, 0.5, 0]),
        ("constant", [0, 0.5, 1, 1, 1]),
        ("wsd", [0, 0.5, 1, 1, 0]),
        ("cosine", [0, 0.5, 1, 0.5 + 0.5 * math.cos(math.pi / 2), 0]),
    ],
)
def test_schedules(schedule, wanted):
    rate = learning_rate_schedule(1.0, 100, schedule, warmup=0.2)
    found = [float(rate(step)) for step in (0, 10, 20, 60, 100)]
    np.testing.assert_allclose(found, wanted, atol=1e-6)


@pytest.mark.spread
def test_optimizer():
    plain = pretraining_optimizer(0.1, weight_decay=0, clip=None)
    assert isinstance(plain, ExtendedOptimizer)
    assert plain.extensions == ()
    assert plain.inner_optimizer.global_clipnorm is None
    names = [type(e).__name__ for e in pretraining_optimizer(0.1, accumulate=2, ema=0.9).extensions]
    assert sorted(names) == ["Accumulate", "EMA", "WeightDecay"]


@pytest.mark.spread
def test_operations_of_a_token_by_hand():
    model = MaskedLM(TOKENIZER).build({**CONFIG, "num_hidden_layers": 2})
    backbone = next(layer for layer in model.layers if hasattr(layer, "transformer"))
    block = 4 * 8 * 8 + 2 * 8 * 16
    assert operations_per_token(backbone, 32) == 6 * 2 * block + 12 * 2 * 32 * 8
    shared = MaskedLM(TOKENIZER).build({**CONFIG, "num_hidden_layers": 2}, model="albert")
    backbone = next(layer for layer in shared.layers if hasattr(layer, "transformer"))
    mapping = 0 if backbone.config.embedding_size == 8 else backbone.config.embedding_size * 8
    assert operations_per_token(backbone, 32) - 6 * mapping == 6 * 2 * block + 12 * 2 * 32 * 8
    for dtype in ("float32", "bfloat16"):
        assert measure_peak(dtype) > 1e8
