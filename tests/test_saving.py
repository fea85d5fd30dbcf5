"""Models are saved atomically, and a process that only imports bert4keras can go on with them."""

from __future__ import annotations

import subprocess
import sys

import keras
import numpy as np
import pytest
from keras import ops

import bert4keras
from bert4keras import losses, optimizers
from bert4keras._compat import inner_layers
from bert4keras._serialization import BoundMethod, LateMethod
from bert4keras.tasks import reading, tagging
from bert4keras.training import FGM, RegularizedModel
from helpers import tiny

pytestmark = pytest.mark.spread

T, C = 5, 3
RNG = np.random.default_rng(0)
X = RNG.normal(size=(4, T, 6)).astype("float32")
IDS = RNG.integers(1, 9, (4, T)).astype("int32")
TAGS = RNG.integers(-1, C, (4, T))
SPANS = np.stack([np.zeros(4, int), np.full(4, 2)], axis=1)

GO_ON = """
import sys
import bert4keras
import keras, numpy as np
for path in sys.argv[1:]:
    data = np.load(path + ".npz")
    *x, y = (data[name] for name in data.files)
    model = keras.models.load_model(path + ".keras")
    x = x if len(x) > 1 else x[0]
    model.fit(x, y, batch_size=2, epochs=1, shuffle=False, verbose=0)
    np.savez(path + "-after.npz", *model.get_weights())
"""


def optimizer():
    rate = optimizers.PiecewiseLinear(0.01, {2: 1.0, 9: 0.1})
    extensions = [optimizers.Accumulate(2), optimizers.EMA(), optimizers.Lookahead(2)]
    return optimizers.ExtendedOptimizer(optimizers.Adam(rate), extensions)


def tagger(head):
    x = keras.Input((T, 6))
    return keras.Model(x, head(keras.layers.Dense(C)(x)))


def compiled(name):
    """A compiled model of a head with data to fit it."""
    rate = keras.optimizers.Adam(0.01)
    if name == "crf":
        head = tagging.ConditionalRandomField(lr_multiplier=10, name="tags")
        model, y = tagger(head), TAGS
        model.compile(optimizer(), loss=head.loss, metrics=[head.accuracy])
    elif name == "memm":
        head = tagging.MaximumEntropyMarkovModel(hidden_dim=2)
        model, y = tagger(head), np.eye(C, dtype="int32")[np.abs(TAGS)]
        model.compile(rate, loss=head.dense_loss, metrics=[head.dense_accuracy])
    elif name == "two":  # of one name, in two models inside one
        x, parts = keras.Input((T, 6)), []
        for part in ("first", "second"):
            inner = tagger(tagging.ConditionalRandomField(name="tags"))
            parts.append(keras.Model(inner.inputs, inner.outputs, name=part))
        model = keras.Model(x, [part(x) for part in parts])
        model.compile(rate, loss=[part.get_layer("tags").loss for part in parts])
        return model, X, [TAGS, TAGS]
    elif name == "pointer":
        x, ids = keras.Input((T, 6)), keras.Input((T,), dtype="int32")
        head = tagging.EfficientGlobalPointer(2, 4, pad_token_id=0)
        model = keras.Model([x, ids], head([x, ids]))
        model.compile(rate, loss=head.sparse_loss)
        return model, [X, IDS], np.full((4, 2, 1, 2), 1)
    elif name == "span":
        x, ids = keras.Input((T, 6)), keras.Input((T,), dtype="int32")
        head = reading.SpanExtraction()
        model = keras.Model([x, ids], head([x, ids]))
        model.compile(rate, loss=head.loss)
        return model, [X, IDS], SPANS
    elif name == "regularized":
        no_dropout = {"dropout_rate": 0.0, "attention_dropout_rate": 0.0}
        bert = tiny.build({**no_dropout, "num_hidden_layers": 1})
        head = tagging.ConditionalRandomField()
        plain = keras.Model(bert.inputs, head(keras.layers.Dense(C)(bert.output)))
        model = RegularizedModel(plain, [FGM(0.5)])
        model.compile(optimizer(), loss=head.loss)
        return model, [IDS, np.zeros_like(IDS)], TAGS
    return model, X, y


def fit(model, x, y, epochs=1):
    model.fit(x, y, batch_size=2, epochs=epochs, shuffle=False, verbose=0)


def assert_same(a, b):
    for one, other in zip(a, b, strict=True):
        np.testing.assert_array_equal(one, other)


def assert_close(a, b):
    """Compare weights; TensorFlow sums in any order, and Adam amplifies that."""
    atol = 1e-3 if keras.backend.backend() == "tensorflow" else 0
    for one, other in zip(a, b, strict=True):
        np.testing.assert_allclose(one, other, atol=atol, rtol=0)


NAMES = ["crf", "pointer", "regularized"]


def test_training_goes_on_in_a_process_that_imports_bert4keras_only(tmp_path):
    after = {}
    for name in NAMES:
        model, x, y = compiled(name)
        fit(model, x, y, epochs=2)
        bert4keras.save_model(model, tmp_path / f"{name}.keras")
        np.savez(tmp_path / f"{name}.npz", *(x if isinstance(x, list) else [x]), y)
        fit(model, x, y)
        after[name] = model.get_weights()
    paths = [str(tmp_path / name) for name in NAMES]
    command = [sys.executable, "-W", "ignore", "-c", GO_ON, *paths]
    done = subprocess.run(command, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr[-3000:]
    for name in NAMES:
        with np.load(tmp_path / f"{name}-after.npz") as found:
            assert_close(found.values(), after[name])


@pytest.mark.spread(over="tensorflow jax")
def test_losses_read_the_layers_of_their_own_model(tmp_path):
    original, x, y = compiled("two")
    bert4keras.save_model(original, tmp_path / "two.keras")
    first, second = (keras.models.load_model(tmp_path / "two.keras") for _ in range(2))
    for model in (first, second):
        found = [loss.layer for loss in model.loss]
        parts = [model.get_layer(name).get_layer("tags") for name in ("first", "second")]
        assert [id(a) for a in found] == [id(b) for b in parts]
        fit(model, x, y)
    assert_close(first.get_weights(), second.get_weights())
    first.save(tmp_path / "again.keras")
    third = keras.models.load_model(tmp_path / "again.keras")
    if keras.backend.backend() == "torch":
        return  # where Keras adds up the gradients of two variables of one path, over all steps
    for model in (first, third):
        fit(model, x, y)
    assert_close(first.get_weights(), third.get_weights())
    assert np.abs(first.get_weights()[-1] - second.get_weights()[-1]).max() > 1e-3


def test_a_clone_is_compiled_with_its_own_layer(tmp_path):
    model, x, y = compiled("memm")
    clone = keras.models.clone_model(model)
    assert isinstance(clone.loss, LateMethod)
    bert4keras.save_model(clone, tmp_path / "clone.keras")  # before it ever computed its loss
    for other in (clone, keras.models.load_model(tmp_path / "clone.keras")):
        other.set_weights(model.get_weights())
        model.predict(x, verbose=0)  # the layer called last is then another one's
        fit(other, x, y)
        assert other.loss.get_config()["identity"] == id(other.layers[-1])
    clone.save(tmp_path / "clone.keras")
    again = keras.models.load_model(tmp_path / "clone.keras")
    assert again.loss.layer is again.layers[-1]
    fit(model, x, y)
    assert_close(model.get_weights(), clone.get_weights())


def test_methods_that_a_file_may_name():
    head = tagging.ConditionalRandomField(name="tags")
    tagger(head)
    assert isinstance(head.loss, BoundMethod)
    assert head.loss == head.loss != head.sparse_loss
    assert head.loss != "loss"
    assert len({head.loss, head.loss}) == 1
    assert head.loss.__doc__.startswith("Compute the training loss")
    assert "loss of <ConditionalRandomField" in repr(head.loss)
    with pytest.raises(ValueError, match="no layer 'absent', a CRF, was called before its `loss`"):
        LateMethod("absent", "CRF", "loss")(TAGS, X)
    from bert4keras._serialization import method_of

    with pytest.raises(ValueError, match="has no storable method 'add_weight'"):
        method_of(head, "add_weight")


@pytest.mark.parametrize("loss", [losses.cosent, losses.CoSENT(scale=3)])
def test_losses_without_a_head(tmp_path, loss):
    x = keras.Input((6,))
    model = keras.Model(x, keras.layers.Dense(1)(x))
    model.compile("adam", loss=loss)
    bert4keras.save_model(model, tmp_path / "m.keras")
    again = keras.models.load_model(tmp_path / "m.keras")
    assert getattr(again.loss, "scale", again.loss) == getattr(loss, "scale", loss)


class Mine(keras.layers.Layer):
    def call(self, x):
        return x

    def loss(self, y_true, y_pred):
        return y_pred


def test_what_could_not_be_read_back_is_refused(tmp_path):
    x = keras.Input((6,))
    head = Mine()
    model = keras.Model(x, head(x))
    model.compile("adam", loss={head.name: head.loss})
    with pytest.raises(ValueError, match=r"compiled with loss\.mine.*a method 'loss' that a file"):
        bert4keras.save_model(model, tmp_path / "m.keras")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.filterwarnings("ignore:Layer .* does not have a `quantize` method")
@pytest.mark.parametrize(("mode", "alone"), [("int8", False), ("int4", True), ("float8", False)])
def test_quantized_models(tmp_path, mode, alone):
    model = bert = tiny.build({"num_hidden_layers": 1}, with_pool=alone)
    if not alone:
        head = tagging.GlobalPointer(2, 4, pad_token_id=0)
        model = keras.Model(bert.inputs, head([bert.output, bert.inputs[0]]))
    model.quantize(mode)
    model.save(tmp_path / "m.keras")
    again = keras.models.load_model(tmp_path / "m.keras")
    x = tiny.inputs()
    for a, b in zip(model.predict(x), again.predict(x), strict=True):
        np.testing.assert_array_equal(a, b)
    dtypes = [keras.backend.standardize_dtype(v.dtype) for v in again.variables]
    assert dtypes == [keras.backend.standardize_dtype(v.dtype) for v in model.variables]


def test_kinds_of_quantization_that_need_data_are_refused(tmp_path):
    model = tiny.build({"num_hidden_layers": 1})
    layer = next(one for one in inner_layers(model) if one.name == "query")
    layer._dtype_policy = keras.dtype_policies.get("gptq/4/-1_from_float32")
    with pytest.raises(ValueError, match=r"query` is quantized by gptq.*save_weights\(model"):
        bert4keras.save_model(model, tmp_path / "m.keras")


def test_lora_is_merged(tmp_path):
    model = tiny.build({"num_hidden_layers": 1})
    dense = [one for one in inner_layers(model) if isinstance(one, keras.layers.Dense)]
    for layer in dense:
        layer.enable_lora(2)
        layer.lora_kernel_b.assign(RNG.normal(size=layer.lora_kernel_b.shape))
    bert4keras.save_model(model, tmp_path / "m.keras")
    again = keras.models.load_model(tmp_path / "m.keras")
    x = [ops.convert_to_tensor(one) for one in tiny.inputs()]
    np.testing.assert_allclose(*(ops.convert_to_numpy(one(x)) for one in (model, again)), atol=1e-6)


@pytest.mark.parametrize("save", [bert4keras.save_model, bert4keras.Backbone.save])
def test_a_failure_leaves_the_old_model(tmp_path, monkeypatch, save):
    model, path = tiny.build({"num_hidden_layers": 1}), tmp_path / "m.keras"
    save(model, path)
    before = path.read_bytes()
    real = keras.saving.save_model

    def fails(model, target):
        real(model, target)
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(keras.saving, "save_model", fails)
    with pytest.raises(OSError, match=r"No space left on device: '.*/m\.keras'"):
        save(model, path)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_weights(tmp_path):
    model = tiny.build({"num_hidden_layers": 1})
    bert4keras.save_weights(model, tmp_path / "new" / "m.weights.h5")
    again = tiny.build({"num_hidden_layers": 1}, name="again")
    again.set_weights([0 * value for value in model.get_weights()])
    again.load_weights(tmp_path / "new" / "m.weights.h5")
    assert_same(again.get_weights(), model.get_weights())


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda m, p: bert4keras.save_model(m, p / "m.h5"), ValueError, "'.keras' files, not '"),
        (lambda m, p: bert4keras.save_weights(m, p / "m.h5"), ValueError, "'.weights.h5' files"),
        (
            lambda m, p: bert4keras.save_model(m, p / "m.keras", overwrite=False),
            FileExistsError,
            "m.keras exists, and overwrite is False",
        ),
    ],
)
def test_refused(tmp_path, call, error, message):
    (tmp_path / "m.keras").write_text("old")
    with pytest.raises(error, match=message):
        call(None, tmp_path)
    assert (tmp_path / "m.keras").read_text() == "old"
