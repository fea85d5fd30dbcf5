"""Rows hold every token of every text once, with hardly any padding, and number the words."""

from __future__ import annotations

import random

import numpy as np
import pytest

from bert4keras import Tokenizer
from bert4keras.pretraining import RowPacker
from bert4keras.pretraining.packing import word_starts

pytestmark = pytest.mark.spread

SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
LETTERS = [chr(code) for code in range(97, 123)]
TOKENIZER = Tokenizer([*SPECIAL, *LETTERS, *(f"##{c}" for c in LETTERS), "天", "气", "好"])


def make_texts(count=300, most=150, seed=0) -> list[str]:
    draw = random.Random(seed)
    word = lambda: "".join(draw.choices(LETTERS, k=draw.randint(1, 6)))  # noqa: E731
    return [" ".join(word() for _ in range(draw.randint(1, most))) for _ in range(count)]


@pytest.mark.parametrize("length", [32, 128])
@pytest.mark.parametrize("most", [3, 150])
def test_rows_hold_every_token_once(length, most):
    texts = make_texts(most=most)
    rows = RowPacker(TOKENIZER, length)(texts)
    plain = rows.word_ids >= 0
    wanted = np.concatenate(TOKENIZER.encode_batch(texts, pattern="**")[0])
    assert (np.sort(rows.token_ids[plain]) == np.sort(wanted)).all()
    assert (rows.document_ids == 0).sum() < 0.02 * rows.token_ids.size  # padding
    for ids, documents, words in zip(*rows, strict=True):
        for number in range(1, documents.max() + 1):
            (where,) = np.nonzero(documents == number)
            assert (np.diff(where) == 1).all()
            assert (ids[where[0]], ids[where[-1]]) == (2, 3)
            # The text of the row is a text, or a part of one.
            part = TOKENIZER.decode(ids[where])
            assert any(part in text for text in texts) or "##" in part
        starts = [not TOKENIZER.id_to_token(i).startswith("##") for i in ids[words >= 0]]
        found = np.diff(words[words >= 0], prepend=-1) > 0
        assert (found >= starts).all()
        assert (found & ~np.array(starts)).sum() <= documents.max()  # words that are cut
    # Negative control: a row for each text wastes most of the room.
    assert most > 3 or len(texts) * length > 2 * rows.token_ids.size


def test_long_texts_fill_whole_rows():
    text = "ab " * 1000
    rows = RowPacker(TOKENIZER, 64)([text, "a"])
    assert len(rows.token_ids) == -(-2001 // 62)
    assert (rows.document_ids[:-1].max(axis=1) == 1).all()
    short = RowPacker(TOKENIZER, 64, max_text=32)([text])
    assert (short.document_ids[:-1].max(axis=1) == 2).all()


def test_words_of_a_segmenter_and_of_spaces():
    for words in ("spaces", lambda text: ["天气", "好", "天"]):
        text = "天气 好 天" if words == "spaces" else "天气好天"
        rows = RowPacker(TOKENIZER, 16, words)([text, text])
        assert rows.word_ids[0].tolist() == [-1, 0, 0, 1, 2, -1, -1, 3, 3, 4, 5, *[-1] * 5]
    rows = RowPacker(TOKENIZER, 16)(["天气 abc"])
    assert rows.word_ids[0, :7].tolist() == [-1, 0, 1, 2, 2, 2, -1]
    assert RowPacker(TOKENIZER, 16, "shlex:split").segment("a b") == ["a", "b"]


@pytest.mark.parametrize("name", ["roberta", "t5", "gpt2", "modernbert", "xlm_roberta"])
def test_other_tokenizers(name):
    tokenizer = Tokenizer.from_pretrained(f"tests/fixtures/tokenizers/{name}")
    packer = RowPacker(tokenizer, 48)
    rows = packer(["the man went to the store."] * 4)
    around = tokenizer.encode("")[0] or [tokenizer.sep_token_id]
    assert packer.head + packer.tail == around
    assert (rows.token_ids[0, : len(packer.head)] == packer.head).all()
    inner = rows.word_ids[0][rows.document_ids[0] == 1]
    assert inner.max() >= 6  # seven words with the full stop
    assert (inner < 0).sum() == len(around)


def test_word_starts_by_hand():
    assert word_starts(np.array([0, 0, 1, 2, 2])).tolist() == [0, 2, 3, 5]
    assert word_starts(np.zeros(0, "int32")).tolist() == [0]


def test_errors():
    with pytest.raises(ValueError, match="rows of 9 tokens leave 7 for text; give at least 10"):
        RowPacker(TOKENIZER, 9)
    with pytest.raises(ValueError, match="words='absent_x:cut' cannot be found"):
        RowPacker(TOKENIZER, 64, "absent_x:cut")
    with pytest.raises(ValueError, match="must be 'spaces' or 'module:function'"):
        RowPacker(TOKENIZER, 64, "jieba")
