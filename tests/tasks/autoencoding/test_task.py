"""Sentence autoencoders: exact sums, decoding over a cache, learning, saving, errors."""

from __future__ import annotations

import functools
from collections.abc import Callable

import keras
import numpy as np
import pytest
from keras import ops

from bert4keras import tasks
from bert4keras.latent import (
    GaussianBottleneck,
    GumbelBottleneck,
    VectorQuantizedBottleneck,
)
from bert4keras.models import build_transformer_model
from bert4keras.optimizers import warm_up
from bert4keras.tasks import SentenceAutoencoder, TaskError
from bert4keras.tasks.autoencoding import TextCrossentropy, WordDropout
from helpers.compiled import compiled

TEXTS = ["good film", "bad", "我爱北京", "白日依山尽", "a film", "not", "黄河入海流", "bad story"]
LATENTS = {
    "gaussian": lambda: GaussianBottleneck(8, kl_weight=0.001),
    "gumbel": lambda: GumbelBottleneck(4, 8, 8, kl_weight=0.01),
    "vq": lambda: VectorQuantizedBottleneck(4, 8, 8),
}


def build(latent: str, **settings) -> SentenceAutoencoder:
    keras.utils.set_random_seed(1)
    sizes = {"hidden_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2, "maxlen": 16}
    encoder, tokenizer = tasks.from_scratch(TEXTS, min_count=1, dropout_rate=0.0, **sizes)
    return SentenceAutoencoder.build(encoder, LATENTS[latent](), tokenizer=tokenizer, **settings)


def fit(task: SentenceAutoencoder, rate: float = 1e-2, rounds: int = 8) -> None:
    """Train until all texts are reconstructed, at most so many rounds of 60 steps."""
    task.model.compile(keras.optimizers.Adam(warm_up(rate, 10, 180, 0.3)), task.loss)
    batches = task.batches(TEXTS, 8, shuffle=True, buckets=None)
    for _ in range(rounds):
        task.model.fit(batches, epochs=60, verbose=0)
        if task(TEXTS) == TEXTS:
            break


@pytest.fixture(scope="module")
def vae() -> SentenceAutoencoder:
    task = build("gaussian")
    fit(task)
    return task


@pytest.fixture(scope="module")
def scrambled() -> SentenceAutoencoder:
    """One with random weights, which every backend has without training."""
    task, random = build("gaussian"), np.random.default_rng(8)
    for weight in task.model.trainable_variables:
        weight.assign(weight + 0.3 * random.normal(size=weight.shape).astype("float32"))
    return task


@functools.cache
def decoder_of(task: SentenceAutoencoder) -> Callable:
    """The decoder as one function; JAX takes its weights as they are now."""
    return compiled(lambda *x: task.decoder(list(x)))


def logits_of(task: SentenceAutoencoder, ids: np.ndarray, z: np.ndarray) -> np.ndarray:
    """Logits of the decoder in one pass over whole texts, without a cache."""
    given = {"token_ids": ids, "condition": z}
    inputs = [given.get(name, np.zeros_like(ids)) for name in task.decoder.input_order]
    return ops.convert_to_numpy(decoder_of(task)(*map(ops.convert_to_tensor, inputs)))


@pytest.mark.spread(by="vae")
def test_reconstructs_what_it_learned_and_only_from_its_own_vector(vae):
    assert vae(TEXTS) == TEXTS
    z = vae.vectors(TEXTS)
    shuffled = vae.write(np.roll(z, 1, axis=0))
    assert sum(a == b for a, b in zip(shuffled, TEXTS, strict=True)) == 0
    own = [row.sum() for row in vae.log_likelihoods(TEXTS, z)]
    other = [row.sum() for row in vae.log_likelihoods(TEXTS, np.roll(z, 1, axis=0))]
    assert np.mean(own) > np.mean(other) + 3


def test_cached_writing_equals_whole_passes(scrambled):
    z = np.random.default_rng(5).normal(size=(4, 8)).astype("float32")
    tokenizer = scrambled.tokenizer
    # Of one length, or JAX would compile each pass; no token sees those after it.
    ids = np.full((4, scrambled.maxlen), tokenizer.sep_token_id, "int32")
    ids[:, 0] = tokenizer.cls_token_id
    done = np.zeros(4, bool)
    for place in range(1, scrambled.maxlen):
        scores = logits_of(scrambled, ids, z)[:, place - 1]
        scores[:, list(scrambled._banned.token_ids)] = -1e9
        best = np.where(done, tokenizer.sep_token_id, scores.argmax(-1))
        done |= best == tokenizer.sep_token_id
        ids[:, place] = best
        if done.all():
            break
    assert scrambled.write(z) == [tokenizer.decode(row) for row in ids]


def test_likelihoods_are_those_of_a_hand_computation(scrambled):
    z = scrambled.vectors(TEXTS)
    found = scrambled.log_likelihoods(TEXTS, z)
    ids = np.zeros((len(TEXTS), scrambled.maxlen), "int32")  # no token sees the zeros after it
    for row, text in zip(ids, TEXTS, strict=True):
        row[: len(scrambled.encode(text).extra)] = scrambled.encode(text).extra
    logits = logits_of(scrambled, ids, z)
    logs = logits - np.logaddexp.reduce(logits, axis=-1, keepdims=True)
    for row, known, log in zip(found, ids, logs, strict=True):
        by_hand = log[np.arange(row.size), known[1 : row.size + 1]]
        np.testing.assert_allclose(row, by_hand, atol=1e-4)


@pytest.mark.spread(by="vae")
def test_importance_weighted_bound_is_above_the_elbo(vae):
    few = vae.evaluate(TEXTS, draws=8, reconstruct=False)
    assert np.log(few["perplexity"]) < few["loss_per_token"]
    one = vae.evaluate(TEXTS, draws=1, reconstruct=False)
    assert np.log(one["perplexity"]) == pytest.approx(one["loss_per_token"])
    assert few["mutual_information"] == pytest.approx(np.log(8), abs=0.05)  # all texts are told
    assert few["active_units"] >= 3


def test_loss_of_fit_is_the_reported_bound():
    """With codes nothing is random: the loss of `evaluate` of Keras is -ELBO, exactly."""
    task = build("vq")
    task.bottleneck.quantizer.gamma = 0.0
    task.model.compile("adam", task.loss)
    task.model.fit(task.batches(TEXTS, 8, shuffle=True), epochs=2, verbose=0)
    found = task.model.evaluate(task.batches(TEXTS, 8, buckets=None), verbose=0)
    report = task.evaluate(TEXTS, draws=2, reconstruct=False)
    tokens = sum(len(task.encode(text).extra) - 1 for text in TEXTS)
    assert found == pytest.approx(report["loss_per_token"] * tokens / len(TEXTS), rel=1e-4)
    assert report["kl"] > 0.1


@pytest.mark.spread(by="vae")
def test_an_untrained_condition_changes_nothing_and_a_trained_one_does(vae):
    z = np.random.default_rng(6).normal(size=(2, 8)).astype("float32")
    for task, same in ((build("gaussian"), True), (vae, False)):
        first, second = task.log_likelihoods(["bad", "bad"], z)
        assert np.allclose(first, second, atol=1e-6) == same


def test_word_dropout_replaces_words_in_training_only():
    layer = WordDropout(0.5, 9, kept=(0, 1))
    ids = np.array([[1, *range(2, 9), 0, 0]] * 200, "int32")
    assert (ops.convert_to_numpy(layer(ids, training=False)) == ids).all()
    found = ops.convert_to_numpy(layer(ids, training=True))
    assert (found[:, [0, 8, 9]] == ids[:, [0, 8, 9]]).all()
    assert ((found == ids) | (found == 9)).all()
    assert (found[:, 1:8] == 9).mean() == pytest.approx(0.5, abs=0.05)


def test_the_loss_sums_over_tokens_and_averages_over_texts():
    rng = np.random.default_rng(7)
    logits, labels = (
        rng.normal(size=(2, 3, 4)).astype("float32"),
        np.array([[1, 2, -1], [3, -1, -1]]),
    )
    logs = logits - np.logaddexp.reduce(logits, axis=-1, keepdims=True)
    by_hand = -(logs[0, 0, 1] + logs[0, 1, 2] + logs[1, 0, 3]) / 2
    assert float(TextCrossentropy()(labels, logits)) == pytest.approx(by_hand, rel=1e-5)


@pytest.mark.spread
@pytest.mark.parametrize("latent", ["gumbel", "vq"])
def test_discrete_codes_tell_texts_apart_and_are_saved(latent, tmp_path):
    """A few steps do not separate all texts, as they do for the Gaussian latent."""
    task = build(latent)
    fit(task, 3e-3, 4)
    codes, z = task.codes(TEXTS), task.vectors(TEXTS)
    assert codes.shape == (8, 4)
    assert len({tuple(row) for row in codes}) >= 2
    own = [row.sum() for row in task.log_likelihoods(TEXTS, z)]
    other = [row.sum() for row in task.log_likelihoods(TEXTS, np.roll(z, 1, axis=0))]
    assert np.mean(own) > np.mean(other)
    assert set(task(TEXTS)) & set(TEXTS)
    report = task.evaluate(TEXTS, draws=3)
    assert report["code_perplexity"] > 1.1
    assert report["mutual_information"] > 0.1
    assert set(task.sample(20, seed=1)) & set(TEXTS)  # the prior has learned the codes
    task.save(tmp_path / "saved")
    again = tasks.load(tmp_path / "saved")
    assert again.sample(5, seed=2) == task.sample(5, seed=2)
    assert (again.codes(TEXTS) == codes).all()


@pytest.mark.spread(by="vae")
def test_saved_and_loaded(vae, tmp_path):
    vae.save(tmp_path / "saved")
    again = tasks.load(tmp_path / "saved")
    np.testing.assert_allclose(again.vectors(TEXTS), vae.vectors(TEXTS), atol=1e-5)
    assert again.get_config() == vae.get_config()
    assert again.sample(5, seed=1) == vae.sample(5, seed=1)
    assert again.bottleneck.get_config() == vae.bottleneck.get_config()


@pytest.mark.spread(by="vae")
def test_a_walk_begins_and_ends_at_its_texts(vae):
    for spherical in (False, True):
        found = vae.walk(TEXTS[0], TEXTS[3], 5, spherical=spherical)
        assert (len(found), found[0], found[-1]) == (5, TEXTS[0], TEXTS[3])


@pytest.mark.spread
def test_from_a_checkpoint_with_fewer_tokens(fixtures):
    task = SentenceAutoencoder.build(fixtures / "bert_gelu", "vq", ["the film is good"])
    whole = SentenceAutoencoder.build(fixtures / "bert_gelu", "vq")
    assert task.tokenizer.vocab_size < whole.tokenizer.vocab_size
    assert isinstance(task("the film"), str)
    assert task.maxlen <= 64


@pytest.mark.spread(by="vae")
def test_messages(fixtures, vae):
    directory = fixtures / "bert_gelu"
    with pytest.raises(TaskError, match="latent='pca' must be one of gaussian, gumbel, vq"):
        SentenceAutoencoder.build(directory, "pca")
    with pytest.raises(TaskError, match="has 19 tokens, and maxlen=8"):
        build("vq", maxlen=8)("good bad good bad not")
    assert isinstance(build("vq", maxlen=8, truncate="right")("good bad good bad not"), str)
    with pytest.raises(TaskError, match="truncate='left' must be one of error, right"):
        build("vq", truncate="left")
    with pytest.raises(TaskError, match=r"have the shape \(N, 8\), not \(2, 3\)"):
        vae.write(np.zeros((2, 3)))
    with pytest.raises(TaskError, match="a Gaussian latent has no codes"):
        vae.codes(TEXTS)
    with pytest.raises(TaskError, match="steps=1 must be at least 2"):
        vae.walk("bad", "not", 1)
    with pytest.raises(TaskError, match="a sample is a text, not 3"):
        vae.vectors([3])
    with pytest.raises(TaskError, match="there is no text"):
        vae.vectors([])
    with pytest.raises(TaskError, match="got no texts"):
        vae.evaluate([])
    with pytest.raises(TaskError, match="draws=0 must be at least 1"):
        vae.evaluate(TEXTS, draws=0)
    with pytest.raises(TaskError, match="give a list of texts, or call the task"):
        vae.predict("bad")
    with pytest.raises(ValueError, match=r"word_dropout=1.5 must be in \[0, 1\)"):
        build("vq", word_dropout=1.5)


@pytest.mark.spread(by="vae")
def test_messages_of_parts_that_do_not_fit(fixtures, vae):
    tokenizer = vae.tokenizer
    sizes = {"hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 2}
    sizes |= {"model_type": "bert", "vocab_size": tokenizer.vocab_size, "intermediate_size": 8}
    encoder = build_transformer_model(sizes)
    writing = {"application": "lm", "with_mlm": "linear", "layer_norm_cond": 32}
    small = build_transformer_model(sizes, **{**writing, "layer_norm_cond": 5})
    with pytest.raises(TaskError, match=r"with a condition of 32 numbers \(this one takes 5\)"):
        SentenceAutoencoder.build(encoder, tokenizer=tokenizer, decoder=small)
    other = build_transformer_model({**sizes, "vocab_size": 99}, **writing)
    with pytest.raises(TaskError, match="the decoder 99; both read the ids of one tokenizer"):
        SentenceAutoencoder.build(encoder, tokenizer=tokenizer, decoder=other)
    with pytest.raises(TaskError, match="has not one bottleneck and one decoder"):
        SentenceAutoencoder(tokenizer, encoder)
    pooled = build_transformer_model(sizes, with_pool=True, with_mlm=True)
    with pytest.raises(TaskError, match="return one vector for each token"):
        SentenceAutoencoder.build(pooled, tokenizer=tokenizer)
    without = build_transformer_model({**sizes, "type_vocab_size": 0})
    decoder = build_transformer_model(sizes, **writing)
    with pytest.raises(TaskError, match="the decoder needs segment_ids"):
        SentenceAutoencoder.build(without, tokenizer=tokenizer, decoder=decoder)
