"""Piecewise linear learning rates."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from keras import ops

from bert4keras.optimizers import PiecewiseLinear, warm_up


def rates(schedule, steps) -> list[float]:
    return [float(schedule(ops.convert_to_tensor(step))) for step in steps]


@pytest.mark.parametrize(
    ("factors", "points"),
    [
        ({10: 1.0, 20: 0.1}, {0: 0.0, 10: 1.0, 20: 0.1}),  # from 0 before the first
        ({0: 1.0}, {0: 1.0}),
        ({20: 0.0, 0: 0.5, 5: 0.5, 6: 2.0}, {0: 0.5, 5: 0.5, 6: 2.0, 20: 0.0}),  # any order
        ([(3, 1)], {0: 0.0, 3: 1.0}),
    ],
)
def test_interpolates(factors, points):
    steps = range(30)
    expected = 2 * np.interp(steps, [*points], [*points.values()])
    np.testing.assert_allclose(rates(PiecewiseLinear(2.0, factors), steps), expected, atol=1e-6)


def test_warm_up():
    found = rates(warm_up(1e-3, 4, 10, final_factor=0.1), [0, 2, 4, 7, 10, 50])
    np.testing.assert_allclose(found, [0, 5e-4, 1e-3, 5.5e-4, 1e-4, 1e-4], rtol=1e-5)
    assert rates(warm_up(1.0, 0, 10), [0, 5]) == [1.0, 0.5]


def test_of_another_schedule_and_back_from_its_config():
    schedule = PiecewiseLinear(keras.optimizers.schedules.ExponentialDecay(1.0, 1, 0.5), {2: 1.0})
    found = rates(schedule, range(4))
    np.testing.assert_allclose(found, [0, 0.25, 0.25, 0.125])
    config = keras.saving.serialize_keras_object(schedule)
    assert rates(keras.saving.deserialize_keras_object(config), range(4)) == found
    assert (
        keras.optimizers.deserialize(
            keras.optimizers.serialize(keras.optimizers.Adam(warm_up(1.0, 2, 9)))
        ).learning_rate
        == 0
    )


@pytest.mark.parametrize(
    ("factors", "message"),
    [
        ({}, "factors is empty"),
        ({-1: 1.0}, "a step is an integer from 0, not -1"),
        ({0.5: 1.0}, "a step is an integer from 0, not 0.5"),
        ({True: 1.0}, "a step is an integer from 0, not True"),
        ({3: -1.0}, "step 3 has the factor -1.0, which must be 0 or more"),
        ({3: float("inf")}, "step 3 has the factor inf"),
        ([(3, 1.0), (3, 2.0)], "a step is given twice"),
    ],
)
def test_bad_points(factors, message):
    with pytest.raises(ValueError, match=message):
        PiecewiseLinear(1.0, factors)


def test_bad_rates_and_steps():
    with pytest.raises(ValueError, match="learning_rate must be 0 or more"):
        PiecewiseLinear(-1.0, {1: 1.0})
    for steps in ((10, 10), (-1, 10)):
        with pytest.raises(ValueError, match=r"warm_up_steps .* must be from 0 up to total_steps"):
            warm_up(1.0, *steps)
