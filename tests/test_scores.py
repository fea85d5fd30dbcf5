"""The relations between the scores that do not count, which their module promises."""

import numpy as np
import pytest
from keras import ops

from bert4keras._scores import FORBIDDEN, is_masked, lowest

REAL = 1e4  # bound of the scores of a model
PRECISE = {"float16": "float16", "bfloat16": "float32", "float32": "float32"}


@pytest.mark.parametrize("dtype", PRECISE)
def test_lowest_is_finite_also_twice_and_of_no_weight_beside_any_score(dtype):
    score = ops.cast(ops.convert_to_tensor([lowest(dtype)], "float32"), dtype)
    assert np.isfinite(ops.convert_to_numpy(ops.cast(score + score, "float32"))).all()
    row = np.array([lowest(dtype), -REAL, -REAL - 1], PRECISE[dtype])
    assert ops.convert_to_numpy(ops.softmax(ops.cast(row, "float32")))[0] == 0


@pytest.mark.parametrize("dtype", PRECISE)
def test_masked_scores_are_told_from_real_ones_even_after_adding(dtype):
    sums = [lowest(dtype), lowest(dtype) + REAL, 2 * lowest(dtype), 0.0, -REAL / 2, REAL]
    expected = [True, True, True, False, False, False]
    assert is_masked(np.array(sums, "float32")).tolist() == expected  # widened since
    found = is_masked(ops.cast(ops.convert_to_tensor(sums[:2] + sums[3:], "float32"), dtype))
    assert ops.convert_to_numpy(found).tolist() == expected[:2] + expected[3:]
    assert is_masked(np.array([np.nan])).all()


def test_sums_of_log_probabilities_may_be_far_below_the_scores_of_a_model():
    sums = np.array([-1e6, lowest("float32") - 1e6, lowest("float32") + 1e6], "float32")
    assert is_masked(sums, "float32").tolist() == [False, True, True]


def test_breaking_a_rule_at_every_position_beats_what_does_not_exist():
    assert lowest("float32") < 9_999 * FORBIDDEN
    assert FORBIDDEN < -REAL
