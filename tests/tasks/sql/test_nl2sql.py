"""The NL2SQL head: scores and losses against numpy, and what every head must survive."""

from __future__ import annotations

import subprocess
import sys

import keras
import numpy as np
import pytest
from keras import ops

from bert4keras.data import DataGenerator
from bert4keras.tasks.sql import NL2SQL, SQL, Table
from bert4keras.tasks.sql.labels import encode_question, encode_sql, scores_of_labels
from bert4keras.tasks.sql.nl2sql import pair_loss, token_loss
from bert4keras.tokenizers import Tokenizer
from helpers import tiny

pytestmark = pytest.mark.spread

RNG = np.random.default_rng(0)
X = RNG.normal(size=(2, 8, 5)).astype("float32")
COLUMNS = np.array([[[3, 5], [6, 7]], [[2, 6], [0, 0]]], "int32")
SIZES = {"connective": (2, 3), "select": (2, 2, 6), "operator": (2, 8, 9), "column": (2, 8, 2)}
TOKENIZER = Tokenizer(["[PAD]", "[UNK]", "[CLS]", "[SEP]", *"abcdefghijklmnop"])
HEADER = ("a", "b", "c")
ROWS = (("d", "e", "f"), ("g", "h", "i"))


def value(tensor) -> np.ndarray:
    return ops.convert_to_numpy(ops.convert_to_tensor(tensor))


def softmax(x):
    x = np.exp(x - x.max(-1, keepdims=True))
    return x / x.sum(-1, keepdims=True)


def asker(**sizes):
    """A tiny BERT with the head on it, and the head."""
    bert = tiny.build({"max_position": 24, **sizes})
    columns = keras.Input((None, 2), dtype="int32", name="Columns")
    head = NL2SQL(units=16, name="SQL")
    return keras.Model([*bert.input, columns], head([bert.output, columns])), head


def arrays(questions, header=HEADER, maxlen=24):
    """Inputs of questions about one table, padded, and how they were encoded."""
    encoded = [encode_question(TOKENIZER, question, header, maxlen) for question in questions]
    length = max(len(one.token_ids) for one in encoded)
    pad = [length - len(one.token_ids) for one in encoded]
    ids = [np.pad(one.token_ids, (0, n)) for one, n in zip(encoded, pad, strict=True)]
    ids = np.array(ids, "int32")
    return [ids, ids * 0, np.stack([one.columns for one in encoded])], encoded


def test_scores():
    head = NL2SQL(units=7)
    found = {name: value(part) for name, part in head([X, COLUMNS]).items()}
    weights = {w.path.split("/", 1)[-1]: value(w) for w in head.weights}
    headers = np.stack([[X[0, 3:5].mean(0), X[0, 6:7].mean(0)], [X[1, 2:6].mean(0), np.zeros(5)]])

    def dense(name, x):
        return x @ weights[f"{name}/kernel"] + weights.get(f"{name}/bias", 0)

    mixed = np.tanh(dense("token", X)[:, :, None] + dense("header", headers)[:, None])
    wanted = {
        "connective": dense("connective", X[:, 0]),
        "select": dense("select", headers),
        "operator": dense("operator", X),
        "column": dense("attention", mixed)[..., 0],
    }
    wanted["select"][1, 1] = wanted["column"][1, :, 1] = -30000
    assert head.compute_output_shape([X.shape, COLUMNS.shape]) == SIZES
    for name, size in SIZES.items():
        assert found[name].shape == size
        np.testing.assert_allclose(found[name], wanted[name], atol=1e-5)
    # A token of a header changes only its column; a token of the question changes none.
    for place, moved in [(4, [True, False]), (1, [False, False])]:
        other = X.copy()
        other[0, place] += 1
        select = value(head([other, COLUMNS])["select"])
        assert (np.abs(select - found["select"])[0].max(-1) > 1e-3).tolist() == moved


def test_losses_by_hand():
    scores = RNG.normal(size=(3, 4, 5)).astype("float32")
    labels = np.array([[0, 4, -1, 2], [-1, -1, -1, 1], [-1] * 4])
    logs = np.log(softmax(scores))
    wanted = [
        -(logs[0, 0, 0] + logs[0, 1, 4] + logs[0, 3, 2]) / 3,
        -logs[1, 3, 1],
        0.0,
    ]
    np.testing.assert_allclose(value(token_loss(labels, scores)), wanted, atol=1e-6)
    np.testing.assert_allclose(
        value(token_loss(np.array([2, -1, 0]), scores[:, 0])), [-logs[0, 0, 2], 0, -logs[2, 0, 0]],
        atol=1e-6,
    )  # fmt: skip
    pairs = np.array([[[1, 0], [0, 1]], [[0, 0], [-1, 1]]])
    s = RNG.normal(size=(2, 2, 2)).astype("float32")
    s[1, 1, 0] = 99  # does not count
    wanted = [
        np.log(1 + np.exp(-s[0, 0, 0]) + np.exp(-s[0, 1, 1]))
        + np.log(1 + np.exp(s[0, 0, 1]) + np.exp(s[0, 1, 0])),
        np.log(1 + np.exp(-s[1, 1, 1])) + np.log(1 + np.exp(s[1, 0, 0]) + np.exp(s[1, 0, 1])),
    ]
    np.testing.assert_allclose(value(pair_loss(pairs, s)), wanted, atol=1e-5)
    assert set(NL2SQL().loss) == set(SIZES)


def test_padding_changes_neither_scores_nor_losses():
    model, head = asker()
    sql, question = SQL((1,), ("MAX",), [(0, "=", "d"), (2, ">", "g")], "and"), "d g p"
    (ids, segments, columns), (one,) = arrays([question])
    labels = {name: part[None] for name, part in encode_sql(sql, question, one).items()}
    longer = [np.pad(ids, ((0, 0), (0, 5))), np.pad(segments, ((0, 0), (0, 5)))]
    longer.append(np.pad(columns, ((0, 0), (0, 3), (0, 0))))
    wide = {
        "connective": labels["connective"],
        "select": np.pad(labels["select"], ((0, 0), (0, 3), (0, 0)), constant_values=-1),
        "operator": np.pad(labels["operator"], ((0, 0), (0, 5)), constant_values=-1),
        "column": np.pad(labels["column"], ((0, 0), (0, 5)), constant_values=-1),
    }
    first, second = model([ids, segments, columns]), model(longer)
    for name, loss in head.loss.items():
        a, b = value(loss(labels[name], first[name])), value(loss(wide[name], second[name]))
        assert a.shape == (1,)
        np.testing.assert_allclose(a, b, rtol=1e-4)
    decoded = [head.decode(scores, [question], [one]) for scores in (first, second)]
    assert decoded[0] == decoded[1]


QUERIES = [
    ("d h", SQL((0,), ("",), [(0, "=", "d")])),
    ("d h k", SQL((0,), ("",), [(0, "=", "d"), (1, "!=", "h k")], "or")),
    ("k e", SQL((1,), ("MAX",), [(1, "<", "e")])),
    ("m", SQL((2,), ("COUNT",))),
    ("l d", SQL((1, 2), ("", ""), [(0, "=", "d")])),
    ("n i o f", SQL((2, 2), ("MAX", "MIN"), [(2, ">", "i"), (2, "<", "f")], "and")),
    ("p p h", SQL((0,), ("SUM",), [(1, "=", "h")])),
    ("", SQL((1,), ("AVG",))),
]


def test_overfits_eight_samples_and_survives_a_fresh_process(tmp_path):
    """Compiled with the losses of the head; the file has the same scores without a training."""
    still = {"dropout_rate": 0.0, "attention_dropout_rate": 0.0, "hidden_size": 32}
    model, head = asker(**still)
    questions, wanted = zip(*QUERIES, strict=True)
    inputs, encoded = arrays(questions)
    rows = [
        ((one.token_ids, one.segment_ids, one.columns), encode_sql(sql, question, one))
        for (question, sql), one in zip(QUERIES, encoded, strict=True)
    ]
    batches = DataGenerator(rows, 8, encode=lambda row: row, shuffle=True, seed=0)
    model.compile(keras.optimizers.Adam(5e-3), head.loss)
    model.fit(batches, epochs=200, verbose=0)
    scores = {name: value(part) for name, part in model.predict(inputs, verbose=0).items()}
    found = head.decode(scores, questions, encoded)
    assert [sql.logical_form() for sql in found] == [sql.logical_form() for sql in wanted]

    model.save(tmp_path / "model.keras")
    # The losses have names in the file: loaded, the model could go on training.
    loaded = keras.models.load_model(tmp_path / "model.keras")
    labels, batch = batches[0][1], batches[0][0]
    scored = loaded(batch)
    assert max(float(np.max(value(f(labels[n], scored[n])))) for n, f in head.loss.items()) < 1
    assert loaded.loss.keys() == head.loss.keys()
    np.savez(tmp_path / "inputs.npz", *inputs)
    code = (
        "import sys, keras, numpy as np, bert4keras.tasks\n"
        "model = keras.models.load_model(sys.argv[1] + '/model.keras', compile=False)\n"
        "inputs = list(np.load(sys.argv[1] + '/inputs.npz').values())\n"
        "scores = model.predict(inputs, verbose=0)\n"
        "np.savez(sys.argv[1] + '/scores.npz', **scores)\n"
    )
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code, str(tmp_path)], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr[-2000:]
    with np.load(tmp_path / "scores.npz") as again:
        assert set(again) == set(SIZES)
        for name in SIZES:
            np.testing.assert_allclose(again[name], scores[name], rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16"])
def test_mixed_precision(policy):
    keras.config.set_dtype_policy(policy)
    model, head = asker()
    inputs, encoded = arrays(["d h k", "m"])
    scores = {name: value(part).astype("float32") for name, part in model(inputs).items()}
    assert all(np.isfinite(part).all() for part in scores.values())
    assert len(head.decode(scores, ["d h k", "m"], encoded)) == 2
    sql = SQL((0,), ("",))
    labels = [encode_sql(sql, q, one) for q, one in zip(["d h k", "m"], encoded, strict=True)]
    columns = np.pad(inputs[2], ((0, 0), (0, 2), (0, 0)))  # closed columns do not overflow
    scores = model([*inputs[:2], columns])
    select = np.stack(
        [np.pad(one["select"], ((0, 2), (0, 0)), constant_values=-1) for one in labels]
    )
    assert np.isfinite(value(head.loss["select"](select, scores["select"]))).all()


@pytest.mark.parametrize(
    ("question", "header"), [("", ["a"]), ("d", ["a"]), ("d e f g h i j k l m", ["a", "b c d"])]
)
def test_odd_questions(question, header):
    """No word, one column, and more words than the model has positions."""
    model, head = asker()
    inputs, encoded = arrays([question], header, maxlen=16)
    assert inputs[0].shape[1] <= 16
    table = Table(tuple(header), (tuple("d" for _ in header),))
    for tables in (None, [table]):
        (sql,) = head.decode(model(inputs), [question], encoded, tables)
        assert set(sql.sel) <= set(range(len(header)))
    labels = {k: v[None] for k, v in encode_sql(SQL((0,), ("",)), question, encoded[0]).items()}
    scores = model(inputs)
    for name, loss in head.loss.items():
        assert np.isfinite(value(loss(labels[name], scores[name]))).all()


def test_decoding_with_tables():
    """Scores of a query that returns nothing give the next best one that does."""
    table, question = Table(HEADER, ROWS), "d"
    _, encoded = arrays([question])
    head = NL2SQL()
    scores = scores_of_labels(encode_sql(SQL((2,), ("",), [(0, ">", "d")]), question, encoded[0]))
    scores["operator"][1, 1:] = [9, 0, 1, 0, 2, 0, 8, 0]  # >, then !=, then =, then <
    scores = {name: part[None] for name, part in scores.items()}
    plain = SQL((2,), ("",), [(0, ">", "d")])
    assert head.decode(scores, [question], encoded) == [plain]
    linked = SQL((2,), ("",), [(0, "=", "d")])
    assert head.decode(scores, [question], encoded, [table]) == [linked]
    alone = Table(HEADER, ROWS[:1])
    scores["operator"][0, 1, 1:] = [0, 0, 0, 0, 8, 0, 9, 0]  # != now; no row is left of one
    unequal = SQL((2,), ("",), [(0, "!=", "d")])
    assert head.decode(scores, [question], encoded, [alone]) == [unequal]
    assert head.decode(scores, [question], encoded, [alone], execution=True) == [linked]
    bare = Table(HEADER)
    assert head.decode(scores, [question], encoded, [bare], execution=True) == [unequal]
    with pytest.raises(ValueError, match="needs tables"):
        head.decode(scores, [question], encoded, execution=True)


def test_config_round_trip():
    head = NL2SQL(units=3, kernel_initializer=keras.initializers.RandomNormal(seed=1))
    again = NL2SQL.from_config(head.get_config())
    assert again.get_config() == head.get_config()
    with pytest.raises(ValueError, match="units=0"):
        NL2SQL(units=0)
