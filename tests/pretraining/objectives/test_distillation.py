"""Distillation: both losses by hand, the teacher stays and the student moves, resuming, saving."""

from __future__ import annotations

import keras
import numpy as np
import pytest

from bert4keras import build_transformer_model
from bert4keras.pretraining import DistilledMaskedLM, reduce_token_vectors
from helpers.packed_rows import CONFIG, TOKENIZER, cross_entropy, make_rows, outputs

ROWS = make_rows(6, 24, (5, 10), letters=3)
STUDENT = {**CONFIG, "model_type": "bert", "num_hidden_layers": 1}
OBJECTIVE = DistilledMaskedLM(TOKENIZER, weight=3.0, rate=0.3)
DATA = OBJECTIVE.corrupt(ROWS, np.random.default_rng(0))


def make_teacher(seed=1, **options):
    keras.utils.set_random_seed(seed)
    sizes = {**CONFIG, "hidden_size": 12, "dropout_rate": 0.5}
    return build_transformer_model(sizes, model="bert", **{"application": "packed", **options})


def make_model(teacher):
    keras.utils.set_random_seed(2)
    return OBJECTIVE.build(STUDENT, teacher=teacher)


def cosine_distance(model, teacher):
    """Mean distance of the real tokens; the teacher gets one document at a time."""
    student = model.layers[[type(x).__name__ for x in model.layers].index("Backbone")]
    tensors = {**DATA[0], "segment_ids": np.zeros_like(ROWS.token_ids)}
    states = student([tensors[name] for name in student.input_order], training=False)[-1]
    kernel, bias = model.get_layer("Distillation-Projection").get_weights()
    ours = keras.ops.convert_to_numpy(states) @ kernel + bias
    total = count = 0
    for row, numbers in enumerate(ROWS.document_ids):
        for number in range(1, numbers.max() + 1):
            place = numbers == number
            ids, ones = ROWS.token_ids[row : row + 1, place], np.ones((1, place.sum()), "int32")
            given = {"token_ids": ids, "segment_ids": 0 * ids, "document_ids": ones}
            theirs = teacher([given[name] for name in teacher.input_order], training=False)
            a, b = ours[row, place], keras.ops.convert_to_numpy(theirs)[0]
            cosine = (a * b).sum(-1) / np.linalg.norm(a, axis=-1) / np.linalg.norm(b, axis=-1)
            total, count = total + (1 - cosine).sum(), count + len(cosine)
    return total / count


def test_losses_training_and_checkpoint(tmp_path):
    teacher = make_teacher()
    model = make_model(teacher)
    model.compile(keras.optimizers.SGD(0.1), OBJECTIVE.loss, metrics=OBJECTIVE.metrics)
    found = model.evaluate(*DATA, batch_size=8, verbose=0, return_dict=True)
    distance = cosine_distance(model, teacher)
    assert abs(found["distance_loss"] - 3 * distance) < 1e-4
    entropy = cross_entropy(outputs(model, DATA[0])["tokens"], DATA[1]["tokens"])
    assert abs(found["tokens_loss"] - entropy) < 1e-4
    assert abs(found["loss"] - entropy - 3 * distance) < 1e-4
    # Control: another teacher gives another distance, and the same loss of the tokens.
    other = make_model(make_teacher(seed=5))
    other.compile(loss=OBJECTIVE.loss)
    control = other.evaluate(*DATA, batch_size=8, verbose=0, return_dict=True)
    assert abs(control["distance_loss"] - found["distance_loss"]) > 0.01
    assert abs(control["tokens_loss"] - found["tokens_loss"]) < 1e-5

    before, student = teacher.get_weights(), model.get_weights()
    history = model.fit(*DATA, batch_size=6, epochs=8, verbose=0).history
    assert history["distance_loss"][-1] < 0.9 * history["distance_loss"][0]
    assert all((a == b).all() for a, b in zip(before, teacher.get_weights(), strict=True))
    changed = [(a != b).any() for a, b in zip(student, model.get_weights(), strict=True)]
    assert np.mean(changed) > 0.9  # no gradient reaches biases of keys
    paths = [weight.path for weight in model.weights]
    assert len(set(paths)) == len(paths) == len(other.weights)
    assert all(w is not x for w in model.weights for x in teacher.weights)  # nor in a backup

    OBJECTIVE.save(model, tmp_path, TOKENIZER)
    saved = build_transformer_model(tmp_path, with_mlm="linear")
    inner = OBJECTIVE.backbone(model)
    assert len(saved.weights) == len(inner.weights)  # no projection
    for a, b in zip(saved.get_weights(), inner.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.spread
def test_the_teacher_reads_the_original_text():
    inputs, targets = DATA
    assert (inputs["original_ids"] == ROWS.token_ids).all()
    assert (inputs["token_ids"] != ROWS.token_ids).any()
    assert ((targets["distance"] == 0) == (ROWS.document_ids > 0)).all()
    model = make_model(make_teacher())
    once, again = (model(inputs, training=True)["distance"] for _ in range(2))
    np.testing.assert_array_equal(*map(keras.ops.convert_to_numpy, (once, again)))  # no dropout


def test_reduced_token_vectors():
    """The distances between tokens are those of the best approximation of so few dimensions."""
    teacher = make_teacher()
    student = build_transformer_model({**STUDENT, "hidden_size": 4}, with_mlm="linear")
    tables = [x.get_layer("Embedding-Token") for x in (teacher, student)]
    share = reduce_token_vectors(teacher, student)
    given, found = (keras.ops.convert_to_numpy(layer.embeddings) for layer in tables)
    given = given - given.mean(0)
    left, sizes, _ = np.linalg.svd(given, full_matrices=False)
    best = (left[:, :4] * sizes[:4] ** 2) @ left[:, :4].T
    np.testing.assert_allclose(found @ found.T, best, atol=1e-6)
    assert np.abs(found @ found.T - given @ given.T).max() > 1e-4  # four are too few to be exact
    assert abs(share - (sizes[:4] ** 2).sum() / (sizes**2).sum()) < 1e-6

    wide = build_transformer_model({**STUDENT, "hidden_size": 16}, model="bert")
    before = wide.get_layer("Embedding-Token").get_weights()[0]
    assert abs(reduce_token_vectors(teacher, wide) - 1) < 1e-6
    after = wide.get_layer("Embedding-Token").get_weights()[0]
    np.testing.assert_allclose(after[:, :12] @ after[:, :12].T, given @ given.T, atol=1e-6)
    np.testing.assert_array_equal(after[:, 12:], before[:, 12:])


@pytest.mark.spread
def test_errors(tmp_path):
    with pytest.raises(ValueError, match="weight must be 0 or more, not -1"):
        DistilledMaskedLM(TOKENIZER, weight=-1)
    with pytest.raises(ValueError, match="distilled-mlm needs a teacher: build"):
        OBJECTIVE.build(STUDENT)
    for options in ({"application": "encoder"}, {"with_pool": True}):
        with pytest.raises(ValueError, match="must return hidden states of packed documents"):
            OBJECTIVE.build(STUDENT, teacher=make_teacher(**options))
    with pytest.raises(ValueError, match="the teacher only 9 rows of token vectors"):
        OBJECTIVE.build(STUDENT, teacher=make_teacher(vocab_size=9))
    with pytest.raises(ValueError, match="has only 9 rows of token vectors, the student"):
        reduce_token_vectors(make_teacher(vocab_size=9), build_transformer_model(STUDENT))
