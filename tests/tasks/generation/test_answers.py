"""Text piece by piece: what is given out is never taken back, on every kind of tokenizer."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from bert4keras.tasks.generation import TextStream
from bert4keras.tasks.generation.answers import decode_continuation
from bert4keras.tokenizers import Tokenizer

pytestmark = pytest.mark.spread
FIXTURES = Path(__file__).parents[2] / "fixtures"
KINDS = ["gpt2_json", "t5_json", "t5", "roberta_json", "albert_json", "xlm_roberta_json"]
TEXTS = [
    "Don't say \"no\", it's 3.5 (or so).",
    "你好，世界！wörld 😀 a'b",
    "the train's  late; a - b",
]


def pieces(stream: TextStream, ids: list[int]) -> list[str]:
    return [*(stream.add(i) for i in ids), stream.close()]


@pytest.mark.parametrize("kind", KINDS)
def test_pieces_join_to_the_text(kind):
    tokenizer = Tokenizer.from_pretrained(FIXTURES / "tokenizers" / kind)
    check(tokenizer)


@pytest.mark.filterwarnings("ignore::bert4keras.tokenizers.UnknownTokensWarning")
def test_word_pieces():
    tokens = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *"'\".,-()你好3", "don", "t", "s", "re"]
    tokenizer = Tokenizer([*tokens, "##s", "##t", "##你", "a", "##a"])
    check(tokenizer)
    # A word is held back while a piece may continue it, and the one before it with it.
    ids = tokenizer.tokens_to_ids(["don", "'", "t", "a", "##s", "a"])
    assert pieces(TextStream(tokenizer), ids) == ["", "", "don", "'", "", "t", " as a"]
    assert decode_continuation(tokenizer, tokenizer.tokens_to_ids(["##s", "a"]), ids[:1]) == "s a"
    assert decode_continuation(tokenizer, tokenizer.tokens_to_ids(["你"]), ids[:1]) == "你"
    assert decode_continuation(tokenizer, tokenizer.tokens_to_ids(["a"]), ids[:1]) == " a"


def check(tokenizer) -> None:
    rng = np.random.default_rng(0)
    known = sorted(tokenizer.vocab.values())
    rows = [tokenizer.encode(text)[0] for text in TEXTS]
    rows += [rng.choice(known, rng.integers(0, 12)).tolist() for _ in range(300)]
    for ids in rows:
        assert "".join(pieces(TextStream(tokenizer), ids)) == tokenizer.decode(ids)
        for cut in range(0, len(ids), 3):
            stream = TextStream(tokenizer, ids[:cut])
            joined = "".join(pieces(stream, ids[cut:]))
            assert joined == decode_continuation(tokenizer, ids[cut:], ids[:cut])


def test_bytes_of_a_character_wait_for_the_last():
    tokenizer = Tokenizer.from_pretrained(FIXTURES / "tokenizers" / "gpt2_json")
    ids = tokenizer.encode("a你")[0]
    assert len(ids) >= 3  # a character of several tokens
    found = [piece for piece in pieces(TextStream(tokenizer), ids) if piece]
    assert found == ["a", "你"]
