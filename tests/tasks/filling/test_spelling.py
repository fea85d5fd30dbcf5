"""Tokens of every kind of tokenizer written in the place of masks; words; labels."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from bert4keras.tasks import TaskError
from bert4keras.tasks.filling import most_probable_span
from bert4keras.tasks.filling.hiding import Hiding, MaskedRow, special_ids, word_numbers
from bert4keras.tasks.filling.labels import token_id
from bert4keras.tasks.filling.spelling import fill_text, find_masks, token_text
from bert4keras.tokenizers import Tokenizer

pytestmark = pytest.mark.spread


@pytest.fixture(scope="module")
def wordpiece(fixtures):
    return Tokenizer.from_pretrained(fixtures / "bert_gelu")


@pytest.fixture(scope="module")
def load(fixtures):
    return lambda name: Tokenizer.from_pretrained(fixtures / "tokenizers" / name)


def test_masks_are_found():
    assert find_masks("a [MASK]", "[MASK]") == ("a [MASK]", [(2, 8)])
    # Another length, and characters that mean something in a pattern.
    assert find_masks("[MASK] <M\\1> x", "<M\\1>") == ("<M\\1> <M\\1> x", [(0, 6), (7, 12)])
    assert find_masks("mask", "<mask>") == ("mask", [])


@pytest.mark.parametrize(
    ("text", "tokens", "filled"),
    [
        ("a [MASK] film", ["good"], "a good film"),
        ("act [MASK] film", ["##ing"], "acting film"),
        ("A[MASK]b", ["good"], "Agoodb"),
        ("[MASK]!", ["##ing"], "ing!"),
        ("我爱[MASK][MASK]。", ["北", "京"], "我爱北京。"),
        ("我爱[MASK] [MASK]。", ["北", "京"], "我爱北京。"),
        ("[MASK][MASK] film", ["very", "good"], "very good film"),
        ("[MASK][MASK] [MASK] film", ["very", "act", "##ing"], "very acting film"),
        ("[MASK] and [MASK]", ["good", "bad"], "good and bad"),
    ],
)
def test_word_pieces(wordpiece, text, tokens, filled):
    _, spans = find_masks(text, "[MASK]")
    ids = dict(enumerate(wordpiece.tokens_to_ids(tokens)))
    assert fill_text(wordpiece, text, spans, ids) == filled


def test_some_masks_stay(wordpiece):
    _, spans = find_masks("[MASK] [MASK] [MASK]", "[MASK]")
    good, bad = wordpiece.tokens_to_ids(["good", "bad"])
    found = fill_text(wordpiece, "[MASK] [MASK] [MASK]", spans, {0: good, 2: bad})
    assert found == "good [MASK] bad"
    assert fill_text(wordpiece, "a [MASK]", spans[:1], {}) == "a [MASK]"


@pytest.mark.parametrize("kind", ["roberta", "modernbert"])
def test_bytes(load, kind):
    tokenizer = load(kind)
    _, spans = find_masks("the <mask> x", "<mask>")
    fill = lambda *tokens: fill_text(  # noqa: E731
        tokenizer, "the <mask> x", spans, dict(enumerate(tokenizer.tokens_to_ids(tokens)))
    )
    assert fill("Ġof") == "the of x"
    assert fill("ing") == "theing x"
    # One character out of two tokens, and one of them by itself.
    text, ids = "x<mask><mask>", tokenizer.tokens_to_ids(["Ã", "©"])
    _, spans = find_masks(text, "<mask>")
    assert fill_text(tokenizer, text, spans, dict(enumerate(ids))) == "xé"
    assert [token_text(tokenizer, i) for i in ids] == ["Ã", "©"]
    assert token_text(tokenizer, tokenizer.vocab["Ġof"]) == "of"


@pytest.mark.parametrize("kind", ["albert", "albert_json", "xlm_roberta", "deberta_v2_json"])
def test_pieces_of_sentencepiece(load, kind):
    tokenizer, text = load(kind), "see [MASK] now"
    _, spans = find_masks(text, "[MASK]")
    fill = lambda token: fill_text(tokenizer, text, spans, {0: tokenizer.vocab[token]})  # noqa: E731
    assert fill("▁the") == "see the now"
    assert fill("s") == "sees now"
    assert token_text(tokenizer, tokenizer.vocab["▁the"]) == "the"
    assert fill_text(tokenizer, "[MASK] x", [(0, 6)], {0: tokenizer.vocab["▁the"]}) == "the x"


def test_labels_as_words(load, wordpiece):
    roberta, albert = load("roberta"), load("albert")
    assert token_id(roberta, "of", begins_word=True) == roberta.vocab["Ġof"]
    assert token_id(roberta, "ing", begins_word=False) == roberta.vocab["ing"]
    assert token_id(albert, "the", begins_word=True) == albert.vocab["▁the"]
    assert token_id(albert, "s", begins_word=False) == albert.vocab["s"]
    assert token_id(wordpiece, "##ing", begins_word=True) == wordpiece.vocab["##ing"]
    assert token_id(wordpiece, "爱", begins_word=False) == wordpiece.vocab["爱"]
    with pytest.raises(TaskError, match="the label 'xyz' is no single token, but"):
        token_id(wordpiece, "xyz", begins_word=True)


def test_words_of_tokens():
    text = "acting, 我爱北京"
    offsets = [(0, 0), (0, 3), (3, 6), (6, 7), (8, 9), (9, 10), (10, 11), (11, 12), (0, 0)]
    numbers = word_numbers(text, offsets)
    assert numbers[1] == numbers[2]
    assert len(set(numbers.tolist())) == len(offsets) - 1
    segment = lambda text: ["acting", ",", "我", "爱", "北京"]  # noqa: E731
    numbers = word_numbers(text, offsets, segment)
    assert numbers[1] == numbers[2]
    assert numbers[6] == numbers[7] != numbers[5]


def test_whole_words_are_hidden_together(wordpiece):
    text = "acting running walked"
    ids, segments, offsets = (x[0] for x in wordpiece.encode_batch([text], return_offsets=True))
    words = word_numbers(text, offsets)
    row = MaskedRow((ids, segments), words)
    hide = Hiding(wordpiece, 0.5, seed=0)
    together = 0
    for _ in range(50):
        _, labels = hide(row)
        for number in set(words[1:-1].tolist()):
            assert len(set((labels[words == number] >= 0).tolist())) == 1
        together += int((labels >= 0).any() and (labels[1:-1] < 0).any())
    assert together > 10
    # Negative control: without words some are hidden in part.
    parts = [Hiding(wordpiece, 0.5, seed)(MaskedRow((ids, segments)))[1] for seed in range(50)]
    assert any(len(set((labels[words == words[1]] >= 0).tolist())) == 2 for labels in parts)
    masked, labels = hide(row, mask_all=True)
    assert (masked[labels >= 0] == wordpiece.token_mask_id).all()
    np.testing.assert_array_equal(masked[labels < 0], np.array(ids)[labels < 0])


def test_ids_that_are_no_text():
    tokenizer = Tokenizer({"[PAD]": 0, "[UNK]": 1, "[CLS]": 2, "[SEP]": 3, "[MASK]": 4,
                           "[unused1]": 5, "a": 7})  # fmt: skip
    assert special_ids(tokenizer) == [0, 1, 2, 3, 4, 5, 6]


def test_the_most_probable_span_is_that_of_all_of_them():
    """Against brute force over all spans; and the end after it counts."""
    rng = np.random.default_rng(0)
    empty = 0
    for length, longest in itertools.product(range(1, 7), range(1, 5)):
        scores = np.log(rng.dirichlet(np.ones(5), longest))
        passage = rng.integers(1, 5, length)
        spans = [(a, b) for a in range(length) for b in range(a + 1, min(length, a + longest) + 1)]

        def value(span, scores=scores, passage=passage, longest=longest):
            tokens = [*passage[span[0] : span[1]], 0][:longest]
            return sum(scores[k, token] for k, token in enumerate(tokens))

        found = most_probable_span(scores, passage, 0)
        assert abs(value(found) - max(map(value, [(0, 0), *spans]))) < 1e-12
        empty += found == (0, 0)
    assert 0 < empty < 24
    assert most_probable_span(np.zeros((3, 5)), np.zeros(0, int), 0) == (0, 0)
