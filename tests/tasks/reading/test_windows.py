"""Windows over long passages: nothing is lost, and every token finds back to its characters."""

from __future__ import annotations

import itertools
import re

import numpy as np
import pytest

from bert4keras.tasks.reading.windows import PassageWindow, encode_passages
from bert4keras.tasks.windows import max_context_window, sliding_windows
from bert4keras.tokenizers import Tokenizer

pytestmark = pytest.mark.spread

LETTERS = "abcdefghij"
VOCAB = [
    "[PAD]",
    "[UNK]",
    "[CLS]",
    "[SEP]",
    *LETTERS,
    *("##" + x for x in LETTERS),
    "北",
    "京",
    "?",
]
SIZES = [
    (n, size, stride) for n in range(13) for size in range(1, 7) for stride in range(1, size + 1)
]


@pytest.fixture(scope="module")
def tokenizer():
    return Tokenizer(VOCAB, do_lower_case=True)


def random_passage(rng, words: int) -> str:
    """Words of one to three letters, with one or two blanks between them."""
    parts = ["".join(rng.choice(list(LETTERS), rng.integers(1, 4))) for _ in range(words)]
    return "".join(part + " " * rng.integers(1, 3) for part in parts) + "北京"


def test_windows_lose_nothing():
    for length, size, stride in SIZES:
        windows = sliding_windows(length, size, stride)
        assert {i for start, end in windows for i in range(start, end)} == set(range(length))
        assert all(end - start == min(size, length) for start, end in windows)
        assert windows == sorted(set(windows))
        for start in range(length):  # every run as long as the overlap, plus one
            for end in range(start + 1, min(length, start + size - stride + 1) + 1):
                assert any(a <= start and end <= b for a, b in windows)


def test_a_run_longer_than_the_overlap_can_be_lost():
    assert not any(a <= 2 and b >= 6 for a, b in sliding_windows(12, 5, 3))


def test_no_window_is_superfluous():
    for length, size, stride in SIZES:
        windows = sliding_windows(length, size, stride)
        assert len(windows) == 1 + max(0, -(-(length - size) // stride))


@pytest.mark.parametrize("stride", [0, 5])
def test_an_impossible_stride_is_refused(stride):
    with pytest.raises(ValueError, match=rf"stride={stride} must lie between 1 and .* 4"):
        sliding_windows(9, 4, stride)


def test_the_central_window_by_brute_force():
    for length, size, stride in SIZES:
        windows = sliding_windows(length, size, stride)
        found = max_context_window(windows, length)
        for i, window in enumerate(found):
            context = [min(i - a, b - 1 - i) if a <= i < b else -1 for a, b in windows]
            assert context[window] == max(context) >= 0
            assert window == context.index(max(context))


def test_half_the_overlap_is_whole_where_its_first_token_is_central():
    for length, size, stride in SIZES:
        windows = sliding_windows(length, size, stride)
        best = max_context_window(windows, length)
        for start in range(length):
            end = min(length, start + max(1, (size - stride) // 2))
            assert end <= windows[best[start]][1]


def test_windows_hold_the_passage(tokenizer):
    rng = np.random.default_rng(0)
    for words in (1, 5, 30):
        passage, question = random_passage(rng, words), "ab cd?"
        ids, segments = tokenizer.encode(question, passage)
        spans = tokenizer.offsets(passage)[1:-1]
        (windows,) = encode_passages(tokenizer, [question], [passage], maxlen=16, stride=3)
        head = len(tokenizer.encode(question)[0])
        seen = {}
        for window in windows:
            width = len(window.token_ids)
            assert (
                width == len(window.segment_ids) == len(window.offsets) == len(window.max_context)
            )
            assert width <= 16
            assert window.token_ids[:head] == ids[:head]
            assert window.token_ids[-1] == ids[-1]
            assert window.segment_ids == [0] * head + [1] * (width - head)
            assert window.mask == [0] * head + [1] * (width - head - 1) + [0]
            for place in range(width):
                inside = window.begin <= place < window.end
                if inside:
                    start, end = window.offsets[place]
                    token = tokenizer.id_to_token(window.token_ids[place])
                    assert passage[start:end] == token.removeprefix("##")
                    seen.setdefault((start, end), []).append(window.max_context[place])
                else:
                    assert window.offsets[place] == (0, 0)
                    assert not window.max_context[place]
        assert sorted(seen) == spans
        assert all(sum(flags) == 1 for flags in seen.values())
        if words < 5:
            assert windows[0].token_ids == ids
            assert windows[0].segment_ids == segments


def test_every_answer_has_its_tokens(tokenizer):
    """Any run of tokens no longer than the overlap, and the characters of the tokens found."""
    passage = random_passage(np.random.default_rng(1), 12)
    spans = tokenizer.offsets(passage)[1:-1]
    (windows,) = encode_passages(tokenizer, ["ab?"], [passage], maxlen=14, stride=4)
    overlap = (14 - len(tokenizer.encode("ab?", "")[0])) - 4
    assert len(windows) > 3
    outside = 0
    for first in range(len(spans)):
        for last in range(first, min(first + overlap + 4, len(spans))):
            start, end = spans[first][0], spans[last][1]
            found = [window.locate(start, end) for window in windows]
            held = [(w, *place) for w, place in zip(windows, found, strict=True) if place]
            for window, a, b in held:
                assert (window.offsets[a][0], window.offsets[b][1]) == (start, end)
                assert b - a == last - first
            wanted = sum(
                w.offsets[w.begin][0] <= start and end <= w.offsets[w.end - 1][1] for w in windows
            )
            assert len(held) == wanted
            assert held or last - first + 1 > overlap
            outside += not held
    assert outside  # longer ones do get lost, so the bound means something


def test_tokens_of_odd_answers(tokenizer):
    passage = "abc  de fg"  # a ##b ##c d ##e f ##g
    (windows,) = encode_passages(tokenizer, ["a"], [passage], maxlen=8, stride=2)
    window = windows[0]  # [CLS] a [SEP] a ##b ##c d [SEP]
    assert [w.reach for w in windows] == [(0, 6), (2, 9), (3, 10)]
    assert window.locate(1, 2) == (4, 4)
    assert window.locate(3, 4) is None  # only a blank
    assert window.locate(2, 5) == (5, 5)  # with the blanks behind it
    assert window.locate(5, 7) is None  # goes on in the next window
    assert windows[1].locate(5, 7) == (4, 5)
    assert windows[1].locate(1, 3) is None  # began in the one before
    for nothing in ((-1, -1), (2, 2), (3, 1)):
        assert window.locate(*nothing) is None


def test_a_token_in_part_counts(tokenizer):
    (windows,) = encode_passages(tokenizer, ["a"], ["zzz abc"], maxlen=20)
    assert windows[0].locate(1, 5) == (3, 4)  # zzz is one unknown token


def test_frames_of_other_models():
    vocab = {token: i for i, token in enumerate(VOCAB)}
    roberta = Tokenizer(vocab, pattern="S*EE*E", segments=(0, 0))
    bare = Tokenizer(vocab, token_start=None, token_end=None, pattern="**")
    for tokenizer, prefix in ((roberta, "[CLS] a [SEP] [SEP]"), (bare, "a")):
        (windows,) = encode_passages(tokenizer, ["a"], ["b c d e f g"], maxlen=8, stride=1)
        assert len(windows) > 1 or tokenizer is bare
        for window in windows:
            tokens = tokenizer.ids_to_tokens(window.token_ids)
            assert tokens[: window.begin] == prefix.split()
            assert re.fullmatch("[b-g]+", "".join(tokens[window.begin : window.end]))
            assert window.segment_ids[0] == 0
        (whole,) = encode_passages(tokenizer, ["a"], ["b c"], maxlen=10)
        assert whole[0].token_ids == tokenizer.encode("a", "b c")[0]
        assert whole[0].segment_ids == tokenizer.encode("a", "b c")[1]


def test_a_question_is_never_cut(tokenizer):
    (windows,) = encode_passages(tokenizer, ["a " * 6], ["b c d"], maxlen=10)
    assert [w.token_ids[1:7] for w in windows] == [tokenizer.encode("a " * 6)[0][1:-1]] * 3
    assert [w.question_mask for w in windows] == [[0] + [1] * 6 + [0] * 3] * 3
    assert [w.first for w in windows] == [0, 1, 2]


def test_empty_texts(tokenizer):
    (windows,) = encode_passages(tokenizer, [""], [""], maxlen=12)
    wanted = [2, 3, 3], [0, 0, 1], [(0, 0)] * 3, (1, 1), 2, 2, 0, [False] * 3, (0, 0)
    assert windows == [PassageWindow(*wanted)]
    assert windows[0].locate(0, 5) is None
    assert encode_passages(tokenizer, [], []) == []


@pytest.mark.parametrize("overlap", [0, 3, 6, 100])
def test_neighbours_share_what_is_asked_for(tokenizer, overlap):
    (windows,) = encode_passages(
        tokenizer, ["a"], ["b " * 40], maxlen=12, stride=8, overlap=overlap
    )
    room = 8
    shared = [room - (b.first - a.first) for a, b in itertools.pairwise(windows)]
    assert min(shared) == min(overlap, 6)


def test_what_does_not_fit_is_refused(tokenizer):
    with pytest.raises(ValueError, match=r"maxlen=8 leaves no room .* beside 9 tokens"):
        encode_passages(tokenizer, ["a " * 6], ["b"], maxlen=8)
    with pytest.raises(ValueError, match="1 questions, but 2 passages"):
        encode_passages(tokenizer, ["a"], ["b", "c"])
    with pytest.raises(ValueError, match="stride=0"):
        encode_passages(tokenizer, ["a"], ["b c d e f g"], maxlen=8, stride=0)
