"""The builder of scripts for 0.11: attributes, stages, subclasses, loading, options."""

from __future__ import annotations

import subprocess
import sys

import keras
import numpy as np
import pytest
from keras import ops

from bert4keras import checkpoints
from bert4keras.backend import K
from bert4keras.config import ConfigError
from bert4keras.layers import Loss
from bert4keras.models import (
    BERT,
    GPT,
    T5,
    LM_Mask,
    build_transformer_model,
    extend_with_language_model,
    extend_with_unified_language_model,
)
from helpers import tiny

X = tiny.inputs()
OPTIONS = {"return_keras_model": False}


def predict(model, inputs=None):
    return model.predict(X if inputs is None else inputs, verbose=0)


def seen_by(model, position):
    """Positions of the first row whose output depends on the token at a position."""
    other = [X[0].copy(), X[1]]
    other[0][0, position] = other[0][0, position] % 19 + 1
    gap = np.abs(predict(model) - predict(model, other))[0].max(-1)
    return np.flatnonzero(gap > 1e-6).tolist()


def test_attributes_of_model_and_config():
    builder = tiny.build(**OPTIONS, with_mlm="linear", keep_tokens=list(range(12)))
    assert [x is y for x, y in zip(builder.inputs, builder.model.inputs, strict=True)] == [True] * 2
    assert builder.output is builder.model.output
    assert (builder.num_hidden_layers, builder.attention_head_size) == (2, 4)
    assert (builder.vocab_size, builder.with_mlm, builder.with_pool) == (12, "linear", False)
    assert builder.keep_tokens == list(range(12))
    assert builder.prefixed("A") == "A"
    assert (builder.simplify([None, 1]), builder.simplify([1, None, 2])) == (1, [1, 2])
    with pytest.raises(AttributeError, match="'BERT' object has no attribute 'nonsense'"):
        _ = builder.nonsense
    assert builder.model.transformer.step  # decoding finds the same assembler
    assert isinstance(builder, BERT)


@pytest.mark.parametrize(
    "options", [{}, {"model": "albert"}, {"model": "gpt2"}, {"model": "roformer"}], ids=str
)
def test_stages_one_by_one_give_the_model(options):
    config = {**tiny.SIZES, "segment_vocab_size": 2}
    builder = build_transformer_model(config, **OPTIONS, **options)
    x = builder.apply_embeddings(builder.inputs)
    for index in range(builder.num_hidden_layers):
        x = builder.apply_main_layers(x, index)
    output = builder.apply_final_layers(x)
    again = keras.Model(builder.inputs, output)
    np.testing.assert_allclose(predict(again), predict(builder.model), atol=1e-6)
    assert len(again.weights) == len(builder.model.weights)


def test_a_builder_runs_on_inputs_of_another_one():
    """Both apply their stages to the same inputs, as BERT-of-Theseus does."""
    first = tiny.build(**OPTIONS, prefix="First-")
    second = tiny.build(**OPTIONS, prefix="Second-")
    joint = keras.Model(first.inputs, [second.call(first.inputs), first.call(first.inputs)])
    one, two = joint.predict(X, verbose=0)
    np.testing.assert_allclose(one, predict(second.model), atol=1e-6)
    np.testing.assert_allclose(two, predict(first.model), atol=1e-6)
    real = X[0] > 0
    pooled = keras.layers.GlobalAveragePooling1D()(second.call(first.inputs))
    means = keras.Model(first.inputs, pooled).predict(X, verbose=0)
    expected = [row[valid].mean(0) for row, valid in zip(one, real, strict=True)]
    np.testing.assert_allclose(means, expected, atol=1e-5)


def test_outputs_of_a_call_of_a_layer():
    builder = tiny.build(**OPTIONS)
    before = builder.model.layers[-2].get_output_at(-1)
    norm = builder.model.layers[-1]
    x = keras.Model(builder.inputs, [before, builder.output]).predict(X, verbose=0)
    np.testing.assert_allclose(ops.convert_to_numpy(norm(x[0])), x[1], atol=1e-5)


class Scaled(BERT):
    """Stages in the form of 0.11, and its own argument."""

    def __init__(self, gain=1.0, **kwargs):
        super().__init__(**kwargs)
        self.gain = gain
        self.calls = []

    def apply_embeddings(self, inputs):
        self.calls.append(len(inputs))
        return super().apply_embeddings(inputs)

    def apply_main_layers(self, inputs, index):
        x = super().apply_main_layers(inputs, index)
        self.calls.append(index)
        return self.apply(
            inputs=x, layer=keras.layers.Rescaling, scale=self.gain, name=f"Gain-{index}"
        )

    def apply_final_layers(self, inputs):
        x = super().apply_final_layers(inputs)
        options = {"function": first, "mask": same, "arguments": {"n": 2}}
        return self.apply(inputs=x, layer=keras.layers.Lambda, **options)


def first(x, n):
    return x[..., :n]


def same(x, mask=None):
    return mask


def test_stages_that_a_subclass_overrides(tmp_path):
    plain = tiny.build(**OPTIONS)
    checkpoints.save(plain.model, tmp_path / "a.safetensors")
    path = tmp_path / "a.safetensors"
    same = tiny.build(checkpoint_path=None, model=Scaled, **OPTIONS)
    same.load_weights_from_checkpoint(path)
    assert same.calls == [2, 0, 1]
    np.testing.assert_allclose(predict(same.model), predict(plain.model)[..., :2], atol=1e-6)
    other = build_transformer_model(tiny.config(), path, model=Scaled, gain=2.0)
    assert np.abs(predict(other) - predict(same.model)).max() > 0.1


class LeftToRight(BERT):
    def compute_attention_bias(self, inputs=None):
        return self.apply(inputs=self.inputs[0], layer=keras.layers.Lambda, function=earlier)


class Near(BERT):
    def compute_attention_bias(self, inputs=None):
        return self.apply(inputs=self.inputs[0], layer=keras.layers.Lambda, function=distances)


def earlier(tokens):
    places = ops.arange(ops.shape(tokens)[1])
    return places[None, :] <= places[:, None]


def distances(tokens):
    places = ops.cast(ops.arange(ops.shape(tokens)[1]), "float32")
    far = ops.cast(ops.abs(places[None, :] - places[:, None]) > 1, "float32")
    return (ops.zeros_like(tokens, "float32")[:, :, None] - 1e9) * far  # (B, T, S)


@pytest.mark.parametrize(
    ("model", "expected"),
    [(BERT, list(range(9))), (LeftToRight, list(range(4, 9))), (Near, [2, 3, 4, 5, 6])],
)
def test_masks_that_a_subclass_computes(model, expected):
    assert seen_by(tiny.build(model=model), 4) == expected


class Causal(LM_Mask, BERT):
    pass


@pytest.mark.parametrize(
    ("model", "application"),
    [
        (Causal, "lm"),
        (extend_with_language_model(BERT), "lm"),
        (extend_with_unified_language_model(BERT), "unilm"),
    ],
)
def test_classes_with_a_mask(model, application):
    old = build_transformer_model(tiny.config(), model=model)
    new = build_transformer_model(tiny.config(), application=application)
    new.set_weights(old.get_weights())
    np.testing.assert_allclose(predict(old), predict(new), atol=1e-6)
    assert old.output_shape[-1] == 20


def test_a_class_called_with_sizes():
    sizes = {**tiny.SIZES, "hidden_act": "gelu", "keep_tokens": [0, 1, 2, 3], "name": "small"}
    sizes |= {"compound_tokens": [[1]], "sequence_length": 9, "segment_vocab_size": 0}
    gpt = GPT(**sizes)
    gpt.build(**sizes)
    model = gpt.model
    gpt.build()  # once is enough
    assert gpt.model is model
    assert (model.input_shape, model.output_shape) == ((None, 9), (None, 9, 5))
    condition = keras.Input((6,))
    bert = BERT(**tiny.SIZES, hidden_act="gelu", with_pool=True)
    bert.build(layer_norm_cond=condition, additional_input_layers=condition)
    assert bert.inputs[-1] is condition
    assert bert.model.output_shape == (None, 8)


def test_options_with_other_names_now():
    gpt = build_transformer_model(tiny.SIZES, model="gpt", final_activation="linear")
    assert predict(gpt, X[0]).min() < 0
    t5 = build_transformer_model(
        {k: v for k, v in tiny.SIZES.items() if k != "max_position"},
        model="t5.1.1",
        version="t5.1.1",
        with_lm="linear",
    )
    assert t5.transformer.pretraining_heads.with_mlm == "linear"
    fixed = build_transformer_model(tiny.config(), sequence_length=7)
    assert fixed.input_shape == [(None, 7), (None, 7)]
    with pytest.raises(ConfigError, match=r"attention_caches is not part .* `Transformer\.step`"):
        build_transformer_model(tiny.config(), attention_caches={"a": []})


def test_loading_after_building(tmp_path):
    whole = tiny.build(**OPTIONS, with_mlm=True)
    path = f"{tmp_path}/model.safetensors"
    checkpoints.save(whole.model, path)
    keep = [0, 5, 6, 7]
    part = tiny.build(**OPTIONS, keep_tokens=keep)
    report = part.load_weights_from_checkpoint(path)
    assert report.missing == ()
    assert part.model.load_report is report
    table = part.model.get_layer("Embedding-Token").embeddings
    expected = ops.convert_to_numpy(whole.model.get_layer("Embedding-Token").embeddings)[keep]
    np.testing.assert_array_equal(ops.convert_to_numpy(table), expected)
    with pytest.raises(ValueError, match="mapping= is not part of this version"):
        part.load_weights_from_checkpoint(path, mapping={"Embedding-Token": ["a"]})
    more = tiny.build(**OPTIONS, with_pool=True, ignore_invalid_weights=True)
    assert more.load_weights_from_checkpoint(path).missing
    with pytest.raises(checkpoints.CheckpointError, match="Pooler-Dense"):
        tiny.build(**OPTIONS, with_pool=True).load_weights_from_checkpoint(path)
    with pytest.raises(ValueError, match="mapping= and dtype= are not part of this version"):
        whole.save_weights_as_checkpoint(path, dtype="float16")


def test_save_weights_as_checkpoint(tmp_path):
    pytest.importorskip("tensorflow")
    builder = tiny.build(**OPTIONS)
    builder.save_weights_as_checkpoint(f"{tmp_path}/old")
    again = build_transformer_model(tiny.config(), f"{tmp_path}/old.ckpt")
    np.testing.assert_allclose(predict(again), predict(builder.model), atol=1e-6)


class Either(keras.layers.Layer):
    """Its first input in training and its second elsewhere."""

    def call(self, inputs):
        return K.in_train_phase(inputs[0], lambda: inputs[1]) + K.in_test_phase(0.0, 5.0)

    def compute_output_shape(self, input_shape):
        return input_shape[0]


def test_phases():
    x, y = keras.Input((1,)), keras.Input((1,))
    same = keras.layers.Dense(1, use_bias=False, kernel_initializer="ones")(x)
    model = keras.Model([x, y], Either()([same, y]))
    values = [np.ones((1, 1), "float32"), np.zeros((1, 1), "float32")]
    found = [ops.convert_to_numpy(model(values, training=flag)) for flag in (True, False)]
    assert [float(array[0, 0]) for array in found] == [6, 0]
    assert predict(model, values) == 0
    model.compile("sgd", "mse")
    assert model.train_on_batch(values, values[1]) == 36
    assert (K.in_train_phase(1, 2, training=True), K.in_test_phase(1, 2)) == (1, 1)


class OnTargets(Loss):
    """The loss where the segment id is 1: integers that were float in 0.11."""

    def compute_loss(self, inputs, mask=None):
        y_true, y_mask, y_pred = inputs
        loss = K.sparse_categorical_crossentropy(y_true[:, 1:], y_pred[:, :-1])
        return K.sum(loss * y_mask[:, 1:]) / K.sum(y_mask[:, 1:])


def test_a_loss_of_all_inputs_and_outputs():
    lm = tiny.build(application="unilm")
    model = keras.Model(lm.inputs, OnTargets(2)(lm.inputs + lm.outputs))
    model.compile("adam")
    probabilities = predict(lm)
    np.testing.assert_allclose(predict(model), probabilities)
    taken = np.take_along_axis(probabilities[:, :-1], X[0][:, 1:, None], axis=-1)[..., 0]
    expected = -np.log(taken)[X[1][:, 1:] == 1].mean()
    assert abs(model.evaluate(X, batch_size=3, verbose=0) - expected) < 1e-4


def test_a_decoder_of_two_inputs(tmp_path):
    sizes = {key: value for key, value in tiny.SIZES.items() if key != "max_position"}
    t5 = build_transformer_model(sizes, model=T5, with_mlm="linear", return_keras_model=False)
    source = np.array([[5, 6, 7, 1], [5, 6, 1, 0]])
    target = np.array([[0, 5, 6], [0, 8, 9]])
    whole = predict(t5.model, [source, target])
    vectors = predict(t5.encoder, source)
    assert [x.name for x in t5.decoder.inputs] == ["Input-Context", "Decoder-Input-Token"]
    assert t5.decoder is t5.decoder
    found = predict(t5.decoder, [vectors, target])
    np.testing.assert_allclose(found[0], whole[0], atol=1e-5)
    assert np.abs(found[1] - whole[1]).max() > 1e-3  # the vector at padding is seen ...
    vectors[1, 3] = 0  # ... unless it is zero
    np.testing.assert_allclose(predict(t5.decoder, [vectors, target]), whole, atol=1e-5)
    t5.decoder.save(tmp_path / "decoder.keras")
    again = keras.models.load_model(tmp_path / "decoder.keras")
    np.testing.assert_allclose(predict(again, [vectors, target]), whole, atol=1e-5)


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("_make_train_function", "RegularizedModel: FGM, GradientPenalty or VAT takes the place"),
        ("fit_generator", "fit takes generators"),
    ],
)
def test_methods_that_keras_removed(name, hint):
    model = tiny.build(**OPTIONS).model
    with pytest.raises(AttributeError, match=rf"Model\.{name} does not exist on Keras 3: .*{hint}"):
        getattr(keras.Model(model.inputs, model.output), name)()


@pytest.mark.spread
def test_methods_that_keras_removed_without_a_builder():
    """A script that only imports an old name is told as well; one that does not is told nothing."""
    code = "import keras; {}; print(hasattr(keras.Model, 'fit_generator'))"
    for line, told in (
        ("from bert4keras.snippets import uniout", True),
        ("import bert4keras.layers", False),
    ):
        command = [sys.executable, "-W", "ignore", "-c", code.format(line)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=120)
        assert done.stdout.strip() == str(told), done.stderr[-1000:]
