"""Every kind of tokenizer: ids and offsets of the reference, and any text there may be."""

from __future__ import annotations

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from bert4keras.tokenizers import SpTokenizer, SubwordTokenizer

# Many of the texts are odd on purpose.
pytestmark = [
    pytest.mark.spread,
    pytest.mark.filterwarnings("ignore::bert4keras.tokenizers.UnknownTokensWarning"),
]
ODD = "aé\u0301 \u3000\n\tİß\ud800\udc00\0\u200b\ufffdﬁ①Ａ😀👩\u200d🚀𠀀北京한\u1112\u1161``''▁Ġ"
ANY_TEXT = (
    st.text(st.characters())
    | st.text(st.sampled_from(ODD))
    | st.lists(
        st.sampled_from([*ODD, "the ", "學", " storm", "<s>", "</s>", "[SEP]", "<mask>", "[MASK]"])
        | st.sampled_from(["<pad>", "<unk>", "<extra_id_0>", "<|endoftext|>", "||| ADDRESS |||"])
    ).map("".join)
)
LOSSLESS = ("gpt2", "gpt2_json", "roberta", "roberta_json")


def test_class_follows_the_files(kind, tokenizer):
    by_library = kind in ("albert", "deberta_v2", "t5", "xlm_roberta")
    assert type(tokenizer) is (SpTokenizer if by_library else SubwordTokenizer)


def test_ids_and_offsets_equal_the_reference(kind, tokenizer, reference):
    expected = reference[kind]
    texts = [text for text, ids in zip(reference["texts"], expected["ids"], strict=True) if ids]
    assert len(texts) >= len(reference["texts"]) - 4
    ids, _, offsets = tokenizer.encode_batch(texts, return_offsets=True)
    assert ids == [ids for ids in expected["ids"] if ids]
    known = [spans for spans in expected["offsets"] if spans]
    for text, ours, theirs in zip(texts, offsets, known, strict=True):
        assert tokenizer.offsets(text) == ours
        if kind == "albert" and "``" in text:
            continue  # theirs has one character of two for ``
        pairs = [(a, tuple(b)) for a, b in zip(ours, theirs, strict=True) if b]
        assert all(a == b for a, b in pairs if text[slice(*b)].strip()), text


def test_pairs_equal_the_reference(kind, tokenizer, reference):
    expected = [ids for ids in reference[kind]["pairs"] if ids]
    kept = zip(reference["pairs"], reference[kind]["pairs"], strict=True)
    firsts, seconds = zip(*(pair for pair, ids in kept if ids), strict=True)
    assert len(expected) >= 3
    assert tokenizer.encode_batch(firsts, seconds)[0] == expected
    ids, segments = zip(*map(tokenizer.encode, firsts, seconds), strict=True)
    assert list(ids) == expected
    if tokenizer.pattern != "**":  # GPT-2 has no segments, whatever the reference numbers
        assert list(segments) == [row for row in reference[kind]["segments"] if row]
    wrong = "*E*E" if tokenizer.pattern == "**" else "**"
    assert tokenizer.encode_batch(firsts, seconds, pattern=wrong)[0] != expected


def test_reference_tells_kinds_apart(reference):
    skipped = ("texts", "pairs")
    kinds = [reference[name] for name in reference if not name.endswith(("_json", *skipped))]
    assert all(a["ids"] != b["ids"] for a in kinds for b in kinds if a is not b)


@given(text=ANY_TEXT)
@example(text="")
@example(text="\ud83d\ude00")
@example(text="a\ud800b")
@example(text="the  storm\u0301\u3000 <extra_id_0>\n")
@settings(max_examples=100)
def test_any_text(kind, tokenizer, text):
    ids, segment_ids = tokenizer.encode(text)
    tokens, spans = tokenizer.tokenize(text), tokenizer.offsets(text)
    assert len(ids) == len(segment_ids) == len(tokens) == len(spans)
    assert ids == tokenizer.tokens_to_ids(tokens)
    assert all(0 <= i < tokenizer.vocab_size for i in ids)
    head, tail = tokenizer.pattern.startswith("S"), tokenizer.pattern.endswith("E")
    inner, inner_ids = spans[head : len(spans) - tail], ids[head : len(ids) - tail]
    assert all(0 <= a <= b <= len(text) for a, b in inner)
    assert inner == sorted(inner)
    assert [b for _, b in inner] == sorted(b for _, b in inner)
    for i, (a, b) in zip(inner_ids, inner, strict=True):
        words = text[a:b].strip()
        assert words in ("", text[a:b])
        assert not words or i != tokenizer.vocab.get("▁")
    for name in ("start", "end", "pad", "mask"):
        token = getattr(tokenizer, f"token_{name}")
        assert token is None or tokenizer.vocab.get(token) not in inner_ids
    assert tokenizer.rematch(text, tokens) == [list(range(a, b)) for a, b in spans]
    batch = tokenizer.encode_batch([text, "the"], [text, text], return_offsets=True)
    assert (batch[0][0], batch[1][0]) == tokenizer.encode(text, text)
    assert len(batch[2][0]) == len(batch[0][0])
    assert isinstance(tokenizer.decode(ids), str)
    short = tokenizer.encode(text, text, maxlen=7, truncate=True)[0]
    assert len(short) == min(7, len(batch[0][0]))
    if kind in LOSSLESS:
        covered = {position for a, b in inner for position in range(a, b)}
        assert {i for i, char in enumerate(text) if not char.isspace()} <= covered


@pytest.mark.parametrize("kind", LOSSLESS, indirect=True)
@given(text=st.text(st.characters(exclude_categories=["Cs"])))
def test_bytes_lose_nothing(tokenizer, text):
    assert tokenizer.decode(tokenizer.encode(text)[0]) == text


def test_plain_words_stand_at_their_offsets(kind, tokenizer):
    text = "the  storm came, 北京 was in the snow"
    for (a, b), token in zip(tokenizer.offsets(text), tokenizer.tokenize(text), strict=True):
        plain = token.lstrip("▁Ġ")
        if plain.isascii() and not plain.startswith(("<", "[")):
            assert text[a:b] == plain or not plain


def test_very_long_text(tokenizer):
    text = "科x storm" * 12_500
    (ids,), _, (spans,) = tokenizer.encode_batch([text], return_offsets=True)
    assert ids == tokenizer.encode(text)[0]
    assert max(b for _, b in spans) == len(text)
    assert len(tokenizer.encode(text, maxlen=16, truncate=True)[0]) == 16
    tokens = tokenizer.tokenize(text, maxlen=5, truncate=True)
    assert tokenizer.tokens_to_ids(tokens) == tokenizer.encode(text, maxlen=5, truncate=True)[0]


@pytest.mark.parametrize("text", ["", " ", "\n \t"])
def test_no_text(kind, tokenizer, text):
    ids, _ = tokenizer.encode(text)
    frame = [tokenizer.pattern.startswith("S"), tokenizer.pattern.endswith("E")]
    if kind not in (*LOSSLESS, "modernbert"):  # a blank is a token of bytes
        assert len(ids) == sum(frame)
    assert tokenizer.decode(ids).strip() == ""
