"""Smaller vocabularies: the same tokens for the texts they are made for."""

from __future__ import annotations

import pytest

import tokenizers as rust
from bert4keras.tokenizers import (
    Tokenizer,
    TokenizerError,
    prune_tokenizer,
    select_vocabulary,
    used_tokens,
)
from bert4keras.tokenizers.scripts import joins, script_of

pytestmark = [
    pytest.mark.spread,
    pytest.mark.filterwarnings("ignore::bert4keras.tokenizers.errors.UnknownTokensWarning"),
]

TEXTS = ["The storm came, in 1987.", "北京Peking and 上海", "𠀀 unknown ℵ"]


def same_tokens(whole, small, texts) -> bool:
    """Return whether two tokenizers cut texts into the same tokens."""
    ids = [(t.encode(text, "it is")[0], t) for text in texts for t in (whole, small)]
    found = [t.ids_to_tokens(i) for i, t in ids]
    return found[::2] == found[1::2]


def test_texts_are_cut_as_before(kind, tokenizer, reference, tmp_path):
    small, kept = prune_tokenizer(tokenizer, used_tokens(tokenizer, [*TEXTS, "it is"]))
    assert type(small) is type(tokenizer)
    assert small.vocab_size == len(kept) < tokenizer.vocab_size
    assert small.ids_to_tokens(range(len(kept))) == tokenizer.ids_to_tokens(kept)
    assert same_tokens(tokenizer, small, TEXTS)
    assert not same_tokens(tokenizer, small, reference["texts"])  # which need the other tokens
    small.save(tmp_path)
    again = Tokenizer.from_pretrained(tmp_path)
    assert same_tokens(tokenizer, again, TEXTS)
    if (tmp_path / "tokenizer.json").exists():
        library = rust.Tokenizer.from_file(str(tmp_path / "tokenizer.json"))
        for text in TEXTS:
            assert library.encode(text, "it is").ids == small.encode(text, "it is")[0]
    fewer, _ = prune_tokenizer(again, used_tokens(again, ["it is"]))  # of a smaller one
    assert fewer.vocab_size < small.vocab_size
    assert same_tokens(tokenizer, fewer, ["it"])


def test_characters_of_texts_are_kept(kind, tokenizer):
    text, other = "storm", "tomrs mort"
    small, _ = prune_tokenizer(tokenizer, used_tokens(tokenizer, [text]))
    without, _ = prune_tokenizer(tokenizer, used_tokens(tokenizer, [text], characters=False))
    assert small.unk_token_id is None or small.unk_token_id not in small.encode(other)[0]
    assert without.vocab_size < small.vocab_size or "gpt" in kind or "bert" in kind


VOCAB = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "abc", "ab", "a", "##cx", "##b", "##c", "[unused1]"]
VOCAB += ["中", "##文", "，", "…", "¥", "°", "→", "é", "ж", "##ж"]


def test_unknown_words_stay_unknown():
    """Without "abc", which is tried first, "abcx" would be "ab" and "##cx"."""
    whole = Tokenizer(VOCAB)
    small, _ = prune_tokenizer(whole, used_tokens(whole, ["abcx", "ab"]))
    assert same_tokens(whole, small, ["abcx"])
    careless, _ = prune_tokenizer(whole, [VOCAB.index("ab"), VOCAB.index("##cx")])
    assert not same_tokens(whole, careless, ["abcx"])


def test_settings_stay():
    whole = Tokenizer(
        VOCAB, pre_tokenize=list, token_translate={"中": "…"}, token_mask=None, segments=(0, 0)
    )
    small, kept = prune_tokenizer(whole, used_tokens(whole, ["a中"]))
    assert small.tokenize("a中") == ["[CLS]", "a", "…", "[SEP]"]
    assert VOCAB.index("中") in kept
    assert small.segments == (0, 0)


def test_tokens_of_scripts(directories):
    whole = Tokenizer(VOCAB)
    tokens = whole.ids_to_tokens(select_vocabulary(whole, scripts=["Han", "ASCII"]))
    assert set(tokens) == {*VOCAB} - {"[unused1]", "é", "ж", "##ж"}
    assert set(whole.ids_to_tokens(whole.select_tokens())) >= set("¥°→…，中")
    latin = whole.ids_to_tokens(select_vocabulary(whole, scripts=["Latin"], texts=["中"]))
    assert set(latin) == {*VOCAB} - {"[unused1]", "ж", "##ж", "##文"}
    roberta = Tokenizer.from_pretrained(directories / "roberta")
    kept = select_vocabulary(roberta, scripts=["ASCII"], max_tokens=400)
    small, _ = prune_tokenizer(roberta, kept)
    assert 390 <= small.vocab_size <= 400
    assert small.decode(small.encode("naïve 京")[0]) == "naïve 京"  # all bytes are there
    assert any(len(token) > 3 for token in small.vocab)


def test_cutting_into_characters(directories):
    whole = Tokenizer.from_pretrained(directories / "xlm_roberta_json")
    text = "我们在北京大学学习，今天天气很好。"
    kept = select_vocabulary(whole, texts=[text], split="characters")
    small, _ = prune_tokenizer(whole, kept)
    assert len(small.tokenize(text)) > len(whole.tokenize(text))
    assert all(b - a <= 1 for a, b in small.offsets(text))


@pytest.mark.parametrize(
    ("text", "punctuation", "characters"),
    [
        ("》、《", True, True),
        ("……", False, False),
        ("(a", True, True),
        ("北京", False, True),
        ("3年", False, True),
        ("ab1", False, False),
        ("京", False, False),
        ("\ufffdé", False, False),
    ],
)
def test_joins(text, punctuation, characters):
    assert joins(text, "punctuation") is punctuation
    assert joins(text, "characters") is characters
    assert not joins(text, "none")


def test_scripts_of_characters():
    chars = "中々〇aéжＡかกα1①、¥→Ⅱ\ue000\u0967"
    names = ["Han"] * 3 + ["Latin"] * 2 + ["Cyrillic", "Latin", "Hiragana", "Thai", "Greek"]
    names += ["Common"] * 6 + ["Unassigned", "Devanagari"]
    assert [script_of(char) for char in chars] == names


def test_bad_arguments(directories):
    whole = Tokenizer(VOCAB)
    with pytest.raises(TokenizerError, match="Give texts or scripts"):
        select_vocabulary(whole)
    with pytest.raises(TokenizerError, match=r"a list such as \['Han'\], not a text"):
        select_vocabulary(whole, scripts="Han")
    with pytest.raises(
        TokenizerError, match=r"script 'Thai'\. The scripts .* Common, Cyrillic, Han"
    ):
        select_vocabulary(whole, scripts=["Thai"])
    with pytest.raises(TokenizerError, match="split='words' must be one of none, punctuation"):
        select_vocabulary(whole, scripts=["Han"], split="words")
    with pytest.raises(TokenizerError, match=r"max_tokens=5 is too small: .* are 1. tokens"):
        select_vocabulary(whole, scripts=["Han"], max_tokens=5)
    gpt2 = Tokenizer.from_pretrained(directories / "gpt2")
    with pytest.raises(TokenizerError, match=r"keep_tokens must keep .* from which BPE merges"):
        Tokenizer.from_pretrained(directories / "gpt2", keep_tokens=[gpt2.vocab["Ġthe"]])
