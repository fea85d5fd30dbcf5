"""Scripts in the ancestor's manner: a `predict` that calls a Keras model."""

from __future__ import annotations

import keras
import numpy as np
import pytest

from bert4keras.data import sequence_padding
from bert4keras.generation import AutoRegressiveDecoder
from helpers import tiny

pytestmark = pytest.mark.spread

END, VOCABULARY = 3, tiny.SIZES["vocab_size"]
SOURCES = [[2, 5, 6, 7, 3], [2, 9, 3], [2, 8, 3]]


@pytest.fixture(scope="module")
def unilm():
    keras.utils.set_random_seed(0)
    return tiny.build(application="unilm", with_mlm=True)


def title(model, maxlen=2):
    """A source is read both ways, a title is written from left to right."""

    class Title(AutoRegressiveDecoder):
        @AutoRegressiveDecoder.wraps(default_rtype="probas")
        def predict(self, inputs, output_ids, states):
            token_ids, segment_ids = inputs
            token_ids = np.concatenate([token_ids, output_ids], 1)
            segment_ids = np.concatenate([segment_ids, np.ones_like(output_ids)], 1)
            return self.last_token(model).predict([token_ids, segment_ids])

    return Title(start_id=None, end_id=END, maxlen=maxlen)


def padded_title(model, maxlen=2):
    class Title(AutoRegressiveDecoder):
        @AutoRegressiveDecoder.wraps(default_rtype="probas", ragged=True)
        def predict(self, inputs, output_ids, states):
            token_ids, lengths = self.join(inputs[0], output_ids)
            segment_ids, _ = self.join(inputs[1], np.ones_like(output_ids))
            return self.last_token(model).predict([token_ids, segment_ids], lengths)

    return Title(start_id=None, end_id=END, maxlen=maxlen)


def greedy(model, source, maxlen=2):
    """Every step from scratch on the plain model."""
    output = []
    while len(output) < maxlen and output[-1:] != [END]:
        ids = np.array([source + output])
        segments = np.array([[0] * len(source) + [1] * len(output)])
        output.append(int(model.predict([ids, segments], verbose=0)[0, -1].argmax()))
    return output


def test_titles_alone_in_groups_and_padded(unilm):
    batch = [[source, [0] * len(source)] for source in SOURCES]
    assert title(unilm).beam_search(batch[0], topk=1).tolist() == greedy(unilm, SOURCES[0])
    alone = [
        title(unilm).beam_search(sample, topk=3, return_scores=True, n_best=2) for sample in batch
    ]
    for maker in (title, padded_title):
        together = maker(unilm).beam_search_batch(batch, 3, return_scores=True, n_best=2)
        for some, others in zip(alone, together, strict=True):
            assert [x.tolist() for x, _ in some] == [x.tolist() for x, _ in others]
            np.testing.assert_allclose([s for _, s in some], [s for _, s in others], atol=1e-4)
    assert len({best[0][1] for best in alone}) == len(SOURCES)  # the sources matter


def test_the_last_token_of_padded_rows(unilm):
    lengths = [len(source) for source in SOURCES]
    ids = sequence_padding(SOURCES)
    everything = unilm.predict([ids, ids * 0], verbose=0)
    decoder = title(unilm)
    last = decoder.last_token(unilm)
    assert decoder.last_token(unilm) is last
    expected = everything[np.arange(len(ids)), np.array(lengths) - 1]
    np.testing.assert_allclose(last.predict([ids, ids * 0], lengths), expected, atol=1e-6)
    column = last.predict([ids, ids * 0])
    np.testing.assert_allclose(column, everything[:, -1], atol=1e-6)
    assert not np.allclose(column, expected)  # what the last column says of padded rows is wrong


def test_a_language_model_continues_a_prompt():
    model = tiny.build({"segment_vocab_size": 0}, model="gpt2", with_mlm="linear")

    class Story(AutoRegressiveDecoder):
        @AutoRegressiveDecoder.wraps(default_rtype="logits")
        def predict(self, inputs, output_ids, states):
            token_ids = np.concatenate([inputs[0], output_ids], 1)
            return self.last_token(model).predict(token_ids)

    story = Story(start_id=None, end_id=END, maxlen=2)
    for ids in story.random_sample([[2, 5, 6]], n=4, topp=0.95):
        assert 1 <= len(ids) <= 3
        assert ids.dtype.kind == "i"
    best = story.beam_search([[2, 5, 6]], topk=VOCABULARY + 5)
    assert ids.max() < VOCABULARY
    assert len(best) <= 3


def test_several_outputs_and_inputs_of_any_kind():
    image, ids = keras.Input((2,)), keras.Input((None,), dtype="int32")
    x = keras.layers.Embedding(5, 2)(ids) + keras.ops.expand_dims(image, 1)
    model = keras.Model([image, ids], [keras.layers.Dense(7)(x), x])
    images, tokens = np.ones((2, 2), "float32"), np.array([[1, 2, 3], [4, 0, 0]])
    expected = model.predict([images, tokens], verbose=0)
    found = title(None).last_token(model).predict([images, tokens], lengths=[3, 1])
    for some, others in zip(expected, found, strict=True):
        np.testing.assert_allclose(others, some[[0, 1], [2, 0]], atol=1e-6)


def test_nothing_is_printed(unilm, capsys):
    title(unilm).beam_search([SOURCES[0], [0] * 5], topk=1)
    assert capsys.readouterr().out == ""


def test_errors(unilm):
    last = title(unilm).last_token(unilm)
    ids = sequence_padding(SOURCES)
    with pytest.raises(ValueError, match=r"lengths has shape \(2,\), but there are 3 rows"):
        last.predict([ids, ids * 0], lengths=[1, 2])
    flat = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)])
    with pytest.raises(
        ValueError, match=r"\(batch, tokens, ...\); one of .* has shape \(None, 2\)"
    ):
        title(flat).last_token(flat)
    with pytest.raises(ValueError, match="needs a functional model"):
        title(None).last_token(keras.Model())
