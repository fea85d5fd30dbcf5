"""The model's padding as a Keras mask: on every output per token, in every family."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from keras import ops

from bert4keras._compat import keras_mask
from bert4keras.layers import FirstToken, MaskedMeanPooling
from bert4keras.models import FAMILIES, build_transformer_model
from bert4keras.models.two_stream import TwoStream
from bert4keras.tasks.classification import MultiSampleDropout
from bert4keras.tasks.linking import BiLSTM, CandidateRanking, CCKS2019Pointer
from bert4keras.tasks.reading import SpanExtraction
from bert4keras.tasks.relations import CasRel, GPLinker
from bert4keras.tasks.similarity import SegmentMeans, sentence_encoder
from bert4keras.tasks.sql import NL2SQL
from bert4keras.tasks.tagging import (
    ConditionalRandomField,
    EfficientGlobalPointer,
    GlobalPointer,
    MaximumEntropyMarkovModel,
)
from helpers import tiny
from helpers.family_models import SINGLE, build

pytestmark = pytest.mark.spread

PAD = 3  # no family's default: what assumes 0, or 1, fails
REAL = np.array([[1, 1, 1, 1, 1, 1], [1, 1, 1, 0, 0, 0], [1, 0, 0, 0, 0, 0]], bool)
TOKENS = np.where(REAL, np.random.default_rng(0).integers(4, 20, REAL.shape), PAD).astype("int32")
SEGMENTS = np.zeros_like(TOKENS)
POOL = keras.layers.GlobalAveragePooling1D


def values(model) -> list[np.ndarray]:
    """Outputs of a model of token ids and perhaps segment ids, uncompiled."""
    arrays = [TOKENS, SEGMENTS][: len(model.inputs)]
    arrays = [ops.convert_to_tensor(array) for array in arrays]
    outputs = model(arrays if len(arrays) > 1 else arrays[0], training=False)
    return [ops.convert_to_numpy(y) for y in keras.tree.flatten(outputs)]


def mean(x, real=REAL):
    return (x * real[..., None]).sum(1) / real.sum(1)[:, None]


def bert(**options):
    return build("bert", config={"pad_token_id": PAD}, **options)


@pytest.mark.parametrize("family", SINGLE)
def test_a_pooling_layer_of_keras_sees_the_padding(family):
    model = build(family, config={"pad_token_id": PAD})
    states = [*model.hidden_states, model.output]
    found = values(keras.Model(model.input, [*states, *map(POOL(), states)]))
    for x, pooled in zip(found[: len(states)], found[len(states) :], strict=True):
        np.testing.assert_allclose(pooled, mean(x), atol=1e-5)
    assert np.abs(pooled - x.mean(1)).max() > 1e-3  # the padding would have been seen


@pytest.mark.parametrize("make", [tiny.build, lambda _: build("gpt2")])
def test_nothing_is_padding_where_the_config_names_none(make):
    model = make({"pad_token_id": None})
    assert keras_mask(model.output) is None
    x, pooled = values(keras.Model(model.input, [model.output, POOL()(model.output)]))
    np.testing.assert_allclose(pooled, x.mean(1), atol=1e-5)


def test_options_keep_the_mask():
    for options in (
        {"residual_attention_scores": True},
        {"remat": True},
        {"layer_norm_cond": keras.Input((4,), name="Condition")},
    ):
        condition = options.get("layer_norm_cond")
        more = {} if condition is None else {"additional_input_layers": condition}
        assert keras_mask(bert(**options, **more).output) is not None
    stream = bert(application=TwoStream(4, "lm"), with_mlm="linear")
    scores, pooled = values(keras.Model(stream.input, [stream.output, POOL()(stream.output)]))
    np.testing.assert_allclose(pooled, mean(scores), atol=1e-5)


def test_encoder_and_decoder_have_masks_of_their_own():
    sizes = {**tiny.SIZES, "pad_token_id": PAD}
    model = build_transformer_model(
        FAMILIES["t5.1.1"].transformer.config_class.from_dict(sizes), model="t5.1.1", with_mlm=False
    )
    source = np.ascontiguousarray(TOKENS[:, ::-1])
    target = np.roll(TOKENS, 1, axis=1)
    target[:, 0] = PAD  # the start token, which is no padding
    encoder = model.transformer.encoder
    outputs = [encoder.output, POOL()(encoder.output)]
    x, pooled = (
        ops.convert_to_numpy(y)
        for y in keras.Model(encoder.input, outputs)(ops.convert_to_tensor(source))
    )
    np.testing.assert_allclose(pooled, mean(x, source != PAD), atol=1e-5)
    both = keras.Model(model.input, [model.output, POOL()(model.output)])
    x, pooled = map(ops.convert_to_numpy, both([*map(ops.convert_to_tensor, (source, target))]))
    real = target != PAD
    real[:, 0] = True
    np.testing.assert_allclose(pooled, mean(x, real), atol=1e-5)


@pytest.mark.parametrize("recurrent", ["LSTM", "GRU"])
def test_a_recurrent_layer_ends_where_the_text_does(recurrent):
    model = bert()
    layer = getattr(keras.layers, recurrent)(4)
    both = keras.Model(model.input, layer(model.output))
    (found,) = values(both)
    vectors = values(model)[0]
    for row, length in enumerate(REAL.sum(1)):
        alone = ops.convert_to_numpy(layer(ops.convert_to_tensor(vectors[row : row + 1, :length])))
        np.testing.assert_allclose(found[row], alone[0], atol=1e-5)


def test_the_mask_survives_being_a_layer_and_a_file(tmp_path):
    model = bert()
    inputs = [keras.Input((None,), dtype="int32", name=name) for name in ("ids", "segments")]
    x = model(inputs)
    assert keras_mask(x) is not None
    outer = keras.Model(inputs, [POOL()(x), MaskedMeanPooling()(x)])
    wanted = mean(values(model)[0])
    outer.save(tmp_path / "outer.keras")
    inner = keras.Model(model.input, [POOL()(model.output), MaskedMeanPooling()(model.output)])
    inner.save(tmp_path / "inner.keras")
    model.save(tmp_path / "bert.keras")
    again = keras.models.load_model(tmp_path / "bert.keras")
    loaded = [keras.models.load_model(tmp_path / f"{name}.keras") for name in ("outer", "inner")]
    for some in (outer, inner, *loaded, keras.Model(again.input, POOL()(again.output))):
        for pooled in values(some):
            np.testing.assert_allclose(pooled, wanted, atol=1e-5)


def test_a_named_input_is_found_where_the_model_is_a_layer():
    model = bert()
    ids = keras.Input((None,), dtype="int32", name="Input-Token")
    segments = keras.Input((None,), dtype="int32", name="Input-Segment")
    inputs = {"Input-Segment": segments, "Input-Token": ids}
    pooled = POOL()(model(inputs))
    found = keras.Model([ids, segments], pooled)
    np.testing.assert_allclose(values(found)[0], mean(values(model)[0]), atol=1e-5)


def test_loss_and_accuracy_of_keras_leave_padding_out():
    model = bert()
    x = keras.layers.Dense(5, activation="softmax")(model.output)
    tagger = keras.Model(model.input, x)
    tagger.compile(loss="sparse_categorical_crossentropy", metrics=["accuracy"])
    labels = np.random.default_rng(1).integers(0, 5, REAL.shape)
    found = tagger.evaluate([TOKENS, SEGMENTS], labels, verbose=0, return_dict=True)
    chances = values(tagger)[0].astype("float64")
    logs = -np.log(np.take_along_axis(chances, labels[..., None], -1)[..., 0])
    np.testing.assert_allclose(found["loss"], logs[REAL].mean(), rtol=1e-5)
    right = (chances.argmax(-1) == labels)[REAL].mean()
    np.testing.assert_allclose(found["accuracy"], right, rtol=1e-5)


def test_the_language_model_head_carries_the_mask_and_pooling_ends_it():
    model = bert(with_pool=True, with_mlm=True)
    assert [keras_mask(x) is not None for x in model.outputs] == [False, True]
    model = build("electra", config={"pad_token_id": PAD}, with_discriminator=True)
    assert keras_mask(model.output) is not None


def one_hot_spans():
    labels = np.zeros((3, 2, 6, 6), "int32")
    labels[:, 0, 0, 0] = labels[0, 1, 2, 4] = 1
    return labels


def tags():
    return np.where(REAL, np.random.default_rng(2).integers(0, 4, REAL.shape), -1)


def subject_labels():
    return np.where(REAL[..., None], np.random.default_rng(2).integers(0, 2, (3, 6, 6)), -1)


COLUMNS = np.array([[[1, 2]], [[1, 2]], [[0, 0]]], "int32")
HEADS = {
    "crf": (lambda: ConditionalRandomField(), 4, (), tags),
    "memm": (lambda: MaximumEntropyMarkovModel(), 4, (), tags),
    "pointer": (lambda: GlobalPointer(2, 4), None, (), one_hot_spans),
    "efficient": (lambda: EfficientGlobalPointer(2, 4), None, (), one_hot_spans),
    "linker": (lambda: GPLinker(1, 4), None, (), lambda: np.repeat(one_hot_spans(), 2, 1)),
    "casrel": (
        lambda: CasRel(2),
        None,
        (np.zeros((3, 2), "int32"),),
        subject_labels,
    ),
    "span": (
        lambda: SpanExtraction(),
        None,
        (REAL.astype("int32"),),
        lambda: np.zeros((3, 2), "int32"),
    ),
    "ranking": (
        lambda: CandidateRanking(dropout_rate=0),
        None,
        (np.array([[1, 2], [1, 2], [0, 0]], "int32"),),
        lambda: np.array([1, 0, -1]),
    ),
    "mentions": (
        lambda: CCKS2019Pointer(4),
        None,
        (np.repeat(REAL[..., None], 2, -1).astype("int32"),),
        lambda: np.repeat(REAL[..., None], 2, -1).astype("int32"),
    ),
}


@pytest.mark.parametrize("name", HEADS)
def test_the_loss_of_a_head_is_weighted_by_no_mask(name):
    make, units, others, labels = HEADS[name]
    model, head = bert(dropout_rate=0.0), make()
    more = [keras.Input(x.shape[1:], dtype="int32") for x in others]
    x = model.output if units is None else keras.layers.Dense(units)(model.output)
    scores = head([x, *more] if more else x)
    assert keras_mask(scores) is None
    full = keras.Model([*model.inputs, *more], scores)
    full.compile("sgd", loss=head.loss)
    x, y = [TOKENS, SEGMENTS, *others], labels()
    tensors = [ops.convert_to_tensor(array) for array in x]
    wanted = np.mean(ops.convert_to_numpy(head.loss(ops.convert_to_tensor(y), full(tensors))))
    found = full.fit(x, y, batch_size=3, verbose=0).history["loss"][0]
    np.testing.assert_allclose(found, wanted, rtol=1e-4)


def test_the_other_heads_say_what_they_do_with_a_mask():
    x = bert().output
    assert keras_mask(BiLSTM(3)([x, keras.Input((None,))])) is not None
    assert keras_mask(MultiSampleDropout(3)(x)) is not None
    assert keras_mask(FirstToken()(x)) is None
    scores = NL2SQL(4)([x, keras.Input(COLUMNS.shape[1:], dtype="int32")])
    assert all(keras_mask(part) is None for part in scores.values())


def test_a_layer_that_knows_no_masks_is_warned_of_and_works():
    class Doubled(keras.layers.Layer):
        def call(self, x):
            return 2 * x

    model = bert()
    with pytest.warns(UserWarning, match="does not support masking"):
        doubled = Doubled()(model.output)
    assert keras_mask(doubled) is None


def test_padding_is_read_from_the_mask_or_from_the_ids():
    model = bert()
    ids = model.inputs[0]
    for pooled in (
        MaskedMeanPooling()(model.output),
        MaskedMeanPooling()([model.output, ids]),
        MaskedMeanPooling(pad_token_id=PAD)([model.output, ids]),
    ):
        (found,) = values(keras.Model(model.input, pooled))
        np.testing.assert_allclose(found, mean(values(model)[0]), atol=1e-5)
    # An explicit mask takes precedence over a Keras mask.
    first = MaskedMeanPooling(pad_token_id=int(TOKENS[0, 0]))([model.output, ids])
    real = TOKENS[0, 0] != TOKENS
    (found,) = values(keras.Model(model.input, first))
    np.testing.assert_allclose(found, mean(values(model)[0], real), atol=1e-5)


@pytest.mark.parametrize("pooling", ["mean", "first-last"])
def test_a_sentence_encoder_without_padding_counts_all_tokens(pooling):
    model = build("gpt2", application="encoder")
    (found,) = values(sentence_encoder(model, pooling))
    x = values(keras.Model(model.input, [model.hidden_states[1], model.output]))
    wanted = [x[1].mean(1)] if pooling == "mean" else [x[0].mean(1), x[1].mean(1)]
    np.testing.assert_allclose(found, np.mean(wanted, axis=0), atol=1e-5)


@pytest.mark.parametrize(
    "layer",
    [
        lambda **o: MaskedMeanPooling(**o),
        lambda **o: GlobalPointer(2, 4, **o),
        lambda **o: GPLinker(2, 4, **o),
    ],
)
def test_nobody_guesses_what_is_padding(layer):
    model = build("gpt2")
    with pytest.raises(ValueError, match=r"carry no Keras mask.*pad_token_id=bert\.config"):
        layer()(model.output)
    with pytest.raises(ValueError, match="carry no Keras mask"):
        layer()([model.output, model.inputs[0]])
    with pytest.raises(ValueError, match="compares pad_token_id=3 with token ids and got none"):
        layer(pad_token_id=3)(model.output)
    with pytest.raises(ValueError, match="but got 3 inputs"):
        layer()([model.output, model.inputs[0], model.inputs[0]])
    assert layer(pad_token_id=-1)(model.output) is not None
    with pytest.raises(ValueError, match="carry no Keras mask"):
        layer()(ops.ones((1, 2, 8)))


def test_a_pair_of_means_needs_no_ids():
    model = bert()
    halves = SegmentMeans()([model.output, model.inputs[1]])
    first, second = values(keras.Model(model.input, halves))
    np.testing.assert_allclose(first, mean(values(model)[0]), atol=1e-5)
    assert not second.any()


def test_casrel_decodes_arrays_by_a_mask():
    x = np.random.default_rng(0).normal(size=(3, 6, 8)).astype("float32")
    head = CasRel(2, pad_token_id=PAD)
    wanted = head.decode(x, TOKENS, start=0.1, end=0.1)
    weights = head.get_weights()
    other = CasRel(2)
    with pytest.raises(ValueError, match="Pass mask="):
        other.decode(x, TOKENS)
    other.build([(None, None, 8), (None, None), (None, 2)])
    other.set_weights(weights)
    assert other.decode(x, TOKENS, start=0.1, end=0.1, mask=REAL) == wanted
    assert any(wanted)


def test_a_model_without_padding_stays_so_in_a_file(tmp_path):
    model = tiny.build({"pad_token_id": None})
    model.save(tmp_path / "m.keras")
    again = keras.models.load_model(tmp_path / "m.keras")
    assert again.config.pad_token_id is None
    assert keras_mask(again.output) is None
