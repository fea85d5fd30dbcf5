"""Queries to labels and back, against random queries, and what labels cannot say."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from bert4keras.tasks.sql import (
    AGGREGATES,
    CONNECTIVES,
    OPERATORS,
    SQL,
    Condition,
    Table,
    UnsupportedQuery,
)
from bert4keras.tasks.sql.candidates import best_combinations, decode_sql, sql_candidates
from bert4keras.tasks.sql.labels import (
    EncodedQuestion,
    encode_question,
    encode_sql,
    scores_of_labels,
    select_labels_only,
)
from bert4keras.tasks.sql.value_linking import ValueLinker
from bert4keras.tokenizers import Tokenizer

pytestmark = pytest.mark.spread

LETTERS = "abcdefghijklmnopqrstuvwxyz0123456789"
TOKENIZER = Tokenizer(
    ["[PAD]", "[UNK]", "[CLS]", "[SEP]", *LETTERS, *("##" + c for c in LETTERS), *"中文,?"],
    do_lower_case=True,
)
HEADER = ["na", "b", "", "de"]


def encoded(question, header=HEADER, maxlen=160):
    return encode_question(TOKENIZER, question, header, maxlen)


def again(sql, question, header=HEADER, **options):
    one = encoded(question, header)
    return decode_sql(scores_of_labels(encode_sql(sql, question, one)), question, one, **options)


def test_the_sequence():
    one = encoded("B 中")
    tokens = TOKENIZER.ids_to_tokens(one.token_ids)
    assert tokens == (
        "[CLS] b 中 [SEP] [CLS] n ##a [SEP] [CLS] b [SEP] [CLS] [SEP] [CLS] d ##e [SEP]".split()
    )
    assert one.columns.tolist() == [[4, 7], [8, 10], [11, 12], [13, 16]]
    assert one.offsets == [(0, 1), (2, 3)]
    assert one.segment_ids == [0] * len(tokens)


def test_what_is_too_long_is_cut():
    """Names first, the longest of them, then the question."""
    question, header = "a b c", ["abcdef", "x"]
    for maxlen, names, words in [(16, 6, 3), (15, 5, 3), (11, 1, 3), (10, 1, 2), (9, 1, 1)]:
        one = encoded(question, header, maxlen)
        assert len(one.token_ids) == maxlen
        assert one.columns[0, 1] - one.columns[0, 0] - 1 == names
        assert len(one.offsets) == words
    with pytest.raises(ValueError, match="table of 2 columns does not fit into maxlen=8"):
        encoded(question, header, 8)


def test_labels_by_hand():
    question = "red blue 7 x"  # r ##e ##d b ##l ##u ##e 7 x
    sql = SQL((1, 1), ("MAX", "MIN"), [(0, "=", "red"), (3, "=", "blue"), (1, ">", 7)], "or")
    labels = encode_sql(sql, question, encoded(question))
    equal = 1 + 2 * OPERATORS.index("=")
    inner = equal + 1
    assert labels["operator"][:11].tolist() == [
        *(-1, equal, inner, inner, equal, inner, inner, inner, 1, 0, -1)
    ]
    assert labels["column"][:11].tolist() == [-1, 0, 0, 0, 3, 3, 3, 3, 1, -1, -1]
    assert (labels["operator"][11:] == -1).all()
    assert labels["connective"] == 2
    rows, columns = np.nonzero(labels["select"])
    assert [(r, AGGREGATES[c]) for r, c in zip(rows, columns, strict=True)] == [
        *((1, "MAX"), (1, "MIN"))
    ]
    # Two values side by side stay two. Without beginnings they would be one:
    assert again(sql, question).logical_form() == sql.logical_form()
    scores = scores_of_labels(labels)
    scores["operator"][4, equal], scores["operator"][4, inner] = 0, 100
    merged = decode_sql(scores, question, encoded(question))
    assert [cond.value for cond in merged.conds] == ["red blue", "7"]


def random_query(rng):
    """A question and a query whose values stand in it, side by side or not, up to its end."""
    words, conds = [], []
    for k in range(rng.integers(0, 4)):
        if rng.random() < 0.5:
            words.append("".join(rng.choice(list(LETTERS), rng.integers(1, 4))))
        # Their first letters differ, so that each occurs in one place only.
        value = "中文,?"[k] + "".join(rng.choice(list(LETTERS + " "), rng.integers(0, 5))).strip()
        words.append(value.upper() if rng.random() < 0.5 else value)
        conds.append((int(rng.integers(4)), OPERATORS[rng.integers(4)], value))
    pairs = [(c, a) for c in range(4) for a in AGGREGATES]
    chosen = [pairs[i] for i in rng.choice(len(pairs), rng.integers(1, 4), replace=False)]
    sel, agg = zip(*chosen, strict=True)
    conn = CONNECTIVES[rng.integers(1, 3)] if len(conds) > 1 else ""
    return " ".join(words), SQL(sel, agg, conds, conn)


def test_every_random_query_comes_back():
    rng = np.random.default_rng(0)
    for _ in range(300):
        question, sql = random_query(rng)
        assert again(sql, question).logical_form() == sql.logical_form()


def test_of_several_places_one_leaves_room_for_the_others():
    sql = SQL((0,), ("",), [(0, "=", "5"), (1, "=", "5 a"), (3, "=", "5")], "and")
    found = again(sql, "5 a 5 b 5")
    assert found.logical_form() == sql.logical_form()
    # "5" inside of a longer token is none.
    assert again(SQL((0,), ("",), [(1, "=", "ab")]), "ab c").conds == (Condition(1, "=", "ab"),)


@pytest.mark.parametrize(
    ("conds", "question", "reason"),
    [
        ([(0, "=", "zzz")], "a b c", "a value is not in the question"),
        ([(0, "=", "2015")], "in 2016", "a value is not in the question"),
        ([(0, "=", "")], "a b c", "a value is not in the question"),
        ([(0, "=", "a")], "", "a value is not in the question"),
        ([(0, ">", "5"), (1, ">", "5")], "5", "same value in the same place"),
        ([(0, "=", "a b"), (1, "=", "b c")], "a b c", "values overlap"),
    ],
)
def test_what_labels_cannot_say(conds, question, reason):
    sql, one = SQL((1,), ("SUM",), conds, "and"), encoded(question)
    with pytest.raises(UnsupportedQuery, match=reason):
        encode_sql(sql, question, one)
    labels = select_labels_only(sql, one)
    assert (labels["operator"] == -1).all()
    assert (labels["column"] == -1).all()
    assert labels["select"].sum() == 1
    assert labels["select"][1, AGGREGATES.index("SUM")] == 1


def test_a_column_that_does_not_exist_is_named():
    with pytest.raises(ValueError, match=r"columns \[0, 4\], the table has 4"):
        encode_sql(SQL((0,), ("",), [(4, "=", "a")]), "a", encoded("a"))


def test_a_misspelt_value_is_found_and_linked():
    question = "who is from lisbbon now"
    sql = SQL((0,), ("",), [(1, "=", "Lisbon")])
    table = Table(HEADER, (("x", "Lisbon", "y", "z"), ("x", "Porto", "y", "z")))
    assert again(sql, question).conds == (Condition(1, "=", "lisbbon"),)
    assert again(sql, question, link=ValueLinker(table).link).conds == sql.conds


def test_combinations_by_enumeration():
    rng = np.random.default_rng(1)
    for sizes in ((1,), (3,), (2, 3), (3, 1, 4), (2, 2, 2, 2)):
        slots = [[(float(s), i) for i, s in enumerate(-np.sort(-rng.random(n)))] for n in sizes]
        found = [tuple(items) for _, items in best_combinations(slots)]
        every = list(itertools.product(*map(range, sizes)))
        total = {c: sum(slot[i][0] for slot, i in zip(slots, c, strict=True)) for c in every}
        assert sorted(found) == every
        np.testing.assert_allclose([total[c] for c in found], sorted(total.values())[::-1])


def test_candidates_by_enumeration():
    """The probability of a query of one condition is the product of its parts."""
    rng = np.random.default_rng(2)
    question, header = "ab", ["x", "y"]
    one = encoded(question, header)
    labels = encode_sql(SQL((0,), ("",), [(0, "=", "ab")]), question, one)
    scores = {
        name: part + rng.normal(size=part.shape) for name, part in scores_of_labels(labels).items()
    }
    scores["operator"][1:3] = rng.normal(size=(2, 9)) - [[50, *[0, 50] * 4], [50, *[50, 0] * 4]]
    scores["column"] = rng.normal(size=scores["column"].shape)
    scores["select"] = rng.normal(size=scores["select"].shape) - 5

    def softmax(x):
        return np.exp(x) / np.exp(x).sum(-1, keepdims=True)

    operators = np.log(softmax(scores["operator"][1:3]))
    columns = np.log(softmax(scores["column"][1:3]).mean(0))
    every = {}
    for (c, a), (k, op), column in itertools.product(
        itertools.product(range(2), range(6)), enumerate(OPERATORS), range(2)
    ):
        sql = SQL((c,), (AGGREGATES[a],), [(column, op, "ab")])
        total = operators[0, 1 + 2 * k] + operators[1, 2 + 2 * k] + columns[column]
        every[sql] = scores["select"][c, a] + total
    found = list(sql_candidates(scores, question, one, width=99))
    assert found == sorted(every, key=lambda sql: -every[sql])
    assert decode_sql(scores, question, one) == found[0]


def test_several_columns_are_asked_for_above_zero_and_never_none():
    one = encoded("a")
    scores = scores_of_labels(encode_sql(SQL((0,), ("",)), "a", one))
    scores["select"][:] = -1
    scores["select"][2, 4] = -0.5
    assert decode_sql(scores, "a", one).selected == ((2, "COUNT"),)
    scores["select"][1, 0], scores["select"][3, 2] = 1, 2
    assert decode_sql(scores, "a", one).selected == ((1, ""), (3, "MAX"))
    assert decode_sql(scores, "a", one, max_select=1).selected == ((3, "MAX"),)


def test_scores_of_padding_do_not_matter():
    sql = SQL((3,), ("",), [(1, "<", "7"), (0, "=", "b")], "or")
    question = "b 7"
    one = encoded(question)
    scores = scores_of_labels(encode_sql(sql, question, one))
    padded = {
        "connective": scores["connective"],
        "select": np.pad(scores["select"], ((0, 2), (0, 0)), constant_values=999.0),
        "operator": np.pad(scores["operator"], ((0, 5), (0, 0)), constant_values=999.0),
        "column": np.pad(scores["column"], ((0, 5), (0, 2)), constant_values=999.0),
    }
    assert decode_sql(padded, question, one) == decode_sql(scores, question, one)
    # Nor do scores of tokens that are not of the question.
    padded["operator"][[0, 3, 4]] = 999.0 * np.eye(9)[1]
    assert decode_sql(padded, question, one).logical_form() == sql.logical_form()


def test_a_question_without_words():
    sql = again(SQL((1,), ("COUNT",)), "", ["a", "b"])
    assert sql == SQL((1,), ("COUNT",))
    assert again(SQL((0,), ("MAX",)), "中", ["a"]).selected == ((0, "MAX"),)


def test_more_conditions_than_places_take_no_time():
    question, size = "a " * 11, 12
    offsets = [(2 * i, 2 * i + 1) for i in range(11)]
    ids = [0] * (len(offsets) + 4)
    encoded = EncodedQuestion(ids, ids, np.array([(12, 14)] * size), offsets)
    conds = [(column, "=", "a") for column in range(size)]
    with pytest.raises(UnsupportedQuery, match="same value in the same place"):
        encode_sql(SQL((0,), ("",), conds, "and"), question, encoded)
    encode_sql(SQL((0,), ("",), conds[1:], "and"), question, encoded)
