"""T5: its two parts, masks of the decoder, decoding with a cache, and the options."""

from __future__ import annotations

import keras
import numpy as np
import pytest

from bert4keras.config import ConfigError
from bert4keras.layers.bucket_embedding import distance_buckets
from bert4keras.masks import LM, Mask
from bert4keras.models import FAMILIES as REGISTERED
from bert4keras.models import build_transformer_model
from helpers import tiny
from helpers.families import FAMILIES, TOLERANCE, TOLERANCES, build, gap, reference
from helpers.steps import step_all

pytestmark = pytest.mark.spread

NAMES = ["t5", "t5.1.1", "mt5"]
SOURCE, TARGET = "encoder_token_ids", "token_ids"


@pytest.fixture(scope="module", params=NAMES)
def model(request):
    """One of the recorded models, and what it should give."""
    return build(request.param), reference(request.param), request.param


@pytest.fixture(scope="module")
def t5():
    return build("t5"), reference("t5")


def predict(model, arrays, **changes):
    return model.predict([{**arrays, **changes}[name] for name in (SOURCE, TARGET)], verbose=0)


def real(arrays, side=""):
    return arrays[f"{side}attention_mask"].astype(bool)


def test_names_of_inputs_and_layers(t5):
    model, _ = t5
    parts = model.transformer
    assert [x.name for x in model.inputs] == ["Encoder-Input-Token", "Decoder-Input-Token"]
    assert [x.name for x in parts.encoder.inputs] == ["Encoder-Input-Token"]
    inputs = ["Input-Context", "Encoder-Input-Token", "Decoder-Input-Token"]
    assert [x.name for x in parts.decoder.inputs] == inputs
    names = """Embedding-Token Encoder-Embedding-Relative-Position Encoder-Output-Norm
        Encoder-Transformer-1-MultiHeadSelfAttention Encoder-Transformer-1-FeedForward-Norm
        Decoder-Embedding-Relative-Position Decoder-Transformer-2-MultiHeadSelfAttention-Norm
        Decoder-Transformer-2-MultiHeadCrossAttention Decoder-Transformer-2-FeedForward
        Decoder-Output-Norm""".split()
    for name in names:
        part = parts.encoder if name.startswith("Encoder") else parts.decoder
        assert part.get_layer(name) is model.get_layer(name)


def test_the_parts_give_what_the_whole_gives(model):
    model, arrays, name = model
    encoder, decoder = model.transformer.encoder, model.transformer.decoder
    states = keras.Model(encoder.input, list(encoder.hidden_states))
    states = states.predict(arrays[SOURCE], verbose=0)
    for ours, theirs in zip(states, arrays["encoder_hidden_states"], strict=True):
        assert gap(ours, theirs, real(arrays, "encoder_")) < TOLERANCES.get(name, TOLERANCE)
    # What is written at padding has no influence, but the decoder must be told where it is.
    states[-1][~real(arrays, "encoder_")] = 7.0
    logits = decoder.predict([states[-1], arrays[SOURCE], arrays[TARGET]], verbose=0)
    assert gap(logits, arrays["with_mlm"], real(arrays)) < TOLERANCES.get(name, TOLERANCE)
    logits = decoder.predict([states[-1], np.maximum(arrays[SOURCE], 1), arrays[TARGET]], verbose=0)
    assert gap(logits, arrays["with_mlm"], real(arrays)) > 1e-2


@pytest.mark.parametrize(
    "options",
    [
        {"scale_decoder_outputs": False},
        {"relative_attention_max_distance": 9},
        {"cross_position_bias": True},
        {"norm_epsilon": 1e-2},
    ],
    ids=str,
)
def test_another_option_would_be_noticed(options):
    arrays = reference("t5")
    logits = predict(build("t5", **options), arrays)
    assert gap(logits, arrays["with_mlm"], real(arrays)) > 5e-3


def test_a_hidden_start_token_would_be_noticed(t5):
    model, arrays = t5
    mask = model.get_layer("Decoder-Attention-Mask")
    mask.start_token = False
    try:
        shown = mask({"token_ids": arrays[TARGET]})
    finally:
        mask.start_token = True
    assert (arrays[TARGET][:, 0] == 0).all()
    assert not keras.ops.convert_to_numpy(shown)[..., 0].any()
    assert keras.ops.convert_to_numpy(mask({"token_ids": arrays[TARGET]}))[..., 0].all()


def test_an_encoder_position_off_by_one_would_be_noticed():
    arrays, model = reference("t5"), build("t5", custom_position_ids=True)
    places = {
        SOURCE: np.tile(np.arange(arrays[SOURCE].shape[1], dtype="int32"), (3, 1)),
        TARGET: np.tile(np.arange(arrays[TARGET].shape[1], dtype="int32"), (3, 1)),
    }

    def error():
        x = [arrays[SOURCE], places[SOURCE], arrays[TARGET], places[TARGET]]
        return gap(model.predict(x, verbose=0), arrays["with_mlm"], real(arrays))

    assert error() < TOLERANCE
    places[SOURCE] = places[SOURCE] + (np.arange(arrays[SOURCE].shape[1]) >= 1)
    assert error() > 1e-3


# Where each bucket starts, as transformers' T5Attention has it.
STARTS = {
    (32, 128, True): [*range(9), 12, 16, 23, 32, 46, 64, 91],
    (32, 128, False): [*range(17), 19, 21, 24, 27, 31, 35, 40, 46, 52, 59, 67, 77, 87, 99, 113],
    (8, 7, True): [0, 1, 2, 4],
}


@pytest.mark.parametrize(("key", "starts"), STARTS.items())
def test_buckets(key, starts):
    count, reach, bidirectional = key
    buckets = distance_buckets(count, reach, bidirectional)
    back, ahead = buckets[reach::-1], buckets[reach:]
    assert [int(np.argmax(back == b)) for b in range(len(starts))] == starts
    assert (np.diff(back) >= 0).all()
    assert back[-1] == len(starts) - 1
    expected = np.where(np.arange(reach + 1) > 0, back + len(starts), 0) if bidirectional else 0
    np.testing.assert_array_equal(ahead, np.broadcast_to(expected, ahead.shape))


LENGTH = 8
GIVEN = np.array([[1, 1, 1, 0, 0, 0, 0, 0]] * 2, "int32")
EXTRA = {
    "lm": {},
    "unilm": {"segment_ids": 1 - GIVEN},
    "prefix": {"prefix": GIVEN},
    "permutation": {"rank": np.array([[0, 3, 1, 2, 5, 4, 7, 6]] * 2, "int32")},
    "packed": {"document_ids": np.array([[1, 1, 1, 1, 2, 2, 2, 2]] * 2, "int32")},
}


def small(changes: dict | None = None, **options):
    """A T5 with random weights: the assembler, and inputs for it by name."""
    sizes = {key: value for key, value in tiny.SIZES.items() if key != "max_position"}
    config = REGISTERED["t5"].transformer.config_class(
        **{**sizes, "num_decoder_layers": 3, "attention_head_size": 5, **(changes or {})}
    )
    options = {"model": "t5", "with_mlm": "linear", "return_keras_model": False, **options}
    transformer = build_transformer_model(config, **options)
    rng = np.random.default_rng(0)
    for weight in transformer.model.trainable_weights:
        weight.assign_add(rng.normal(scale=0.2, size=weight.shape).astype("float32"))
    source, target = (rng.integers(1, 20, (2, n)).astype("int32") for n in (6, LENGTH))
    source[1, 4:] = 0
    target[:, 0] = 0
    extra = EXTRA.get(options.get("application", "lm"), {})
    named = {SOURCE: source, TARGET: target, **extra}
    if "document_ids" in extra:
        named["encoder_document_ids"] = np.array([[1, 1, 1, 2, 2, 2]] * 2, "int32")
    return transformer, {name: named[name] for name in transformer.model.input_order}


def sees(transformer, named, changed, at):
    """Return which target positions (LENGTH,) move when the token `at` of an input changes."""
    x = {name: value.copy() for name, value in named.items()}
    x[changed][:, at] = x[changed][:, at] % 19 + 1
    before, after = (transformer.model.predict(list(v.values()), verbose=0) for v in (named, x))
    return (np.abs(before - after).max(axis=(0, 2)) > 1e-5).astype(int).tolist()


@pytest.mark.parametrize(
    ("application", "expected"),
    [
        ("lm", [0, 0, 0, 0, 0, 1, 1, 1]),
        ("unilm", [0, 0, 0, 0, 0, 1, 1, 1]),
        ("permutation", [0, 0, 0, 0, 1, 1, 1, 1]),
        ("packed", [0, 0, 0, 0, 1, 1, 1, 1]),
        (Mask(), [1] * 8),
    ],
    ids=str,
)
def test_the_mask_is_the_decoders(application, expected):
    transformer, named = small(application=application)
    assert sees(transformer, named, TARGET, 5) == expected
    own = [0] * 4 + [1] * 4 if application == "packed" else [1] * 8
    assert sees(transformer, named, SOURCE, 5) == own


def test_a_prefix_sees_itself():
    transformer, named = small(application="prefix")
    assert sees(transformer, named, TARGET, 2) == [1] * 8
    assert sees(transformer, named, TARGET, 3) == [0, 0, 0, 1, 1, 1, 1, 1]


RESIDUAL = {"residual_attention_scores": True, "cross_position_bias": True}


@pytest.mark.parametrize(
    ("application", "first", "changes"),
    [
        ("lm", 1, {}),
        ("lm", 1, RESIDUAL),
        ("unilm", 3, {}),
        ("prefix", 3, {}),
        (LM() & Mask(), 2, {"gated": True, "tie_word_embeddings": False}),
    ],
    ids=str,
)
def test_row_by_row_equals_the_whole(application, first, changes):
    transformer, named = small(changes, application=application)
    whole = transformer.model.predict(list(named.values()), verbose=0)
    np.testing.assert_allclose(step_all(transformer, named, first), whole, atol=5e-5)


def test_the_source_is_read_once():
    transformer, named = small()
    whole = step_all(transformer, named, 1)
    named = {name: keras.ops.convert_to_tensor(value) for name, value in named.items()}
    rows = [keras.ops.convert_to_tensor(np.array(r, "int32")) for r in ([0, 1], [2], [3])]
    cache = transformer.empty_cache(2, LENGTH)
    assert sorted(cache) == [0, 1, 2]
    _, cache = transformer.step(named, rows[0], cache)
    assert sorted(cache) == [0, 1, 2, 3, 4, 5]

    def refuse(context):
        raise AssertionError("the encoder ran again")

    transformer.encode = refuse
    for row in rows[1:]:
        found, cache = transformer.step(named, row, cache)
    np.testing.assert_allclose(keras.ops.convert_to_numpy(found)[:, 0], whole[:, 3], atol=5e-5)
    with pytest.raises(AssertionError, match="ran again"):
        transformer.step(named, rows[0], transformer.empty_cache(2, LENGTH))


def test_the_decoder_alone_decodes():
    transformer, named = small()
    whole = transformer.model.predict(list(named.values()), verbose=0)
    encoded = transformer.encoder.predict(named[SOURCE], verbose=0)
    decoder = transformer.model.transformer.decoder.transformer
    np.testing.assert_allclose(
        step_all(decoder, {"context": encoded, **named}, 1), whole, atol=5e-5
    )


@pytest.mark.parametrize("part", ["whole", "encoder", "decoder"])
def test_saved_and_loaded_again(part, tmp_path):
    transformer, named = small({"gated": True, "tie_word_embeddings": False})
    model = transformer.model
    model = model if part == "whole" else getattr(model.transformer, part)
    encoded = np.random.default_rng(1).normal(size=(2, 6, 8)).astype("float32")
    x = {
        "whole": list(named.values()),
        "encoder": named[SOURCE],
        "decoder": [encoded, *named.values()],
    }[part]
    expected = model.predict(x, verbose=0)
    model.save(tmp_path / "t5.keras")
    again = keras.models.load_model(tmp_path / "t5.keras")
    assert (type(again), again.config) == (type(model), model.config)
    np.testing.assert_array_equal(again.predict(x, verbose=0), expected)


def trained(steps, optimizer, **changes):
    """Losses of a few steps, and the weights after them."""
    keras.utils.set_random_seed(0)
    transformer, named = small({"gated": True, **changes})
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    transformer.model.compile(optimizer, loss)
    x, labels = list(named.values()), named[TARGET]
    losses = [transformer.model.train_on_batch(x, labels) for _ in range(steps)]
    return losses, transformer.model.get_weights()


def test_a_step_computed_again_is_the_same():
    rates = {"dropout_rate": 0.0, "attention_dropout_rate": 0.0}
    _, kept = trained(1, keras.optimizers.SGD(0.1), **rates)
    _, again = trained(1, keras.optimizers.SGD(0.1), **rates, remat=True)
    _, start = trained(0, keras.optimizers.SGD(0.1), **rates)
    for left, right, before in zip(kept, again, start, strict=True):
        np.testing.assert_allclose(left, right, atol=1e-5)
        assert np.abs(left - before).max() > 1e-4


def test_training_in_mixed_precision():
    keras.config.set_dtype_policy("mixed_float16")
    losses, _ = trained(40, keras.optimizers.Adam(3e-2), remat=True)
    assert np.isfinite(losses).all()
    assert losses[-1] < 0.7 * losses[0]


def test_a_condition_reaches_both_parts():
    arrays, model = reference("t5"), build("t5", layer_norm_cond=3, ignore="*_dense/kernel")
    condition = np.ones((3, 3), "float32")
    names = ["Encoder-Input-Token", "Decoder-Input-Token", "Input-Condition"]
    assert [x.name for x in model.inputs] == names
    x = [arrays[SOURCE], arrays[TARGET], condition]
    plain = model.predict(x, verbose=0)
    assert gap(plain, arrays["with_mlm"], real(arrays)) < TOLERANCE
    for side in ("Encoder", "Decoder"):
        kernel = model.get_layer(f"{side}-Output-Norm").modulations[0].kernel
        kernel.assign(np.full(kernel.shape, 0.5, "float32"))
        changed = model.predict(x, verbose=0)
        assert np.abs(changed - plain).max() > 1e-2
        plain = changed


def test_prefix_and_shared_layers():
    transformer, named = small(prefix="My-")
    assert transformer.model.inputs[0].name == "My-Encoder-Input-Token"
    names = {layer.name for layer in transformer.model.layers}
    assert {"My-Embedding-Token", "My-Decoder-Output-Norm"} <= names
    other, _ = small()
    shared, _ = small(layers=other.layers)
    x = list(named.values())
    expected = other.model.predict(x, verbose=0)
    np.testing.assert_array_equal(shared.model.predict(x, verbose=0), expected)


def test_without_a_head_the_last_hidden_state(t5):
    _, arrays = t5
    states = predict(build("t5", with_mlm=False), arrays)
    assert gap(states, arrays["hidden_states"][-1], real(arrays)) < TOLERANCE
    probabilities = predict(build("t5", with_mlm=True), arrays)
    np.testing.assert_allclose(probabilities.sum(-1), 1, atol=1e-5)


def test_what_t5_cannot_be():
    with pytest.raises(ConfigError, match="hierarchical_position"):
        small({"hierarchical_position": 0.4})
    with pytest.raises(ConfigError, match="embedding_size"):
        small({"embedding_size": 4})
    with pytest.raises(ValueError, match="encoder has no language-model head"):
        build_transformer_model(FAMILIES / "t5", model="t5_encoder", with_mlm=True)
    transformer, named = small()
    named[TARGET][1, 2] = 99
    with pytest.raises(ValueError, match=r"token id 99 at \(1, 2\)"):
        transformer.model.predict(list(named.values()), verbose=0)
