"""Saved models of every family, loaded in a process that has imported no family."""

from __future__ import annotations

import keras
import numpy as np
import pytest

from helpers.family_models import SINGLE, build
from helpers.fresh_process import fresh_outputs, outputs

pytestmark = pytest.mark.spread

IDS = np.array([[2, 5, 6, 3, 0, 0], [2, 7, 8, 9, 4, 3]], "int32")


def inputs_of(model: keras.Model) -> list[np.ndarray]:
    """Ids for every input; segments and the like are 0."""
    return [IDS if "Token" in x.name else 0 * IDS for x in model.inputs]


def models(wrapped: bool):
    """(model, inputs) of every family; `wrapped` in a model that lists the layers one by one."""
    for family in (*SINGLE, "t5", "mt5"):
        model = build(family, config={"max_position": 16})
        if wrapped:
            model = keras.Model(model.inputs, model.output)
        yield family, (model, inputs_of(model))


@pytest.mark.parametrize("wrapped", [False, True])
def test_every_family_is_found_by_what_its_file_says(wrapped, tmp_path):
    built = dict(models(wrapped))
    found = fresh_outputs(tmp_path, built)
    for family, (model, inputs) in built.items():
        np.testing.assert_allclose(found[family], outputs(model, inputs), atol=1e-5, err_msg=family)
    assert len(found) == len(SINGLE) + 2
