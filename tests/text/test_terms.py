"""Terms of a domain against a general corpus."""

from __future__ import annotations

import math
import random
import re

import numpy as np
import pytest

from bert4keras.text import Term, find_terms
from bert4keras.text.terms import log_likelihood_ratio
from helpers.planted_words import CHARACTERS, planted_texts

pytestmark = pytest.mark.spread

OPTIONS = {"min_count": 20, "min_pmi": 2.0}


def general_texts() -> list[str]:
    """Texts with one of the planted words as often, and with another twice."""
    chooser = random.Random(1)
    texts = ["".join(chooser.choices(CHARACTERS, k=10)) for _ in range(400)]
    return [text + "蝴蝶" * (i % 4 == 0) for i, text in enumerate(texts)] + ["葡萄干"] * 2


def test_ratio_by_hand():
    # 2 * sum O log(O/E); cells 30, 70; 10, 190 with E = 40/3, 260/3; 80/3, 520/3
    expected = 30 * math.log(30 * 3 / 40) + 70 * math.log(70 * 3 / 260)
    expected += 10 * math.log(10 * 3 / 80) + 190 * math.log(190 * 3 / 520)
    assert log_likelihood_ratio(30, 100, 10, 200) == pytest.approx(2 * expected)
    found = log_likelihood_ratio(np.array([30, 5, 7]), 100, np.array([10, 10, 0]), 200)
    assert found[0] == pytest.approx(2 * expected)
    assert found[1] == pytest.approx(0)  # the same rate
    assert found[2] == pytest.approx(
        2 * (7 * math.log(3) + 93 * math.log(279 / 293) + 200 * math.log(300 / 293))
    )


def test_domain_words_are_found_and_others_are_not():
    found = {term.text: term for term in find_terms(planted_texts(), general_texts(), **OPTIONS)}
    assert set(found) == {"葡萄干", "乌鲁木齐", "布宜诺斯艾利斯"}  # 蝴蝶 is in both
    assert found["乌鲁木齐"][2:4] == (100, 0)
    assert found["乌鲁木齐"].general_pmi == -math.inf
    assert found["葡萄干"][2:4] == (100, 2)
    assert found["葡萄干"].general_pmi > 5
    # Of 3,600 and 4,102 words.
    assert found["葡萄干"].ratio == pytest.approx(100.5 / 3601 / (2.5 / 4103))
    assert found["乌鲁木齐"].score > found["葡萄干"].score > 100
    # Negative controls: a corpus against itself, and the contrast the other way.
    assert find_terms(planted_texts(), planted_texts(), **OPTIONS) == []
    assert find_terms(general_texts(), planted_texts(), **OPTIONS) == []


def test_thresholds():
    options = {**OPTIONS, "min_score": 0.0, "min_ratio": 0.0}
    found = find_terms(planted_texts(), general_texts(), **options)
    assert "蝴蝶" in {term.text for term in found}
    assert all(isinstance(term, Term) and len(term.text) > 1 for term in found)
    assert "天" in {
        t.text for t in find_terms(planted_texts(), general_texts(), min_length=1, **options)
    }


def test_terms_do_not_end_with_function_words():
    domain = ["the camera", "camera lens", "good"] * 9
    general = ["the day", "the night", "a day"] * 9
    options = {"min_count": 9, "min_pmi": 0.0, "min_score": 0.0}
    found = {term.text for term in find_terms(domain, general, function_words=0, **options)}
    assert found == {"the camera", "camera lens"}
    found = {term.text for term in find_terms(domain, general, function_words=1, **options)}
    assert found == {"camera lens"}
    characters = find_terms(["的确"] * 20 + ["天"], ["的", "天"] * 20, min_pmi=0.0)
    assert [term.text for term in characters] == ["的确"]  # no word of letters


def test_terms_grow_from_seeds():
    """Colours occur among clothes, birds among trees: a seed leads to its own group."""
    colours, birds = ["绯红", "靛蓝", "鹅黄"], ["鹧鸪", "杜鹃", "喜鹊"]
    chooser, texts = random.Random(0), []
    for _ in range(300):
        texts.append(f"{chooser.choice(colours)}的{chooser.choice(['裙子', '衬衫', '袜子'])}。")
        texts.append(f"{chooser.choice(birds)}在{chooser.choice(['槐树', '榆树', '柳枝'])}。")
    general = planted_texts()
    every = {term.text for term in find_terms(texts, general, min_pmi=3.0)}
    assert {*colours, *birds} <= every
    found = find_terms(texts, general, min_pmi=3.0, seeds=["绯红"])
    names = {term.text: term.steps for term in found}
    assert set(colours) <= set(names)
    assert not set(birds) & set(names)
    assert names["绯红"] == 0
    assert names["靛蓝"] == 1
    assert all(0.5 <= term.similarity <= 1.0001 for term in found)


@pytest.mark.parametrize(
    ("domain", "general", "options", "error", "message"),
    [
        (["天"], [], {}, ValueError, "The general corpus has no text"),
        ([], ["天"], {}, ValueError, "The domain corpus has no text"),
        (["天"], [1], {}, TypeError, "Item 0 of the general corpus is int 1"),
        (
            ["天"],
            ["天"],
            {"seeds": "天"},
            TypeError,
            "seeds is the text '天'; give a list of words.",
        ),
        (["天"], ["天"], {"order": 1}, ValueError, "order is 1; it must be 2, 3 or 4."),
    ],
)
def test_bad_input(domain, general, options, error, message):
    with pytest.raises(error, match=re.escape(message)):
        find_terms(domain, general, **options)


def test_nothing_is_repeated():
    assert find_terms(["天地玄黄"], ["天地"], min_count=2) == []
    assert find_terms(["天地玄黄"], ["天地"], min_count=2, seeds=["天地"]) == []
