"""Words are found in raw text; bad input gives a clear error or the right, empty answer."""

from __future__ import annotations

import gzip
import lzma
import math
import random
import re

import pytest

from bert4keras.data import DataFileError
from bert4keras.text import find_words
from helpers.planted_words import PLANTED, planted_texts

pytestmark = pytest.mark.spread


def names(found) -> set[str]:
    return {word.text for word in found if len(word.text) > 1}


def test_planted_words_are_found():
    found = find_words(planted_texts(), min_count=20, min_pmi=2.0)
    assert names(found) == set(PLANTED)
    word = next(word for word in found if word.text == "蝴蝶")
    assert word.count == 100  # 蝶 is only in it, so the PMI is log(N / c)
    total = 400 * 8 + 100 * (2 + 3 + 4 + 7)
    assert word.pmi == pytest.approx(math.log(total / 100))
    assert "暑往" not in names(found)
    assert found.cut("葡萄干和蝴蝶") == ["葡萄干", "和", "蝴蝶"]


def test_shuffled_characters_have_no_words():
    """Negative control: the same characters in random order."""
    shuffled = ["".join(random.Random(i).sample(t, len(t))) for i, t in enumerate(planted_texts())]
    assert names(find_words(shuffled, min_count=20, min_pmi=2.0)) == set()


def test_phrases_of_a_language_with_blanks():
    texts = ["We fly to New York today.", "NEW YORK is big", "the new shop", "in York", "a b"] * 4
    found = find_words(texts, min_count=8, min_pmi=1.0, min_length=2)
    assert [(word.text, word.count) for word in found] == [("new york", 8)]


@pytest.mark.parametrize("suffix", [".txt", ".txt.gz", ".txt.xz"])
def test_files_and_texts_and_generators_give_the_same(tmp_path, suffix):
    texts = planted_texts()
    expected = list(find_words(texts, min_count=20))
    path = tmp_path / f"corpus{suffix}"
    raw = "\n".join(texts).encode("gb18030")
    packers = {".gz": gzip.compress, ".xz": lzma.compress, ".txt": bytes}
    path.write_bytes(packers[path.suffix](raw))
    assert list(find_words(path, 20, encoding="gb18030")) == expected
    assert list(find_words(str(path), 20, encoding="gb18030")) == expected
    assert list(find_words((text for text in texts), min_count=20, progress=True)) == expected
    half = tmp_path / "half.txt"
    half.write_bytes("\n".join(texts[:200]).encode("gb18030"))
    mixed = [half, *texts[200:]]
    assert list(find_words(mixed, 20, encoding="gb18030")) == expected
    assert list(find_words(half, 20, encoding="gb18030")) != expected


def test_nothing_is_repeated():
    found = find_words(["天地玄黄"], min_count=2)
    assert list(found) == []
    assert found.cut("天地") == ["天", "地"]
    assert names(find_words(["天地玄黄，天"], min_count=2)) == set()


@pytest.mark.parametrize(
    ("corpus", "error", "message"),
    [
        (
            [],
            ValueError,
            "The corpus has no text. Give the path of a file, or an iterable of texts",
        ),
        (["", "…… 。\n"], ValueError, "The corpus has no letter in its texts"),
        (None, TypeError, "The corpus is NoneType None. It must be the path of a file"),
        (b"abc", TypeError, "The corpus is bytes b'abc'. It must be the path"),
        (["a", 3], TypeError, "Item 1 of the corpus is int 3, neither a text (str) nor a file"),
        ("nowhere.txt", DataFileError, "nowhere.txt cannot be read: [Errno 2] No such file"),
    ],
)
def test_a_wrong_corpus(corpus, error, message):
    with pytest.raises(error, match=re.escape(message)):
        find_words(corpus)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"min_count": 0}, "min_count is 0; it must be an integer of at least 1."),
        ({"min_count": 2.5}, "min_count is 2.5; it must be an integer of at least 1."),
        ({"min_length": 0}, "min_length is 0; it must be an integer of at least 1."),
        ({"order": 5}, "order is 5; it must be 2, 3 or 4."),
        ({"min_pmi": (1, 2)}, "min_pmi is (1, 2); it must be one number, or 4 numbers"),
        (
            {"min_pmi": math.nan},
            "it must be one number, or 4 numbers, for n-grams of 1 to 4 units.",
        ),
    ],
)
def test_wrong_options(options, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        find_words(["天地"], **options)
