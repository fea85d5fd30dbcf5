"""Old layers and AdaFactor give the numbers of bert4keras 0.11.5, frozen in a fixture.

scripts/fixtures/ancestor.py makes it with the original.
"""

from __future__ import annotations

from pathlib import Path

import keras
import numpy as np
import pytest
from keras import ops

from bert4keras import layers
from bert4keras.models import build_transformer_model
from bert4keras.optimizers import AdaFactor, Adam

FIXTURES = Path(__file__).resolve().parent.parent / "fixtures/ancestor"
with np.load(FIXTURES / "numbers.npz") as _file:
    N = {name: _file[name] for name in _file.files}


def masked_vectors():
    """Return the input of token ids and vectors with a mask, as the fixture has them."""
    ids = keras.Input((None,), dtype="int32")
    table = keras.initializers.Constant(N["table"])
    return ids, layers.Embedding(9, 8, mask_zero=True, embeddings_initializer=table)(ids)


def close(found, name, atol=1e-5):
    np.testing.assert_allclose(ops.convert_to_numpy(found), N[name], atol=atol, rtol=1e-4)


@pytest.mark.parametrize("name", ["ConditionalRandomField", "MaximumEntropyMarkovModel"])
def test_heads(name):
    ids, vectors = masked_vectors()
    head, dense = getattr(layers, name)(lr_multiplier=10), keras.layers.Dense(4, use_bias=False)
    model = keras.Model(ids, head(dense(vectors)))
    dense.set_weights([N["kernel"]])
    head.set_weights([N["transitions"] / 10])
    close(head.trans, "transitions")
    scores = model(N["ids"])
    loss = ops.convert_to_numpy(head.sparse_loss(N["labels"], scores))
    np.testing.assert_allclose(np.ravel(loss), N[f"{name}.loss"], rtol=1e-4)
    restored = type(head).from_config(head.get_config())
    assert restored.lr_multiplier == 10
    if name == "ConditionalRandomField":
        close(head.sparse_accuracy(N["labels"], scores), f"{name}.accuracy")


@pytest.mark.parametrize("name", ["GlobalPointer", "EfficientGlobalPointer"])
def test_pointers(name):
    ids, vectors = masked_vectors()
    head = getattr(layers, name)(heads=2, head_size=4)
    model = keras.Model(ids, head(vectors))
    if name == "GlobalPointer":
        # One matrix: for each head 4 columns of queries and 4 of keys.
        order = np.arange(16).reshape(2, 2, 4)
        columns = [order[:, part].ravel() for part in (0, 1)]
    else:  # queries and keys alternate, and so do the ends: last and first tokens
        columns = [np.arange(part, 8, 2) for part in (0, 1)]
        rows = np.concatenate(columns)
        ends = np.concatenate([np.arange(1, 4, 2), np.arange(0, 4, 2)])
        head.ends.set_weights([N[f"{name}.2"][rows][:, ends], N[f"{name}.3"][ends]])
    for dense, chosen in zip((head.query, head.key), columns, strict=True):
        dense.set_weights([N[f"{name}.0"][:, chosen], N[f"{name}.1"][chosen]])
    close(model(N["ids"]), f"{name}.scores", 1e-4)


def test_norms():
    norm = layers.LayerNormalization(conditional=True, hidden_units=3, hidden_activation="tanh")
    norm([N["x"], N["condition"]])
    kernels = [N[name] for name in sorted(N) if name.startswith("norm.") and "kernel" in name]
    for dense, kernel in zip(("hidden_dense", "beta_dense", "gamma_dense"), kernels, strict=True):
        getattr(norm, dense).set_weights([kernel])
    norm.beta.assign(N["norm.beta:0"])
    norm.gamma.assign(N["norm.gamma:0"])
    close(norm([N["x"], N["condition"]]), "norm", 1e-4)
    rms = layers.LayerNormalization(zero_mean=False, offset=False, epsilon=1e-6)
    close(rms(N["x"]), "rms")


@pytest.mark.parametrize("mode", ["add", "mul", "zero", "concat"])
def test_sinusoidal_positions(mode):
    layer = layers.SinusoidalPositionEmbedding(8, mode)
    close(layer(N["x"]), f"sinusoidal.{mode}")
    ids = np.broadcast_to(np.arange(6), (3, 6))
    custom = layers.SinusoidalPositionEmbedding(8, mode, custom_position_ids=True)
    found = ops.convert_to_numpy(custom([N["x"], ids]))
    expected = N[f"sinusoidal.{mode}"]
    np.testing.assert_allclose(found, np.broadcast_to(expected, found.shape), atol=1e-5)
    symbol = keras.Input((None, 8))
    assert layer(symbol).shape == (None, None, 16 if mode == "concat" else 8)
    assert layer.compute_mask(symbol, N["ids"] > 0) is not None
    assert type(layer).from_config(layer.get_config()).merge_mode == mode


@pytest.mark.parametrize(
    ("name", "options"),
    [("RelativePositionEmbedding", {}), ("RelativePositionEmbeddingT5", {"max_distance": 5})],
)
def test_relative_positions(name, options):
    layer = getattr(layers, name)(len(N[f"{name}.rows"]), 3, **options)
    symbols = keras.Input((None, 8)), keras.Input((4, 8))
    assert layer(list(symbols)).shape == (None, 4, 3)
    layer.set_weights([N[f"{name}.rows"]])
    close(layer([N["x"], N["x"]]), name)
    again = type(layer).from_config(layer.get_config())
    assert again.get_config() == layer.get_config()


@pytest.mark.parametrize(
    ("name", "result"), [("GlobalAveragePooling1D", "average"), ("GlobalMaxPooling1D", "maximum")]
)
def test_pooling(name, result):
    ids, vectors = masked_vectors()
    close(keras.Model(ids, getattr(layers, name)()(vectors))(N["ids"]), result)


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("adafactor", {"learning_rate": 0.1, "min_dim_size_to_factor": 2}),
        (
            "relative",
            {"learning_rate": None, "beta1": 0.9, "multiply_by_parameter_scale": False},
        ),
    ],
)
def test_adafactor(name, options):
    variables = {part: keras.Variable(N[part], name=part) for part in ("matrix", "vector")}
    optimizer = AdaFactor.from_config(AdaFactor(**options).get_config())
    for step in range(3):
        gradients = [ops.convert_to_tensor(N[f"gradient.{step}.{part}"]) for part in variables]
        optimizer.apply(gradients, list(variables.values()))
        for part, variable in variables.items():
            close(variable, f"{name}.{step}.{part}")
    assert [len(moments) for moments in optimizer.second_moments] == (
        [2, 1] if name == "adafactor" else [1, 1]
    )


@pytest.mark.spread
def test_weights_without_the_scale():
    steps = []
    for excluded in ([], ["matr"], ["bias"]):
        variable = keras.Variable(N["matrix"] * 0.01, name="matrix")
        optimizer = AdaFactor(
            1.0, beta2=0.9, clipping_threshold=None, exclude_from_parameter_scale=excluded
        )
        optimizer.apply([ops.convert_to_tensor(N["gradient.0.matrix"])], [variable])
        steps.append(ops.convert_to_numpy(variable) - N["matrix"] * 0.01)
    size = np.sqrt((N["matrix"] ** 2).mean()) * 0.01
    np.testing.assert_allclose(steps[0], steps[1] * size, rtol=1e-3)
    np.testing.assert_allclose(steps[0], steps[2])


def test_training():
    """Four steps from the same weights; the negative control is the Adam of Keras."""
    labels = np.array([0, 1, 1])
    found = {}
    for adam in (Adam, keras.optimizers.Adam):
        bert = build_transformer_model(str(FIXTURES / "config.json"))
        first = keras.layers.Lambda(lambda x: x[:, 0], mask=lambda x, mask: None)(bert.output)
        output = keras.layers.Dense(2, activation="softmax", name="Classifier")(first)
        model = keras.Model(bert.input, output)
        for layer in model.layers:
            shapes = ["x".join(map(str, weight.shape)) for weight in layer.get_weights()]
            layer.set_weights([N[f"training.{layer.name}.{shape}"] for shape in shapes])
        model.compile(loss="sparse_categorical_crossentropy", optimizer=adam(1e-2))
        batch = [N["ids"], np.zeros_like(N["ids"])]
        losses = [float(model.train_on_batch(batch, labels)) for _ in range(4)]
        found[adam] = losses, model.get_layer("Embedding-Segment").get_weights()[0]
    wanted = N["training.losses"]
    np.testing.assert_allclose(found[Adam][0], wanted, rtol=2e-5)
    np.testing.assert_allclose(found[Adam][1], N["training.segments"], atol=1e-4)
    assert np.abs(found[keras.optimizers.Adam][0] / wanted - 1).max() > 5e-5
