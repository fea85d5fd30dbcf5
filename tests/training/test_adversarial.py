"""FGM, PGD and the gradient penalty against two plain passes, and against differences."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from keras import ops

from bert4keras.training import FGM, PGD, VAT, GradientPenalty, RegularizedModel
from bert4keras.training.techniques import rescaled
from helpers.regularizing import (
    IDS,
    LABELS,
    LOSS,
    gradients,
    moved_rows,
    norm,
    numpy,
    small_model,
    step_of,
)

pytestmark = pytest.mark.spread

COMPILED = keras.backend.backend() != "torch"


def directed(gradient: np.ndarray, length: float) -> np.ndarray:
    return gradient * (length / np.linalg.norm(gradient))


def at_moved_rows(model, move: np.ndarray) -> list[np.ndarray]:
    """Gradients of the plain model with its embedding matrix moved, as the articles do it."""
    before = model.get_weights()
    moved_rows(model, move)
    found = gradients(model)
    model.set_weights(before)
    return found


def perturbation(technique) -> tuple[list, RegularizedModel]:
    model = RegularizedModel(small_model(rate=0.3), [technique])
    step = step_of(model)
    vectors = step.embed()
    slopes = step.value_and_detached_grads(vectors)[1]
    return technique.perturbation(step, vectors, slopes), model


@pytest.mark.parametrize("technique", [FGM(0.37), FGM(5.0, clean=False), PGD(0.25, alpha=0.2)])
def test_norm_is_epsilon_and_weights_stay(technique):
    before = small_model(rate=0.3).get_weights()
    found, model = perturbation(technique)
    assert abs(norm(found) / technique.epsilon - 1) < 1e-5
    for ours, theirs in zip(model.plain.get_weights(), before, strict=True):
        np.testing.assert_array_equal(ours, theirs)


@pytest.mark.spread(over="tensorflow jax")
@pytest.mark.parametrize("jit", [False, True])
@pytest.mark.parametrize("clean", [False, True])
def test_fgm_by_hand(clean, jit):
    """The gradient at the batch, then that with the rows of the matrix moved along it."""
    model = small_model()
    first = gradients(model)
    second = at_moved_rows(model, directed(first[0], 0.8))
    expected = [a + b if clean else b for a, b in zip(first, second, strict=True)]
    found = gradients(RegularizedModel(model, [FGM(0.8, clean)]), jit=jit and COMPILED)
    for ours, theirs in zip(found, expected, strict=True):
        np.testing.assert_allclose(ours, theirs, atol=2e-6)
    assert max(np.abs(a - 2 * b).max() for a, b in zip(found, first, strict=True)) > 0.01


def test_sample_weights_reach_both_passes():
    model, weights = small_model(), np.array([0.0, 2.0, 0.5, 1.0], "float32")
    before, first = model.get_weights(), gradients(model, weights=weights)
    moved_rows(model, directed(first[0], 0.8))
    second = gradients(model, weights=weights)
    model.set_weights(before)
    found = gradients(RegularizedModel(model, [FGM(0.8)]), weights=weights)
    for ours, a, b in zip(found, first, second, strict=True):
        np.testing.assert_allclose(ours, a + b, atol=2e-6)


def hand_pgd(model, epsilon, alpha, steps) -> np.ndarray:
    move = np.zeros_like(model.get_weights()[0])
    for _ in range(steps):
        move = move + directed(at_moved_rows(model, move)[0], alpha)
        move *= min(1, epsilon / np.linalg.norm(move))
    return move


@pytest.mark.parametrize(("epsilon", "alpha"), [(1.5, 0.3), (0.5, 0.4)])
def test_pgd_by_hand(epsilon, alpha):
    """Within its ball, and at its border."""
    model = small_model()
    first, second = gradients(model), at_moved_rows(model, hand_pgd(model, epsilon, alpha, 3))
    found = gradients(RegularizedModel(model, [PGD(epsilon, alpha=alpha)]))
    for ours, a, b in zip(found, first, second, strict=True):
        np.testing.assert_allclose(ours, a + b, atol=5e-6)


def test_pgd_rises_at_least_as_far():
    """Of the same radius, its loss is at least that of FGM; one step as long is FGM."""

    def loss(technique):
        model = RegularizedModel(small_model(), [technique])
        step = step_of(model)
        vectors = step.embed()
        move = technique.perturbation(step, vectors, step.value_and_detached_grads(vectors)[1])
        assert norm(move) <= technique.epsilon * (1 + 1e-5)
        moved = [x + d for x, d in zip(vectors, move, strict=True)]
        return float(numpy(step.forward(moved)[0]))

    fgm, pgd = loss(FGM(3.0)), loss(PGD(3.0, alpha=0.6, steps=12))
    assert pgd > fgm + 1e-3
    assert abs(loss(PGD(3.0, alpha=3.0, steps=1)) - fgm) < 1e-6
    assert loss(PGD(3.0, alpha=0.1, steps=2)) < fgm  # control: a short way rises less


@pytest.mark.spread(over="tensorflow jax")
def test_penalty_by_differences():
    """Its gradient against central differences of L + epsilon / 2 |dL/dE|^2 by plain Keras."""
    model, epsilon, h = small_model(), 500.0, 3e-3
    found = gradients(RegularizedModel(model, [GradientPenalty(epsilon)]), jit=COMPILED)
    before, rng = model.get_weights(), np.random.default_rng(1)

    def value(sign, direction, factor):
        model.set_weights([w + sign * h * d for w, d in zip(before, direction, strict=True)])
        slope = gradients(model)[0].astype("float64")
        loss = float(np.mean(-np.log(model.predict(IDS, verbose=0)[np.arange(4), LABELS])))
        model.set_weights(before)
        return loss + factor / 2 * np.sum(slope**2)

    for _ in range(3):
        direction = [rng.normal(size=w.shape) for w in before]
        ours = sum(np.sum(g * d) for g, d in zip(found, direction, strict=True))
        theirs, plain = (
            (value(1, direction, factor) - value(-1, direction, factor)) / (2 * h)
            for factor in (epsilon, 0.0)
        )
        assert abs(ours - theirs) < 0.02 * abs(theirs - plain) + 2e-3
        assert abs(ours - plain) > 0.1  # control: only the loss


@pytest.mark.spread(over="tensorflow jax")
def test_epsilon_zero_is_plain_training_bit_for_bit():
    def trained(techniques, **options):
        model = small_model(rate=0.3)
        model = RegularizedModel(model, techniques) if techniques else model
        model.compile(keras.optimizers.SGD(0.1), LOSS, **options)
        model.fit(IDS, LABELS, batch_size=4, epochs=3, verbose=0)
        return model.get_weights()

    plain, none = (
        trained(techniques, jit_compile=COMPILED)
        for techniques in ([], [FGM(0), GradientPenalty(0.0), VAT(0)])
    )
    some = trained([FGM(0.1, clean=False)], run_eagerly=True)
    for ours, theirs in zip(none, plain, strict=True):
        np.testing.assert_array_equal(ours, theirs)
    assert any((a != b).any() for a, b in zip(some, plain, strict=True))


def test_no_direction_is_no_perturbation():
    for bad in (0.0, np.inf, np.nan):
        tensors = [ops.convert_to_tensor(np.array([[bad, 0.0]], "float32")), ops.zeros((2, 2))]
        assert norm(rescaled(tensors, 1.0)) == 0
    tiny = [ops.convert_to_tensor(np.array([3e-30, 4e-30], "float32"))]
    np.testing.assert_allclose(numpy(rescaled(tiny, 5.0)[0]), [3, 4], rtol=1e-5)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: FGM(-0.1), r"FGM\(epsilon=-0.1\): must be a number of at least 0"),
        (lambda: FGM(float("nan")), r"epsilon=nan"),
        (lambda: FGM("1"), r"epsilon='1'"),
        (lambda: PGD(alpha=-1), r"PGD\(alpha=-1\)"),
        (lambda: PGD(steps=0), r"PGD\(steps=0\): must be a number of at least 1"),
        (lambda: GradientPenalty(-1), r"GradientPenalty\(epsilon=-1\)"),
    ],
)
def test_wrong_numbers(make, message):
    with pytest.raises(ValueError, match=message):
        make()
