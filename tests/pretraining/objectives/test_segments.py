"""Documents of packed rows, and their division into two segments, by hand."""

from __future__ import annotations

import numpy as np
import pytest

from bert4keras.pretraining import TokenRows
from bert4keras.pretraining.objectives.segments import (
    TextRanges,
    find_documents,
    join_segments,
    sentence_end_ids,
    split_places,
)
from helpers.packed_rows import CLS, END, PAD, SEP, make_rows

pytestmark = pytest.mark.spread

# Two texts, one of them between special tokens only; then a row with a text that has none.
ROWS = TokenRows(
    np.array([[CLS, 5, 6, END, 7, 8, 9, SEP, CLS, SEP, PAD], [10, 11, *[PAD] * 9]], "int32"),
    np.array([[1] * 8 + [2] * 2 + [0], [1, 1] + [0] * 9], "int32"),
    np.array([[-1, 0, 1, 2, 3, 4, 4, -1, -1, -1, -1], [0, 1, *[-1] * 9]], "int32"),
)


def test_bounds_of_documents():
    found = find_documents(ROWS)
    assert found.start.tolist() == [0, 8, 11]
    assert found.end.tolist() == [8, 10, 13]
    assert found.first.tolist() == [1, 10, 11]
    assert found.last.tolist() == [7, 10, 13]
    assert found.text_lengths.tolist() == [6, 0, 2]
    nothing = np.zeros((2, 3), "int32")
    assert len(find_documents(TokenRows(nothing, nothing, nothing - 1)).start) == 0


def test_join_segments_by_hand():
    documents = find_documents(ROWS)
    left, right = TextRanges(np.array([4, 0, 0]), np.array([2, 0, 0])), np.array([1, 0, 0])
    right = TextRanges(right, np.array([2, 0, 0]))
    made, segments = join_segments(
        ROWS, documents, left, right, np.array([True, False, False]), SEP, PAD
    )
    assert made.token_ids[0].tolist() == [CLS, 7, 8, SEP, 5, 6, SEP, PAD, CLS, SEP, PAD]
    assert made.document_ids[0].tolist() == [1] * 7 + [0] + [2] * 2 + [0]
    assert made.word_ids[0].tolist() == [-1, 3, 4, -1, 0, 1, -1, -1, -1, -1, -1]
    assert segments[0].tolist() == [0, 0, 0, 0, 1, 1, 1, 0, 0, 0, 0]
    for old, new in zip(ROWS, made, strict=True):  # the others are as before
        assert old[1].tolist() == new[1].tolist()


def test_texts_are_divided_at_the_end_of_a_sentence_or_else_at_a_short_word():
    rows = make_rows(40, 60)
    documents, rng = find_documents(rows), np.random.default_rng(0)
    place, at_end = split_places(rows, documents, [END], rng)
    assert at_end.any()
    assert (rows.token_ids.ravel()[place[at_end]] == END).all()
    inside = (place >= documents.first + 2) & (place < documents.last - 3)
    assert inside[place >= 0].all()
    assert (place >= 0).tolist() == (documents.text_lengths >= 6).tolist()
    place, at_end = split_places(rows, documents, [], rng)  # control: no marks
    assert not at_end.any()
    assert (place >= 0).any()
    long_words = rows._replace(word_ids=np.where(rows.word_ids >= 0, rows.word_ids // 2, -1))
    place, _ = split_places(long_words, documents, [], rng)
    neighbours = long_words.word_ids.ravel()
    single = place[place >= 0]
    assert (neighbours[single] != neighbours[single - 1]).all()
    assert (neighbours[single] != neighbours[single + 1]).all()


def test_ends_of_sentences_in_vocabularies():
    vocabulary = {"a": 0, ".": 1, "▁.": 2, "。": 3, "Ġ!": 4, "##?": 5, ",": 6}
    assert sentence_end_ids(vocabulary).tolist() == [1, 2, 3, 4, 5]
