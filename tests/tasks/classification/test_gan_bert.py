"""GAN-BERT: the paper's losses, both players in one pass, families, codes, saving, messages."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from keras import ops

from bert4keras import tasks
from bert4keras.latent import GLANN
from bert4keras.tasks import SentenceEncoder, TextClassifier
from bert4keras.tasks.classification import GANBERT
from bert4keras.tokenizers import Tokenizer
from bert4keras.training.gradients import value_and_detached_grads
from helpers import family_models

RNG = np.random.default_rng(3)
IDS = RNG.integers(0, 20, (8, 6))
LABELS = np.array([0, 2, -1, -1, 1, -1, -1, 0])


def value(tensor) -> np.ndarray:
    return ops.convert_to_numpy(tensor)


def classifier() -> keras.Model:
    ids = keras.Input((6,), dtype="int32")
    x = keras.layers.GlobalAveragePooling1D(name="pool")(keras.layers.Embedding(20, 5)(ids))
    x = keras.layers.Dropout(0.5)(x)
    x = keras.layers.Dense(4, "tanh", name="features")(x)
    return keras.Model(ids, keras.layers.Dense(3)(keras.layers.Dropout(0.5)(x)))


def gradients(loss, variables) -> list[np.ndarray]:
    """Gradients of a function without arguments by variables; zero where there is none."""

    def function(_, values):
        if values is None:
            return loss(), ()
        with keras.StatelessScope(state_mapping=list(zip(variables, values, strict=True))):
            return loss(), ()

    found = value_and_detached_grads(function, [ops.zeros(())], variables, of_variables=True)[2]
    zeros = (np.zeros(v.shape) for v in variables)
    return [zero if g is None else value(g) for g, zero in zip(found, zeros, strict=True)]


def test_the_loss_is_that_of_the_paper():
    """By the probabilities of k + 1 classes: -log(1 - p_0(text)) - log p_0(fake)."""
    model = GANBERT(classifier(), latent_size=2)
    z = ops.convert_to_tensor(RNG.normal(size=(8, 2)).astype("float32"))
    vectors = model._untracked.encoder(IDS)

    def fake_probability(x):
        features, scores = model._untracked.head(x, training=False)
        scores = np.concatenate([value(model.critic(features)), value(scores)], axis=1)
        powers = np.exp(scores)
        return powers[:, 0] / powers.sum(1), value(features).mean(0)

    (text, mean), (fake, made) = map(fake_probability, (vectors, model.generator(z)))
    expected = -np.log(1 - text).mean() - np.log(fake).mean()
    np.testing.assert_allclose(value(model.adversarial(vectors, z)), expected, rtol=1e-5)
    assert np.abs(mean - made).max() > 1e-3

    # One pass trains the generator by its loss, with the matching of features, and the others by
    # the loss above. Without the constant, the head would be trained for the generator too.
    mean = ops.convert_to_tensor(mean)

    def generator_loss():
        features, v, _ = model.judge(model.generator(z))
        distance = ops.sum(ops.square(ops.mean(features, axis=0) - mean))
        return ops.mean(ops.logaddexp(-v, 0.0)) + distance

    generator = model.generator.trainable_variables
    others = model.classifier.trainable_variables + model.critic.trainable_variables
    constant = ops.convert_to_tensor(value(model.generator(z)))

    def critic_loss():
        real, fake = (model.judge(x)[1] for x in (model._untracked.encoder(IDS), constant))
        return ops.mean(ops.logaddexp(-real, 0.0)) + ops.mean(ops.logaddexp(fake, 0.0))

    def both():
        return model.adversarial(model._untracked.encoder(IDS), z)

    found = gradients(both, [*generator, *others])
    expected = gradients(generator_loss, generator) + gradients(critic_loss, others)
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-6)
    wrong = gradients(lambda: generator_loss() + critic_loss(), others)
    assert (
        max(np.abs(a - b).max() for a, b in zip(wrong, expected[-len(wrong) :], strict=True)) > 1e-3
    )


def test_training_uses_labels_only_where_there_are_some():
    keras.utils.set_random_seed(1)
    plain = classifier()
    model = GANBERT(plain, weight=0.0)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.SGD(0.5), loss, metrics=["accuracy"])
    model.fit(IDS, LABELS, batch_size=8, epochs=1, verbose=0)
    known = LABELS >= 0
    result = model.evaluate(IDS, LABELS, batch_size=8, verbose=0, return_dict=True)
    expected = value(loss(LABELS[known], plain(IDS[known])))
    np.testing.assert_allclose(result["loss"], expected, rtol=1e-5)
    right = (plain.predict(IDS, verbose=0).argmax(1) == LABELS)[known].mean()
    np.testing.assert_allclose(result["accuracy"], right, rtol=1e-5)
    np.testing.assert_array_equal(model.predict(IDS, verbose=0), plain.predict(IDS, verbose=0))
    # With the adversary, texts without a label move the encoder: the embedding of an id in them.
    unlabelled = np.setdiff1d(IDS[~known], IDS[known])[0]
    embedding = plain.layers[1].embeddings
    before = value(embedding)[unlabelled]
    model.fit(IDS, LABELS, batch_size=8, epochs=1, verbose=0)
    np.testing.assert_array_equal(value(embedding)[unlabelled], before)
    model = GANBERT(plain, weight=1.0)
    model.compile(keras.optimizers.SGD(0.5), loss)
    model.fit(IDS, LABELS, batch_size=8, epochs=1, verbose=0)
    assert np.abs(value(embedding)[unlabelled] - before).max() > 1e-6


@pytest.mark.spread
@pytest.mark.parametrize("options", [{"correlation": 0.5}, {"divergence": "js"}, {}])
def test_a_saved_model_gives_the_same(options, tmp_path):
    generator = GLANN(8, 5, latent_size=4, hidden=(6,))
    generator.build()
    generator = generator.generator
    generator.trainable = False
    if not options:
        options = {"generator": generator, "latent_size": 4}
    model = GANBERT(classifier(), **{"latent_size": 4, **options})
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.Adam(0.1), loss)
    before = [value(v) for v in model.generator.variables]
    model.fit(IDS, LABELS, epochs=2, verbose=0)
    moved = any(
        (value(v) != w).any() for v, w in zip(model.generator.variables, before, strict=True)
    )
    assert moved == ("generator" not in options)
    model.save(tmp_path / "model.keras")
    again = keras.models.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(again.predict(IDS, verbose=0), model.predict(IDS, verbose=0))
    z = ops.convert_to_tensor(RNG.normal(size=(3, 4)).astype("float32"))
    np.testing.assert_array_equal(value(again.generator(z)), value(model.generator(z)))
    if "correlation" in options:
        codes = model.code_model.predict(IDS, verbose=0)
        np.testing.assert_array_equal(again.code_model.predict(IDS, verbose=0), codes)
        np.testing.assert_allclose(codes.mean(1), 0, atol=1e-5)
        np.testing.assert_allclose(codes.std(1), 1, atol=1e-3)


@pytest.mark.spread
@pytest.mark.parametrize(
    ("family", "tokenizer"),
    [("bert", ""), ("distilbert", ""), ("modernbert", "modernbert"), ("gpt2", "gpt2")],
)
def test_families_and_tasks(family, tokenizer, fixtures, tmp_path):
    """A classifier of any pooling is trained, on Chinese texts too, and stays an ordinary one."""
    words = Tokenizer.from_pretrained(
        fixtures / "tokenizers" / tokenizer if tokenizer else fixtures / "bert_gelu"
    )
    pad = words.token_end_id if words.pad_token_id is None else words.pad_token_id
    sizes = {"vocab_size": words.vocab_size, "pad_token_id": pad, "max_position": 48}
    bert = family_models.build(family, config=sizes)
    task = TextClassifier.build(bert, ["good", "bad"], maxlen=16, tokenizer=words)
    model = GANBERT(task.model, latent_size=8, correlation=1.0)
    model.compile(keras.optimizers.Adam(1e-3), task.loss, metrics=["accuracy"])
    rows = [("a good film", "good"), ("not good", "bad"), ("我爱北京", None), ("a film", None)]
    model.fit(task.batches(rows, 4), epochs=1, verbose=0)
    task.save(tmp_path / "task")
    again = tasks.load(tmp_path / "task")
    assert type(again.model).__name__ == "Functional"
    texts = ["a film", "北京"]
    assert [x.scores for x in again(texts)] == [x.scores for x in task(texts)]
    codes = SentenceEncoder(task.tokenizer, model.code_model, maxlen=16)
    assert codes.index([text for text, _ in rows]).search("not good", k=1)[0].text == "not good"


@pytest.mark.spread
def test_wrong_models_are_named():
    with pytest.raises(TypeError, match="GANBERT needs a functional classifier"):
        GANBERT(keras.layers.Dense(2))
    x = keras.Input((4,), dtype="int32")
    tokens = keras.layers.Embedding(9, 3)(x)
    with pytest.raises(
        ValueError, match=r"scores \(B, k\) of at least 2 classes, not \[\(None, 1\)"
    ):
        GANBERT(keras.Model(x, keras.layers.Dense(1)(keras.layers.Flatten()(tokens))))
    with pytest.raises(ValueError, match=r"no vector of a text \(B, D\) before its scores"):
        GANBERT(keras.Model(x, keras.layers.GlobalAveragePooling1D()(tokens)))
    with pytest.raises(ValueError, match="no gradient penalty, which 'wasserstein' needs"):
        GANBERT(classifier(), divergence="wasserstein")
    with pytest.raises(ValueError, match=r"map \(B, 100\) to vectors \(B, 5\)"):
        GANBERT(classifier(), generator=keras.Sequential([keras.layers.Dense(3)]))
    with pytest.raises(ValueError, match="has codes only with `correlation`"):
        _ = GANBERT(classifier()).code_model
