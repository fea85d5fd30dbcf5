"""Large vectors in float16, and batches of no rows: losses and their gradients stay finite."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from keras import ops

from bert4keras import losses
from bert4keras.tasks.reading import SpanExtraction
from bert4keras.tasks.relations import CasRel, GPLinker
from bert4keras.tasks.sql.nl2sql import pair_loss, token_loss
from bert4keras.tasks.tagging import (
    ConditionalRandomField,
    EfficientGlobalPointer,
    GlobalPointer,
    MaximumEntropyMarkovModel,
)

pytestmark = pytest.mark.spread

T, D = 6, 16


def ints(value, *shape):
    return ops.convert_to_tensor(np.full(shape, value, "int32"))


def of_spans(head, kinds):
    def loss(x, ids):
        return head.sparse_loss(ints(1, len(ids), kinds, 1, 2), head([x, ids]))

    return loss


def of_casrel(x, ids):
    return CasRel.loss(
        ints(0, len(ids), T, 6), CasRel(2, pad_token_id=0)([x, ids, ints(0, len(ids), 2)])
    )


def of_labels(head):
    dense = keras.layers.Dense(3)
    return lambda x, ids: head.loss(ints(1, len(ids), T), head(dense(x)))


def of_answers(x, ids):
    return SpanExtraction().loss(ints(1, len(ids), 2), SpanExtraction()([x, ids]))


HEADS = {
    "GlobalPointer": lambda: of_spans(GlobalPointer(2, 8, pad_token_id=0), 2),
    "EfficientGlobalPointer": lambda: of_spans(EfficientGlobalPointer(2, 8, pad_token_id=0), 2),
    "GPLinker": lambda: of_spans(GPLinker(2, 8, pad_token_id=0), 6),
    "CasRel": lambda: of_casrel,
    "CRF": lambda: of_labels(ConditionalRandomField()),
    "MEMM": lambda: of_labels(MaximumEntropyMarkovModel()),
    "SpanExtraction": lambda: of_answers,
}
FUNCTIONS = {
    "zlpr": lambda x, ids: losses.multilabel_categorical_crossentropy(x * 0, x),
    "sparse zlpr": lambda x, ids: losses.sparse_multilabel_categorical_crossentropy(
        ints(1, len(ids), T, 1), x
    ),
    "focal": lambda x, ids: losses.sparse_categorical_focal_crossentropy(ints(1, len(ids), T), x),
    "classes": lambda x, ids: losses.SparseCategoricalCrossentropy(True)(ints(1, len(ids), T), x),
    "yes or no": lambda x, ids: losses.BinaryCrossentropy(True)(x * 0, x),
    "cosent": lambda x, ids: losses.cosent(ints(1, len(ids)), x[:, 0, 0]),
    "in batch": lambda x, ids: losses.in_batch_negatives(x[:, 0], x[:, 1]),
    "token_loss": lambda x, ids: token_loss(ints(1, len(ids), T), x),
    "pair_loss": lambda x, ids: pair_loss(x * 0, x),
}


def loss_and_gradient(loss, x):
    ids = ints(1, *x.shape[:2])
    if keras.backend.backend() == "torch":
        x = ops.convert_to_tensor(x).detach().clone().requires_grad_(True)
        value = loss(x, ids)
        value.sum().backward()
        return value.detach().cpu().numpy(), x.grad.cpu().numpy()
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        with tf.GradientTape() as tape:
            tape.watch(x := tf.convert_to_tensor(x))
            value = loss(x, ids)
            total = tf.reduce_sum(value)
        return value.numpy(), tape.gradient(total, x).numpy()
    import jax

    gradient = jax.grad(lambda x: loss(x, ids).astype("float32").sum())(jax.numpy.asarray(x))
    return np.asarray(loss(x, ids)), np.asarray(gradient, "float32")


@pytest.mark.parametrize("policy", ["mixed_float16", "float16"])
@pytest.mark.parametrize("name", HEADS)
def test_large_vectors_in_float16(name, policy):
    keras.config.set_dtype_policy(policy)
    x = np.random.default_rng(0).normal(size=(2, T, D)) * 300
    value, gradient = loss_and_gradient(HEADS[name](), x.astype("float16"))
    assert np.isfinite(value).all()
    assert np.isfinite(gradient).all()


@pytest.mark.parametrize("name", [*HEADS, *FUNCTIONS])
def test_no_rows(name):
    loss = HEADS[name]() if name in HEADS else FUNCTIONS[name]
    value, gradient = loss_and_gradient(loss, np.zeros((0, T, D), "float32"))
    assert value.sum() == 0
    assert gradient.shape == (0, T, D)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: token_loss(ints(3, 1, 2), np.zeros((1, 2, 3), "float32")), "classes are 0 to 2"),
        (
            lambda: GlobalPointer.sparse_loss(ints(4, 1, 1, 1, 2), np.zeros((1, 1, 4, 4), "f")),
            "places are 0 to 3",
        ),
        (
            lambda: SpanExtraction().loss(ints(4, 1, 2), np.zeros((1, 4, 2), "float32")),
            "positions are 0 to 3",
        ),
        (
            lambda: losses.sparse_categorical_focal_crossentropy(ints(3, 1), np.zeros((1, 3), "f")),
            "classes are 0 to 2",
        ),
    ],
)
def test_labels_out_of_range(call, message):
    with pytest.raises(Exception, match=message):
        call()
