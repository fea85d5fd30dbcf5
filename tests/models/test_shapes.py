"""Open axes stay open: in a summary, and in a model that is exported."""

from __future__ import annotations

import keras
import numpy as np
import pytest

from helpers.family_models import SINGLE, build

pytestmark = pytest.mark.spread

SLOW = [pytest.param(name, marks=pytest.mark.slow) for name in ("deberta-v2", "modernbert")]
FAMILIES = ["bert", "roberta", *SLOW]


@pytest.mark.parametrize("family", SINGLE)
def test_a_summary_shows_no_batch_of_one(family):
    model, lines = build(family), []
    model.summary(print_fn=lines.append, line_length=200)
    assert "(1, None" not in "".join(lines)
    assert model.output.shape == (None, None, model.config.hidden_size)


@pytest.mark.spread(over="jax")
@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of JAX, to Keras
@pytest.mark.skipif(keras.backend.backend() != "jax", reason="other backends trace no symbols")
@pytest.mark.parametrize("family", FAMILIES)
def test_jax_exports_open_lengths(family, tmp_path):
    tensorflow = pytest.importorskip("tensorflow")
    model = build(family, config={"pad_token_id": 3})
    model.export(tmp_path, format="tf_saved_model", verbose=False)
    served = tensorflow.saved_model.load(tmp_path)
    for batch, length in ((2, 5), (3, 7)):
        ids = np.random.default_rng(0).integers(0, 20, (batch, length)).astype("int32")
        x = [ids, np.zeros_like(ids)][: len(model.inputs)]
        found = served.serve(x).numpy()
        np.testing.assert_allclose(found, model.predict(x, verbose=0), atol=1e-4)
