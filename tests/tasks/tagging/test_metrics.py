"""Scores of entities and words against seqeval (recorded), and by hand."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from bert4keras.tasks.tagging import entity_scores, segmentation_scores, tag_scores

pytestmark = pytest.mark.spread

RECORDED = json.loads(
    (Path(__file__).parents[2] / "fixtures" / "entity_metrics.json").read_text(encoding="utf-8")
)


def as_numbers(scores) -> list[float]:
    """Results of seqeval: micro, macro F1, then precision, recall, F1 and support of each type."""
    types = [value for _, s in sorted(scores.types.items()) for value in (*s[:3], s.wanted)]
    return [*scores.micro[:3], scores.macro_f1, *types]


def recorded_numbers(values) -> list[float]:
    types = [value for _, numbers in sorted(values["types"].items()) for value in numbers]
    return [*values["micro"], values["macro_f1"], *types]


@pytest.mark.parametrize(
    ("case", "mode"),
    [(c, mode) for c in RECORDED["cases"] for mode in ("default", "strict") if c[mode]],
    ids=lambda value: value if isinstance(value, str) else value["scheme"],
)
def test_scores_are_those_of_seqeval(case, mode):
    ours = tag_scores(case["predictions"], case["references"], case["scheme"], mode == "strict")
    assert as_numbers(ours) == pytest.approx(recorded_numbers(case[mode]), abs=1e-12)


def test_the_recorded_cases_tell_the_modes_apart():
    both = [case for case in RECORDED["cases"] if case["strict"]]
    assert sum(case["default"]["micro"] != case["strict"]["micro"] for case in both) >= 8


def test_counts_by_hand():
    wanted = [[(0, 2, "PER"), (3, 4, "LOC")], [(0, 5, "ORG"), (1, 3, "LOC")], []]
    found = [[(0, 2, "PER"), (3, 4, "PER")], [(1, 3, "LOC"), (1, 3, "LOC")], [(0, 1, "LOC")]]
    scores = entity_scores(found, wanted)
    assert scores.micro[:3] == pytest.approx((2 / 4, 2 / 4, 2 / 4))
    assert scores.micro[3:] == (2, 4, 4)
    assert scores.types["PER"][:3] == pytest.approx((1 / 2, 1, 2 / 3))
    assert scores.types["ORG"] == (0, 0, 0, 0, 0, 1)
    assert scores.macro_f1 == pytest.approx((2 / 3 + 1 / 2 + 0) / 3)
    # Only the type, or only one border, is not enough.
    assert entity_scores([[(0, 2, "PER")]], [[(0, 3, "PER")]]).micro.f1 == 0
    assert entity_scores([[(0, 2, "PER")]], [[(0, 2, "LOC")]]).micro.f1 == 0
    assert entity_scores([[]], [[]]).micro == (0, 0, 0, 0, 0, 0)
    assert entity_scores([], []).types == {}


@pytest.mark.parametrize(
    ("score", "message"),
    [
        (lambda: entity_scores([[]], [[], []]), "1 predictions for 2 references"),
        (lambda: tag_scores([["O"]], []), "1 predictions for 0 references"),
        (lambda: tag_scores([["O"]], [["O", "O"]]), "Text 0 has 2 items, but 1 predictions"),
        (lambda: segmentation_scores([["我们"]], []), "1 predictions for 0 references"),
        (lambda: segmentation_scores([["我"]], [["我们"]]), "Text 0 differs: '我', not '我们'"),
    ],
)
def test_bad_input_is_named(score, message):
    with pytest.raises(ValueError, match=message):
        score()


def test_words_are_scored_as_entities_are():
    ours, wanted = zip(*[(b, a) for a, b in RECORDED["segmentation"]["texts"]], strict=True)
    found = segmentation_scores(ours, wanted)
    assert found[:3] == pytest.approx(RECORDED["segmentation"]["micro"], abs=1e-12)
    assert found[3:] == (None, None, None)
    assert 0 < found.f1 < 1


def test_new_words_by_hand():
    wanted = [["研究", "生命", "的", "起源"], ["他", "是", "张伟"]]
    found = [["研究生", "命", "的", "起源"], ["他", "是", "张伟", ""]]
    scores = segmentation_scores(found, wanted, {"研究", "生命", "的", "他", "是", "研究生"})
    assert scores[:3] == pytest.approx((5 / 7, 5 / 7, 5 / 7))
    assert scores.oov_rate == pytest.approx(2 / 7)  # 起源, 张伟
    assert scores.oov_recall == 1
    assert scores.iv_recall == pytest.approx(3 / 5)
    assert segmentation_scores(wanted, wanted, []).iv_recall is None
    assert segmentation_scores([], [], []) == (0, 0, 0, None, None, None)
