"""EM and F1 of answers, against the values of other implementations and by hand."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from bert4keras.tasks.reading import (
    cmrc2018,
    cmrc_em,
    cmrc_f1,
    no_answer_threshold,
    squad,
    squad_em,
    squad_f1,
    webqa,
    webqa_em,
    webqa_f1,
)
from bert4keras.tasks.reading.metrics import cmrc_segment, squad_normalize, webqa_normalize

pytestmark = pytest.mark.spread

FIXTURE = Path(__file__).resolve().parents[2] / "fixtures" / "reading_metrics.json"
RECORDED = json.loads(FIXTURE.read_text(encoding="utf-8"))
CASES = RECORDED["cases"]
SQUAD = RECORDED["squad_v2"]


def test_squad_is_that_of_the_reference():
    for (prediction, answers, _), exact, f1 in zip(CASES, SQUAD["exact"], SQUAD["f1"], strict=True):
        assert squad_em(prediction, answers) == exact, (prediction, answers)
        assert squad_f1(prediction, answers) == pytest.approx(f1, abs=1e-12), (prediction, answers)
    found = squad([case[0] for case in CASES], [case[1] for case in CASES])
    wanted = SQUAD["means"]
    assert 0 < wanted["HasAns_total"] < len(CASES)
    # There a question counts as answerable that has an answer, were it only an article.
    assert found["em"] == pytest.approx(wanted["exact"] / 100)
    assert found["f1"] == pytest.approx(wanted["f1"] / 100)
    assert found["has_answer_em"] == pytest.approx(wanted["HasAns_exact"] / 100)
    assert found["has_answer_f1"] == pytest.approx(wanted["HasAns_f1"] / 100)
    assert found["no_answer"] == pytest.approx(wanted["NoAns_exact"] / 100)


def test_squad_1_is_that_of_the_reference():
    answered = [case for case in CASES if case[1]]
    found = squad([case[0] for case in answered], [case[1] for case in answered])
    both_empty = sum(
        squad_normalize(prediction) == "" and any(not squad_normalize(a) for a in answers)
        for prediction, answers, _ in answered
    )
    # Where nothing is left of prediction and answer, version 1.1 has no F1.
    wanted = RECORDED["squad_v1"]
    assert abs(found["f1"] - wanted["f1"] / 100) <= both_empty / len(answered) + 1e-6
    proper = [case for case in answered if all(map(squad_normalize, [case[0], *case[1]]))]
    assert len(proper) > 20


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("The  Cat's\tA-team, an!", "cats ateam"),
        ("theatre another", "theatre another"),
        ("the", ""),
        ("", ""),
    ],
)
def test_squad_normalize(text, expected):
    assert squad_normalize(text) == expected


def test_the_threshold_is_that_of_the_reference():
    cases = [CASES[i] for i in SQUAD["plain"]]
    predictions, references, margins = zip(*cases, strict=True)
    for score, name in ((squad_em, "best_exact"), (squad_f1, "best_f1")):
        threshold, best = no_answer_threshold(margins, predictions, references, score)
        assert best == pytest.approx(SQUAD["best"][name] / 100)
        texts = [p if m > threshold else "" for p, m in zip(predictions, margins, strict=True)]
        again = np.mean([score(t, r) for t, r in zip(texts, references, strict=True)])
        assert again == pytest.approx(best)


def test_the_threshold_is_the_best_by_brute_force():
    rng = np.random.default_rng(0)
    for size in [1, 2, 3, 8, 8, 8]:
        margins = rng.integers(-3, 4, size) / 2  # equal ones occur
        predictions = rng.choice(["fox", "dog"], size).tolist()
        references = [["fox"] if r < 0.6 else [] for r in rng.random(size)]

        def mean(threshold, *data):
            return np.mean([squad_em(p if m > threshold else "", r) for m, p, r in data])

        data = list(zip(margins, predictions, references, strict=True))
        threshold, best = no_answer_threshold(margins, predictions, references)
        assert best == mean(threshold, *data)
        assert best == max(mean(t, *data) for t in [-np.inf, np.inf, *margins, *(margins - 0.1)])


@pytest.mark.parametrize("text", RECORDED["nltk_words"])
def test_words_between_chinese_are_those_of_nltk(text):
    assert cmrc_segment(text) == RECORDED["nltk_words"][text]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("《红楼梦》", ["红", "楼", "梦"]),
        (" 于2015年，共3.5万人。", ["于", "2015", "年", "共", "3.5", "万", "人"]),
        ("Windows XP系统", ["windows", "xp", "系", "统"]),
        ("a-b", ["ab"]),  # a mark is dropped, and what it parted is one
        ("1…2", ["1…2"]),
        ("，。", []),
    ],
)
def test_segments_of_cmrc(text, expected):
    assert cmrc_segment(text) == expected


def test_another_tokenizer_between_chinese():
    assert cmrc_segment("在New York 2.5") == ["在", "new", "york", "2.5"]
    assert cmrc_segment("在New York", list) == ["在", *"new york"]


@pytest.mark.parametrize(
    ("prediction", "answers", "em", "f1"),
    [
        ("北京", ["北京"], 1, 1),
        ("北京。", ["《北京》"], 1, 1),
        ("在北京市", ["北京"], 0, 2 / 3),  # 2 of 4 and 2 of 2
        # One run only: 北京, 2 of 5 and 2 of 4. All characters in common would be 4.
        ("北京和上海", ["上北京海"], 0, 4 / 9),
        ("IPhone 4S手机", ["iphone 4s"], 0, 2 * 2 / (4 + 2)),
        ("天津", ["北京", "天津市"], 0, 0.8),
        ("天津", ["北京"], 0, 0),
        ("", ["北京"], 0, 0),
        ("", [], 1, 1),
        ("北京", [], 0, 0),
    ],
)
def test_cmrc_by_hand(prediction, answers, em, f1):
    assert cmrc_em(prediction, answers) == em
    assert cmrc_f1(prediction, answers) == pytest.approx(f1)


@pytest.mark.parametrize(
    ("prediction", "answers", "em", "f1"),
    [
        ("ＢＢＣ １", ["bbc1"], 1, 1),
        ("《北京》", ["北京"], 1, 1),
        ("京北", ["北京"], 0, 1),  # F1 does not look at the order
        ("北京市", ["北京"], 0, 0.8),
        ("北北", ["北京"], 0, 0.5),  # a character counts as often as both have it
        ("", ["北京"], 0, 0),
    ],
)
def test_webqa_by_hand(prediction, answers, em, f1):
    assert webqa_em(prediction, answers) == em
    assert webqa_f1(prediction, answers) == pytest.approx(f1)


def test_means():
    found = cmrc2018(["北京", "在北京市"], [["北京"], ["北京"]])
    assert found == {"em": 0.5, "f1": pytest.approx(5 / 6)}
    found = webqa(["京北", "北京"], [["北京"], ["北京", "上海"]])
    assert found == {"em": 0.5, "f1": 1.0, "final": 0.75}
    assert webqa_normalize("Ａ,b　c￥") == "abc"
    assert squad([""], [[]]) == {"em": 1, "f1": 1}  # no question has an answer: one figure is all


@pytest.mark.parametrize("metric", [squad, cmrc2018, webqa])
@pytest.mark.parametrize(
    ("predictions", "references", "message"),
    [
        ([], [], "no prediction"),
        (["a"], [["a"], ["b"]], "1 predictions, but 2 references"),
        ("ab", [["a"], ["b"]], "predictions is one string"),
        (["ab"], ["ab"], "list of references; at 0 there is 'ab'"),
    ],
)
def test_what_cannot_be_compared_is_refused(metric, predictions, references, message):
    with pytest.raises(ValueError, match=message):
        metric(predictions, references)


def test_margins_that_are_no_numbers_are_refused():
    for margins in ([1.0, 2.0], [float("nan")]):
        with pytest.raises(ValueError, match="1 predictions need as many margins"):
            no_answer_threshold(margins, ["a"], [["a"]])
