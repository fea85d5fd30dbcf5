"""ROUGE and BLEU against rouge-score, sacrebleu and nltk (recorded); exact match by hand."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from bert4keras.tasks.generation import bleu, rouge, rouge_l, rouge_n, sentence_bleu
from bert4keras.tasks.words import exact_match, words

pytestmark = pytest.mark.spread

RECORDED = json.loads(
    (Path(__file__).parents[2] / "fixtures" / "text_metrics.json").read_text(encoding="utf-8")
)
CASES = RECORDED["cases"]
OPTIONS = RECORDED["bleu_options"]
PREDICTIONS = [case["prediction"].split() for case in CASES]
REFERENCES = [[text.split() for text in case["references"]] for case in CASES]
TOKENS = list(zip(CASES, PREDICTIONS, REFERENCES, strict=True))


def test_rouge_is_that_of_rouge_score():
    for case, prediction, several in TOKENS:
        found = {
            "rouge1": rouge_n(prediction, several[0], 1),
            "rouge2": rouge_n(prediction, several[0], 2),
            "rougeL": rouge_l(prediction, several[0]),
        }
        for name, score in found.items():
            np.testing.assert_allclose(score, case["rouge"][name]["first"], atol=1e-12)


def test_the_mean_takes_the_best_reference():
    means = rouge(PREDICTIONS, REFERENCES, multi_reference=True)
    firsts = rouge(PREDICTIONS, [several[0] for several in REFERENCES])
    for ours, theirs in [("rouge-1", "rouge1"), ("rouge-2", "rouge2"), ("rouge-l", "rougeL")]:
        best = np.mean([case["rouge"][theirs]["best_f"] for case in CASES])
        first = np.mean([case["rouge"][theirs]["first"][2] for case in CASES])
        assert means[ours] == pytest.approx(best, abs=1e-12)
        assert firsts[ours] == pytest.approx(first, abs=1e-12)
        assert best > first + 0.001  # a mean that took any reference would be seen


def test_beta_moves_f_between_precision_and_recall():
    score = rouge_l("a b c d", "a b")
    assert (score.precision, score.recall) == (0.5, 1.0)
    assert score.f == pytest.approx(2 / 3)
    assert rouge_l("a b c d", "a b", beta=1.2).f == pytest.approx(2.44 * 0.5 / (1 + 1.44 * 0.5))
    assert rouge_n("a b c d", "a b", 1, beta=1e6).f == pytest.approx(1.0)


@pytest.mark.parametrize("place", range(len(OPTIONS)), ids=lambda place: str(OPTIONS[place]))
def test_bleu_is_that_of_sacrebleu(place):
    options = OPTIONS[place]
    found = bleu(PREDICTIONS, REFERENCES, multi_reference=True, **options)
    assert found == pytest.approx(RECORDED["corpus_bleu"][place], abs=1e-12)
    for case, prediction, several in TOKENS:
        found = sentence_bleu(prediction, *several, **options)
        assert found == pytest.approx(case["bleu"][place], abs=1e-12), case["prediction"]


def test_the_options_of_bleu_differ():
    values = np.array([case["bleu"] for case in CASES])
    # An effective order, for one, changes nothing where every text is long enough.
    assert len({tuple(column.round(9)) for column in values.T}) >= 16


def test_floor_smoothing_is_the_first_method_of_nltk():
    compared = 0
    for case, prediction, several in TOKENS:
        if case["nltk_method1"] is not None:
            found = sentence_bleu(prediction, *several, smoothing="floor")
            assert found == pytest.approx(case["nltk_method1"], abs=1e-12)
            compared += 1
    assert compared > 8


def test_a_corpus_is_not_the_mean_of_its_texts():
    corpus = bleu(PREDICTIONS, REFERENCES, multi_reference=True)
    mean = np.mean(
        [sentence_bleu(p, *several) for p, several in zip(PREDICTIONS, REFERENCES, strict=True)]
    )
    assert abs(corpus - mean) > 0.01
    one = [several[0] for several in REFERENCES]
    assert bleu(PREDICTIONS, one) < corpus


def test_words_of_chinese_and_english():
    assert words("BERT很好,  isn't it？") == ["BERT", "很", "好", ",", "isn", "'", "t", "it", "？"]
    assert words(" \n") == []


def test_strings_become_words_or_what_a_function_makes_of_them():
    prediction, reference = "今天天气好", "今天天气很好"
    assert rouge_l(prediction, reference) == rouge_l(list(prediction), list(reference))
    assert rouge([prediction], [reference])["rouge-l"] == pytest.approx(10 / 11)
    assert sentence_bleu(prediction, reference) == sentence_bleu([*prediction], [*reference])
    assert rouge_n("a,b", "a b", 1).f == pytest.approx(0.8)
    assert rouge_n("a,b", "a b", 1, tokenize=str.split).f == 0
    assert bleu(["ab"], ["ab"], tokenize=list, max_order=2) == 1
    assert bleu([[7, 8, 9, 10]], [np.array([7, 8, 9, 10])]) == pytest.approx(1)  # ids


def test_exact_match():
    assert exact_match(["a", "b", "c", "A"], ["a", "x", "c", "a"]) == 0.5
    assert exact_match(["a", "A"], ["a", "a"], normalize=str.lower) == 1
    several = [["a", "b"], ["c"]]
    assert exact_match(["b", "b"], several, multi_reference=True) == 0.5
    assert exact_match([[1, 2], (3,)], [np.array([1, 2]), [4]]) == 0.5
    assert exact_match([1.0, 2], [1, 3]) == 0.5  # values, of equations for instance
    assert exact_match(["12"], [["1", "2"]]) == 0


@pytest.mark.parametrize("metric", [rouge, bleu, exact_match])
@pytest.mark.parametrize(
    ("predictions", "references", "options", "message"),
    [
        ([], [], {}, "there is no prediction"),
        (["a"], ["a", "b"], {}, "1 predictions, but 2 references"),
        ("ab", ["a", "b"], {}, "predictions is one string"),
        (["a", "b"], "ab", {}, "references is one string"),
        (["a"], ["a"], {"multi_reference": True}, "list of references; at 0 there is 'a'"),
        (["a", "b"], [["a"], []], {"multi_reference": True}, r"at 1 there is \[\]"),
    ],
)
def test_errors_of_pairs(metric, predictions, references, options, message):
    with pytest.raises(ValueError, match=message):
        metric(predictions, references, **options)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: bleu(["a"], ["a"], smoothing="soft"), "none, floor, add-k, exp, not 'soft'"),
        (lambda: bleu(["a"], ["a"], max_order=0), "max_order=0"),
        (lambda: rouge_n("a", "a", 0), "n=0"),
        (lambda: sentence_bleu("a"), r"at 0 there is \[\]"),
    ],
)
def test_errors_of_options(call, message):
    with pytest.raises(ValueError, match=message):
        call()
