"""Text helpers."""

from __future__ import annotations

import itertools

from hypothesis import given, settings
from hypothesis import strategies as st

from bert4keras import snippets
from bert4keras.data.text import (
    is_string,
    longest_common_subsequence,
    longest_common_substring,
    lowercase_and_normalize,
    strQ2B,
    text_segmentate,
)

SHORT = st.text("abc", max_size=7)


def test_normalisation():
    assert lowercase_and_normalize("ÉCole e\u0301") == "ecole e"
    assert strQ2B("ＡＢｃ，　１！中") == "ABc, 1!中"
    assert is_string("a")
    assert not is_string(b"a")


def test_segments_by_hand():
    text = "一二三。四五，六七八。\n九十"
    assert text_segmentate(text, 100) == [text]
    assert text_segmentate(text, 6, "\n。，") == ["一二三。", "四五，", "六七八。", "九十"]
    assert text_segmentate(text, 6, "\n。，", "。，") == ["一二三", "四五，六七八", "九十"]
    assert text_segmentate("abcdef", 3, "\n") == ["abcdef"]  # nothing to cut at
    assert text_segmentate("", 3) == [""]


@given(st.text("ab,.", max_size=40), st.integers(3, 10))
@settings(deadline=None)
def test_segments_keep_the_text_and_the_limit(text, maxlen):
    segments = text_segmentate(text, maxlen, ".,")
    assert "".join(segments) == text
    for segment in segments:
        core = segment.rstrip(".,")  # a run of separators stays with the piece before it
        assert len(core) <= maxlen or not set(core.lstrip(".,")) & set(".,")


@given(SHORT, SHORT)
@settings(deadline=None)
def test_common_parts_against_enumeration(a, b):
    size, (i, j, k, m) = longest_common_substring(a, b)
    assert a[i:j] == b[k:m]
    assert j - i == size
    pieces = [a[i:j] for i in range(len(a)) for j in range(i + 1, len(a) + 1)]
    assert size == max((len(p) for p in pieces if p in b), default=0)

    size, pairs = longest_common_subsequence(a, b)
    assert all(a[i] == b[j] for i, j in pairs)
    assert all(p[0] < q[0] and p[1] < q[1] for p, q in itertools.pairwise(pairs))
    choices = {c for n in range(len(a) + 1) for c in itertools.combinations(a, n)}
    common = choices & {c for n in range(len(b) + 1) for c in itertools.combinations(b, n)}
    assert size == len(pairs) == max(map(len, common))


def test_old_import_path():
    for name in snippets.__all__:
        assert callable(getattr(snippets, name))
