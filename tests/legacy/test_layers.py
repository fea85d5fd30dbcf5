"""Old layers: masks, saved models, and numbers worked out in numpy."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from keras import ops

from bert4keras import layers
from bert4keras.backend import K, multilabel_categorical_crossentropy
from bert4keras.layers import Concatenate1D, ConditionalRandomField, GlobalPointer, Loss
from bert4keras.snippets import ViterbiDecoder
from bert4keras.tasks.tagging import viterbi

IDS = np.array([[3, 4, 5, 0, 0], [1, 2, 3, 4, 5]], "int32")
REAL = IDS > 0
RNG = np.random.default_rng(0)
X = RNG.normal(size=(2, 5, 4)).astype("float32")


def encoder(width=6):
    """Return token ids and vectors with a mask."""
    ids = keras.Input((None,), dtype="int32")
    return ids, keras.layers.Embedding(9, width, mask_zero=True)(ids)


def masked(x, mask):
    """Return a tensor with a Keras mask."""
    return keras.layers.Lambda(ops.copy)(x) if mask is None else _Masked()([x, mask])


class _Masked(keras.layers.Layer):
    def call(self, inputs):
        return ops.add(inputs[0], 0)

    def compute_mask(self, inputs, previous_mask=None):
        return inputs[1]


def run(layer, *arrays):
    """Run a layer on arrays (x, mask or None), as a model that was saved is run."""
    tensors, feeds, outputs = [], [], []
    for x, mask in arrays:
        tensors.append(keras.Input(x.shape[1:], dtype=str(x.dtype)))
        feeds.append(x)
        mask_input = None
        if mask is not None:
            mask_input = keras.Input(mask.shape[1:], dtype="bool")
            tensors.append(mask_input)
            feeds.append(mask)
        outputs.append(masked(tensors[-1 if mask is None else -2], mask_input))
    model = keras.Model(tensors, layer(outputs if len(outputs) > 1 else outputs[0]))
    return ops.convert_to_numpy(model(feeds))


class CrossEntropy(Loss):
    """Mean cross-entropy of the tokens after the first, without padding."""

    def compute_loss(self, inputs, mask=None):
        y_true, y_pred = inputs
        y_mask = K.cast(mask[1], K.floatx())[:, 1:]
        loss = K.sparse_categorical_crossentropy(y_true[:, 1:], y_pred[:, :-1])
        return K.sum(loss * y_mask) / K.sum(y_mask)


def test_loss_as_a_layer():
    ids, vectors = encoder()
    probabilities = keras.layers.Dense(9, activation="softmax")(vectors)
    model = keras.Model(ids, CrossEntropy(output_axis=1)([ids, probabilities]))
    model.compile("sgd")
    predicted = model.predict(IDS, verbose=0)
    rows = np.log(np.take_along_axis(predicted[:, :-1], IDS[:, 1:, None], axis=2))[..., 0]
    expected = -(rows * REAL[:, 1:]).sum() / REAL[:, 1:].sum()
    assert model.train_on_batch(IDS, None) == pytest.approx(expected, rel=1e-5)
    assert model.evaluate(IDS, verbose=0) < expected
    np.testing.assert_array_equal(ops.convert_to_numpy(model(IDS)._keras_mask), REAL)


@pytest.mark.spread
@pytest.mark.parametrize(("axis", "count"), [(None, 2), ([1], 1), ([1, 0], 2)])
def test_outputs_of_a_loss(axis, count):
    class Mean(Loss):
        def compute_loss(self, inputs, mask=None):
            assert mask == [None, None]
            return K.mean(inputs[0])

    layer = Mean(axis)
    found = layer([X, 2 * X])
    assert len(found) == count
    np.testing.assert_allclose(ops.convert_to_numpy(found[0]), X if axis is None else 2 * X)
    assert float(ops.convert_to_numpy(layer.losses[0])) == pytest.approx(X.mean(), rel=1e-4)
    assert Mean.from_config(layer.get_config()).output_axis == axis
    with pytest.raises(NotImplementedError, match=r"Loss needs compute_loss\(inputs"):
        Loss()(X)


def test_field_of_padded_labels(tmp_path):
    ids, vectors = encoder(4)
    field = ConditionalRandomField(lr_multiplier=10)
    model = keras.Model(ids, field(vectors))
    model.compile("adam", loss=field.sparse_loss, metrics=[field.sparse_accuracy])
    labels = np.array([[1, 2, 0, 0, 0], [0, 1, 2, 3, 0]])
    scores = model.predict(IDS, verbose=0)
    # The same as without padding, text by text.
    apart = [
        field.sparse_loss(labels[i : i + 1, :n], scores[i : i + 1, :n]) for i, n in ((0, 3), (1, 5))
    ]
    apart = np.mean([ops.convert_to_numpy(loss)[0] for loss in apart])
    right = scores.argmax(-1) == labels
    loss, accuracy = model.evaluate(IDS, labels, verbose=0)
    assert loss == pytest.approx(apart, rel=1e-5)
    assert accuracy == pytest.approx(right[REAL].mean())
    one_hot = np.eye(4)[labels]
    dense = ops.convert_to_numpy(field.dense_loss(one_hot, scores))
    assert dense.mean() == pytest.approx(apart, rel=1e-5)
    dense = ops.convert_to_numpy(field.dense_accuracy(one_hot, scores))
    assert dense == pytest.approx(right[REAL].mean())
    model.optimizer.build(model.trainable_variables)  # as `fit` does; Keras warns otherwise
    model.save(tmp_path / "field.keras")
    loaded = keras.models.load_model(tmp_path / "field.keras")
    assert loaded.evaluate(IDS, labels, verbose=0) == pytest.approx([loss, accuracy])
    assert loaded.layers[-1].lr_multiplier == 10


def test_transitions_within_a_callback():
    ids, vectors = encoder(3)
    field = ConditionalRandomField(lr_multiplier=10)
    model = keras.Model(ids, field(vectors))
    model.compile("adam", loss=field.sparse_loss)
    seen = [K.eval(field.trans)]

    class Reader(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            seen.append(K.eval(field.trans))

    model.fit(IDS, IDS % 3, epochs=2, verbose=0, callbacks=[Reader()])
    steps = np.abs(np.diff(seen, axis=0))
    assert steps.max(axis=(1, 2)) == pytest.approx([0.01, 0.01], rel=0.1)  # 10 times Adam's step
    np.testing.assert_array_equal(seen[-1], K.eval(field.trans))


@pytest.mark.spread
@pytest.mark.parametrize(("starts", "ends"), [(None, None), ([0], [0]), ([1, 2], [0])])
def test_viterbi_of_one_text(starts, ends):
    transitions, scores = RNG.normal(size=(3, 3)), RNG.normal(size=(6, 3))
    before = scores.copy()
    found = ViterbiDecoder(transitions, starts, ends).decode(scores)
    rows = np.stack(np.meshgrid(*[range(3)] * 6, indexing="ij"), -1).reshape(-1, 6)
    totals = scores[np.arange(6), rows].sum(1) + transitions[rows[:, :-1], rows[:, 1:]].sum(1)
    for labels, place in ((starts, 0), (ends, -1)):
        if labels is not None:
            totals[~np.isin(rows[:, place], labels)] = -np.inf
    np.testing.assert_array_equal(found, rows[totals.argmax()])
    np.testing.assert_array_equal(scores, before)
    assert viterbi(scores[None], transitions)[0].shape == (6,)


@pytest.mark.parametrize("name", ["GlobalPointer", "EfficientGlobalPointer"])
@pytest.mark.parametrize("tril", [True, False])
def test_pointer_reads_the_mask(name, tril, tmp_path):
    ids, vectors = encoder()
    layer = getattr(layers, name)(heads=2, head_size=4, tril_mask=tril)
    model = keras.Model(ids, layer(vectors))
    scores = model.predict(IDS, verbose=0)
    real = (REAL[:, :, None] & REAL[:, None])[:, None] & (~np.tri(5, k=-1, dtype=bool) | (not tril))
    np.testing.assert_array_equal(scores > -1e8, np.broadcast_to(real, scores.shape))
    model.save(tmp_path / "pointer.keras")
    loaded = keras.models.load_model(tmp_path / "pointer.keras")
    np.testing.assert_allclose(loaded.predict(IDS, verbose=0), scores, rtol=1e-5)
    assert "offset" not in [weight.name for weight in layer.weights]
    without = getattr(layers, name)(2, 4, tril_mask=False)(X)
    assert ops.convert_to_numpy(without).min() > -1e8


def test_metrics_of_a_loss_have_another_place():
    with pytest.raises(NotImplementedError, match=r"give compile\(metrics="):
        Loss().add_metric(1.0, name="accuracy")


def test_loss_of_pointers_as_old_scripts_write_it():
    ids, vectors = encoder()
    model = keras.Model(ids, GlobalPointer(2, 4)(vectors))

    def crossentropy(y_true, y_pred):
        rows = K.prod(K.shape(y_pred)[:2])
        y_true, y_pred = K.reshape(y_true, (rows, -1)), K.reshape(y_pred, (rows, -1))
        return K.mean(multilabel_categorical_crossentropy(y_true, y_pred))

    model.compile("sgd", loss=crossentropy)
    labels = np.zeros((2, 2, 5, 5), "float32")
    labels[:, 1, 0, 2] = 1
    scores = model.predict(IDS, verbose=0).reshape(4, 25).astype("float64")
    found = labels.reshape(4, 25)
    positive = np.log(1 + np.exp(-scores, where=found > 0, out=0 * scores).sum(1))
    expected = positive + np.log(1 + (np.exp(scores) * (1 - found)).sum(1))
    assert model.evaluate(IDS, labels, verbose=0) == pytest.approx(expected.mean(), rel=1e-4)


@pytest.mark.spread
def test_pooling_leaves_out_padding():
    for pad in (9.0, -9.0):
        x = np.where(REAL[..., None], X, pad).astype("float32")
        for name, function in (("Average", np.mean), ("Max", np.max)):
            layer = getattr(layers, f"Global{name}Pooling1D")
            expected = np.stack([function(X[0, :3], 0), function(X[1], 0)])
            np.testing.assert_allclose(run(layer(), (x, REAL)), expected, rtol=1e-5)
            np.testing.assert_allclose(run(layer(), (X, None)), function(X, 1), rtol=1e-5)
    first = layers.GlobalMaxPooling1D(data_format="channels_first")
    expected = np.stack([X[0, :3].max(0), X[1].max(0)])
    found = first(np.swapaxes(x, 1, 2), mask=ops.convert_to_tensor(REAL))
    np.testing.assert_allclose(ops.convert_to_numpy(found), expected)
    first = layers.GlobalAveragePooling1D(data_format="channels_first")
    np.testing.assert_allclose(ops.convert_to_numpy(first(np.swapaxes(X, 1, 2))), X.mean(1), 1e-5)


@pytest.mark.spread
def test_concatenation_of_masks():
    joined = Concatenate1D()
    both = layers.GlobalAveragePooling1D()(joined([masked(X, REAL), ops.convert_to_tensor(X)]))
    expected = np.stack([np.concatenate([X[0, :3], X[0]]).mean(0), X[1].mean(0)])
    np.testing.assert_allclose(ops.convert_to_numpy(both), expected, rtol=1e-5)
    assert joined([X, X]).shape == (2, 10, 4)
    assert joined.compute_output_shape([(2, None, 4), (2, 5, 4)]) == (2, None, 4)
    assert joined([keras.Input((3, 4)), keras.Input((2, 4))]).shape == (None, 5, 4)


@pytest.mark.spread
@pytest.mark.parametrize(("parts", "sizes"), [(2, [3, 2]), (3, [2, 2, 1]), ([1, 4], [1, 4])])
def test_split_and_join_of_batches(parts, sizes):
    x = RNG.normal(size=(5, 3)).astype("float32")
    split = layers.BatchSplit(parts)
    found = split([x, 2 * x])
    assert [part.shape[0] for part in found] == sizes * 2
    count = len(sizes)
    whole = layers.BatchConcat()(found[count:])
    np.testing.assert_allclose(ops.convert_to_numpy(whole), 2 * x)
    assert layers.BatchSplit.from_config(split.get_config()).parts == parts
    mask = x[:, :2] > 0
    masks = split.compute_mask(None, [ops.convert_to_tensor(mask), None])
    assert masks[count:] == [None] * count
    joined = layers.BatchConcat().compute_mask(None, masks[:count])
    np.testing.assert_array_equal(ops.convert_to_numpy(joined), mask)
    assert layers.BatchConcat().compute_mask(None, masks) is None


def test_embedding_in_both_modes():
    layer = layers.Embedding(9, 4, mask_zero=True)
    ids = np.array([[0, 4, 0], [1, 2, 3]])
    vectors = layer(ids)
    np.testing.assert_array_equal(ops.convert_to_numpy(vectors._keras_mask), [[1, 1, 0], [1, 1, 1]])
    scores = layer(vectors, mode="dense")
    table = ops.convert_to_numpy(layer.embeddings)
    np.testing.assert_allclose(ops.convert_to_numpy(scores), table[ids] @ table.T, atol=1e-6)
    ids = keras.Input((None,), dtype="int32")
    assert layer(layer(ids), mode="dense").shape == (None, None, 9)
    assert layers.Embedding(9, 4)(np.array([[0, 1]])).shape == (1, 2, 4)


@pytest.mark.parametrize("hidden", [None, 3])
@pytest.mark.parametrize("condition", [(2, 7), (2, 5, 7)])
def test_conditional_norm(hidden, condition, tmp_path):
    condition = RNG.normal(size=condition).astype("float32")
    layer = layers.LayerNormalization(
        conditional=True, hidden_units=hidden, hidden_activation="tanh"
    )
    inputs = [keras.Input((5, 4)), keras.Input(condition.shape[1:])]
    model = keras.Model(inputs, layer(inputs))
    centred = X - X.mean(-1, keepdims=True)
    normed = centred / np.sqrt((centred**2).mean(-1, keepdims=True))
    np.testing.assert_allclose(model.predict([X, condition], verbose=0), normed, atol=1e-5)
    for weight in layer.weights:
        weight.assign(RNG.normal(size=weight.shape))
    wide = condition[:, None] if condition.ndim == 2 else condition
    if hidden:
        wide = np.tanh(wide @ ops.convert_to_numpy(layer.hidden_dense.kernel))
    gamma, beta = (
        ops.convert_to_numpy(vector) + wide @ ops.convert_to_numpy(dense.kernel)
        for vector, dense in ((layer.gamma, layer.gamma_dense), (layer.beta, layer.beta_dense))
    )
    found = model.predict([X, condition], verbose=0)
    np.testing.assert_allclose(found, normed * gamma + beta, atol=1e-4)
    model.save(tmp_path / "norm.keras")
    loaded = keras.models.load_model(tmp_path / "norm.keras")
    np.testing.assert_allclose(loaded.predict([X, condition], verbose=0), found, atol=1e-5)


@pytest.mark.spread
def test_scale_and_offset():
    assert layers.LayerNormalization(zero_mean=False)(X).shape == X.shape
    raw = layers.LayerNormalization(zero_mean=False, unit_variance=False)(X)
    np.testing.assert_allclose(ops.convert_to_numpy(raw), X)
    for scale, offset, expected in (
        (2, 1.5, 2 * X + 1.5),
        (False, None, X),
        (0, False, 0 * X),
    ):
        layer = layers.ScaleOffset(scale, offset)
        np.testing.assert_allclose(ops.convert_to_numpy(layer(X)), expected, rtol=1e-6)
        assert not layer.weights
        assert layers.ScaleOffset.from_config(layer.get_config()).scale == scale
    layer = layers.ScaleOffset(conditional=True)
    found = layer([masked(X, REAL), np.ones((2, 3), "float32")])
    np.testing.assert_array_equal(ops.convert_to_numpy(found._keras_mask), REAL)
