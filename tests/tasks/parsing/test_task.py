"""The parser: training on raw texts, trees, scores, saving, messages."""

from __future__ import annotations

import keras
import numpy as np
import pytest

from bert4keras import tasks
from bert4keras.tasks import SentenceParser, TaskError, word_tokenizer
from bert4keras.tasks.parsing import Bracketing, recurrent_language_model
from bert4keras.tasks.parsing.language_model import distances_model
from bert4keras.tokenizers import Tokenizer

TEXTS = ["the cat sat on the mat .", "the dog ran .", "我们 喜欢 the cat"] * 2
SIZES = {"hidden_size": 8, "levels": 4, "num_layers": 2}


@pytest.fixture
def parser():
    return SentenceParser.build(TEXTS, **SIZES)


def test_training_lowers_the_perplexity_and_padding_changes_nothing(parser):
    before = parser.evaluate(TEXTS)["perplexity"]
    parser.model.compile(keras.optimizers.Adam(0.05), parser.loss)
    parser.model.fit(parser.batches(TEXTS, 3), epochs=4, verbose=0)
    assert parser.evaluate(TEXTS)["perplexity"] < 0.8 * before
    short = parser(TEXTS[1])
    np.testing.assert_allclose(short.distances, parser(TEXTS)[1].distances, atol=1e-5)
    assert np.ptp(short.distances) > 1e-4
    # The distances are those of the layer, and see nothing of what follows.
    longer = parser(TEXTS[1] + " the cat")
    np.testing.assert_allclose(longer.distances[:4], short.distances, atol=1e-5)
    ids, _ = parser.tokenizer.encode(TEXTS[1])
    found = distances_model(parser.model).predict(np.array([ids[:-1]]), verbose=0)
    np.testing.assert_allclose(found[0, 1:, 1], short.distances, atol=1e-5)
    assert np.abs(found[0, 1:, 0] - short.distances).max() > 1e-4  # the other layer


@pytest.mark.spread
def test_log_probabilities_are_those_of_the_model(parser):
    ids, _ = parser.tokenizer.encode(TEXTS[0])
    logits = parser.model.predict(np.array([ids[:-1]]), verbose=0)[0].astype("float64")
    logits -= np.log(np.exp(logits).sum(-1, keepdims=True))
    (found,) = parser.log_probabilities([TEXTS[0]])
    np.testing.assert_allclose(found, logits[np.arange(len(ids) - 1), ids[1:]], atol=1e-5)


@pytest.mark.spread
def test_rows_cover_a_long_text():
    parser = SentenceParser.build(TEXTS, maxlen=8, **SIZES)
    rows = parser.training_rows([" ".join(["cat"] * 20)])
    pairs = [parser.training_row(*row) for row in rows]
    ids, _ = parser.tokenizer.encode(" ".join(["cat"] * 20))
    assert [len(labels) for _, labels in pairs] == [8, 8, 5]
    assert np.concatenate([inputs[0] for inputs, _ in pairs]).tolist() == ids[:-1]
    assert np.concatenate([labels for _, labels in pairs]).tolist() == ids[1:]
    assert len(parser(" ".join(["cat"] * 20)).tokens) == 20


@pytest.mark.spread
def test_trees_are_scored_on_the_words_of_the_labels(parser):
    parse = parser("The cat sat.")
    assert parse.tokens == ["The", "cat", "sat", "."]
    words = list(parse.offsets)[:3]
    own = [(0, 2)] if parse.distances[2] >= parse.distances[1] else [(1, 3)]
    own = [(1, 3)] if parse.distances[1] == parse.distances[2] else own  # the first of equal ones
    assert parser.evaluate([("The cat sat.", Bracketing(words, [(0, 3), *own]))])["f1"] == 1
    other = {(0, 2): (1, 3), (1, 3): (0, 2)}[own[0]]
    assert parser.evaluate([("The cat sat.", Bracketing(words, [(0, 3), other]))])["f1"] == 0


@pytest.mark.spread
def test_a_saved_parser_answers_alike(parser, tmp_path):
    parser.layer, parser.right_biased = 0, True
    parser.save(tmp_path / "saved")
    again = tasks.load(tmp_path / "saved")
    assert isinstance(again, SentenceParser)
    assert (again.layer, again.right_biased, again.maxlen) == (0, True, parser.maxlen)
    assert again(TEXTS) == parser(TEXTS)
    assert again("") == parser("")
    assert parser("").spans == ()


@pytest.mark.spread
def test_the_vocabulary_has_whole_words():
    tokenizer = word_tokenizer(["The cat's naïve 猫", "cat 猫 naive the"], min_count=2)
    assert tokenizer.tokenize("The cats naïve 猫")[1:-1] == ["the", "cats", "naive", "猫"]
    ids = tokenizer.encode("The cats naïve 猫")[0][1:-1]
    assert [i == tokenizer.token_to_id("[UNK]") for i in ids] == [False, True, False, False]
    assert word_tokenizer(["a a a b b"], max_words=1).vocab_size == 6


@pytest.mark.spread
def test_bad_input_is_named(parser):
    with pytest.raises(ValueError, match="no word of the texts occurs 3 times: lower min_count"):
        SentenceParser.build(["a b", "c"], min_count=3)
    with pytest.raises(TaskError, match="sample 1 is no text but tuple"):
        parser.batches(["a text", ("a text", 1)])
    with pytest.raises(TaskError, match="give a list of texts, not one text"):
        parser.batches("a text")
    with pytest.raises(TaskError, match=r"layer=2, but the model's ON-LSTM layers are 0 to 1"):
        SentenceParser(parser.tokenizer, parser.model, layer=2)
    bare = Tokenizer(["[PAD]", "[UNK]", "a"], token_start=None, token_end=None)
    with pytest.raises(TaskError, match="must have a start and an end token"):
        SentenceParser(bare, parser.model)
    plain = recurrent_language_model(30, [keras.layers.LSTM(8, return_sequences=True)], 8)
    with pytest.raises(ValueError, match=r"has no layer ONLSTM\(\.\.\., return_levels=True\)"):
        SentenceParser(parser.tokenizer, plain)
