"""The tokenizer against reference ids, hand-made examples, and any text there may be."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from bert4keras.tokenizers import Tokenizer, UnknownTokensWarning, save_vocab

# Many of the texts are odd on purpose.
pytestmark = [
    pytest.mark.spread,
    pytest.mark.filterwarnings("ignore::bert4keras.tokenizers.UnknownTokensWarning"),
]
REFERENCE = json.loads(
    (Path(__file__).parents[1] / "fixtures" / "wordpiece_reference.json").read_text("utf-8")
)
VOCAB = REFERENCE["vocab"]
CASED = Tokenizer(VOCAB)
UNCASED = Tokenizer(VOCAB, do_lower_case=True)
BY_CASE = {False: CASED, True: UNCASED}
ANY_TEXT = st.text(st.characters()) | st.text(
    st.sampled_from("helo wrd科学é\u0301İß\ud800\udc00\0\u200b\ufffd😀𠀀[CLS]#'.\n한")
)


@pytest.mark.parametrize(
    "case", REFERENCE["cases"], ids=lambda c: f"{c['text'][:12]!a}-{c['do_lower_case']}"
)
def test_ids_equal_the_python_implementation(case):
    tokenizer = BY_CASE[case["do_lower_case"]]
    ids, _ = tokenizer.encode(case["text"])
    assert ids[1:-1] == case["ids"]
    assert tokenizer.tokens_to_ids(tokenizer.tokenize(case["text"])) == ids


def test_reference_tells_the_two_cases_apart():
    text = "Hello É"
    assert CASED.encode(text) != UNCASED.encode(text)


def test_offsets_by_hand():
    text = "Unaffable,科é \u200b学 e\u0301x"
    tokens = UNCASED.tokenize(text)
    spans = UNCASED.offsets(text)
    found = [(token, text[a:b]) for (a, b), token in zip(spans, tokens, strict=True)]
    assert found[1:-1] == [
        ("un", "Un"),
        ("##aff", "aff"),
        ("##able", "able"),
        (",", ","),
        ("科", "科"),
        ("e", "é"),
        ("学", "学"),
        ("e", "e"),
        ("##x", "x"),
    ]
    assert spans[0] == spans[-1] == (0, 0)
    assert UNCASED.rematch("科é", UNCASED.tokenize("科é")) == [[], [0], [1], []]


def test_unknown_words_keep_their_surface():
    text = "the Qqq\u200bqq 丽 world"
    assert UNCASED.tokenize(text)[1:-1] == ["the", "qqqqq", "丽", "world"]
    assert CASED.tokenize(text)[2] == "Qqqqq"
    assert UNCASED.encode(text)[0].count(UNCASED.token_unk_id) == 2
    assert UNCASED.rematch(text, UNCASED.tokenize(text))[2] == [4, 5, 6, 7, 8, 9]


@given(ANY_TEXT, st.booleans())
@example("\ud83d\ude00", True)
@example("a\ud800b", False)
@settings(max_examples=300, deadline=None)
def test_any_text(text, lower):
    tokenizer = BY_CASE[lower]
    ids, segment_ids = tokenizer.encode(text)
    tokens, spans = tokenizer.tokenize(text), tokenizer.offsets(text)
    assert len(ids) == len(segment_ids) == len(tokens) == len(spans)
    assert ids == tokenizer.tokens_to_ids(tokens)
    assert all(0 <= i < tokenizer.vocab_size for i in ids)
    inner = spans[1:-1]
    assert all(0 <= a < b <= len(text) for a, b in inner)
    assert inner == sorted(inner)
    assert tokenizer.rematch(text, tokens) == [list(range(a, b)) for a, b in spans]
    batch = tokenizer.encode_batch([text, "the"], [text, text], return_offsets=True)
    pair = tokenizer.encode(text, text)
    assert (batch[0][0], batch[1][0]) == pair
    assert batch[2][0] == spans + spans[1:]
    assert isinstance(tokenizer.decode(ids), str)


@given(st.text(st.sampled_from("the an科学,(x) "), max_size=30))
@settings(deadline=None)
def test_decode_gives_text_of_the_same_tokens(text):
    ids = CASED.encode(text)[0]
    if CASED.token_unk_id not in ids:
        letters = CASED.decode(ids).replace(" ", "")
        assert letters == text.replace(" ", "")


@given(st.text(st.characters(max_codepoint=127)) | st.text("Hel o'[SEP]wrd.x"), st.booleans())
@settings(deadline=None)
def test_the_short_way_for_ascii_changes_nothing(text, lower):
    tokenizer = BY_CASE[lower]
    encoding = tokenizer._rust.encode(text, add_special_tokens=False)
    (ids,), _, (spans,) = tokenizer.encode_batch([text], return_offsets=True)
    assert (ids[1:-1], spans[1:-1]) == (encoding.ids, encoding.offsets)


def test_plain_words_stand_at_their_offsets():
    text = "hello world 科学, the unaffable (hello)"
    for (a, b), token in zip(CASED.offsets(text), CASED.tokenize(text), strict=True):
        assert text[a:b] == ("" if token in ("[CLS]", "[SEP]") else token.removeprefix("##"))


@pytest.mark.parametrize("text", ["", "   ", "\0\u200b\t", "\ud800"])
def test_nothing_to_tokenize(text):
    assert CASED.encode(text) == ([2, 3], [0, 0])
    assert CASED.encode_batch([text]) == ([[2, 3]], [[0, 0]])


def test_very_long_text():
    text = "科x" * 50_000
    ids, _ = CASED.encode(text)
    assert len(ids) == 100_002
    assert CASED.encode(text, maxlen=5, truncate_from="left", truncate=True)[0] == [2, *ids[-4:]]
    assert CASED.encode("x" * 100_000)[0] == [2, CASED.token_unk_id, 3]


@pytest.mark.parametrize(
    ("pattern", "truncate_from", "expected"),
    [
        ("S*E*E", "right", "[CLS] a hello [SEP] the [SEP]"),
        ("S*E*E", "left", "[CLS] world x [SEP] the [SEP]"),
        ("S*E*E", 2, "[CLS] a x [SEP] the [SEP]"),
        ("S*ES*E", "right", "[CLS] a [SEP] [CLS] the [SEP]"),
    ],
)
def test_truncation_takes_from_the_longer(pattern, truncate_from, expected):
    first, second = "a hello world x", "the"
    ids, segments = CASED.encode(first, second, 6, pattern, truncate_from, truncate=True)
    assert " ".join(CASED.ids_to_tokens(ids)) == expected
    start = 3 if pattern == "S*ES*E" else 4
    assert segments == [0] * start + [1] * (6 - start)
    options = {"return_offsets": True, "truncate": True}
    batch = CASED.encode_batch([first], [second], 6, pattern, truncate_from, **options)
    assert (batch[0][0], batch[1][0]) == (ids, segments)
    texts = [first, second]
    for i, segment, (a, b) in zip(ids, segments, batch[2][0], strict=True):
        assert texts[segment][a:b] in (CASED.id_to_token(i), "")


def test_lists_of_tokens_are_taken_as_they_are():
    tokens = ["[CLS]", "the", "[MASK]", "[SEP]"]
    assert CASED.encode(tokens, ["a", "[SEP]"])[0] == CASED.tokens_to_ids([*tokens, "[SEP]"])
    assert tokens == ["[CLS]", "the", "[MASK]", "[SEP]"]
    assert CASED.encode("the [SEP]")[0].count(CASED.token_end_id) == 1


def test_tokenize_truncates_and_rematch_follows():
    text = "hello world the x"
    assert CASED.tokenize(text, maxlen=4, truncate=True) == ["[CLS]", "hello", "world", "[SEP]"]
    assert CASED.rematch(text, CASED.tokenize(text, 4, truncate=True)) == [
        [],
        [*range(5)],
        [*range(6, 11)],
        [],
    ]
    assert CASED.rematch(text, ["hello"]) == [[*range(5)]]
    assert CASED.rematch(text, []) == []


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("hello,world(un)", "hello, world (un)"),
        ("中文，科学 hello 技术", "中文，科学hello技术"),
        ('don\'t "hello" 3.1', 'don\'t "hello" 3.1'),
        ("unaffable walking!", "unaffable walking!"),
        ("《科学》 the", "《科学》the"),
    ],
)
def test_decode(text, expected):
    assert CASED.decode(CASED.encode(text)[0]) == expected


def test_decode_leaves_out_special_and_unused_tokens():
    tokenizer = Tokenizer([*VOCAB, "[unused1]"])
    ids = tokenizer.tokens_to_ids(
        ["[CLS]", "the", "[unused1]", "[MASK]", "hello", "[SEP]", "[PAD]"]
    )
    assert tokenizer.decode(np.array(ids)) == "the hello"


def test_words_of_pre_tokenize():
    def segment(text):
        return text.replace("科学", "|科学|").replace(" ", "|").split("|")

    words = Tokenizer([*VOCAB, "科学"], pre_tokenize=lambda t: [w for w in segment(t) if w])
    text = "中科学 Hello技 学"
    assert words.tokenize(text)[1:-1] == ["中", "科学", "Hello", "技", "学"]
    assert words.offsets(text)[1:-1] == [(0, 1), (1, 3), (4, 9), (9, 10), (11, 12)]
    assert words.encode_batch([text, text])[0] == [words.encode(text)[0]] * 2
    for wrong, message in [(str.upper, "not the next word"), (lambda t: t[:1], "left out the end")]:
        with pytest.raises(ValueError, match=message):
            Tokenizer(VOCAB, pre_tokenize=wrong).encode("the hello")


def test_token_translate():
    tokenizer = Tokenizer(VOCAB, token_translate={"“": '"', "丽": "学", "hello": "world"})
    tokens = ["[CLS]", '"', "学", "world", "[SEP]"]
    assert tokenizer.tokenize("“丽 hello") == tokens
    assert tokenizer.encode("“丽 hello")[0] == tokenizer.tokens_to_ids(tokens)
    assert tokenizer.decode(tokenizer.encode("hello")[0]) == "hello"
    with pytest.warns(UnknownTokensWarning, match=r"\['nowhere'\]; each becomes the unknown"):
        tokenizer = Tokenizer(VOCAB, token_translate={"hello": "nowhere"})
    assert tokenizer.encode("hello")[0] == tokenizer.tokens_to_ids(["[CLS]", "[UNK]", "[SEP]"])
    with pytest.raises(ValueError, match=r"not in the vocabulary: \['nowhere'\]\."):
        Tokenizer(VOCAB, token_unk=None, token_translate={"a": "nowhere"})


def test_special_tokens_and_old_names():
    tokenizer = Tokenizer([t for t in VOCAB if t != "[MASK]"], token_start=None)
    assert tokenizer.encode("the", "a")[0] == tokenizer.tokens_to_ids(
        ["the", "[SEP]", "a", "[SEP]"]
    )
    assert tokenizer._token_end_id == tokenizer.token_end_id == 3
    assert tokenizer._vocab_size == tokenizer.vocab_size == len(VOCAB) - 1
    assert tokenizer._token_dict["[UNK]"] == tokenizer.token_to_id("nowhere") == 1
    with pytest.raises(ValueError, match=r"no \[MASK\]"):
        _ = tokenizer.token_mask_id
    with pytest.raises(AttributeError, match="token_something"):
        _ = tokenizer.token_something


def test_a_vocabulary_without_special_tokens():
    tokenizer = Tokenizer(["a", "b"], token_start=None, token_end=None)
    assert tokenizer.encode("a b") == ([0, 1], [0, 0])
    assert tokenizer.decode([0, 1]) == "a b"
    assert tokenizer.token_unk is None
    with pytest.raises(ValueError, match=r"lacks \[UNK\]"):
        Tokenizer(["a", "[CLS]"], token_end=None, token_start="[CLS]")


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: Tokenizer(["a", "[UNK]"]), ValueError, r"lacks \[CLS\], \[SEP\]"),
        (lambda: Tokenizer([*VOCAB, "the"]), ValueError, "twice"),
        (lambda: Tokenizer({"[UNK]": 0, "[CLS]": 0, "[SEP]": 1}), ValueError, "same id"),
        (lambda: Tokenizer(3), TypeError, "int"),
        (lambda: CASED.encode(None), TypeError, "NoneType"),
        (lambda: CASED.encode(b"the"), TypeError, "bytes"),
        (lambda: CASED.encode("a", 3), TypeError, "int"),
        (lambda: CASED.tokenize(1.5), TypeError, "float"),
        (lambda: CASED.encode_batch("the"), TypeError, "list of texts"),
        (lambda: CASED.encode_batch(["the", None]), TypeError, "NoneType .*1"),
        (lambda: CASED.encode_batch(["the"], []), ValueError, "0 second"),
        (lambda: CASED.encode("a", pattern="SE"), ValueError, "pattern"),
        (lambda: CASED.encode("a", maxlen=4, truncate_from="up"), ValueError, "truncate_from"),
        (lambda: CASED.encode("a", maxlen=1), ValueError, "no room for the 2 special"),
        (lambda: CASED.encode("a", "a", maxlen=2), ValueError, "no room for the 3 special"),
        (lambda: CASED.id_to_token(10_000), ValueError, "10000"),
        (lambda: CASED.rematch("the x", ["a"]), ValueError, "'a' stands for 'the'"),
        (lambda: CASED.rematch("the", ["the", "x"]), ValueError, "has 1 tokens, 2"),
    ],
)
def test_bad_input(make, error, message):
    with pytest.raises(error, match=message):
        make()


def test_from_directory(tmp_path):
    with pytest.raises(FileNotFoundError, match="neither"):
        Tokenizer.from_pretrained(tmp_path)
    save_vocab(tmp_path / "vocab.txt", CASED.vocab)
    assert Tokenizer.from_pretrained(tmp_path).do_lower_case is False  # it has capitals
    (tmp_path / "tokenizer_config.json").write_text(
        '{"do_lower_case": true, "mask_token": {"content": "the"}}'
    )
    tokenizer = Tokenizer.from_pretrained(tmp_path)
    assert tokenizer.encode("É") == UNCASED.encode("É")
    assert tokenizer.token_mask_id == CASED.token_to_id("the")
    assert Tokenizer.from_pretrained(tmp_path, do_lower_case=False).do_lower_case is False
    (tmp_path / "tokenizer_config.json").write_text("{")
    with pytest.raises(ValueError, match="not a json file"):
        Tokenizer.from_pretrained(tmp_path)


def test_from_uncased_vocabulary_alone(tmp_path):
    save_vocab(tmp_path / "vocab.txt", {t: i for i, t in enumerate(VOCAB[:8])})
    assert Tokenizer.from_pretrained(tmp_path).do_lower_case is True


def test_from_tokenizer_json(tmp_path):
    UNCASED.save(tmp_path)
    tokenizer = Tokenizer.from_pretrained(tmp_path)
    assert tokenizer.encode("Héllo 科") == UNCASED.encode("Héllo 科")
    content = json.loads((tmp_path / "tokenizer.json").read_text("utf-8"))
    content["model"]["type"] = "WordLevel"
    (tmp_path / "tokenizer.json").write_text(json.dumps(content))
    with pytest.raises(ValueError, match=r"tokenizer\.json holds a WordLevel model"):
        Tokenizer.from_pretrained(tmp_path)
