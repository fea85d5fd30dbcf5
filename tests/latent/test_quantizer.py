"""Vector quantisation: codes by brute force, gradients, moving averages by hand, dead codes."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from keras import ops

from bert4keras.latent import VectorQuantizer
from bert4keras.training.gradients import value_and_grad

RNG = np.random.default_rng(0)
BOOK = RNG.normal(size=(2, 5, 3)).astype("float32")  # groups, codes, size
Z = RNG.normal(size=(7, 6)).astype("float32")


def quantizer(book=BOOK, **options):
    layer = VectorQuantizer(book.shape[1], book.shape[0], **{"dead_below": 0.0, **options})
    layer.build((None, book.shape[0] * book.shape[2]))
    layer.codebook.assign(book)
    return layer


def brute_force(z, book=BOOK):
    """Nearest codes and their vectors, one at a time."""
    groups, codes, size = book.shape
    chosen = np.zeros((len(z), groups), int)
    for i, row in enumerate(z):
        for g in range(groups):
            part = row[g * size : (g + 1) * size]
            chosen[i, g] = np.argmin([((part - book[g, k]) ** 2).sum() for k in range(codes)])
    vectors = [np.concatenate([book[g, k] for g, k in enumerate(row)]) for row in chosen]
    return chosen, np.stack(vectors)


def numbers(tensor):
    return ops.convert_to_numpy(tensor)


def test_codes_are_those_of_brute_force():
    layer = quantizer()
    codes, vectors = brute_force(Z)
    np.testing.assert_array_equal(numbers(layer.encode(Z)), codes)
    np.testing.assert_allclose(numbers(layer.decode(codes)), vectors)
    np.testing.assert_array_equal(numbers(layer(Z)), vectors)
    sequences = np.stack([Z, Z[::-1]])  # (B, T, D)
    np.testing.assert_array_equal(numbers(layer.encode(sequences)), [codes, codes[::-1]])
    np.testing.assert_array_equal(numbers(layer(sequences)), [vectors, vectors[::-1]])
    # Another codebook gives others.
    assert (brute_force(Z, BOOK[:, ::-1])[0] != codes).any()


def test_the_gradient_of_the_output_is_that_of_the_input():
    layer, weights = quantizer(), ops.convert_to_tensor(RNG.normal(size=Z.shape), "float32")

    def through(z):
        return ops.sum(layer(z) * weights)

    def looked_up(z):
        return ops.sum(layer.decode(layer.encode(z)) * weights)

    tensors = [ops.convert_to_tensor(Z)]
    np.testing.assert_array_equal(numbers(value_and_grad(through, tensors)[1][0]), numbers(weights))
    np.testing.assert_array_equal(numbers(value_and_grad(looked_up, tensors)[1][0]), 0)


@pytest.mark.parametrize("options", [{}, {"beta": 0.5, "gamma": 2.0}, {"moving_average": True}])
def test_the_loss_and_its_gradient_by_hand(options):
    layer = quantizer(**options)
    beta = 0 if layer.moving_average else layer.beta
    difference = Z - brute_force(Z)[1]

    def loss(z):
        layer(z)
        return sum(layer.losses)

    value, (gradient,) = value_and_grad(loss, [ops.convert_to_tensor(Z)])
    expected = (beta + layer.gamma) * (difference**2).sum(1).mean()
    np.testing.assert_allclose(numbers(value), expected, rtol=1e-5)
    np.testing.assert_allclose(numbers(gradient), 2 * layer.gamma * difference / 7, rtol=1e-4)


def test_the_gradient_moves_a_code_to_its_vectors():
    layer = quantizer()
    model = keras.Sequential([layer])
    model.compile(keras.optimizers.SGD(1.0))
    codes, vectors = brute_force(Z)
    expected = BOOK.copy()
    for z, e, row in zip(Z, vectors, codes, strict=True):
        for g, k in enumerate(row):
            part = slice(3 * g, 3 * g + 3)
            expected[g, k] -= 2 * (e - z)[part] / 7
    model.fit(Z, batch_size=7, verbose=0)
    np.testing.assert_allclose(numbers(layer.codebook), expected, rtol=1e-4, atol=1e-5)
    assert np.abs(expected - BOOK).max() > 0.1


def by_hand(usage, vectors, z, decay):
    codes, _ = brute_force(z, vectors)
    groups, count, size = vectors.shape
    usage, vectors = usage.copy(), vectors.copy()
    for g in range(groups):
        for k in range(count):
            mine = z[codes[:, g] == k, g * size : (g + 1) * size]
            total = decay * usage[g, k] * vectors[g, k] + (1 - decay) * mine.sum(0) / len(z)
            usage[g, k] = decay * usage[g, k] + (1 - decay) * len(mine) / len(z)
            if len(mine):
                vectors[g, k] = total / usage[g, k]
    return usage, vectors


def test_moving_averages_by_hand():
    layer, other = quantizer(moving_average=True, decay=0.8), quantizer(decay=0.8)
    usage, vectors = np.zeros(BOOK.shape[:2]), BOOK.astype("float64")
    for seed in range(3):
        z = np.random.default_rng(seed).normal(size=(6, 6)).astype("float32")
        usage, vectors = by_hand(usage, vectors, z, 0.8)
        layer(z, training=True)
        layer(z)  # outside training nothing moves
        other(z, training=True)
        np.testing.assert_allclose(numbers(layer.usage), usage, atol=1e-6)
        np.testing.assert_allclose(numbers(layer.vectors), vectors, atol=1e-5)
    np.testing.assert_array_equal(numbers(other.vectors), BOOK)  # only its gradient moves it
    assert layer.trainable_variables == []
    assert len(other.trainable_variables) == 1


def test_padding_neither_counts_nor_changes():
    padded = np.concatenate([Z, 9 + np.zeros((3, 6), "float32")])[None]
    mask = np.arange(10)[None] < 7
    plain, masked = (quantizer(moving_average=True) for _ in range(2))
    expected = numbers(plain(Z, training=True))
    found = numbers(masked(padded, mask=mask, training=True))
    np.testing.assert_allclose(found[0, :7], expected, atol=1e-6)
    np.testing.assert_array_equal(found[0, 7:], 9)
    np.testing.assert_allclose(numbers(masked.losses[0]), numbers(plain.losses[0]), rtol=1e-5)
    np.testing.assert_allclose(numbers(masked.vectors), numbers(plain.vectors), atol=1e-6)
    unmasked = quantizer(moving_average=True)
    unmasked(padded, training=True)
    assert np.abs(numbers(unmasked.vectors) - numbers(plain.vectors)).max() > 0.1


def test_the_first_batch_initialises_and_dead_codes_are_revived():
    layer = VectorQuantizer(4, seed=0, moving_average=True, decay=0.5, dead_below=0.5)
    points = np.array([[0.0], [1.0], [2.0], [3.0]], "float32")
    first = VectorQuantizer(4, seed=0)
    first(points, training=True)
    assert set(numbers(first.vectors).ravel()) <= {0.0, 1.0, 2.0, 3.0}
    assert len(set(numbers(first.vectors).ravel())) > 1
    layer(points, training=True)
    far = np.full((4, 1), 50, "float32")  # all vectors take one code; the others die
    for _ in range(6):
        layer(far, training=True)
    np.testing.assert_allclose(numbers(layer.vectors).ravel(), 50, rtol=0.2)
    never = quantizer(np.array([[[0.0], [1.0], [2.0], [3.0]]]), moving_average=True, decay=0.5)
    for _ in range(6):
        never(far, training=True)
    np.testing.assert_array_equal(numbers(never.vectors).ravel()[:3], [0, 1, 2])


def clusters(count):
    rng = np.random.default_rng(1)
    centres = 4 * rng.normal(size=(8, 4))
    return (centres[rng.integers(8, size=count)] + 0.1 * rng.normal(size=(count, 4))).astype(
        "float32"
    )


@pytest.mark.spread
@pytest.mark.parametrize("moving_average", [False, True])
def test_fit_finds_clusters_and_the_file_has_them(tmp_path, moving_average):
    layer = VectorQuantizer(16, 2, moving_average=moving_average, seed=0, decay=0.9, dead_below=0.1)
    scale = keras.layers.Dense(4, kernel_initializer="identity")  # something to train
    model, x = keras.Sequential([keras.Input((4,)), scale, layer]), clusters(256)
    model.compile(keras.optimizers.Adam(0.01))

    def error(model):
        return ((model.predict(x, verbose=0) - numbers(scale(x))) ** 2).sum(1).mean()

    assert error(model) > 10
    model.fit(x, batch_size=64, epochs=25, verbose=0)
    assert error(model) < 0.2  # the noise of the clusters is 0.04; merged ones cost more than 1
    assert 6 < layer.perplexity <= 16
    model.save(tmp_path / "model.keras")
    again = keras.models.load_model(tmp_path / "model.keras")
    np.testing.assert_allclose(again.predict(x, verbose=0), model.predict(x, verbose=0), atol=1e-6)
    assert again.layers[-1].get_config() == layer.get_config()


@pytest.mark.spread
def test_options_out_of_range_are_refused():
    with pytest.raises(ValueError, match=r"codes=0 and groups=1 must be at least 1"):
        VectorQuantizer(0)
    with pytest.raises(ValueError, match=r"decay=1.0 and dead_below=0.01 must be in \[0, 1\)"):
        VectorQuantizer(decay=1.0)
    with pytest.raises(ValueError, match=r"vectors of size 6 cannot be cut into 4 equal groups"):
        VectorQuantizer(groups=4).build((None, 6))
