"""Answers as JSON: of every task, of nested values and of numbers of numpy."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pytest

from bert4keras import tasks
from bert4keras.tasks.answers import to_json
from bert4keras.tasks.labelled_span import LabelledSpan
from bert4keras.tasks.linking import LinkedMention
from bert4keras.tasks.parsing import Parse
from bert4keras.tasks.sql import SQL
from helpers.task_table import TABLE, build

pytestmark = pytest.mark.spread


def assert_names_everything(answer: Any, plain: Any) -> None:
    """Walk through an answer and its plain form: each field is there, each value is equal."""
    if dataclasses.is_dataclass(answer):
        assert list(plain) == [field.name for field in dataclasses.fields(answer)]
        for name, value in plain.items():
            assert_names_everything(getattr(answer, name), value)
    elif isinstance(answer, Mapping):
        assert list(plain) == [str(key) for key in answer]
        for value, other in zip(answer.values(), plain.values(), strict=True):
            assert_names_everything(value, other)
    elif isinstance(answer, np.ndarray):
        np.testing.assert_array_equal(np.array(plain, answer.dtype), answer)
    elif isinstance(answer, Sequence) and not isinstance(answer, str):
        for value, other in zip(
            answer, plain.values() if type(plain) is dict else plain, strict=True
        ):
            assert_names_everything(value, other)
    else:
        assert plain == answer
        assert type(plain) in (str, int, float, bool, type(None))


@pytest.mark.parametrize("name", TABLE)
def test_an_answer_of_each_task(name):
    row = TABLE[name]
    ask = list(row.ask or [sample for sample, _ in row.train])
    answers = list(build(name, "bert").predict(ask))
    plain = to_json(answers)
    assert len(plain) == len(ask)
    assert_names_everything(answers, plain)
    assert json.loads(json.dumps(plain, allow_nan=False)) == plain


def test_answers_that_untrained_models_do_not_give():
    relation = tasks.Relation(
        tasks.relations.RelationEntity(0, 2, "北京"),
        "首都",
        tasks.relations.RelationEntity(3, 5, "中国"),
        0.5,
    )
    mention = LinkedMention(0, 2, "北京", None, 0.5, {"Q956": 0.25})
    sql = SQL((1,), ("MAX",), [(0, "=", "北京")], "and")
    parse = Parse("a b", [(0, 1), (2, 3)], [0.0, 1.5], [(0, 2)])
    for answer in (
        [relation],
        [mention],
        tasks.SQLAnswer(sql, "SELECT", [(1.0, None)], 0.5),
        parse,
    ):
        assert_names_everything(answer, to_json(answer))
    assert to_json(sql)["conds"] == [{"column": 0, "operator": "=", "value": "北京"}]
    assert to_json([relation])[0]["object"] == {"start": 3, "end": 5, "text": "中国"}


def test_numbers_of_numpy_and_nested_values():
    value = {
        1: np.float32(0.5),
        "spans": (LabelledSpan(np.int64(0), 2, "人"),),
        "flags": [np.bool_(True), {"b", "a"}],
        "array": np.arange(4, dtype="int8").reshape(2, 2),
        "scalar": np.array(1.5),
    }
    assert to_json(value) == {
        "1": 0.5,
        "spans": [{"start": 0, "end": 2, "label": "人"}],
        "flags": [True, ["a", "b"]],
        "array": [[0, 1], [2, 3]],
        "scalar": 1.5,
    }
    assert json.dumps(to_json(value))


@pytest.mark.parametrize("number", [float("nan"), float("-inf"), np.float32("inf")])
def test_a_number_that_json_does_not_have(number):
    with pytest.raises(ValueError, match=r"answer\[1\]\.score is .*, which JSON cannot express"):
        to_json([0.5, tasks.Entity(0, 1, "X", "x", number)])


def test_a_value_without_a_form():
    with pytest.raises(TypeError, match=r"answer\.x is a complex, which has no form in JSON"):
        to_json({"x": 1j})
