"""Ids out of range and inputs in the wrong order are named, in every way to run a model."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from keras import ops

from bert4keras.layers import FirstToken
from bert4keras.tasks.linking import CandidateRanking
from helpers import tiny
from helpers.family_models import build

pytestmark = pytest.mark.spread

TOKENS, SEGMENTS = tiny.inputs()
SWAPPED = r"segment id[\s\S]*outside the model[\s\S]*the inputs are swapped: token ids come first"


def classifier(**options):
    bert = tiny.build(**options)
    x = keras.layers.Dense(2, activation="softmax")(FirstToken()(bert.output))
    model = keras.Model(bert.input, x)
    model.compile("sgd", "sparse_categorical_crossentropy")
    return model


@pytest.mark.parametrize("method", ["fit", "evaluate", "predict", "call"])
def test_swapped_inputs_are_called_so(method):
    model, x, y = classifier(), [SEGMENTS, TOKENS], np.zeros(len(TOKENS))
    runs = {
        "fit": lambda: model.fit(x, y, verbose=0),
        "evaluate": lambda: model.evaluate(x, y, verbose=0),
        "predict": lambda: model.predict(x, verbose=0),
        "call": lambda: model([ops.convert_to_tensor(array) for array in x]),
    }
    with pytest.raises(Exception, match=SWAPPED):
        runs[method]()


def test_a_backbone_names_the_id_its_place_and_the_limit():
    segments = SEGMENTS.copy()
    segments[1, 3] = 2
    with pytest.raises(ValueError, match=r"segment id 2 at \(1, 3\) is outside the model's 2 segm"):
        tiny.build().predict([TOKENS, segments], verbose=0)
    shared = tiny.build(shared_segment_embeddings=True)
    segments[1, 3] = 20
    with pytest.raises(ValueError, match=r"token id 20 at \(1, 3\)"):
        shared.predict([TOKENS, segments], verbose=0)


def test_a_compiled_graph_says_the_same():
    """Without numpy's view of the ids: what a function of TensorFlow or JAX raises."""
    segments = SEGMENTS.copy()
    segments[1, 3] = -1
    with pytest.raises(Exception, match=r"segment id[\s\S]*-1[\s\S]*at[\s\S]*1,? 3"):
        classifier().predict([TOKENS, segments], verbose=0)


def test_other_inputs_that_are_looked_up():
    bert = tiny.build(custom_position_ids=True)
    positions = np.full_like(TOKENS, 16)
    with pytest.raises(Exception, match=r"position[\s\S]*16[\s\S]*at[\s\S]*outside the model"):
        bert.predict([TOKENS, SEGMENTS, positions], verbose=0)
    ernie = build("ernie", config={"use_task_id": True, "task_ids_input": True})
    with pytest.raises(Exception, match=r"task id[\s\S]*outside the model"):
        ernie.predict([TOKENS, SEGMENTS, TOKENS], verbose=0)
    x = ops.ones((1, 4, 8))
    with pytest.raises(ValueError, match=r"ranks: place 4 at \(0, 1\) is outside the 4 tokens"):
        CandidateRanking(name="ranks")([x, ops.convert_to_tensor([[1, 4]])])


def test_segments_that_mean_nothing_may_be_any():
    roberta = build("roberta")
    assert np.isfinite(roberta.predict([TOKENS, TOKENS], verbose=0)).all()


@pytest.mark.parametrize("given", [TOKENS, [TOKENS], [TOKENS, SEGMENTS, SEGMENTS]])
@pytest.mark.parametrize("method", ["predict", "fit", "call"])
def test_another_number_of_inputs(given, method):
    bert = tiny.build()
    bert.compile("sgd", "mse")
    labels = np.zeros((*TOKENS.shape, 8))
    count = len(given) if isinstance(given, list) else 1
    message = rf"2 inputs, Input-Token, Input-Segment, in this.*given {count}\. For single texts"
    runs = {
        "predict": lambda: bert.predict(given, verbose=0),
        "fit": lambda: bert.fit(given, labels, verbose=0),
        "call": lambda: bert(keras.tree.map_structure(ops.convert_to_tensor, given)),
    }
    with pytest.raises(ValueError, match=message):
        runs[method]()
