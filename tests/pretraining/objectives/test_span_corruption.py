"""Span corruption: the text can be put together again, shares, packing, and the loss of a T5."""

from __future__ import annotations

import collections

import keras
import numpy as np
import pytest

from bert4keras import Tokenizer
from bert4keras.config import ConfigError
from bert4keras.pretraining import SpanCorruption
from bert4keras.pretraining.objectives.segments import find_documents
from bert4keras.pretraining.objectives.spans import _divide, draw_spans
from helpers.packed_rows import (
    CONFIG,
    FIRST_SENTINEL,
    PAD,
    SEP,
    SPECIAL,
    TOKENIZER,
    cross_entropy,
    make_rows,
    outputs,
)


def restored(inputs, targets, row, number, shift=0):
    """The text of a document, from its source and its target; `shift` renames the sentinels."""
    source = inputs["encoder_token_ids"][row][inputs["encoder_document_ids"][row] == number]
    target = targets[row][inputs["document_ids"][row] == number]
    assert (targets[row] >= 0).tolist() == (inputs["document_ids"][row] > 0).tolist()
    decoder = inputs["token_ids"][row][inputs["document_ids"][row] == number]
    assert decoder.tolist() == [PAD, *target[:-1]]
    assert target[-1] == SEP
    spans: dict[int, list] = {}
    for token in target[:-1]:
        if token >= FIRST_SENTINEL:
            spans[token + shift] = span = []
        else:
            span.append(token)
    assert list(spans) == [FIRST_SENTINEL + shift + i for i in range(len(spans))]
    return [t for token in source for t in spans.get(token, [token])], len(spans)


@pytest.mark.spread
def test_source_and_target_hold_the_text():
    rows, objective = make_rows(30, 64, (5, 40)), SpanCorruption(TOKENIZER, 0.25)
    inputs, targets = objective.corrupt(rows, np.random.default_rng(0))
    source, target = objective.lengths(64)
    assert inputs["encoder_token_ids"].shape == (30, source) == (30, 56)
    assert targets.shape == inputs["token_ids"].shape == (30, target) == (30, 26)
    count = 0
    for row in range(30):
        for number in np.unique(inputs["encoder_document_ids"][row])[1:]:
            text = rows.token_ids[row][rows.document_ids[row] == number].tolist()
            assert restored(inputs, targets, row, number)[0] == text
            assert restored(inputs, targets, row, number, shift=1)[0] != text  # control
            count += 1
    assert count > 0.95 * rows.document_ids.max(axis=1).sum()


@pytest.mark.spread
def test_shares_and_lengths_of_spans():
    rows = make_rows(200, 100, (90, 98))
    documents = find_documents(rows)
    spans = draw_spans(documents, rows.token_ids.size, 0.15, 3.0, 100, np.random.default_rng(0))
    assert (spans.tokens == np.round(0.15 * documents.text_lengths)).all()
    assert (spans.counts == np.round(spans.tokens / 3)).all()
    assert spans.inside.sum() == spans.tokens.sum()
    assert spans.begins.sum() == spans.counts.sum()
    assert not spans.inside[rows.word_ids.ravel() < 0].any()
    # Spans do not touch, and each place but the first tokens is in one about equally often.
    assert (np.diff(spans.inside.astype(int)) == 1).sum() == spans.counts.sum()
    share = spans.inside.reshape(200, 100)[:, 10:80].mean(axis=0)
    assert abs(share.mean() - 0.15) < 0.02
    few = draw_spans(documents, rows.token_ids.size, 0.15, 3.0, 2, np.random.default_rng(0))
    assert (few.counts == 2).all()


@pytest.mark.spread
def test_all_divisions_are_equally_likely():
    rng = np.random.default_rng(0)
    parts = _divide(np.full(3000, 5), np.full(3000, 3), rng).reshape(3000, 3)
    assert (parts.sum(axis=1) == 5).all()
    counts = collections.Counter(map(tuple, parts.tolist()))
    assert len(counts) == 6  # the compositions of 5 into 3 parts
    assert min(counts.values()) > 400
    assert _divide(np.array([0, 4]), np.array([0, 1]), rng).tolist() == [4]


@pytest.mark.spread
def test_documents_that_do_not_fit_are_left_out():
    rows, objective = make_rows(4, 64, (1, 4)), SpanCorruption(TOKENIZER)
    inputs, targets = objective.corrupt(rows, np.random.default_rng(0))
    sizes = np.bincount(rows.document_ids[0])[1:] - 2
    kept = np.unique(inputs["document_ids"][0])[1:]
    assert set(kept) == set(np.unique(inputs["encoder_document_ids"][0])[1:])
    assert 0 < len(kept) < len(sizes)
    assert (sizes[kept - 1] >= 2).all()
    assert (targets[0] >= 0).sum() <= objective.lengths(64)[1]
    nothing = rows._replace(document_ids=0 * rows.document_ids, word_ids=0 * rows.word_ids - 1)
    inputs, targets = objective.corrupt(nothing, np.random.default_rng(0))
    assert targets.max() == -1


@pytest.mark.parametrize("family", ["t5", "t5.1.1"])
def test_loss_and_training(family):
    rows, objective = make_rows(8, 40, (8, 20), letters=2), SpanCorruption(TOKENIZER, 0.3)
    inputs, targets = objective.corrupt(rows, np.random.default_rng(0))
    model = objective.build(CONFIG, model=family)
    model.compile(keras.optimizers.Adam(0.01), objective.loss, metrics=objective.metrics)
    loss = model.evaluate(inputs, targets, verbose=0)[0]
    logits = outputs(model, inputs)
    assert abs(loss - cross_entropy(logits, targets)) < 1e-4
    joined = {**inputs, "encoder_document_ids": np.sign(inputs["encoder_document_ids"])}
    joined["document_ids"] = np.sign(inputs["document_ids"])
    assert np.abs(outputs(model, joined) - logits).max() > 1e-2  # control: documents see others
    history = model.fit(inputs, targets, batch_size=4, epochs=16, verbose=0).history["loss"]
    assert history[-1] < 0.8 * history[0]


@pytest.mark.spread
def test_errors():
    plain = Tokenizer([*SPECIAL, "a"])
    with pytest.raises(ValueError, match="the tokenizer has no token <extra_id_0> or"):
        SpanCorruption(plain)
    with pytest.raises(ValueError, match=r"sentinel_ids must be ids below 6, not \[6\]"):
        SpanCorruption(plain, sentinel_ids=(6,))
    assert SpanCorruption(plain, sentinel_ids=(5,)).sentinel_ids.tolist() == [5]
    with pytest.raises(ValueError, match=r"rate must lie between 0 and 1, not 0"):
        SpanCorruption(TOKENIZER, 0)
    with pytest.raises(ValueError, match=r"mean_span must be 1 or more, not 0\.5"):
        SpanCorruption(TOKENIZER, mean_span=0.5)
    without = Tokenizer(["[PAD]", "a"], token_end=None, token_start=None, token_unk=None)
    with pytest.raises(ValueError, match="needs an end of each target, and the tokenizer has no s"):
        SpanCorruption(without)
    with pytest.raises(ConfigError, match="cannot train bert: it has no encoder and decoder"):
        SpanCorruption(TOKENIZER).build(CONFIG)
