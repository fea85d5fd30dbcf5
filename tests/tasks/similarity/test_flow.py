"""Encoders that end with a flow or with a lower block: vectors, saving, messages."""

from __future__ import annotations

import numpy as np
import pytest
from keras import ops

from bert4keras import tasks
from bert4keras.latent import Glow, RealNVP
from bert4keras.tasks import SentenceEncoder, TaskError
from bert4keras.tasks.similarity import FLOWS, fit_flow, flow_encoder, sentence_encoder
from helpers import tiny

pytestmark = pytest.mark.spread

TEXTS = ["very good film", "not good", "我爱北京", "bad", "the story is not very bad"]


@pytest.fixture(scope="module")
def encoder(fixtures):
    return SentenceEncoder.build(fixtures / "bert_gelu", "mean", maxlen=24)


def cone(count, size):
    """Vectors around a common direction, as an encoder gives them: their cosines are near 1."""
    rng = np.random.default_rng(0)
    return (5 + rng.normal(size=(count, size)) * rng.uniform(0.1, 2, size)).astype("float32")


def cosines(x):
    x = x / np.linalg.norm(x, axis=1, keepdims=True)
    return (x @ x.T)[np.triu_indices(len(x), 1)]


def test_a_flow_opens_the_cone():
    x = cone(400, 8)
    flow = fit_flow(x, RealNVP(2, 16), epochs=30, batch_size=64, learning_rate=5e-3)
    z = flow.transform(x)
    assert np.abs(z.mean(0)).max() < 0.3
    np.testing.assert_allclose(np.cov(z.T), np.eye(8), atol=0.35)
    assert cosines(x).mean() > 0.9
    assert abs(cosines(z).mean()) < 0.05


def test_the_epoch_is_chosen_on_held_out_vectors():
    flow = fit_flow(cone(60, 8), Glow(4, 64), epochs=40, batch_size=8, learning_rate=0.02)
    history = flow.history.history["val_loss"]
    assert len(history) < 40
    order = np.random.default_rng(0).permutation(60)
    held = cone(60, 8)[order[:6]]
    np.testing.assert_allclose(flow.evaluate(held, verbose=0), min(history), rtol=1e-3)
    assert history[-1] > min(history)


@pytest.mark.parametrize("name", FLOWS)
def test_an_encoder_with_a_flow_is_saved_with_it(name, encoder, tmp_path):
    vectors = encoder.predict(TEXTS * 5)
    flow = fit_flow(vectors + 0.01 * cone(25, 32), FLOWS[name](2), epochs=2)
    isotropic = encoder.with_flow(flow)
    found = isotropic.predict(TEXTS)
    np.testing.assert_allclose(found, flow.transform(vectors[:5]), rtol=1e-3, atol=1e-3)
    assert np.abs(found - vectors[:5]).max() > 0.1
    isotropic.save(tmp_path / name)
    loaded = tasks.load(tmp_path / name)
    np.testing.assert_allclose(loaded.predict(TEXTS), found, rtol=1e-4, atol=1e-4)
    assert loaded.similarity(TEXTS, TEXTS).shape == (5, 5)
    with pytest.raises(TaskError, match=r"sentence-transformers has no module for .*Flow"):
        isotropic.save_huggingface(tmp_path / "modules")


def test_vectors_of_a_lower_block(fixtures, tmp_path):
    backbone, inputs = tiny.build(), tiny.inputs()
    blocks = len(backbone.hidden_states) - 1
    assert blocks >= 2
    run = lambda layer: ops.convert_to_numpy(  # noqa: E731
        sentence_encoder(backbone, "mean", layer=layer)(list(inputs))
    )
    np.testing.assert_allclose(run(1), run(-blocks), atol=1e-6)
    np.testing.assert_allclose(run(blocks), run(-1), atol=1e-6)
    both = ops.convert_to_numpy(sentence_encoder(backbone, "first-last")(list(inputs)))
    np.testing.assert_allclose((run(1) + run(-1)) / 2, both, atol=1e-5)
    assert np.abs(run(1) - run(-1)).max() > 0.01
    encoder = SentenceEncoder.build(fixtures / "bert_gelu", layer=1)
    encoder.save_huggingface(tmp_path / "first")  # a model of one block
    again = tasks.load(tmp_path / "first")
    np.testing.assert_allclose(again.predict(TEXTS), encoder.predict(TEXTS), atol=1e-5)


def test_bad_input_is_named(encoder):
    x = cone(40, 8)
    with pytest.raises(ValueError, match="flow='nice' must be one of realnvp, glow, iresnet"):
        fit_flow(x, "nice")
    with pytest.raises(ValueError, match="at least 20 vectors, got 3"):
        fit_flow(x[:3])
    with pytest.raises(ValueError, match=r"vectors\[1\] is not finite"):
        fit_flow(np.array([[0.0], [np.nan]]))
    with pytest.raises(ValueError, match="a flow without weights, encoder of 32"):
        flow_encoder(encoder.model, Glow())
    narrow = Glow(1)
    narrow.build((None, 8))
    with pytest.raises(ValueError, match="flow of 8 dimensions, encoder of 32"):
        encoder.with_flow(narrow)
    backbone = tiny.build()
    for layer in (0, 99, -99):
        with pytest.raises(ValueError, match=f"layer={layer} is no block of .*: they are 1 to "):
            sentence_encoder(backbone, "mean", layer=layer)
    with pytest.raises(ValueError, match=r"layer=1 is for cls, .*, not for 'first-last'"):
        sentence_encoder(backbone, "first-last", layer=1)
