"""Adversarial models: both players in one pass, O-GAN's identities, training, saving, messages."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from keras import ops

from bert4keras.latent import ALI, DIVERGENCES, GAN, OGAN, AdversarialPrior, gradient_penalty
from bert4keras.latent.divergences import get_divergence
from bert4keras.latent.gan import code_correlation
from bert4keras.training.gradients import value_and_detached_grads

RNG = np.random.default_rng(1)
X = RNG.normal(1.5, 0.7, (64, 3)).astype("float32")
Z = RNG.normal(size=(64, 2)).astype("float32")


def value(tensor) -> np.ndarray:
    return ops.convert_to_numpy(tensor)


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


def built(kind, **options):
    model = kind(latent_size=2, hidden=(8,), **options)
    model.build((None, 3))
    return model


@pytest.mark.parametrize(
    "name", ["gan", *(pytest.param(x, marks=pytest.mark.spread) for x in ("pearson", "reverse_kl"))]
)
def test_one_pass_gives_the_gradients_of_two(name):
    gan, divergence = built(GAN, divergence=name), get_divergence(name)
    generator, critic = gan.generator.trainable_variables, gan.critic.trainable_variables
    both = gradients(lambda: gan.loss_of(X, Z), [*generator, *critic])

    fake = ops.convert_to_tensor(value(gan.generator(Z)))
    first = gradients(lambda: -divergence.bound(gan.score(X), gan.score(fake)), critic)

    def generator_loss():
        return -ops.mean(divergence.real(gan.score(gan.generator(Z))))

    second = gradients(generator_loss, generator)
    for found, expected in zip(both, [*second, *first], strict=True):
        assert np.abs(expected).max() > 1e-4
        np.testing.assert_allclose(found, expected, atol=1e-6)
    # Without the constant, the critic would be trained for the generator too.
    mixed = gradients(
        lambda: generator_loss() - divergence.bound(gan.score(X), gan.score(fake)), critic
    )
    assert max(np.abs(a - b).max() for a, b in zip(mixed, first, strict=True)) > 1e-3
    loss = value(gan.loss_of(X, Z))
    np.testing.assert_allclose(
        loss, -value(divergence.bound(gan.score(X), gan.score(fake))), atol=1e-6
    )


def test_one_pass_of_ali_trains_three_players():
    ali, divergence = built(ALI), get_divergence("gan")
    players = ali.generator.trainable_variables + ali.encoder.trainable_variables
    critic = ali.critic.trainable_variables
    both = gradients(lambda: ali.loss_of(X, Z), [*players, *critic])

    def scores():
        fake = ops.concatenate([ali.generator(Z), Z], axis=-1)
        return ali.score(X), ali.pair_score(fake)

    # The players' loss is the critic's with the labels of the two sides exchanged.
    expected = gradients(lambda: -divergence.bound(*scores()[::-1]), players)
    expected += gradients(lambda: -divergence.bound(*scores()), critic)
    for found, one in zip(both, expected, strict=True):
        np.testing.assert_allclose(found, one, atol=1e-6)
    same_side = gradients(lambda: -divergence.bound(*scores()), players)
    assert max(np.abs(a - b).max() for a, b in zip(same_side, both, strict=False)) > 1e-3


def test_the_gradient_penalty_of_a_quadratic_score():
    """The gradient of |x|^2 / 2 is x."""
    found = value(
        gradient_penalty(lambda x: ops.sum(ops.square(x), -1) / 2, ops.convert_to_tensor(X))
    )
    np.testing.assert_allclose(found, (X**2).sum(1).mean(), rtol=1e-5)


def test_score_and_code_of_ogan():
    gan = built(OGAN, correlation=0.5, divergence="js")
    outputs = value(gan.critic(X))
    np.testing.assert_allclose(value(gan.score(X)), outputs.mean(1), atol=1e-6)
    wide = OGAN(latent_size=5, hidden=(8,))
    wide.build((None, 3))
    codes, outputs = value(wide.encode(X)), value(wide.critic(X))
    expected = (outputs - outputs.mean(1, keepdims=True)) / outputs.std(1, keepdims=True)
    np.testing.assert_allclose(codes, expected, atol=1e-3)
    # The loss is that of a GAN minus the weighted correlation, by numpy's definition of it.
    z = RNG.normal(size=(64, 5)).astype("float32")
    tensor = ops.convert_to_tensor(z)
    fake = value(wide.critic(wide.generator(z)))
    rho = np.mean([np.corrcoef(a, b)[0, 1] for a, b in zip(z, fake, strict=True)])
    plain = -value(
        wide.divergence.bound(wide.score(X), ops.mean(wide.critic(wide.generator(z)), -1))
    )
    np.testing.assert_allclose(value(wide.loss_of(X, tensor)), plain - rho, atol=1e-4)
    # It is 1 for equal directions, whatever their mean and length, and -1 for opposite ones.
    for factor in (1, -1):
        same = value(code_correlation(tensor, 3 * factor * tensor + 2))
        np.testing.assert_allclose(same, factor, atol=1e-5)


@pytest.mark.spread
def test_training_gives_the_distribution_of_the_data():
    gan = GAN(latent_size=2, hidden=(16,), divergence="js", penalty=0.1)
    gan.build((None, 3))
    before = gan.sample(500, seed=1)
    gan.compile(keras.optimizers.Adam(5e-3, beta_1=0.5))
    gan.fit(np.tile(X, (300, 1)), batch_size=64, verbose=0)
    found = gan.sample(500, seed=1)
    assert np.abs(found.mean(0) - X.mean(0)).max() < 0.6 < np.abs(before.mean(0) - X.mean(0)).min()
    np.testing.assert_array_equal(found, gan.sample(500, seed=1))
    assert not np.array_equal(found, gan.sample(500, seed=2))


@pytest.mark.spread
def test_an_adversarial_autoencoder_pulls_codes_to_the_prior():
    """Mean 0 and deviation 1 come nearer than without the layer, which reconstructs as well."""
    line = RNG.normal(1.5, 0.3, (128, 1)).astype("float32") * np.array([[1.0, 2.0]], "float32")
    distance = []
    for prior in (AdversarialPrior(hidden=(16,)), keras.layers.Identity()):
        keras.utils.set_random_seed(0)
        x = keras.Input((2,))
        code = prior(keras.layers.Dense(1)(x))
        model = keras.Model(x, keras.layers.Dense(2)(code))
        model.compile(keras.optimizers.Adam(2e-2, beta_1=0.5), "mse")
        many = np.tile(line, (150, 1))  # an epoch costs more than its steps
        model.fit(many, many, batch_size=32, verbose=0)
        assert np.square(model.predict(line, verbose=0) - line).mean() < 0.1
        codes = keras.Model(x, code).predict(line, verbose=0)
        distance.append(abs(codes.mean()) + abs(codes.std() - 1))
    assert distance[0] < 1.2 < 1.5 < distance[1]


@pytest.mark.spread
@pytest.mark.parametrize("kind", [GAN, OGAN, ALI])
@pytest.mark.parametrize("policy", ["float32", "mixed_float16"])
def test_a_saved_model_gives_the_same(kind, policy, tmp_path):
    keras.config.set_dtype_policy(policy)
    gan = kind(latent_size=2, hidden=(8,), divergence="squared_hellinger", penalty=0.5)
    gan.compile(keras.optimizers.Adam(1e-3))
    gan.fit(X, epochs=1, verbose=0)
    gan.save(tmp_path / "gan.keras")
    again = keras.models.load_model(tmp_path / "gan.keras")
    assert again.get_config() == gan.get_config()
    np.testing.assert_array_equal(again.predict(X, verbose=0), gan.predict(X, verbose=0))
    np.testing.assert_array_equal(again.sample(3, seed=0), gan.sample(3, seed=0))
    assert np.isfinite(again.evaluate(X, verbose=0))
    if kind is not GAN:
        np.testing.assert_array_equal(value(again.encode(X)), value(gan.encode(X)))


@pytest.mark.spread
def test_wrong_use_is_named():
    with pytest.raises(ValueError, match="latent_size=0 must be at least 1"):
        GAN(latent_size=0)
    with pytest.raises(ValueError, match="GAN knows no size of vectors before `fit`"):
        GAN().sample(2)
    gan = built(GAN)
    gan.compile("sgd")
    with pytest.raises(ValueError, match="GAN takes no sample_weight"):
        gan.fit(X, X, sample_weight=np.ones(64), verbose=0)


@pytest.mark.spread
@pytest.mark.parametrize("name", DIVERGENCES)
def test_every_divergence_trains(name):
    gan = GAN(latent_size=2, hidden=(8,), divergence=name)
    gan.compile(keras.optimizers.Adam(1e-3))
    history = gan.fit(X, epochs=3, verbose=0).history["loss"]
    assert np.isfinite(history).all()
