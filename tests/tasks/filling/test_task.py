"""Masks to tokens: candidates, several masks together, windows, training, evaluation, saving."""

from __future__ import annotations

import itertools
import math

import keras
import numpy as np
import pytest

from bert4keras import tasks
from bert4keras.models import build_transformer_model
from bert4keras.tasks import FilledText, Filling, FillMask, TaskError
from bert4keras.tasks.filling import task as module
from bert4keras.tokenizers import Tokenizer
from bert4keras.training import FGM, RegularizedModel

pytestmark = pytest.mark.spread

TEXTS = ["the film is good", "the story is bad", "我爱北京", "the play was very good"]


@pytest.fixture(scope="module")
def checkpoint(fixtures):
    return fixtures / "bert_gelu"


@pytest.fixture(scope="module")
def filler(checkpoint):
    return FillMask.build(checkpoint, dropout_rate=0.0)


def probabilities(task: FillMask, text: str) -> tuple[np.ndarray, np.ndarray]:
    """(places of masks, softmax at each of them), computed step by step."""
    ids, segments = task.tokenizer.encode(text, special=True)
    outputs = task.model.predict_on_batch([np.array([ids]), np.array([segments])])
    scores = keras.ops.convert_to_numpy(outputs)[0].astype("float64")
    (at,) = np.nonzero(np.array(ids) == task.tokenizer.token_mask_id)
    exponents = np.exp(scores[at] - scores[at].max(-1, keepdims=True))
    return at, exponents / exponents.sum(-1, keepdims=True)


def test_one_mask(filler):
    text = "The film is [MASK]!"
    fillings = filler(text)
    _, (wanted,) = probabilities(filler, text)
    wanted[:5] = 0  # special tokens are no fillings
    order = np.argsort(-wanted)[:5]
    assert [f.token_id for f in fillings] == order.tolist()
    np.testing.assert_allclose([f.score for f in fillings], wanted[order], rtol=1e-5)
    for filling in fillings:
        assert text[filling.start : filling.end] == "[MASK]"
        word = filler.tokenizer.id_to_token(filling.token_id)
        assert filling.token == word
        glued = f"The film is{word[2:]}!" if word.startswith("##") else f"The film is {word}!"
        assert filling.text == glued
    first = fillings[0]
    assert str(first) == f"{first.token} {first.score:.3f}"
    assert repr(first).startswith(f"Filling(token='{first.token}', score=")


def test_several_masks_by_hand(filler):
    """The surest mask is filled first, and the text read anew."""
    text = "the [MASK] is [MASK] and [MASK]"
    answer = filler(text)
    assert isinstance(answer, FilledText)
    _, first = probabilities(filler, text)
    for wanted, candidates in zip(first, answer.candidates, strict=True):
        found = [f.score for f in candidates]
        np.testing.assert_allclose(found, wanted[[f.token_id for f in candidates]], rtol=1e-5)

    ids, segments = filler.tokenizer.encode(text, special=True)
    ids, chosen = np.array(ids), {}
    (masks,) = np.nonzero(ids == filler.tokenizer.token_mask_id)
    while len(chosen) < 3:
        outputs = filler.model.predict_on_batch([ids[None], np.array([segments])])
        scores = keras.ops.convert_to_numpy(outputs)[0].astype("float64")
        found = np.exp(scores - scores.max(-1, keepdims=True))
        found /= found.sum(-1, keepdims=True)
        found[:, :5] = 0
        place = max((p for p in masks if p not in chosen), key=lambda p: found[p].max())
        ids[place] = found[place].argmax()
        chosen[place] = found[place].max()
    assert [f.token_id for f in answer.fillings] == ids[masks].tolist()
    np.testing.assert_allclose([f.score for f in answer.fillings], [chosen[p] for p in masks])
    assert answer.score == pytest.approx(math.prod(chosen.values()), rel=1e-5)
    assert str(answer) == f"{answer.text} {answer.score:.3f}"

    # Negative control: all at once is another filling, or has another probability.
    independent = FillMask(filler.tokenizer, filler.model, joint="independent")(text)
    assert [f.token_id for f in independent.fillings] == [c[0].token_id for c in answer.candidates]
    assert independent.score == pytest.approx(math.prod(c[0].score for c in answer.candidates))
    assert independent.score != pytest.approx(answer.score, rel=1e-3)


def test_alone_and_in_a_batch(filler):
    texts = ["[MASK]", "good [MASK] bad [MASK]", "the film is very [MASK] and the story is not"]
    together = filler.predict(texts, batch_size=2)
    for text, answer in zip(texts, together, strict=True):
        alone = filler(text)
        scores = [[x.score for x in ([one] if isinstance(one, FilledText) else one)]
                  for one in (answer, alone)]  # fmt: skip
        np.testing.assert_allclose(*scores, rtol=1e-4)
    assert list(filler.stream(iter(texts), batch_size=1)) == filler.predict(texts, 1)
    assert filler.predict([]) == []


def test_a_long_text(filler, monkeypatch):
    """A mask is read where it has the most text around it; windows without one are not read."""
    text = "good " * 60 + "[MASK] film " + "bad " * 60 + "the [MASK]"
    encoded = filler.encode(text)
    assert len(encoded.rows) == 2 < len(filler.encode("[MASK] " * 130).rows)
    assert all(len(row[0]) <= filler.maxlen for row in encoded.rows)
    (w, position), _ = encoded.extra.places
    assert 8 < position < len(encoded.rows[w][0]) - 8
    answer = filler(text)
    assert [text[f.start : f.end] for f in answer.fillings] == ["[MASK]"] * 2
    assert answer.text.count("good") >= 60
    assert "[MASK]" not in answer.text
    # The same with few scores at a time.
    monkeypatch.setattr(module, "MOST", 1)
    assert filler(text).text == answer.text
    # All windows that hold a mask get the tokens of masks filled before.
    many = filler("good [MASK] " * 40)
    assert len(many.fillings) == 40
    assert "[MASK]" not in many.text


def test_learns_saves_and_answers_the_same(checkpoint, tmp_path):
    task = FillMask.build(checkpoint, dropout_rate=0.0, top_k=3)
    before = task.evaluate(TEXTS, rate=0.3)
    task.model.compile(keras.optimizers.Adam(1e-2), task.loss)
    batches = task.batches(TEXTS * 2, 8, shuffle=True, rate=0.3)
    task.model.fit(batches, epochs=25, verbose=0)
    after = task.evaluate(TEXTS, rate=0.3)
    assert list(after) == ["accuracy", "perplexity"]
    assert after["accuracy"] > before["accuracy"]
    assert after["perplexity"] < before["perplexity"] / 4
    task.save(tmp_path / "saved")
    again = tasks.load(tmp_path / "saved")
    assert isinstance(again, FillMask)
    assert again.get_config() == task.get_config()
    for text in ("the [MASK] is good", "我爱[MASK][MASK]"):
        assert str(again(text)) == str(task(text))


def test_learns_an_answer_to_a_question(checkpoint):
    """Prompt-based training: a fixed text with a mask, whose label is a word."""
    rows = [("the film is good : [MASK]", "very"), ("the film is bad : [MASK]", "not")]
    task = FillMask.build(checkpoint, dropout_rate=0.0)
    task.model.compile(keras.optimizers.Adam(5e-3), task.loss)
    task.model.fit(task.batches(rows, 2), epochs=15, verbose=0)
    assert task.evaluate(rows)["accuracy"] == 1.0
    assert [task(text)[0].token for text, _ in rows] == ["very", "not"]


def test_evaluate_by_hand(filler):
    rows = [("the [MASK] is good", "film"), ("我[MASK]北[MASK]", ["爱", "京"])]
    found = filler.evaluate(rows, batch_size=1)
    logps, right = [], []
    for text, label in rows:
        _, wanted = probabilities(filler, text)
        for p, word in zip(wanted, [label] if isinstance(label, str) else label, strict=True):
            logps.append(np.log(p[filler.tokenizer.vocab[word]]))
            right.append(p.argmax() == filler.tokenizer.vocab[word])
    assert found["perplexity"] == pytest.approx(np.exp(-np.mean(logps)), rel=1e-4)
    assert found["accuracy"] == np.mean(right)
    # Masks made with a seed: the same again, and others with another one.
    same = [filler.evaluate(TEXTS, rate=0.4, seed=s)["perplexity"] for s in (1, 1, 2)]
    assert same[0] == same[1] != same[2]


def test_hidden_anew_in_every_epoch(filler):
    batches = filler.batches(TEXTS, 4, rate=0.5, seed=3)
    seen = [np.asarray(batches[0][1]) for _ in range(3)]
    assert any((a != b).any() for a, b in itertools.pairwise(seen))
    (ids, _), labels = batches[0]
    ids, labels, tokenizer = np.asarray(ids), np.asarray(labels), filler.tokenizer
    for row, label, text in zip(ids, labels, TEXTS, strict=True):
        whole, n = tokenizer.encode(text)[0], len(tokenizer.encode(text)[0])
        assert np.where(label >= 0, label, row)[:n].tolist() == whole
        assert (label[[0, n - 1]] == -1).all()
        assert (label[n:] == -1).all()
    again = filler.batches(TEXTS, 4, rate=0.5, seed=3)
    np.testing.assert_array_equal(np.asarray(again[0][1]), seen[0])


def test_a_model_of_ones_own_and_regularized(checkpoint):
    tokenizer = Tokenizer.from_pretrained(checkpoint)
    bert = build_transformer_model(checkpoint)
    scores = keras.layers.Dense(tokenizer.vocab_size + 3)(bert.output)  # a padded vocabulary
    task = FillMask(tokenizer, keras.Model(bert.inputs, scores), maxlen=16, top_k=58)
    found = task("the [MASK]")
    assert len(found) == 58
    assert all(isinstance(f, Filling) and 5 <= f.token_id < 63 for f in found)
    model = RegularizedModel(task.model, [FGM()])
    model.compile(keras.optimizers.Adam(1e-3), task.loss)
    history = model.fit(task.batches(TEXTS, 4, rate=0.5), verbose=0)
    assert np.isfinite(history.history["loss"]).all()


@pytest.mark.spread
def test_what_does_not_fit(filler):
    build = lambda **how: FillMask(filler.tokenizer, filler.model, **how)  # noqa: E731
    with pytest.raises(TaskError, match="joint='beam' must be one of iterative, independent"):
        build(joint="beam")
    for top_k in (0, 59):
        with pytest.raises(TaskError, match=f"top_k={top_k} must lie between 1 and 58"):
            build(top_k=top_k)
    for text in ("", "   ", "no gap", "\ud800"):
        with pytest.raises(TaskError, match=r"has no mask; write \[MASK\] in the place"):
            filler(text)
    with pytest.raises(TypeError, match="A text must be str, got int"):
        filler(7)
    with pytest.raises(TaskError, match="has 2 masks, and 1 labels"):
        filler.batches([("a [MASK] [MASK]", "good")])
    with pytest.raises(TaskError, match="the label 'acting' is no single token, but"):
        filler.batches([("a [MASK]", "acting")])
    with pytest.raises(TaskError, match="got nothing to find"):
        filler.evaluate(["", "good"], rate=0.0)


@pytest.mark.spread
def test_texts_at_the_edge(filler):
    for text in ("[MASK]", "\ud800 [MASK]", "😀[MASK]😀", " [MASK] ", "good " * 20000 + "[MASK]"):
        first = filler(text)[0]
        assert text[first.start : first.end] == "[MASK]"
        assert first.text.endswith(text[first.end :])


@pytest.mark.spread
def test_scores_that_are_no_numbers(checkpoint):
    task = FillMask.build(checkpoint)
    for weight in task.model.weights:
        if "MLM-Bias" in weight.path:
            weight.assign(np.full(weight.shape, np.nan))
    with pytest.raises(TaskError, match="scores are no numbers; was its training stable"):
        task("[MASK]")


@pytest.mark.spread
def test_a_mask_that_the_tokenizer_does_not_find(filler, monkeypatch):
    nothing = [[2, 3]], [[0, 0]], [[(0, 0), (0, 0)]]
    monkeypatch.setattr(filler.tokenizer, "encode_batch", lambda texts, **how: nothing)
    with pytest.raises(TaskError, match="the tokenizer finds 0 of the 1 masks"):
        filler("a [MASK]")
