"""Heads with pointers: saving, half precision, odd texts, memorizing a batch."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from keras import ops

from bert4keras.tasks.relations import CasRel, GPLinker, Triple
from bert4keras.tasks.relations.triples import casrel_labels, linker_pairs
from bert4keras.tasks.span_matrix import dense_pairs, span_pairs, sparse_pairs
from bert4keras.tasks.tagging import EfficientGlobalPointer, GlobalPointer
from helpers import tiny
from helpers.fresh_process import fresh_outputs, outputs

pytestmark = pytest.mark.spread

HEADS = {
    "global_pointer": lambda n: GlobalPointer(n, 8, name="head"),
    "efficient": lambda n: EfficientGlobalPointer(n, 8, name="head"),
    "linker": lambda n: GPLinker(n, 8, name="head"),
    "efficient_linker": lambda n: GPLinker(n, 8, efficient=True, name="head"),
    "casrel": lambda n: CasRel(n, pad_token_id=0, name="head"),
}


def build(name: str, kinds: int = 2, **changes):
    """A head on a tiny encoder, the encoder, and the model of both."""
    bert = tiny.build(changes)
    head, inputs = HEADS[name](kinds), [bert.output, bert.input[0]]
    subject = [keras.Input((2,), dtype="int32")] if name == "casrel" else []
    return head, bert, keras.Model([*bert.input, *subject], head([*inputs, *subject]))


def inputs(name: str, ids: np.ndarray) -> list[np.ndarray]:
    ids = np.asarray(ids, "int32")
    subject = np.tile(np.array([[0, min(1, ids.shape[1] - 1)]], "int32"), (len(ids), 1))
    return [ids, np.zeros_like(ids), subject][: 3 if name == "casrel" else 2]


def scores(model, x) -> np.ndarray:
    y = model([ops.convert_to_tensor(a) for a in x], training=False)
    return ops.convert_to_numpy(ops.cast(y, "float32"))


def found(head, bert, model, ids, **options) -> list:
    """Return the answer of the head for token ids."""
    ids = np.asarray(ids, "int32")
    if isinstance(head, CasRel):
        return head.decode(scores(bert, [ids, np.zeros_like(ids)]), ids, **options)
    return head.decode(scores(model, inputs("", ids)), **options)


def test_a_new_process_loads_and_predicts_the_same(tmp_path):
    models = {}
    for name in HEADS:
        head, _, model = build(name)
        model.compile("adam", loss=head.loss)
        models[name] = model, inputs(name, tiny.inputs()[0])
    for name, y in fresh_outputs(tmp_path, models).items():
        np.testing.assert_array_equal(y, outputs(*models[name]))


@pytest.mark.parametrize("name", HEADS)
def test_mixed_precision(name):
    keras.config.set_dtype_policy("mixed_float16")
    head, bert, model = build(name)
    y = scores(model, inputs(name, tiny.inputs()[0]))
    assert model.output.dtype == "float32"  # a product of halves overflows in float16
    assert np.isfinite(y).all()
    assert (y <= -1e4).any()  # padding
    assert (y > -1e3).any()
    losses = head.loss(np.zeros_like(y), ops.cast(ops.convert_to_tensor(y), "float16"))
    assert np.isfinite(ops.convert_to_numpy(losses)).all()
    assert losses.shape == (len(y),)
    found(head, bert, model, tiny.inputs()[0])


@pytest.mark.parametrize("name", HEADS)
def test_odd_texts(name):
    """Of one token, of [CLS] and [SEP] only, of padding only, longer than the model."""
    head, bert, model = build(name, kinds=1)
    one = found(head, bert, model, [[5]])
    assert len(one) == 1
    empty = found(head, bert, model, [[2, 3]], offsets=[[(0, 0), (0, 0)]])
    assert empty == [[]]
    assert found(head, bert, model, np.zeros((1, 4))) == [[]]
    with pytest.raises(ValueError, match="17 tokens is longer than the model's 16"):
        scores(model, inputs(name, np.ones((1, 17))))


@pytest.mark.parametrize("name", HEADS)
def test_padding_changes_nothing(name):
    """Longer rows give the same scores, and those of padding are masked."""
    _, _, model = build(name)
    ids = tiny.inputs(padding=0)[0]
    short = scores(model, inputs(name, ids))
    long = scores(model, inputs(name, np.pad(ids, [(0, 0), (0, 2)])))
    kept = (slice(None), slice(9)) if name == "casrel" else (..., slice(9), slice(9))
    np.testing.assert_allclose(long[kept], short, atol=1e-4)
    masked = long[:, 9:] if name == "casrel" else long[..., 9:, :]
    assert (masked < -1e4).all()


@pytest.mark.parametrize("name", HEADS)
def test_symbolic_shape_and_config(name):
    head, bert, model = build(name, kinds=3)
    real = scores(model, inputs(name, tiny.inputs()[0])).shape
    assert len(model.output.shape) == len(real)
    shapes = [tuple(bert.output.shape), (None, None), (None, 2)]
    assert tuple(head.compute_output_shape(shapes)) == tuple(model.output.shape)
    again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(head))
    assert again.get_config() == head.get_config()


def eight(kind: str) -> tuple[np.ndarray, list]:
    """Token ids of eight texts, and their spans (nested ones too) or triples."""
    rng = np.random.default_rng(1)
    ids = rng.integers(1, 20, (8, 8)).astype("int32")
    ids[::3, 6:] = 0
    wanted = []
    for _ in ids:
        a, b, c = sorted(rng.choice(6, 3, replace=False).tolist())
        if kind == "spans":
            wanted.append(sorted([(a, c + 1, 0), (b, c + 1, 1), (a, b + 1, 1)]))
        else:
            triples = [Triple((a, b + 1), 0, (c, c + 1)), Triple((c, c + 1), 1, (a, b + 1))]
            wanted.append(sorted(triples)[: 1 + a % 2])
    return ids, wanted


@pytest.mark.parametrize("name", HEADS)
def test_learns_eight_texts_by_heart(name):
    spans = name in ("global_pointer", "efficient")
    ids, wanted = eight("spans" if spans else "triples")
    head, bert, model = build(name, hidden_size=32, num_hidden_layers=1, initializer_range=0.2)
    x, loss = inputs(name, ids), head.loss
    if name == "casrel":
        # Every subject of a text is asked for, and so is what is none.
        asked = [(i, s) for i, ts in enumerate(wanted) for s in {*(t.subject for t in ts), (6, 7)}]
        rows = [i for i, _ in asked]
        subjects = np.array([(start, end - 1) for _, (start, end) in asked], "int32")
        x = [ids[rows], np.zeros_like(ids)[rows], subjects]
        y = np.stack([casrel_labels(wanted[i], s, 8, range(2)) for i, s in asked])
    elif spans:
        y = np.stack([dense_pairs(span_pairs(w, range(2)), 2, 8) for w in wanted])
    else:
        loss = head.sparse_loss
        y = np.stack([sparse_pairs(linker_pairs(w, range(2)), 6, 2) for w in wanted])
    before = found(head, bert, model, ids)
    model.compile(keras.optimizers.Adam(0.01), loss=loss)
    model.fit(x, y, batch_size=len(y), epochs=150, verbose=0)
    assert before != wanted
    assert found(head, bert, model, ids) == wanted
