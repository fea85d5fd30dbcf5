"""Added tokens of WordPiece, byte-level BPE and SentencePiece; special tokens in texts."""

from __future__ import annotations

import json

import pytest

import tokenizers as rust
from bert4keras.tokenizers import (
    AddedToken,
    Tokenizer,
    TokenizerError,
    TokenizerFilesWarning,
    save_vocab,
)

pytestmark = pytest.mark.spread

VOCAB = "[PAD] [UNK] [CLS] [SEP] [MASK] the storm hello ##s [ ] e ##1 1 e1 中 国 word".split()
SIZE = len(VOCAB)
TEXT = "the [E1]hello storm [E1] words"


@pytest.fixture
def directory(tmp_path):
    """Makes a directory with a vocab.txt and JSON files, given without their endings."""

    def make(**files):
        save_vocab(tmp_path / "vocab.txt", {token: i for i, token in enumerate(VOCAB)})
        for name, content in files.items():
            (tmp_path / f"{name}.json").write_text(json.dumps(content))
        return tmp_path

    return make


def of_library(added=(), lowercase=True):
    """BERT's tokenizer in the library, with added tokens; what ours must equal."""
    model = rust.models.WordPiece({t: i for i, t in enumerate(VOCAB)}, unk_token="[UNK]")
    made = rust.Tokenizer(model)
    made.normalizer = rust.normalizers.BertNormalizer(lowercase=lowercase)
    made.pre_tokenizer = rust.pre_tokenizers.BertPreTokenizer()
    for token in added:
        flags = {k: v for k, v in token.items() if k != "content"}
        made.add_tokens([rust.AddedToken(token["content"], **flags)])
    return made


@pytest.mark.parametrize(
    "files",
    [
        {"added_tokens": {"[E1]": SIZE}},
        {"tokenizer_config": {"added_tokens_decoder": {str(SIZE): {"content": "[E1]"}}}},
        {"tokenizer_config": {"additional_special_tokens": ["[E1]"]}},
        {"special_tokens_map": {"additional_special_tokens": [{"content": "[E1]"}]}},
        {"tokenizer_config": {"extra_special_tokens": ["[E1]"]}},
        {"tokenizer_config": {"extra_special_tokens": {"entity_token": "[E1]"}}},
    ],
)
@pytest.mark.parametrize("lower", [False, True])
def test_added_tokens_of_every_file_are_found(directory, files, lower):
    tokenizer = Tokenizer.from_pretrained(directory(**files), do_lower_case=lower)
    tokens, spans = tokenizer.tokenize(TEXT), tokenizer.offsets(TEXT)
    assert tokens[1:-1] == ["the", "[E1]", "hello", "storm", "[E1]", "word", "##s"]
    assert [TEXT[a:b] for a, b in spans][1:-1] == [t.removeprefix("##") for t in tokens[1:-1]]
    assert tokenizer.encode(TEXT)[0][2] == SIZE
    assert tokenizer.vocab_size == SIZE + 1
    assert tokenizer.encode_batch([TEXT], return_offsets=True)[2][0] == spans
    (directory() / f"{next(iter(files))}.json").unlink()
    without = Tokenizer.from_pretrained(directory(), do_lower_case=lower)
    assert without.tokenize(TEXT)[2] == "["
    assert "[E1]" not in without.tokenize(TEXT)


FLAGGED = [
    {"content": "[E1]", "normalized": True},
    {"content": "word", "single_word": True, "normalized": False},
    {"content": "<l>", "lstrip": True, "normalized": False},
    {"content": "<r>", "rstrip": True, "normalized": False},
    {"content": "中", "normalized": True},
    {"content": "<S>", "special": True, "normalized": False},
]


@pytest.mark.parametrize(
    "text",
    [
        TEXT,
        "[e1] WORD word words, the  <l> storm <r>  hello",
        "中国 <S><s> <l><r>",
        "\ud800[E1]\0 <l>\u3000e\u0301",
        "",
    ],
)
@pytest.mark.parametrize("how", ["config", "json"])
@pytest.mark.filterwarnings("ignore::bert4keras.tokenizers.UnknownTokensWarning")
def test_flags_are_those_of_the_library(directory, how, text):
    library = of_library(FLAGGED)
    if how == "json":
        path = directory(tokenizer_config={"tokenizer_class": "BertTokenizer"})
        library.save(str(path / "tokenizer.json"))
    else:
        ids = [library.token_to_id(token["content"]) for token in FLAGGED]
        decoder = {str(i): token for i, token in zip(ids, FLAGGED, strict=True)}
        path = directory(tokenizer_config={"added_tokens_decoder": decoder, "do_lower_case": True})
    tokenizer = Tokenizer.from_pretrained(path)
    expected = library.encode(text.replace("\ud800", "\ufffd"), add_special_tokens=False)
    (ids,), _, (spans,) = tokenizer.encode_batch([text], return_offsets=True)
    assert ids[1:-1] == expected.ids
    stripped = [text[a:b].strip() for a, b in expected.offsets]
    assert [text[a:b] for a, b in spans[1:-1]] == stripped


def test_added_tokens_keep_the_ids_of_the_files(directory):
    """The library numbers added tokens by itself, so ids with gaps are not its own."""
    tokenizer = Tokenizer.from_pretrained(directory(added_tokens={"[E1]": 40, "[E2]": 30}))
    assert tokenizer.encode("[E1][E2][E1]")[0][1:-1] == [40, 30, 40]
    assert tokenizer.ids_to_tokens([40, 30]) == ["[E1]", "[E2]"]
    vocab = {**{token: i for i, token in enumerate(VOCAB)}, "late": 25}
    gaps = Tokenizer(vocab, added_tokens=[{"content": "[E1]", "id": 20}, "[E2]"])
    assert gaps.encode("[E1] late [E2]")[0][1:-1] == [20, 25, 26]
    with pytest.raises(TokenizerError, match="have gaps"):
        Tokenizer({**vocab, "late": 20, "far": 10**6}, added_tokens=["[E1]"])


def test_special_tokens_do_not_shift_added_ones():
    """Added tokens which are not in the model, special ones among them."""
    content = json.loads(of_library().to_str())
    del content["model"]["vocab"]["[MASK]"]
    content["model"]["vocab"]["x"] = 4
    flags = dict.fromkeys(("single_word", "lstrip", "rstrip", "normalized"), False)
    content["added_tokens"] = [
        {"id": SIZE, "content": "[MASK]", "special": True, **flags},
        {"id": SIZE + 1, "content": "[E1]", "special": False, **flags},
    ]
    library = rust.Tokenizer.from_str(json.dumps(content))
    content["model"]["type"] = "WordPiece"
    vocab = content["model"]["vocab"]
    tokenizer = Tokenizer(vocab, do_lower_case=True, added_tokens=content["added_tokens"])
    assert tokenizer.encode("the [E1]")[0][1:-1] == [5, SIZE + 1]
    expected = library.encode("the [MASK][E1]").ids
    assert tokenizer.encode("the [MASK][E1]", special=True)[0][1:-1] == expected


def test_words_of_pre_tokenize_leave_added_tokens_whole():
    def segment(text):
        return [word for word in text.replace("[", " [ ").replace("1", " 1 ").split() if word]

    tokenizer = Tokenizer(VOCAB, do_lower_case=True, added_tokens=["[E1]"], pre_tokenize=segment)
    text = "the [E1]hello [MASK"
    assert tokenizer.tokenize(text)[1:5] == ["the", "[E1]", "hello", "["]
    assert tokenizer.offsets(text)[1:5] == [(0, 3), (4, 8), (8, 13), (14, 15)]
    whole = Tokenizer(VOCAB, pre_tokenize=str.split)
    assert whole.token_mask_id not in whole.encode("the [MASK] storm")[0]
    assert whole.encode("the [MASK] storm", special=True)[0][2] == whole.token_mask_id


@pytest.mark.parametrize("name", ["gpt2", "gpt2_json", "roberta", "t5", "t5_json", "albert"])
def test_added_tokens_of_every_kind(directories, name):
    token = {"content": "[E1]", "single_word": True}
    tokenizer = Tokenizer.from_pretrained(directories / name, added_tokens=[token])
    text = "the [E1] storm [E1]x"
    marker = tokenizer.vocab_size - 1
    assert tokenizer.vocab["[E1]"] == marker
    ids, spans = tokenizer.encode(text)[0], tokenizer.offsets(text)
    assert ids.count(marker) == 1
    assert spans[ids.index(marker)] == (4, 8)


def test_special_tokens_in_texts(kind, tokenizer):
    """Plain text by default; with special=True those of the vocabulary are found."""
    names = ("start", "end", "mask", "pad")
    tokens = {getattr(tokenizer, f"token_{name}") for name in names} & tokenizer.vocab.keys()
    frame = tokenizer.encode("")[0]
    for token in tokens:
        text = f"the {token} storm"
        i = tokenizer.vocab[token]
        assert tokenizer.encode(text)[0].count(i) == frame.count(i)
        ids, tokens = (
            tokenizer.encode(text, special=True)[0],
            tokenizer.tokenize(text, special=True),
        )
        assert ids.count(i) == frame.count(i) + 1
        assert ids == tokenizer.encode_batch([text], special=True)[0][0]
        assert tokenizer.tokens_to_ids(tokens) == ids
        spans = tokenizer.offsets(text, special=True)
        assert (4, 4 + len(token)) in spans
        assert tokenizer.rematch(text, tokens, special=True) == [list(range(*s)) for s in spans]


@pytest.mark.filterwarnings("ignore::bert4keras.tokenizers.UnknownTokensWarning")
def test_special_tokens_in_texts_of_wordpiece():
    tokenizer = Tokenizer(VOCAB, do_lower_case=True)
    ids = tokenizer.encode("[CLS] the [MASK][SEP]", special=True)[0]
    assert tokenizer.ids_to_tokens(ids) == "[CLS] [CLS] the [MASK] [SEP] [SEP]".split()
    assert tokenizer.token_mask_id not in tokenizer.encode("[MASK] \U0010ffff[MASK]")[0]
    library = of_library([{"content": t, "special": True} for t in VOCAB[:5]])
    for text in ("[mask][MASK] the[SEP]", "[UNK] x [PAD]"):
        assert tokenizer.encode(text, special=True)[0][1:-1] == library.encode(text).ids


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({"added_tokens": {"storm": SIZE}}, "'storm' should have the id 18, but .* gives it 6"),
        ({"added_tokens": {"[E1]": 5}}, "same id: '.*' and '.*' have 5"),
        (
            {
                "added_tokens": {"[E1]": SIZE},
                "tokenizer_config": {"added_tokens_decoder": {"19": "[E1]"}},
            },
            r"'\[E1\]' has the id 18 in added_tokens.json, but 19",
        ),
    ],
)
def test_added_tokens_that_contradict(directory, files, message):
    with pytest.raises(TokenizerError, match=message):
        Tokenizer.from_pretrained(directory(**files))


def test_flags_that_contradict_are_told(directory):
    decoder = {str(SIZE): {"content": "[E1]", "lstrip": True, "normalized": True}}
    path = directory(tokenizer_config={"added_tokens_decoder": decoder})
    of_library([{"content": "[E1]", "normalized": True}]).save(str(path / "tokenizer.json"))
    with pytest.warns(TokenizerFilesWarning, match=r"'\[E1\]' different flags"):
        Tokenizer.from_pretrained(path)


def test_tokens_as_arguments():
    for token in ("[E1]", {"content": "[E1]"}, AddedToken("[E1]")):
        assert Tokenizer(VOCAB, added_tokens=[token]).vocab["[E1]"] == SIZE
