"""Order and belonging of two segments: labels, contents, and the classifier of packed documents."""

from __future__ import annotations

import keras
import numpy as np
import pytest

from bert4keras import Tokenizer, build_transformer_model
from bert4keras.config import ConfigError
from bert4keras.pretraining import MaskedLM, NextSentence, SentenceOrder
from helpers.packed_rows import (
    CLS,
    CONFIG,
    END,
    SEP,
    SPECIAL,
    TOKENIZER,
    cross_entropy,
    make_rows,
    outputs,
)


@pytest.mark.spread
@pytest.mark.parametrize("objective", [SentenceOrder, NextSentence])
def test_labels_tell_what_was_done(objective):
    rows = make_rows(80, 64, (8, 20))
    objective = objective(TOKENIZER, rate=0.01)
    inputs, targets = objective.corrupt(rows, np.random.default_rng(0))
    labels, starts = targets["segments"], inputs["document_starts"]
    assert labels.shape == (80, 2)
    # Put the hidden tokens back.
    ids = inputs["token_ids"].copy()
    row, column = np.nonzero(targets["tokens"] >= 0)
    ids[row, inputs["masked_positions"][row, column]] = targets["tokens"][row, column]
    foreign = 0
    for row, number in zip(*np.nonzero(labels >= 0), strict=True):
        assert ids[row, starts[row, number]] == CLS
        at = inputs["document_ids"][row] == inputs["document_ids"][row, starts[row, number]]
        old = rows.token_ids[row][rows.document_ids[row] == number + 1].tolist()
        new, segment = ids[row][at].tolist(), inputs["segment_ids"][row][at]
        middle = int(np.flatnonzero(segment)[0])
        assert new[middle - 1] == new[-1] == SEP
        left, right = new[1 : middle - 1], new[middle:-1]
        label = labels[row, number]
        if isinstance(objective, NextSentence):
            assert old[1 : middle - 1] == left
            assert old[middle - 1] == END
            same = old[middle:-2] == right
            assert same or label == 1
            foreign += not same
        else:
            first, second = (right, left) if label else (left, right)
            assert [*first, END, *second] == old[1:-2]
            assert [*second, END, *first] != old[1:-2]  # control
    assert abs(labels[labels >= 0].mean() - 0.5) < 0.1
    if isinstance(objective, NextSentence):
        assert foreign == (labels == 1).sum()
    assert (inputs["segment_ids"][inputs["document_ids"] == 0] == 0).all()


@pytest.mark.parametrize("family", ["albert", "roformer"])
def test_loss_and_training(family, tmp_path):
    objective = SentenceOrder(TOKENIZER)
    rows = make_rows(8, 64, (8, 16), letters=2)
    inputs, targets = objective.corrupt(rows, np.random.default_rng(1))
    model = objective.build(CONFIG, model=family)
    model.compile(keras.optimizers.Adam(0.01), objective.loss, metrics=objective.metrics)
    scores = outputs(model, inputs)
    names = ("tokens", "segments")
    wanted = [cross_entropy(scores[name], targets[name]) for name in names]
    found = model.evaluate(inputs, targets, verbose=0, return_dict=True)
    assert abs(found["loss"] - sum(wanted)) < 1e-4
    assert abs(found["segments_loss"] - wanted[1]) < 1e-4
    # The document behind the first of a row is classified as it would be in its own row.
    alone = build_transformer_model(
        objective.backbone(model).config, model=family, with_nsp="linear", with_mlm="linear"
    )
    alone.set_weights(objective.backbone(model).get_weights())
    at = inputs["document_ids"] == 2
    texts = [inputs[name][0][at[0]][None] for name in ("token_ids", "segment_ids")]
    single = keras.ops.convert_to_numpy(alone(texts)[0])
    assert np.abs(scores["segments"][0, 1] - single[0]).max() < 2e-5
    assert np.abs(scores["segments"][0, 0] - single[0]).max() > 1e-4  # control: another document
    history = model.fit(inputs, targets, batch_size=4, epochs=6, verbose=0).history["loss"]
    assert history[-1] < 0.8 * history[0]
    objective.save(model, tmp_path, TOKENIZER)
    again = objective.build(tmp_path)
    np.testing.assert_allclose(
        outputs(again, inputs)["segments"], outputs(model, inputs)["segments"], atol=1e-5
    )


@pytest.mark.spread
def test_new_heads_on_a_checkpoint_are_named(tmp_path, caplog):
    masked = MaskedLM(TOKENIZER)
    masked.save(masked.build(CONFIG), tmp_path, TOKENIZER)
    model = SentenceOrder(TOKENIZER).build(tmp_path)
    assert "sentence-order starts with random `" in caplog.text
    table = masked.build(tmp_path).get_weights()[0]
    assert (model.get_weights()[0] == table).all()
    caplog.clear()
    masked.build(tmp_path)
    assert "random" not in caplog.text


@pytest.mark.spread
def test_errors():
    with pytest.raises(ValueError, match=r'the vocabulary has no token such as "\." or "。"'):
        SentenceOrder(Tokenizer([*SPECIAL, "a"]))
    without = Tokenizer([*SPECIAL, "."], token_start=None)
    with pytest.raises(ValueError, match=r"needs \[CLS\], whose vector is classified, and the tok"):
        SentenceOrder(without)
    with pytest.raises(ConfigError, match="cannot train roberta: its checkpoints have no classif"):
        SentenceOrder(TOKENIZER).build(CONFIG, model="roberta")
    with pytest.raises(ConfigError, match="document_starts=True says which tokens are pooled"):
        build_transformer_model(CONFIG, document_starts=True)
