"""Spans, answers and votes, against enumeration and by hand."""

from __future__ import annotations

import numpy as np
import pytest

from bert4keras.tasks.reading import (
    Answer,
    Reading,
    best_spans,
    read_answers,
    read_windows,
    vote,
    webqa_normalize,
)
from bert4keras.tokenizers import Tokenizer

TOKENIZER = Tokenizer(["[PAD]", "[UNK]", "[CLS]", "[SEP]", *"abcdefghijklmnop"])


@pytest.mark.parametrize("combine", [np.add, np.multiply])
def test_best_spans_by_enumeration(combine):
    rng = np.random.default_rng(0)
    for _ in range(60):
        length, longest = rng.integers(1, 9), int(rng.integers(1, 10))
        scores = rng.integers(0, 5, (length, 2)) / 4  # with equal ones
        allowed = rng.random((length, 2)) < 0.8
        wanted = [
            (start, end + 1, combine(scores[start, 0], scores[end, 1]))
            for start in range(length)
            for end in range(start, min(length, start + longest))
            if allowed[start, 0] and allowed[end, 1]
        ]
        wanted.sort(key=lambda span: -span[2])  # stable: the earlier, then the shorter first
        for top in (1, 3, 100):
            assert best_spans(scores, top, longest, allowed, combine) == wanted[:top]


def test_limits_bind():
    scores = np.array([[9.0, 0], [0, 0], [0, 9]])
    assert best_spans(scores)[0] == (0, 3, 18)
    assert best_spans(scores, max_length=2)[0] == (0, 1, 9)
    assert best_spans(scores, allowed=np.array([[False], [True], [True]]))[0] == (1, 3, 9)
    assert best_spans(scores[::-1])[0].score < 18  # an end before its start is none
    assert best_spans(np.zeros((0, 2))) == []
    for options in ({"top": 0}, {"max_length": 0}):
        with pytest.raises(ValueError, match="must be at least 1"):
            best_spans(scores, **options)
    with pytest.raises(ValueError, match=r"\(tokens, 2\), not \(2, 3, 2\)"):
        best_spans(np.zeros((2, 3, 2)))


def random_reading(seed: int, central: bool):
    """A reading of a long passage, and the same by enumeration of windows and spans."""
    rng = np.random.default_rng(seed)
    passage = " ".join(rng.choice(list("abcdefghijklmnop"), 20))
    (windows,) = read_windows(TOKENIZER, ["a b"], [passage], maxlen=12, stride=3)
    scores = [rng.normal(size=(14, 2)) for _ in windows]  # two rows of padding and more
    reading = read_answers(passage, windows, scores, top=200, max_length=3, central=central)
    wanted = {}
    for window, rows in zip(windows, scores, strict=True):
        for i in range(window.begin, window.end):
            for j in range(i, min(i + 3, window.end)):
                if window.central[i] or not central:
                    place = window.offsets[i][0], window.offsets[j][1]
                    score = rows[i, 0] + rows[j, 1]
                    wanted[place] = max(score, wanted.get(place, score))
    none = min(rows[0].sum() for rows in scores)
    return passage, reading, wanted, none


@pytest.mark.parametrize("central", [False, True])
def test_read_answers_by_enumeration(central):
    for seed in range(10):
        passage, reading, wanted, none = random_reading(seed, central)
        assert reading.no_answer == pytest.approx(none)
        assert {(a.start, a.end): a.score for a in reading.answers} == pytest.approx(wanted)
        found = [answer.score for answer in reading.answers]
        assert found == sorted(found, reverse=True)
        assert all(passage[a.start : a.end] == a.text for a in reading.answers)


def test_an_answer_is_found_wherever_it_is():
    passage = " ".join("abcdefghijklmnop" * 2)
    (windows,) = read_windows(TOKENIZER, ["a b"], [passage], maxlen=12, stride=3)
    overlap = (12 - 5) - 3
    for start in range(0, len(passage), 2):
        end = min(len(passage), start + 2 * overlap - 1)
        scores = []
        for window in windows:
            rows = np.zeros((12, 2))
            first, last = window.labels(start, end)
            rows[first, 0] = rows[last, 1] = 5
            scores.append(rows)
        reading = read_answers(passage, windows, scores)
        assert reading.answers[0][:3] == (passage[start:end], start, end)
        assert reading.margin == 10  # in a window that holds it, [CLS] scores 0
        assert reading.text() == passage[start:end]
        assert reading.text(10) == ""


def test_a_passage_without_text():
    (windows,) = read_windows(TOKENIZER, ["a"], [""], maxlen=12)
    reading = read_answers("", windows, [np.ones((4, 2))])
    assert reading == Reading([], 2.0)
    assert reading.margin == -np.inf
    assert reading.text(-np.inf) == ""


def test_scores_must_fit_the_windows():
    (windows,) = read_windows(TOKENIZER, ["a"], ["b c"], maxlen=12)
    with pytest.raises(ValueError, match="3 rows of scores for 6 tokens"):
        read_answers("b c", windows, [np.ones((3, 2))])
    with pytest.raises(ValueError, match="shorter"):
        read_answers("b c", windows, [])


def test_votes_by_hand():
    passages = [
        [Answer("巴黎", 0, 2, 0.5), Answer("巴黎", 7, 9, 0.4), Answer("罗马", 4, 6, 0.6)],
        [("巴黎", 0.5)],
        [],
    ]
    # The better of two places: (0.25 + 0.25) / (1 + 1); 0.36 / 1.6.
    assert vote(passages) == [("巴黎", pytest.approx(0.25)), ("罗马", pytest.approx(0.225))]
    # Three sure passages against one surer, and many unsure ones against one sure.
    assert vote([[("a", 0.8)], [("a", 0.8)], [("b", 0.98)]])[0][0] == "a"
    assert vote([*[[("a", 0.11)]] * 9, [("b", 0.9)]])[0][0] == "b"
    assert vote([]) == []


def test_votes_for_one_answer_in_two_spellings():
    passages = [[("《ＢＢＣ》", 0.4)], [("bbc", 0.5)], [("abc", 0.55)]]
    assert vote(passages)[0][0] == "abc"
    assert vote(passages, webqa_normalize)[0] == ("bbc", pytest.approx(0.41 / 1.9))


def test_a_vote_is_a_probability():
    with pytest.raises(ValueError, match=r"score of 'a' is -0\.5"):
        vote([[("a", -0.5)]])
