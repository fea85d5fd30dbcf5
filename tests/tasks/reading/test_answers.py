"""Spans, answers and votes, against enumeration and by hand."""

from __future__ import annotations

import numpy as np
import pytest

from bert4keras.tasks.reading import Answer
from bert4keras.tasks.reading.answers import (
    PassageAnswers,
    aggregate_answers,
    best_spans,
    read_answers,
    read_probabilities,
)
from bert4keras.tasks.reading.metrics import webqa_normalize
from bert4keras.tasks.reading.windows import encode_passages
from bert4keras.tokenizers import Tokenizer

pytestmark = pytest.mark.spread

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


def random_windows(seed: int):
    """A long passage, its windows, and scores for each, with rows of padding."""
    rng = np.random.default_rng(seed)
    passage = " ".join(rng.choice(list("abcdefghijklmnop"), 20))
    (windows,) = encode_passages(TOKENIZER, ["a b"], [passage], maxlen=12, stride=3)
    assert len(windows) > 4
    return passage, windows, [rng.normal(size=(14, 2)) for _ in windows]


def enumerated(windows, scores, max_context, combine=np.add):
    """The score of every span of up to three tokens, by its characters."""
    wanted = {}
    for window, rows in zip(windows, scores, strict=True):
        for i in range(window.begin, window.end):
            for j in range(i, min(i + 3, window.end)):
                if window.max_context[i] or not max_context:
                    place = window.offsets[i][0], window.offsets[j][1]
                    score = combine(rows[i, 0], rows[j, 1])
                    wanted[place] = max(score, wanted.get(place, score))
    return wanted


@pytest.mark.parametrize("max_context", [False, True])
@pytest.mark.parametrize("position", [0, None])
def test_read_answers_by_enumeration(max_context, position):
    for seed in range(5):
        passage, windows, scores = random_windows(seed)
        found = read_answers(passage, windows, scores, 200, 3, position, max_context, number=2)
        wanted = {p: np.exp(s) for p, s in enumerated(windows, scores, max_context).items()}
        none = 0.0 if position is None else np.exp(min(rows[0].sum() for rows in scores))
        total = sum(wanted.values()) + none
        assert found.no_answer == pytest.approx(none / total)
        assert {(a.start, a.end): a.score for a in found.answers} == pytest.approx(
            {place: score / total for place, score in wanted.items()}
        )
        assert sum(a.score for a in found.answers) + found.no_answer == pytest.approx(1)
        ranked = [answer.score for answer in found.answers]
        assert ranked == sorted(ranked, reverse=True)
        assert all(passage[a.start : a.end] == a.text for a in found.answers)
        assert {a.passage for a in found.answers} == {2}
        few = read_answers(passage, windows, scores, 4, 3, position, max_context, number=2)
        assert few.answers == found.answers[:4]


def test_read_probabilities_by_enumeration():
    passage, windows, scores = random_windows(0)
    chances = [1 / (1 + np.exp(-rows)) for rows in scores]
    found = read_probabilities(passage, windows, chances, 200, 3)
    wanted = enumerated(windows, chances, False, np.multiply)
    assert {(a.start, a.end): a.score for a in found.answers} == pytest.approx(wanted)
    assert found.no_answer == pytest.approx(1 - max(wanted.values()))
    assert found.confidence == pytest.approx(max(wanted.values()))


def test_an_answer_is_found_wherever_it_is():
    passage = " ".join("abcdefghijklmnop" * 2)
    (windows,) = encode_passages(TOKENIZER, ["a b"], [passage], maxlen=12, stride=3)
    overlap = (12 - 5) - 3
    for start in range(0, len(passage), 2):
        end = min(len(passage), start + 2 * overlap - 1)
        scores = []
        for window in windows:
            rows = np.zeros((12, 2))
            first, last = window.locate(start, end) or (0, 0)
            rows[first, 0] = rows[last, 1] = 5
            scores.append(rows)
        answer = read_answers(passage, windows, scores).answers[0]
        assert (answer.text, answer.start, answer.end) == (passage[start:end], start, end)


def test_only_the_best_and_none_are_left_in_the_confidence():
    (windows,) = encode_passages(TOKENIZER, ["a"], ["b c"], maxlen=12)
    scores = np.zeros((6, 2))
    scores[0] = 0.7, 0.8
    scores[3] = 1.0, 1.5
    found = read_answers("b c", windows, [scores])
    assert found.answers[0].text == "b"
    assert found.confidence == pytest.approx(1 / (1 + np.exp(1.5 - 2.5)))
    assert read_answers("b c", windows, [scores + 300]).confidence == pytest.approx(
        found.confidence
    )
    assert str(Answer("b", 0, 1, 0.5)) == "b 0.500"
    assert str(Answer("", 0, 0, 1.0)) == "(no answer) 1.000"


def test_a_passage_without_text():
    (windows,) = encode_passages(TOKENIZER, ["a"], [""], maxlen=12)
    empty = PassageAnswers([], 1.0)
    assert read_answers("", windows, [np.ones((4, 2))]) == empty
    assert read_answers("", [], []) == read_probabilities("", [], []) == empty
    assert empty.confidence == 0


def test_scores_must_fit_the_windows():
    (windows,) = encode_passages(TOKENIZER, ["a"], ["b c"], maxlen=12)
    with pytest.raises(ValueError, match="3 rows of scores for 6 tokens"):
        read_answers("b c", windows, [np.ones((3, 2))])
    with pytest.raises(ValueError, match="shorter"):
        read_answers("b c", windows, [])


def votes(passages, key=str):
    """Texts and votes of answers given as text and score."""
    made = [[Answer(text, 0, len(text), score) for text, score in found] for found in passages]
    return [(answer.text, vote) for answer, vote in aggregate_answers(made, key)]


def test_votes_by_hand():
    passages = [
        [Answer("巴黎", 7, 9, 0.4), Answer("巴黎", 0, 2, 0.5), Answer("罗马", 4, 6, 0.6)],
        [Answer("巴黎", 3, 5, 0.45, 1)],
        [],
    ]
    # The better of two places: (0.25 + 0.2025) / (1 + 0.95); 0.36 / 1.6.
    (first, a), (second, b) = aggregate_answers(passages)
    assert (first, a) == (Answer("巴黎", 0, 2, 0.5), pytest.approx(0.4525 / 1.95))
    assert (second.text, b) == ("罗马", pytest.approx(0.225))
    # Three sure passages against one surer, and many unsure ones against one sure.
    assert votes([[("a", 0.8)], [("a", 0.8)], [("b", 0.98)]])[0][0] == "a"
    assert votes([*[[("a", 0.11)]] * 9, [("b", 0.9)]])[0][0] == "b"
    assert votes([]) == []


def test_votes_for_one_answer_in_two_spellings():
    passages = [[("《ＢＢＣ》", 0.4)], [("bbc", 0.5)], [("abc", 0.55)]]
    assert votes(passages)[0][0] == "abc"
    assert votes(passages, webqa_normalize)[0] == ("bbc", pytest.approx(0.41 / 1.9))


def test_a_vote_is_a_probability():
    with pytest.raises(ValueError, match=r"score of 'a' is -0\.5"):
        votes([[("a", -0.5)]])
