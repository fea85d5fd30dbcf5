"""Questions about tables to answers: training, saving, families, what does not fit."""

from __future__ import annotations

import dataclasses
import math

import keras
import numpy as np
import pytest

from bert4keras import tasks
from bert4keras.models import build_transformer_model
from bert4keras.tasks import SQLAnswer, TableQA, TaskError
from bert4keras.tasks.sql import AGGREGATES, NL2SQL, SQL, Table, execute
from bert4keras.tasks.sql.candidates import scored_candidates
from bert4keras.tasks.sql.labels import encode_question, encode_sql
from bert4keras.tokenizers import Tokenizer
from bert4keras.training import FGM, RegularizedModel
from helpers import tiny
from helpers.families import FAMILIES

pytestmark = pytest.mark.spread

TABLE = Table(("film", "story"), (("good", 2), ("bad", 0), ("very good", 1)), name="films")
BARE = Table(("run", "to walk"))
SAMPLES = [
    (("the story of good", TABLE), SQL((1,), ("",), [(0, "=", "good")])),
    (("not the film is bad", TABLE), SQL((0,), ("",), [(0, "!=", "bad")])),
    (("2 - very good", TABLE), SQL((0,), ("",), [(1, "=", "2"), (0, "=", "very good")], "or")),
    (("in it", BARE), SQL((0,), ("COUNT",))),
    (("walk > 1", BARE), SQL((1,), ("MAX",), [(0, ">", "1")])),
]  # fmt: skip
STILL = {"dropout_rate": 0.0, "attention_dropout_rate": 0.0, "dropout": 0.0}


@pytest.fixture(scope="module")
def checkpoint(fixtures):
    return fixtures / "bert_gelu"


@pytest.fixture(scope="module")
def trained(checkpoint):
    """A task that knows the samples by heart."""
    keras.utils.set_random_seed(0)
    tokenizer = Tokenizer.from_pretrained(checkpoint)
    sizes = {"vocab_size": tokenizer.vocab_size, "hidden_size": 32, "max_position": 40}
    bert = tiny.build({**sizes, "dropout_rate": 0.0, "attention_dropout_rate": 0.0})
    task = TableQA.build(bert, tokenizer=tokenizer, units=16, dropout=0.0)
    task.model.compile(keras.optimizers.Adam(5e-3), task.loss)
    task.model.fit(task.batches(SAMPLES, 5, shuffle=True), epochs=80, verbose=0)
    return task


def test_learns_by_heart(trained):
    scores = trained.evaluate(SAMPLES)
    assert list(scores)[:2] == ["logical_form", "execution"]
    assert scores["logical_form"] == scores["execution"] == 1.0
    answer = trained(SAMPLES[0][0])
    assert answer.sql == SAMPLES[0][1]
    assert answer.rows == execute(answer.sql, TABLE) == [(2.0,)]
    assert answer.text == """SELECT "story" WHERE "film" = 'good'"""
    assert 0.2 < answer.score <= 1
    assert str(answer).startswith("""SELECT "story" WHERE "film" = 'good' -> [(2.0,)] (""")
    bare = trained(SAMPLES[4][0])
    assert bare.rows is None
    assert "->" not in str(bare)
    answers = trained.predict([asked for asked, _ in SAMPLES], batch_size=2)
    assert trained.metrics(answers, [sql for _, sql in SAMPLES])["logical_form"] == 1.0
    # Negative control.
    wrong = [(asked, SAMPLES[0][1]) for asked, _ in SAMPLES]
    assert trained.evaluate(wrong)["logical_form"] == pytest.approx(0.2)


def test_saved_and_loaded(trained, tmp_path):
    trained.save(tmp_path / "saved")
    again = tasks.load(tmp_path / "saved")
    assert again.get_config() == trained.get_config()
    for asked, _ in SAMPLES:
        one, other = again(asked), trained(asked)
        assert (one.sql, one.rows) == (other.sql, other.rows)
        assert one.score == pytest.approx(other.score, abs=1e-5)


def test_one_question_or_many(trained):
    asked = [
        ("good", TABLE),
        ("walk 1 2 run to", BARE),
        ("", TABLE),
        (" ", BARE),
        ("\ud800🙂", TABLE),
    ]
    together = trained.predict(asked, batch_size=3)
    for one, found in zip(asked, together, strict=True):
        assert isinstance(found, SQLAnswer)
        alone = trained(one)
        assert alone.sql == found.sql
        assert alone.score == pytest.approx(found.score, abs=1e-5)
    assert [a.sql for a in trained.stream(iter(asked), batch_size=2)] == [a.sql for a in together]


def test_queries_that_return_nothing_are_passed_over(trained):
    """Of the smaller table no row is left by the query of which the model is sure."""
    small = Table(TABLE.header, TABLE.rows[1:2], TABLE.types)
    plain = TableQA(trained.tokenizer, trained.model, execution_guided=False)
    asked = ("not the film is bad", small)
    assert plain(asked).sql == SAMPLES[1][1]
    assert plain(asked).rows == []
    guided = TableQA(trained.tokenizer, trained.model, width=8)(asked)
    assert guided.rows
    assert guided.score < plain(asked).score


def test_the_score_by_hand():
    """Two columns, one token, one value: the product of all parts, by exhaustion it is below 1."""
    tokenizer = Tokenizer(["[PAD]", "[UNK]", "[CLS]", "[SEP]", *"abc"])
    one = encode_question(tokenizer, "a b", ["a", "b"])
    rng = np.random.default_rng(1)
    length = len(one.token_ids)
    scores = {
        "connective": rng.normal(size=3),
        "select": rng.normal(size=(2, 6)),
        "operator": rng.normal(size=(length, 9)),
        "column": rng.normal(size=(length, 2)),
    }
    scores["select"][1, 2] = 3
    scores["operator"][1, 0] = scores["operator"][2, 5] = 4
    score, sql = next(scored_candidates(scores, "a b", one, width=1))
    softmax = lambda x: np.exp(x) / np.exp(x).sum()  # noqa: E731
    chances = 1 / (1 + np.exp(-scores["select"]))
    wanted = softmax(scores["operator"][1])[0] * softmax(scores["operator"][2])[5]
    wanted *= softmax(scores["column"][2]).max()
    for c in range(2):
        for a, aggregate in enumerate(AGGREGATES):
            asked = (c, aggregate) in sql.selected
            wanted *= chances[c, a] if asked else 1 - chances[c, a]
    assert sql.conds[0].operator == "="
    assert math.exp(score) == pytest.approx(wanted)


def test_a_model_of_ones_own_and_adversarial_training(checkpoint):
    bert = build_transformer_model(checkpoint)
    columns = keras.Input((None, 2), dtype="int32", name="Columns")
    scores = NL2SQL(8)([keras.layers.Dense(8)(bert.output), columns])
    task = TableQA(
        Tokenizer.from_pretrained(checkpoint), keras.Model([*bert.inputs, columns], scores)
    )
    regularized = RegularizedModel(task.model, [FGM()])
    regularized.compile(keras.optimizers.Adam(1e-3), task.loss)
    regularized.fit(task.batches(SAMPLES, 5, shuffle=True), verbose=0)
    assert isinstance(task(("good", TABLE)), SQLAnswer)


@pytest.mark.parametrize("family", ["distilbert", "roberta", "modernbert", "deberta-v3"])
def test_families(family):
    """One input, padding id 1, no segments."""
    special = ["[CLS]", "[PAD]"] if family == "roberta" else ["[PAD]", "[CLS]"]
    tokenizer = Tokenizer([*special, "[SEP]", "[UNK]", *"abcdefgh"])
    bert = build_transformer_model(FAMILIES / family, with_mlm=False)
    task = TableQA.build(bert, tokenizer=tokenizer)
    tables = [Table(("a", "b"), (("c", "d"), ("e", "f"))), Table(("h", "g h", "f"))]
    samples = [
        (("a c", tables[0]), SQL((1,), ("",), [(0, "=", "c")])),
        (("g f a b", tables[1]), SQL((2,), ("COUNT",), [(1, "=", "b")])),
    ]
    task.model.compile("adam", task.loss)
    task.model.fit(task.batches(samples, 2, shuffle=True), verbose=0)
    asked = [("a b c d", tables[0]), ("e", tables[1])]
    for one, found in zip(asked, task.predict(asked), strict=True):
        assert task(one).sql == found.sql
        assert task(one).score == pytest.approx(found.score, abs=1e-5)


def test_encoders_that_do_not_fit(checkpoint):
    tokenizer = Tokenizer(["[PAD]", "[UNK]", "[CLS]", "[SEP]", *"abc"])
    causal = build_transformer_model(FAMILIES / "gpt2", with_mlm=False)
    with pytest.raises(TaskError, match="reads from left to right only"):
        TableQA.build(causal, tokenizer=tokenizer)
    bert = build_transformer_model(checkpoint)
    bare = Tokenizer(["[PAD]", "[UNK]", *"abc"], token_start=None, token_end=None)
    with pytest.raises(TaskError, match="need a start and an end token"):
        TableQA.build(bert, tokenizer=bare)
    with pytest.raises(TaskError, match=r"must have an input keras\.Input\(\(None, 2\)"):
        TableQA(tokenizer, bert)
    task = TableQA.build(checkpoint)
    for name in ("max_select", "width"):
        with pytest.raises(TaskError, match=f"{name}=0 must be at least 1"):
            TableQA(task.tokenizer, task.model, **{name: 0})


def test_samples_that_do_not_fit(checkpoint):
    task = TableQA.build(checkpoint, maxlen=16, **STILL)
    for sample in ("good", ("good", "film"), (1, TABLE), ("a", TABLE, 3)):
        with pytest.raises(TaskError, match=r"a sample is a pair \(question, Table\), not"):
            task(sample)
    with pytest.raises(TaskError, match=r"the question 'good good .* of 100000 tokens does not"):
        task(("good " * 100_000, TABLE))
    with pytest.raises(TaskError, match=r"table 'wide': A table of 12 columns does not fit"):
        task(("good", Table(tuple("abcdeinostua"), name="wide")))
    with pytest.warns(UserWarning, match="names of columns are cut to fit into maxlen=16"):
        task(("good", Table(("very " * 20, "b"), name="long")))
    with pytest.raises(TaskError, match="got no samples"):
        task.evaluate([])
    with pytest.raises(TaskError, match="a label is an SQL, not str"):
        task.batches([(("good", TABLE), "SELECT")])
    with pytest.raises(TaskError, match=r"table 'films': The query has columns \[5\]"):
        task.batches([(("good", TABLE), SQL((5,), ("",)))])
    absent = SQL((1,), ("",), [(0, "=", "story")])
    with pytest.warns(
        UserWarning, match="1 of 1 queries .* 1 since a value is not in the question"
    ):
        made = task.batches([(("good", TABLE), absent)])
    labels = made[0][1]
    assert (labels["operator"] == -1).all()
    assert labels["select"][0, 1, 0] == 1
    one = task.encode(("good", TABLE))
    supported = encode_sql(dataclasses.replace(absent, conds=()), "good", one.extra)
    assert (supported["select"] == labels["select"][0]).all()
