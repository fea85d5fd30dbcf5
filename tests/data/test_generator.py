"""Both ways to use DataGenerator, with models on the current backend."""

from __future__ import annotations

import itertools
import pickle

import keras
import numpy as np
import pytest

from bert4keras.data import DataGenerator, sequence_padding

# Keras itself meets this one when it turns torch tensors into arrays.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

RNG = np.random.default_rng(0)
DATA = [(list(range(1, n + 1)), int(n % 2)) for n in RNG.integers(1, 40, 50)]


def encode(sample):
    ids, label = sample
    return (ids, [0] * len(ids)), label


class OldStyle(DataGenerator):
    def __iter__(self, random=False):
        ids, labels = [], []
        for is_end, (row, label) in self.sample(random):
            ids.append(row)
            labels.append([label])
            if len(ids) == self.batch_size or is_end:
                token_ids = sequence_padding(ids)
                yield [token_ids, np.zeros_like(token_ids)], np.array(labels)
                ids, labels = [], []


def tiny_model():
    token_ids, segment_ids = (keras.Input((None,), dtype="int32") for _ in range(2))
    x = keras.layers.Embedding(50, 4)(token_ids) + keras.layers.Embedding(2, 4)(segment_ids)
    y = keras.layers.Dense(1, activation="sigmoid")(keras.layers.GlobalAveragePooling1D()(x))
    model = keras.Model([token_ids, segment_ids], y)
    model.compile("adam", "binary_crossentropy")
    return model


def fit(model, data, **options):
    # Keras warns when told to shuffle (its default) what it cannot shuffle.
    return model.fit(data, shuffle=False, verbose=0, **options)


def lengths_in(batches):
    """Real lengths: the ids count from 1 on, so the largest is the length."""
    return [int(n) for (ids, _), _ in batches for n in ids.max(axis=1)]


def unequal(lengths):
    return [([1] * n, 0) for n in lengths]


@pytest.mark.parametrize("make", [OldStyle, lambda *a, **k: DataGenerator(*a, encode=encode, **k)])
class TestBothStyles:
    def test_order_and_completeness(self, make):
        generator = make(DATA, 8, seed=1)
        expected = [len(ids) for ids, _ in DATA]
        assert len(generator) == 7
        assert lengths_in(generator) == expected
        epochs = [lengths_in(generator.__iter__(random=True)) for _ in range(2)]
        assert [sorted(epoch) for epoch in epochs] == [sorted(expected)] * 2
        assert epochs[0] != epochs[1] != expected
        again = make(DATA, 8, seed=1)
        assert [lengths_in(again.__iter__(random=True)) for _ in range(2)] == epochs
        assert lengths_in(make(DATA, 8, seed=2).__iter__(random=True)) != epochs[0]

    def test_seed_comes_from_keras(self, make):
        orders = []
        for _ in range(2):
            keras.utils.set_random_seed(5)
            orders.append(lengths_in(make(DATA, 8).__iter__(random=True)))
        assert orders[0] == orders[1]

    def test_fit_and_predict(self, make):
        model, generator = tiny_model(), make(DATA, 8, seed=0)
        history = fit(model, generator.forfit(), steps_per_epoch=len(generator), epochs=3)
        assert len(history.history["loss"]) == 3
        predictions = model.predict(generator.fortest(), steps=len(generator), verbose=0)
        assert predictions.shape == (50, 1)

    def test_first_two_batches_of_equal_length(self, make):
        generator = make(unequal([5] * 4 + [9] * 2 + [3] * 2), 2, buckets=None)
        shapes = [b[0][0].shape for b in itertools.islice(generator.forfit(random=False), 4)]
        assert sorted(shapes) == [(2, 3), (2, 5), (2, 5), (2, 9)]
        model = tiny_model()
        fit(model, generator.forfit(random=False), steps_per_epoch=4, epochs=2)

    def test_data_without_length(self, make):
        class Stream:
            def __iter__(self):
                return iter(DATA)

        generator = make(Stream(), 8, buffer_size=10, seed=0)
        with pytest.raises(TypeError, match="no length"):
            len(generator)
        order = lengths_in(generator.__iter__(random=True))
        expected = [len(ids) for ids, _ in DATA]
        assert sorted(order) == sorted(expected)
        assert order != expected
        assert lengths_in(generator) == expected
        fit(tiny_model(), generator.forfit(), steps_per_epoch=7, epochs=2)
        with pytest.raises(ValueError, match="empty or used up"):
            next(make(iter(()), 8).forfit())

    def test_as_tf(self, make):
        pytest.importorskip("tensorflow")
        generator = make(unequal([5] * 4 + [9] * 2), 2, buckets=None)
        dataset = generator.as_tf(random=False)
        assert dataset.options().autotune.enabled is False
        assert dataset.cardinality() == 3
        rows = None if make is OldStyle else 2  # every batch is full
        assert dataset.element_spec[0][0].shape.as_list() == [rows, None]
        if keras.backend.backend() == "tensorflow":
            fit(tiny_model(), dataset, epochs=2)
        assert [b[0][0].shape for b in dataset.as_numpy_iterator()] == [(2, 5), (2, 5), (2, 9)]


@pytest.mark.parametrize("workers", [1, 3])
def test_as_dataset_of_keras(workers):
    model = tiny_model()
    train = DataGenerator(DATA, 8, encode=encode, shuffle=True, seed=0, workers=workers)
    valid = DataGenerator(DATA, 8, encode=encode, shuffle=False)
    history = model.fit(train, validation_data=valid, epochs=2, verbose=0)
    assert len(history.history["val_loss"]) == 2
    by_hand = np.concatenate([model.predict_on_batch(batch[0]) for batch in valid])
    np.testing.assert_allclose(model.predict(valid, verbose=0), by_hand, atol=1e-6)


def test_dataset_of_keras_with_equal_first_batches():
    data = unequal([5] * 4 + [9] * 2)
    generator = DataGenerator(data, 2, encode=encode, shuffle=True, seed=0, pool=9)
    for _ in range(5):
        assert generator[0][0][0].shape != generator[1][0][0].shape
        generator.on_epoch_end()
    tiny_model().fit(generator, epochs=2, verbose=0)


def test_epochs_of_a_dataset():
    generator = DataGenerator(DATA, 8, encode=encode, shuffle=True, seed=0)
    epochs = []
    for _ in range(2):
        epochs.append(lengths_in(generator[i] for i in range(7)))
        generator.on_epoch_end()
    assert epochs[0] != epochs[1]
    assert sorted(epochs[0]) == sorted(epochs[1]) == sorted(len(ids) for ids, _ in DATA)
    copy = pickle.loads(pickle.dumps(DataGenerator(DATA, 8, encode=encode, shuffle=True, seed=0)))
    assert lengths_in(copy[i] for i in range(7)) == epochs[0]


@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize(
    "lengths",
    [
        [(9, 9)] * 4 + [(3, 5)] * 2 + [(2, 9)],  # the longest first
        [(3, 9)] * 2 + [(5, 9)] * 2 + [(5, 4)],  # only one of two sequences varies at first
        [(1, 1)] * 5 + [(8, 8)],
        [(9, 9)] * 2 + [(8, 8)] * 2 + [(3, 3)] * 2,  # the second is shorter by one
    ],
)
def test_later_batches_may_have_other_shapes(lengths, workers):
    """In the order of the data, where the first two batches say little of the shapes to come."""
    data = [([1] * first, [1] * second) for first, second in lengths]
    generator = DataGenerator(
        data, 2, encode=lambda sample: (sample, 0.0), shuffle=False, workers=workers
    )
    inputs = [keras.Input((None,), dtype="int32") for _ in range(2)]
    sums = [keras.ops.sum(keras.ops.cast(x, "float32"), axis=1) for x in inputs]
    same = keras.layers.Dense(2, use_bias=False, kernel_initializer="identity")
    model = keras.Model(inputs, same(keras.ops.stack(sums, axis=1)))
    assert model.predict(generator, verbose=0).tolist() == np.array(lengths, "float").tolist()
    model.compile(keras.optimizers.SGD(0.0), lambda y, out: out[:, 0])
    expected = np.mean([first for first, _ in lengths])
    for _ in range(2):
        assert abs(model.evaluate(generator, verbose=0) - expected) < 1e-6
    # Batches drawn one after another come in an order that shows Keras what varies.
    history = fit(model, generator.forfit(random=False), steps_per_epoch=len(generator)).history
    assert abs(history["loss"][0] - expected) < 1e-6


def test_few_shapes_and_little_padding():
    data = [([1] * int(n), 0) for n in np.random.default_rng(1).geometric(0.08, 2000)]
    padded = {}
    for random, pool in [(True, 64), (True, 1)]:
        generator = DataGenerator(data, 32, encode=encode, seed=0, pool=pool)
        batches = list(generator.__iter__(random))
        assert len({ids.shape[1] for (ids, _), _ in batches}) <= 8
        padded[pool] = sum(ids.size for (ids, _), _ in batches)
    real = sum(len(ids) for ids, _ in data)
    assert padded[64] < 0.6 * padded[1]
    assert padded[64] < 1.35 * real


def test_sorted_prediction_in_original_order():
    generator = DataGenerator(DATA, 8, encode=encode)
    fast = np.concatenate(
        [ids.max(axis=1) for ((ids, _),) in itertools.islice(generator.fortest(sort=True), 7)]
    )
    assert fast.tolist() == sorted(fast)
    assert generator.restore_order(fast).tolist() == [len(ids) for ids, _ in DATA]
    with pytest.raises(ValueError, match="3 predictions for 50"):
        generator.restore_order(fast[:3])


@pytest.mark.parametrize("sort", [False, True])
def test_prediction_with_first_batches_of_equal_length(sort):
    data = [(list(range(1, n + 1)), 0) for n in [3] * 4 + [9] * 3 + [5] * 2]
    generator = DataGenerator(data, 2, encode=encode, buckets=None)
    token_ids, segment_ids = (keras.Input((None,), dtype="int32") for _ in range(2))
    embedded = keras.layers.Embedding(50, 4, mask_zero=True)(token_ids)
    mean = keras.layers.GlobalAveragePooling1D()(embedded)
    model = keras.Model([token_ids, segment_ids], mean)
    found = model.predict(generator.fortest(sort=sort), steps=len(generator), verbose=0)
    found = generator.restore_order(found) if sort else found
    table = keras.ops.convert_to_numpy(model.layers[1].embeddings)
    np.testing.assert_allclose(found, [table[ids].mean(axis=0) for ids, _ in data], atol=1e-6)


def test_workers_where_keras_waits_for_a_tuner():
    tensorflow = keras.backend.backend() == "tensorflow"
    assert DataGenerator(DATA, 8, encode=encode).workers == (2 if tensorflow else 1)
    assert DataGenerator(DATA, 8, encode=encode, cache=False).workers == 1  # random encodings
    assert DataGenerator(DATA, 8, encode=encode, workers=3).workers == 3


def test_padding_by_role():
    def tag(n):
        return {"ids": [7] * n, "fixed": [1, 2, 3]}, list(range(n)), np.ones((n, n), "float64")

    generator = DataGenerator([2, 4, 3], 3, encode=tag, buckets=None)
    (batch,) = generator
    assert isinstance(batch, tuple)
    x, y, weight = batch
    assert x["ids"].tolist() == [[7, 7, 0, 0], [7] * 4, [7, 7, 7, 0]]
    assert x["fixed"].tolist() == [[1, 2, 3]] * 3  # its size never varies
    assert y.tolist() == [[0, 1, -1, -1], [0, 1, 2, 3], [0, 1, 2, -1]]
    assert weight.shape == (3, 4, 4)
    assert weight.sum(axis=(1, 2)).tolist() == [4, 16, 9]
    assert [a.dtype for a in (x["ids"], y, weight)] == ["int32", "int32", "float32"]
    ((_, y, _),) = DataGenerator([2, 1], 2, encode=tag, label_pad=-100)
    assert y.tolist() == [[0, 1], [0, -100]]


def test_given_buckets_and_batch_encoding():
    calls = []

    def encode_batch(samples):
        calls.append(len(samples))
        return [encode(sample) for sample in samples]

    generator = DataGenerator(
        unequal([1, 5, 6, 20]), 1, encode_batch=encode_batch, buckets=[16, 4, 8]
    )
    for _ in range(2):
        assert [ids.shape[1] for (ids, _), _ in generator] == [4, 8, 8, 20]
    assert calls == [4]  # encoded once
    generator = DataGenerator(unequal([1, 2]), 1, encode_batch=encode_batch, cache=False)
    assert len(list(generator)) == 2
    assert calls == [4, 2, 1, 1]


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: DataGenerator([], 2), ValueError, "no data"),
        (lambda: DataGenerator([1], 0), ValueError, "batch_size=0"),
        (lambda: list(DataGenerator([1], 2)), NotImplementedError, "encode"),
        (lambda: OldStyle(DATA, 2)[0], TypeError, "forfit"),
        (lambda: DataGenerator(DATA, 2, encode=encode)[0], ValueError, "shuffle=True"),
        (lambda: list(DataGenerator(["a"], 2, encode=str)), TypeError, "made of numbers"),
        (
            lambda: list(DataGenerator([1, 2], 2, encode=lambda n: [1] if n == 1 else 1)),
            ValueError,
            "same structure",
        ),
        (
            lambda: list(DataGenerator([1, 2], 2, encode_batch=lambda s: s[:1])),
            ValueError,
            "1 of 2 samples",
        ),
    ],
)
def test_bad_input(make, error, message):
    with pytest.raises(error, match=message):
        make()
