"""Warnings given once: a text was truncated, or is unknown to the vocabulary."""

from __future__ import annotations

import warnings

import pytest

from bert4keras.data import DataGenerator
from bert4keras.tokenizers import Tokenizer, TruncationWarning, UnknownTokensWarning

pytestmark = pytest.mark.spread

VOCAB = "[PAD] [UNK] [CLS] [SEP] [MASK] the storm came before snow a b , .".split()
CHINESE = "the 今天天气很好，我们去公园玩。storm"


@pytest.fixture
def tokenizer():
    """A fresh one, which has said nothing yet."""
    return Tokenizer(VOCAB)


@pytest.mark.parametrize("call", ["encode", "encode_batch", "tokenize", "offsets"])
def test_cutting_is_said_once(tokenizer, call):
    def run(text, **options):
        return getattr(tokenizer, call)([text] if call == "encode_batch" else text, **options)

    text = "the storm came"
    whole = run(text, maxlen=5)  # nothing is truncated, so there is no warning
    assert whole == run(text)
    with pytest.warns(TruncationWarning, match=r"A text has 5 tokens .* maxlen=4.*truncate=True"):
        cut = run(text, maxlen=4)
    assert run(text, maxlen=4) == cut != whole
    assert run(text, maxlen=4, truncate=True) == cut
    with pytest.raises(ValueError, match=r"A text has 5 tokens, more than maxlen=4, and truncate"):
        run(text, maxlen=4, truncate=False)
    assert run(text, maxlen=5, truncate=False) == whole


def test_cutting_that_is_intended(tokenizer):
    assert len(tokenizer.encode("the storm came", maxlen=4, truncate=True)[0]) == 4
    with pytest.warns(TruncationWarning):  # silence then does not keep it from being said here
        tokenizer.encode("the storm came", maxlen=4)


def test_cutting_of_many_texts_and_pairs(tokenizer):
    texts = ["the", "the storm came", "the storm came before"]
    with pytest.warns(TruncationWarning, match="2 of 3 texts have up to 6 tokens and are cut"):
        tokenizer.encode_batch(texts, maxlen=4)
    pairs = Tokenizer(VOCAB)
    with pytest.warns(TruncationWarning, match="A text has 6 tokens"):
        pairs.encode("the", "storm came", maxlen=5)
    assert len(pairs.encode("the", "storm came", maxlen=6, truncate=False)[0]) == 6
    tokens = Tokenizer(VOCAB)
    with pytest.warns(TruncationWarning):
        tokens.encode(["[CLS]", "the", "storm", "[SEP]"], maxlen=3)


def test_the_warning_names_the_line_of_the_caller(tokenizer):
    def encode(text):
        return (tokenizer.encode(text, maxlen=4),)

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        DataGenerator(["the storm came"], 1, encode=encode, shuffle=False)[0]
    assert [warning.filename for warning in caught] == [__file__]


def test_texts_of_another_language(tokenizer):
    with pytest.warns(UnknownTokensWarning, match=r"6\d% of the letters .* '今', '天'.*multiling"):
        ids, _ = tokenizer.encode(CHINESE)
    assert ids.count(tokenizer.unk_token_id) > len(ids) / 2
    tokenizer.encode(CHINESE)  # once
    batch = Tokenizer(VOCAB)
    with pytest.warns(UnknownTokensWarning):
        batch.encode_batch(["the storm", CHINESE])
    by_words = Tokenizer(VOCAB, pre_tokenize=list)
    with pytest.warns(UnknownTokensWarning):
        by_words.encode(CHINESE)
    translated = Tokenizer(VOCAB, token_translate={"a": "b"})
    with pytest.warns(UnknownTokensWarning):
        translated.encode(CHINESE)
    with pytest.warns(UnknownTokensWarning):
        Tokenizer(VOCAB).encode("Es war der Sturm vor dem Schnee")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "😀😀😀😀😀😀",
        "北京",
        "the storm Xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx",
        "a b 北京 came before the snow",
        "the storm --- *** +++ ??? !!!",
    ],
)
def test_a_few_unknown_words_are_no_other_language(tokenizer, text):
    tokenizer.encode(text)


@pytest.mark.parametrize(
    "kind", ["albert", "deberta_v2_json", "t5", "xlm_roberta_json"], indirect=True
)
def test_texts_of_another_language_for_every_kind(kind, directories):
    tokenizer = Tokenizer.from_pretrained(directories / kind)
    with pytest.warns(UnknownTokensWarning, match=r"\d\d% of the letters"):
        tokenizer.encode("бвгд жзик лмно прст фхцч")


def test_bytes_know_every_text(directories):
    for kind in ("gpt2", "roberta_json"):
        Tokenizer.from_pretrained(directories / kind).encode(CHINESE)
