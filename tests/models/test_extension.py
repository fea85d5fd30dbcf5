"""A third party adds a family and a mask, each in a few lines, without changing the package."""

from __future__ import annotations

import dataclasses

import keras
import numpy as np
import pytest
from keras import ops

from bert4keras.masks import LM, Mask
from bert4keras.models import FAMILIES, Transformer, build_transformer_model, register_model
from bert4keras.positions import Position
from helpers import tiny


@keras.saving.register_keras_serializable(package="third_party")
@dataclasses.dataclass(frozen=True)
class Dilated(Mask):
    """Every `step`-th position, counted from the query."""

    step: int = 2

    def allowed(self, query_index, key_index, inputs):
        return ((key_index[None, :] - query_index[:, None]) % self.step == 0)[None]


@keras.saving.register_keras_serializable(package="third_party")
@dataclasses.dataclass(frozen=True)
class ByTurn(Mask):
    """A dialogue: a turn sees itself and the turns before it."""

    input_names = ("turn_ids",)

    def ranks(self, inputs):
        return inputs["turn_ids"]


class NoPositions(Transformer):
    """A bag of words whose blocks all share the weights of one."""

    position = Position()

    def apply_block(self, x, index, context):
        return super().apply_block(x, 0, context)


@pytest.fixture
def family():
    register_model("bag-of-words")(NoPositions)
    yield "bag-of-words"
    del FAMILIES["bag-of-words"]


def test_a_family_by_name_saves_and_loads(family, tmp_path):
    bert = build_transformer_model(tiny.config(initializer_range=0.5), model=family)
    names = {layer.name for layer in bert.layers}
    assert "Embedding-Position" not in names
    assert "Transformer-1-FeedForward" not in names
    assert bert.config.model_type == family
    tokens, segments = tiny.inputs(batch=1)
    out = bert.predict([tokens, segments * 0], verbose=0)
    turned = bert.predict([tokens[:, ::-1], segments * 0], verbose=0)
    np.testing.assert_allclose(turned, out[:, ::-1], atol=1e-5)
    bert.save(tmp_path / "model.keras")
    again = keras.models.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(again.predict([tokens, segments * 0], verbose=0), out)


def test_a_class_works_without_registration():
    bert = build_transformer_model(tiny.config(), model=NoPositions)
    assert isinstance(bert.transformer, NoPositions)
    assert bert.predict(tiny.inputs(), verbose=0).shape == (3, 9, 8)


def test_a_mask_of_their_own(tmp_path):
    bert = tiny.build({"num_hidden_layers": 1}, application=Dilated(3) & LM())
    tokens, segments = tiny.inputs(batch=1, padding=0)
    other = tokens.copy()
    other[0, 2] = tokens[0, 2] % 19 + 1
    out = bert.predict([tokens, segments], verbose=0)
    moved = np.abs(bert.predict([other, segments], verbose=0) - out)[0].max(-1) > 1e-5
    assert list(np.flatnonzero(moved)) == [2, 5, 8]
    bert.save(tmp_path / "model.keras")
    again = keras.models.load_model(tmp_path / "model.keras")
    assert again.transformer.mask == Dilated(3) & LM()
    np.testing.assert_array_equal(again.predict([tokens, segments], verbose=0), out)


def test_a_mask_with_an_input_of_its_own():
    bert = tiny.build(application=ByTurn())
    assert [x.name for x in bert.inputs][-1] == "Input-Turn"
    tokens, segments = tiny.inputs(batch=1, padding=0)
    turns = np.array([[0, 0, 0, 1, 1, 2, 2, 2, 2]], "int32")
    other = tokens.copy()
    other[0, 4] = tokens[0, 4] % 19 + 1
    out = bert.predict([tokens, segments, turns], verbose=0)
    moved = np.abs(bert.predict([other, segments, turns], verbose=0) - out)[0].max(-1) > 1e-5
    assert list(np.flatnonzero(moved)) == [3, 4, 5, 6, 7, 8]
    visible = ByTurn().visible({"turn_ids": ops.convert_to_tensor(turns)}, *[ops.arange(9)] * 2)
    assert ops.convert_to_numpy(visible)[0, 0].tolist() == [True] * 3 + [False] * 6
