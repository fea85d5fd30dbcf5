"""Masked LM: shares of masked units, whole words, and the head at the masked positions only."""

from __future__ import annotations

import keras
import numpy as np
import pytest

from bert4keras import Tokenizer, build_transformer_model
from bert4keras.config import ConfigError
from bert4keras.pretraining import PRETRAINING_OBJECTIVES, MaskedLM, TokenRows
from bert4keras.pretraining.objectives.masked_lm import choose_units

SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
TOKENIZER = Tokenizer([*SPECIAL, *map(chr, range(97, 123))])
PAD, CLS, SEP, MASK = 0, 2, 3, 4
CONFIG = {"vocab_size": 31, "hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 2}
CONFIG |= {"intermediate_size": 16, "max_position": 64, "initializer_range": 0.4}


def make_rows(batch=64, length=40) -> TokenRows:
    """Two texts in each row, whose words have 1, 2, 3, 1, 2, 3 ... tokens, and some padding."""
    rng = np.random.default_rng(0)
    ids = rng.integers(5, 31, (batch, length)).astype("int32")
    document = np.repeat([1, 2, 0], [20, 16, 4])[None].repeat(batch, 0).astype("int32")
    inner = np.repeat(np.arange(40), np.arange(40) % 3 + 1)
    words = np.full(length, -1)
    words[1:19], words[21:35] = inner[:18], inner[18:32] + 1
    ids[:, [0, 20]], ids[:, [19, 35]], ids[:, 36:] = CLS, SEP, PAD
    return TokenRows(ids, document, words[None].repeat(batch, 0).astype("int32"))


@pytest.mark.spread
@pytest.mark.parametrize("unit", ["words", "tokens", "spans"])
def test_shares_and_positions(unit):
    rows = make_rows(600)
    inputs, targets = MaskedLM(TOKENIZER, 0.3, unit).corrupt(rows, np.random.default_rng(1))
    counted = targets >= 0
    places = np.nonzero(counted)[0], inputs["masked_positions"][counted]
    assert (rows.token_ids[places] == targets[counted]).all()  # the target is the original token
    chosen = np.zeros(rows.token_ids.shape, bool)
    chosen[places] = True
    assert chosen.sum() == counted.sum()  # no position twice
    assert not chosen[rows.word_ids < 0].any()
    assert (inputs["token_ids"] == rows.token_ids)[~chosen].all()
    assert abs(chosen.sum() / (rows.word_ids >= 0).sum() - 0.3) < 0.02
    now = inputs["token_ids"][chosen]
    assert abs((now == MASK).mean() - 0.8) < 0.03
    assert abs((now == rows.token_ids[chosen]).mean() - 0.1 - 0.1 / 26) < 0.03
    words = rows.word_ids + 100 * np.arange(600)[:, None]
    whole = np.isin(words, words[chosen]) & (rows.word_ids >= 0)
    assert (whole == chosen).all() == (unit != "tokens")  # tokens are the negative control
    # A mean run: words have 2 tokens on average, spans 3 words.
    runs = np.count_nonzero(np.diff(chosen.astype(int), axis=1, prepend=0) == 1)
    assert (chosen.sum() / runs > 5) == (unit == "spans")


@pytest.mark.spread
def test_same_state_same_result():
    rows, objective = make_rows(), MaskedLM(TOKENIZER)
    (a, b), (c, d), (e, _) = (objective.corrupt(rows, np.random.default_rng(s)) for s in (1, 1, 2))
    assert all((a[name] == c[name]).all() for name in a)
    assert (b == d).all()
    assert (a["token_ids"] != e["token_ids"]).any()


@pytest.mark.spread
def test_choose_units_by_hand():
    """Units of 1, 4 and 1 tokens and a budget of 2: the order of the draw decides."""
    units, found = np.array([[0, 1, 1, 1, 1, 2, -1]]), set()
    for seed in range(40):
        found.add(tuple(choose_units(units, 2 / 6, 4, np.random.default_rng(seed))[0].astype(int)))
    # Orders 0 2 .. and 2 0 ..: both, and then half of the long one does not fit. The long one
    # first: only it. One short one, then the long: total 5 is over the largest number, 4.
    short, long = (1, 0, 0, 0, 0, 1, 0), (0, 1, 1, 1, 1, 0, 0)
    assert found == {short, long, (1, 0, 0, 0, 0, 0, 0), (0, 0, 0, 0, 0, 1, 0)}


@pytest.mark.parametrize("family", ["bert", "roformer"])
def test_head_at_positions_equals_the_whole_head(family):
    rows = make_rows(3)
    objective = MaskedLM(TOKENIZER)
    inputs, targets = objective.corrupt(rows, np.random.default_rng(3))
    model = objective.build(CONFIG, model=family)
    backbone = objective.backbone(model)
    whole = build_transformer_model(
        backbone.config, model=family, application="packed", with_mlm="linear"
    )
    whole.set_weights(backbone.get_weights())
    given = {"token_ids": inputs["token_ids"], "document_ids": inputs["document_ids"]}
    given["segment_ids"] = 0 * inputs["token_ids"]
    full = keras.ops.convert_to_numpy(whole([given[name] for name in whole.input_order]))
    logits = keras.ops.convert_to_numpy(model(inputs))
    wanted = np.take_along_axis(full, inputs["masked_positions"][..., None], axis=1)
    np.testing.assert_allclose(logits, wanted, atol=1e-5)
    assert np.abs(logits - full[:, : logits.shape[1]]).max() > 1e-2  # negative control
    model.compile(loss=objective.loss, metrics=objective.metrics)
    loss, accuracy = model.evaluate(inputs, targets, verbose=0)
    shifted = wanted - wanted.max(-1, keepdims=True)
    scores = shifted - np.log(np.exp(shifted).sum(-1, keepdims=True))
    counted = targets >= 0
    mine = -np.take_along_axis(scores, np.maximum(targets, 0)[..., None], -1)[..., 0][counted]
    assert abs(loss - mine.mean()) < 1e-4
    assert abs(accuracy - (wanted.argmax(-1) == targets)[counted].mean()) < 1e-6


def test_learns():
    rows = make_rows(32)
    rows = rows._replace(token_ids=np.where(rows.word_ids >= 0, 7, rows.token_ids))
    objective = MaskedLM(TOKENIZER)
    model = objective.build(CONFIG)
    model.compile(keras.optimizers.Adam(0.01), objective.loss)
    inputs, targets = objective.corrupt(rows, np.random.default_rng(3))
    history = model.fit(inputs, targets, batch_size=4, epochs=6, verbose=0).history["loss"]
    assert history[-1] < history[0] / 4


@pytest.mark.spread
def test_errors():
    assert PRETRAINING_OBJECTIVES["mlm"] is MaskedLM
    with pytest.raises(ValueError, match=r"rate must lie between 0 and 1, not 1\.5"):
        MaskedLM(TOKENIZER, 1.5)
    with pytest.raises(ValueError, match="unit must be one of words, tokens, spans, not 'x'"):
        MaskedLM(TOKENIZER, unit="x")
    with pytest.raises(ValueError, match=r"mean_span must be 1 or more, not 0\.5"):
        MaskedLM(TOKENIZER, mean_span=0.5)
    with pytest.raises(ValueError, match=r"no \[MASK\]: use a tokenizer that has one"):
        MaskedLM(Tokenizer([*SPECIAL[:4], "a"]))
    with pytest.raises(ValueError, match="has 31 ids and the model only 30 rows"):
        MaskedLM(TOKENIZER).build({**CONFIG, "vocab_size": 30})
    with pytest.raises(ConfigError, match="says where the language-model head is computed"):
        build_transformer_model(CONFIG, masked_positions=True)
