"""The wrapper: what it works with, what survives it, what it refuses."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from keras import ops

from bert4keras.config import TransformerConfig
from bert4keras.layers import MaskedMeanPooling
from bert4keras.models import build_transformer_model
from bert4keras.tasks.classification import MultiSampleDropout
from bert4keras.tasks.tagging import ConditionalRandomField
from bert4keras.training import FGM, PGD, VAT, GradientPenalty, Mixup, RDrop, RegularizedModel
from bert4keras.training.techniques import global_norm
from helpers.regularizing import (
    IDS,
    LABELS,
    LOSS,
    gradients,
    moved_rows,
    norm,
    numpy,
    small_model,
    step_of,
    tied_model,
)

COMPILED = keras.backend.backend() != "torch"
EVERYTHING = [RDrop(), PGD(0.5, steps=2), GradientPenalty(), VAT(0.5)]


def seeded(model: RegularizedModel) -> RegularizedModel:
    """With the random start of a technique fixed."""
    model.seed_generator.state.assign([1, 0])
    return model


@pytest.mark.spread
@pytest.mark.parametrize("techniques", [[Mixup()], EVERYTHING], ids=len)
def test_learns(techniques):
    """Eagerly, dropout on: the loss of the plain model falls; weights are those of the plain."""
    plain = small_model(rate=0.1)
    model = RegularizedModel(plain, techniques)
    model.compile(keras.optimizers.Adam(0.05), LOSS, run_eagerly=True)
    before = model.evaluate(IDS, LABELS, verbose=0)
    for _ in range(8):
        model.train_on_batch(IDS, LABELS)
    after = model.evaluate(IDS, LABELS, verbose=0)
    assert np.isfinite(after)
    assert after < 0.9 * before
    found = plain.predict(IDS, verbose=0)  # compiled, where the other runs eagerly
    np.testing.assert_allclose(model.predict(IDS, verbose=0), found, atol=1e-6)


def test_compiled_is_eager():
    """The same gradient, jitted where the backend does."""
    techniques = [RDrop(), PGD(0.5, steps=2), GradientPenalty()]
    eager, compiled = (
        gradients(RegularizedModel(small_model(), techniques), jit=jit and COMPILED)
        for jit in (False, True)
    )
    for ours, theirs in zip(compiled, eager, strict=True):
        np.testing.assert_allclose(ours, theirs, atol=2e-5)


@pytest.mark.spread(over="tensorflow jax")
def test_random_techniques_compile():
    """Compiled TensorFlow draws other numbers, so there is no equality."""
    techniques = [Mixup(0.5, "Hidden"), FGM(0.5, clean=False), VAT(0.5)]
    found = gradients(RegularizedModel(small_model(0.2), techniques), jit=COMPILED)
    assert all(0 < norm([gradient]) < 10 for gradient in found)


def test_a_tied_matrix_is_moved_only_where_it_is_read():
    """The gradient is that of two matrices, of which the first is moved."""
    two, ids = tied_model(untie=True), np.array([[1, 5, 2], [7, 3, 9]], "int32")
    first, before = gradients(two, ids, ids), two.get_weights()
    slope = first[0]
    moved_rows(two, slope * (0.7 / np.linalg.norm(slope)))
    second = gradients(two, ids, ids)
    two.set_weights(before)
    table, kernel, bias, other = (a + b for a, b in zip(first, second, strict=True))
    found = gradients(RegularizedModel(tied_model(), [FGM(0.7)]), ids, ids)
    for ours, theirs in zip(found, [table + other, kernel, bias], strict=True):
        np.testing.assert_allclose(ours, theirs, atol=3e-6)


class Agreement(keras.layers.Layer):
    """Adds the cross entropy of labels that are an input: a loss within the model."""

    def call(self, inputs):
        labels, probabilities = inputs
        loss = keras.losses.sparse_categorical_crossentropy(labels, probabilities)
        self.add_loss(ops.mean(loss))
        return probabilities


def model_with_loss() -> keras.Model:
    model, labels = small_model(), keras.Input((), dtype="int32", name="labels")
    return keras.Model([*model.inputs, labels], Agreement()([labels, model.output]))


@pytest.mark.parametrize("technique", [FGM(0.8), RDrop(), VAT(0.8)], ids=str)
def test_a_loss_within_the_model(technique):
    """Gives the same gradients as that loss compiled."""
    inside = seeded(RegularizedModel(model_with_loss(), [technique]))
    outside = seeded(RegularizedModel(small_model(), [technique]))
    found = gradients(inside, [IDS, LABELS], None, loss=None)
    for ours, theirs in zip(found, gradients(outside), strict=True):
        np.testing.assert_allclose(ours, theirs, atol=3e-6)


def test_several_inputs_look_ups_and_outputs():
    """One layer that is read twice: both readings are moved, by one norm. Inputs by name."""
    keras.utils.set_random_seed(0)
    inputs = {name: keras.Input((3,), dtype="int32", name=name) for name in ("left", "right")}
    table = keras.layers.Embedding(12, 4, name="Words")
    left, right = (keras.layers.Flatten()(table(x)) for x in inputs.values())
    outputs = {"a": keras.layers.Dense(3, "softmax", name="a")(left - right)}
    outputs["b"] = keras.layers.Dense(3, "softmax", name="b")(left * right)
    plain = keras.Model(inputs, outputs)
    x, y = {"left": IDS[:2], "right": IDS[2:]}, {"a": LABELS[:2], "b": LABELS[2:]}
    losses = {"a": LOSS, "b": LOSS}
    first, before = gradients(plain, x, y, loss=losses), plain.get_weights()
    moved_rows(plain, first[0] * (0.6 / np.linalg.norm(first[0])))
    second = gradients(plain, x, y, loss=losses)
    plain.set_weights(before)
    model = RegularizedModel(plain, [FGM(0.6)], embedding="Words")
    for ours, a, b in zip(gradients(model, x, y, loss=losses), first, second, strict=True):
        np.testing.assert_allclose(ours, a + b, atol=3e-6)
    model.compile("sgd", losses)
    logs = model.fit(x, y, verbose=0).history
    assert {"loss", "a_loss", "b_loss"} <= set(logs)
    assert logs["a_loss"][0] > 0


@pytest.mark.spread
def test_layers_with_state_and_losses():
    """Batch statistics take in the batch once, as it is; regularizers count in each pass."""
    keras.utils.set_random_seed(0)
    ids = keras.Input((3,), dtype="int32")
    x = keras.layers.Embedding(12, 4, name="Embedding-Token")(ids)
    x = keras.layers.Flatten()(x)
    x = keras.layers.BatchNormalization(momentum=0.5)(x)
    x = keras.layers.Dense(5, kernel_regularizer=keras.regularizers.L2(0.3))(x)
    plain = keras.Model(ids, MultiSampleDropout(3, 2, 0.0)(x))
    table = plain.get_weights()[0]
    expected = 0.5 * table[IDS].reshape(4, -1).mean(0)
    clean, both = gradients(plain), gradients(RegularizedModel(plain, [FGM(1e-7)]))
    names = [w.name for w in plain.weights]
    for name, ours, theirs in zip(names, both, clean, strict=True):
        if "moving" not in name:
            np.testing.assert_allclose(ours, 2 * theirs, atol=2e-4, err_msg=name)
    mean = names.index("moving_mean")
    np.testing.assert_allclose(-both[mean], expected, atol=1e-6)


@pytest.mark.spread(over="tensorflow jax")
@pytest.mark.parametrize("technique", [FGM(0.5), GradientPenalty(0.5), VAT(0.5)], ids=str)
@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16"])
def test_mixed_precision(policy, technique):
    """Gradients near those in float32; in float16 they are scaled, and too large ones skip."""
    exact = gradients(seeded(RegularizedModel(small_model(), [technique])))
    keras.config.set_dtype_policy(policy)
    model = seeded(RegularizedModel(small_model(), [technique]))
    found = gradients(model)
    assert ("loss_scale" in model.optimizer.name) == (policy == "mixed_float16")
    for ours, theirs in zip(found, exact, strict=True):
        assert norm([ours - theirs]) < 0.05 * norm(exact)
    if policy == "mixed_float16":
        before, optimizer = model.get_weights(), keras.optimizers.SGD(0.1)
        optimizer = keras.optimizers.LossScaleOptimizer(optimizer, initial_scale=2.0**30)
        model.compile(optimizer, LOSS, jit_compile=COMPILED)
        loss = model.fit(IDS, LABELS, batch_size=4, verbose=0).history["loss"]
        assert np.isfinite(loss).all()
        assert float(numpy(optimizer.dynamic_scale)) == 2.0**29
        for ours, theirs in zip(model.get_weights(), before, strict=True):
            np.testing.assert_array_equal(ours, theirs)


@pytest.mark.spread(over="tensorflow jax")
def test_accumulated_gradients():
    """Two halves with accumulation of 2 are one step of their mean."""
    halves = [
        gradients(RegularizedModel(small_model(), [FGM(0.5)]), IDS[i::2], LABELS[i::2])
        for i in (0, 1)
    ]
    model = RegularizedModel(small_model(), [FGM(0.5)])
    before = model.get_weights()
    optimizer = keras.optimizers.SGD(1.0, gradient_accumulation_steps=2)
    model.compile(optimizer, LOSS, jit_compile=COMPILED)
    order = [0, 2, 1, 3]
    model.fit(IDS[order], LABELS[order], batch_size=2, shuffle=False, verbose=0)
    for old, new, a, b in zip(before, model.get_weights(), *halves, strict=True):
        np.testing.assert_allclose(old - new, (a + b) / 2, atol=3e-6)


def small_bert(**options) -> tuple[keras.Model, list[np.ndarray]]:
    """A classifier of two blocks, and its inputs."""
    keras.utils.set_random_seed(1)
    sizes = {"hidden_size": 8, "num_hidden_layers": 2, "num_attention_heads": 2, "vocab_size": 12}
    sizes |= {"intermediate_size": 16, "max_position": 8, "initializer_range": 0.3}
    rates = {"dropout_rate": 0.0, "attention_dropout_rate": 0.0}
    bert = build_transformer_model(TransformerConfig(**sizes, **rates), model="bert", **options)
    scores = keras.layers.Dense(3, "softmax")(MaskedMeanPooling()([bert.output, bert.input[0]]))
    return keras.Model(bert.input, scores), [IDS, np.zeros_like(IDS)]


@pytest.mark.spread(over="tensorflow jax")
@pytest.mark.parametrize("technique", [FGM(), PGD(steps=2), VAT(), RDrop(), GradientPenalty()])
def test_blocks_that_are_computed_again(technique):
    """The same gradients with `remat`; only JAX can differentiate twice."""
    (plain, inputs), (saving, _) = small_bert(), small_bert(remat=True)
    saving.set_weights(plain.get_weights())
    if isinstance(technique, GradientPenalty) and keras.backend.backend() != "jax":
        with pytest.raises(ValueError, match=r"twice.*through.*Transformer-0-.*without `remat`"):
            RegularizedModel(saving, [technique])
        return
    wanted, found = (
        gradients(seeded(RegularizedModel(model, [technique])), inputs, jit=COMPILED)
        for model in (plain, saving)
    )
    for one, other in zip(found, wanted, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-5)


@pytest.mark.spread
def test_saved_and_read_again(tmp_path):
    """The model with techniques and optimizer, the plain model, and weights of one in the other."""
    techniques = [Mixup(0.5, "Hidden"), PGD(0.5), GradientPenalty(0.1), VAT(0.3, from_logits=False)]
    model = RegularizedModel(small_model(rate=0.1), techniques, name="mine")
    model.compile(keras.optimizers.Adam(0.01), LOSS, metrics=["accuracy"], run_eagerly=True)
    model.train_on_batch(IDS, LABELS)
    expected = model.predict(IDS, verbose=0)
    model.save(tmp_path / "whole.keras")
    model.plain.save(tmp_path / "plain.keras")
    again = keras.models.load_model(tmp_path / "whole.keras")
    assert isinstance(again, RegularizedModel)
    assert again.techniques == tuple(techniques)
    assert (again.name, again.embedding.name) == ("mine", "Embedding-Token")
    assert again.optimizer.iterations == 1
    again.train_on_batch(IDS, LABELS)
    plain = keras.models.load_model(tmp_path / "plain.keras")
    assert type(plain).__name__ == "Functional"
    np.testing.assert_allclose(plain.predict(IDS, verbose=0), expected, atol=1e-6)
    for source, target in (
        (model, small_model(seed=3)),
        (plain, RegularizedModel(small_model(), [FGM()])),
    ):
        source.save_weights(tmp_path / "some.weights.h5")
        target.load_weights(tmp_path / "some.weights.h5")
        np.testing.assert_allclose(target.predict(IDS, verbose=0), expected, atol=1e-6)


def test_calling_the_model_is_plain():
    model = RegularizedModel(small_model(rate=0.5), [RDrop(), FGM(1.0)])
    assert tuple(model(IDS, training=True).shape) == (4, 3)
    model.compile(loss=LOSS)
    assert model.evaluate(IDS, LABELS, verbose=0) == pytest.approx(
        np.mean(-np.log(model.predict(IDS, verbose=0)[np.arange(4), LABELS])), rel=1e-5
    )


@pytest.mark.spread
def test_an_implicit_mask_stays():
    """A mask that the embedding layer makes is also attached to perturbed vectors."""
    ids = keras.Input((3,), dtype="int32")
    x = keras.layers.Embedding(12, 4, mask_zero=True, name="Embedding-Token")(ids)
    plain = keras.Model(ids, keras.layers.GlobalAveragePooling1D()(x))
    model = RegularizedModel(plain, [FGM()])
    padded = np.array([[1, 5, 0], [7, 0, 0]], "int32")
    step = step_of(model, padded, LABELS[:2])
    vectors = step.embed()
    found = numpy(step.forward(vectors, loss=lambda outputs: ops.mean(outputs))[1][0])
    np.testing.assert_allclose(found, plain.predict(padded, verbose=0), atol=1e-6)
    assert float(numpy(global_norm(vectors))) > 0


def sequential() -> keras.Model:
    class Subclassed(keras.Model):
        def call(self, x):
            return x

    return Subclassed()


def nested() -> keras.Model:
    inner, ids = small_model(), keras.Input((3,), dtype="int32")
    return keras.Model(ids, keras.layers.Dense(2, name="Top")(inner(ids)))


def two_outputs() -> keras.Model:
    model = small_model()
    return keras.Model(model.input, [model.output, keras.layers.Dense(1, name="b")(model.output)])


@pytest.mark.spread
@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (
            lambda: RegularizedModel(sequential(), [FGM()]),
            TypeError,
            "functional model.*not a Subclass",
        ),
        (
            lambda: RegularizedModel(RegularizedModel(small_model(), [FGM()]), [RDrop()]),
            ValueError,
            "RegularizedModel already, with FGM.*one list",
        ),
        (
            lambda: RegularizedModel(small_model(), [FGM()], embedding="Hidden"),
            ValueError,
            "no layer 'Hidden' that looks up.*Those that do: Embedding-Token",
        ),
        (
            lambda: RegularizedModel(nested(), [FGM()]),
            ValueError,
            "do: none.*It calls the models func",
        ),
        (lambda: RegularizedModel(small_model(), []), ValueError, "at least one technique"),
        (lambda: RegularizedModel(small_model(), ["fgm"]), TypeError, "techniques such as.*'fgm'"),
        (
            lambda: RegularizedModel(small_model(), [FGM(), PGD()]),
            ValueError,
            "FGM and PGD exclude",
        ),
        (
            lambda: RegularizedModel(small_model(), [RDrop(), Mixup()]),
            ValueError,
            "RDrop and Mixup ex",
        ),
        (
            lambda: RegularizedModel(two_outputs(), [VAT()]),
            ValueError,
            "VAT compares.*has 2 outputs",
        ),
        (
            lambda: RegularizedModel(small_model(), [Mixup(layer="Pooler")]),
            ValueError,
            "Mixup: the model calls a layer 'Pooler' 0 times.*Hidden.*Pooled",
        ),
        (
            lambda: RegularizedModel(model_with_loss(), [Mixup()]).compile("sgd"),
            ValueError,
            "Mixup needs the labels as targets and a loss in `compile`",
        ),
        (
            lambda: RegularizedModel(small_model(), [GradientPenalty()]).compile(
                "sgd", ConditionalRandomField().loss
            ),
            ValueError,
            "GradientPenalty differentiates the loss twice.*ConditionalRandomField",
        ),
    ],
)
def test_refused(make, error, message):
    with pytest.raises(error, match=message):
        make()
