"""Settings in the files of a directory take effect, or an error names them."""

from __future__ import annotations

import json
import os

import pytest

import tokenizers as rust
from bert4keras.tokenizers import (
    SpTokenizer,
    SubwordTokenizer,
    Tokenizer,
    TokenizerError,
    TokenizerFilesWarning,
    TokenizerNotFoundError,
    save_vocab,
)

VOCAB = "[PAD] [UNK] [CLS] [SEP] [MASK] the storm hello ##s [ ] e ##1 1 中 国 h".split()
TEXTS = ["Hello STORM the 中国storms", "héllo  the\u3000storm\nxx", "[SEP] the\0 st\0orm [E1]", ""]
pytestmark = [
    pytest.mark.spread,
    pytest.mark.filterwarnings("ignore::bert4keras.tokenizers.UnknownTokensWarning"),
]


def word_piece(normalizer, pre_tokenizer, **options):
    vocab = {token: i for i, token in enumerate(VOCAB)}
    made = rust.Tokenizer(rust.models.WordPiece(vocab, unk_token="[UNK]", **options))
    if normalizer is not None:
        made.normalizer = normalizer
    if pre_tokenizer is not None:
        made.pre_tokenizer = pre_tokenizer
    return made


@pytest.fixture
def write(tmp_path):
    """Writes files, given by name; JSON is dumped."""

    def make(files: dict):
        for name, content in files.items():
            text = content if isinstance(content, str) else json.dumps(content)
            (tmp_path / name).write_text(text, encoding="utf-8")
        return tmp_path

    return make


@pytest.fixture
def listed(write):
    """The same, with a vocab.txt."""

    def make(**files):
        path = write({f"{name}.json": content for name, content in files.items()})
        save_vocab(path / "vocab.txt", {token: i for i, token in enumerate(VOCAB)})
        return path

    return make


@pytest.mark.parametrize(
    ("normalizer", "pre_tokenizer"),
    [
        (None, None),
        (rust.normalizers.Lowercase(), rust.pre_tokenizers.WhitespaceSplit()),
        (
            rust.normalizers.Sequence(
                [rust.normalizers.NFKD(), rust.normalizers.Replace("storm", "hello")]
            ),
            rust.pre_tokenizers.Whitespace(),
        ),
        (rust.normalizers.BertNormalizer(clean_text=False), rust.pre_tokenizers.BertPreTokenizer()),
        (rust.normalizers.BertNormalizer(), rust.pre_tokenizers.Split("h", "isolated")),
    ],
)
def test_any_pipeline_of_word_piece(tmp_path, normalizer, pre_tokenizer):
    library = word_piece(normalizer, pre_tokenizer)
    library.save(str(tmp_path / "tokenizer.json"))
    tokenizer = Tokenizer.from_pretrained(tmp_path)
    berts = Tokenizer(VOCAB, do_lower_case=True)
    for text in TEXTS:
        (ids,), _, (spans,) = tokenizer.encode_batch([text], return_offsets=True)
        expected = library.encode(text)
        assert ids[1:-1] == expected.ids
        assert [text[a:b] for a, b in spans[1:-1]] == [
            text[a:b].strip() for a, b in expected.offsets
        ]
        assert len(tokenizer.tokenize(text)) == len(ids)
    assert any(tokenizer.encode(text) != berts.encode(text) for text in TEXTS)
    tokenizer.save(tmp_path / "again")
    again = Tokenizer.from_pretrained(tmp_path / "again")
    assert again.encode_batch(TEXTS) == tokenizer.encode_batch(TEXTS)


def test_arguments_without_effect(tmp_path):
    word_piece(rust.normalizers.NFC(), None).save(str(tmp_path / "tokenizer.json"))
    with pytest.raises(TokenizerError, match=r"do_lower_case= has no effect: .* but 'NFC'"):
        Tokenizer.from_pretrained(tmp_path, do_lower_case=True)


def test_prefix_and_longest_word(tmp_path):
    vocab = {**{token: i for i, token in enumerate(VOCAB)}, "@@lo": len(VOCAB), "hel": 99}
    model = rust.models.WordPiece(
        vocab, unk_token="[UNK]", continuing_subword_prefix="@@", max_input_chars_per_word=5
    )
    library = rust.Tokenizer(model)
    library.pre_tokenizer = rust.pre_tokenizers.BertPreTokenizer()
    library.normalizer = rust.normalizers.BertNormalizer(lowercase=False)
    library.save(str(tmp_path / "tokenizer.json"))
    tokenizer = Tokenizer.from_pretrained(tmp_path)
    text = "hello hello1 hello"
    assert tokenizer.encode(text)[0][1:-1] == library.encode(text).ids
    assert tokenizer.decode(tokenizer.encode("hello hel")[0]) == "hello hel"
    assert tokenizer.decode([99, len(VOCAB)]) == "hello"
    (tmp_path / "tokenizer_config.json").write_text('{"wordpieces_prefix": "##"}')
    with pytest.raises(TokenizerError, match=r"wordpieces_prefix is '##' in .* but '@@'"):
        Tokenizer.from_pretrained(tmp_path)


def test_longest_word_of_the_configuration(listed):
    path = listed(tokenizer_config={"max_input_chars_per_word": 4, "do_lower_case": True})
    tokenizer = Tokenizer.from_pretrained(path)
    assert tokenizer.encode("the hello")[0][1:-1] == [5, 1]
    with pytest.raises(TokenizerError, match="word_maxlen must be a number from 1"):
        Tokenizer.from_pretrained(path, word_maxlen=0)


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({"tokenizer_config": {"tokenizer_class": "RoFormerTokenizer"}}, r"jieba.*pre_tokenize="),
        ({"config": {"model_type": "roformer"}}, r"config.json: RoFormerTokenizer .*jieba"),
        ({"tokenizer_config": {"tokenizer_class": "BertJapaneseTokenizer"}}, "by MeCab"),
        ({"tokenizer_config": {"tokenizer_class": "PhobertTokenizer"}}, "Vietnamese"),
        ({"tokenizer_config": {"tokenizer_class": "MPNetTokenizer"}}, r"'MPNetTokenizer', which"),
        ({"config": {"model_type": "esm"}}, "'EsmTokenizer', which is not known here"),
        ({"tokenizer_config": {"auto_map": {"AutoTokenizer": ["a.B", None]}}}, "code of the check"),
        ({"tokenizer_config": {"never_split": ["word"]}}, r"never_split: \['word'\]"),
        ({"tokenizer_config": {"do_basic_tokenize": False}}, "do_basic_tokenize: False"),
    ],
)
def test_tokenizers_that_are_refused(listed, files, message):
    path = listed(**files)
    with pytest.raises(TokenizerError, match=message):
        Tokenizer.from_pretrained(path)


def test_ways_out_of_a_refusal(listed):
    path = listed(tokenizer_config={"tokenizer_class": "RoFormerTokenizer"})
    for pre_tokenize in (None, str.split):
        assert Tokenizer.from_pretrained(path, pre_tokenize=pre_tokenize).vocab_size == len(VOCAB)
    path = listed(tokenizer_config={"tokenizer_class": "OddTokenizer"})
    assert Tokenizer.from_pretrained(path, family="bert").vocab_size == len(VOCAB)


@pytest.mark.parametrize("name", ["BertTokenizer", "ElectraTokenizerFast", "BertTokenizerFast"])
def test_classes_that_are_berts(listed, name):
    never_split = ["[UNK]", "[MASK]"]
    config = {"tokenizer_class": name, "do_lower_case": True, "never_split": never_split}
    tokenizer = Tokenizer.from_pretrained(listed(tokenizer_config=config))
    assert tokenizer.encode("Hello")[0] == [2, 7, 3]


def test_settings_that_contradict_are_told(listed):
    library = word_piece(
        rust.normalizers.BertNormalizer(lowercase=False), rust.pre_tokenizers.BertPreTokenizer()
    )
    config = {"do_lower_case": True, "tokenizer_class": "BertTokenizer"}
    path = listed(tokenizer_config=config)
    library.save(str(path / "tokenizer.json"))
    with pytest.warns(TokenizerFilesWarning, match="do_lower_case is True .* but False"):
        assert Tokenizer.from_pretrained(path).encode("Hello")[0] == [2, 7, 3]
    config["tokenizer_class"] = "PreTrainedTokenizerFast"
    listed(tokenizer_config=config)
    with pytest.warns(TokenizerFilesWarning, match="do_lower_case is True .* which is used"):
        # This class does what tokenizer.json says, which puts no special tokens.
        assert Tokenizer.from_pretrained(path).encode("Hello")[0] == [1]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda c: c["model"]["vocab"].update(the=6, storm=5), r"Line 6 of .* is 'the'.* is 6 in"),
        (lambda c: c["model"]["vocab"].pop("国"), r"Line 16 of .* '国'.* is None in"),
        (lambda c: c["model"].update(unk_token="[MASK]"), r"model.unk_token is '\[MASK\]', but"),
        (lambda c: c["model"].update(type="WordLevel"), "holds a WordLevel model"),
    ],
)
def test_files_that_contradict(listed, change, message):
    library = word_piece(rust.normalizers.BertNormalizer(), rust.pre_tokenizers.BertPreTokenizer())
    content = json.loads(library.to_str())
    path = listed(tokenizer=content, tokenizer_config={"unk_token": "[UNK]"})
    assert Tokenizer.from_pretrained(path).vocab_size == len(VOCAB)
    change(content)
    path = listed(tokenizer=content)
    with pytest.raises(TokenizerError, match=message):
        Tokenizer.from_pretrained(path)


def test_vocabularies_of_byte_pairs_that_contradict(directories, tmp_path):
    vocab = json.loads((directories / "gpt2" / "vocab.json").read_text("utf-8"))
    content = (directories / "gpt2_json" / "tokenizer.json").read_bytes()
    (tmp_path / "tokenizer.json").write_bytes(content)
    (tmp_path / "vocab.json").write_text(json.dumps(vocab))
    Tokenizer.from_pretrained(tmp_path)
    vocab["a"], vocab["b"] = vocab["b"], vocab["a"]
    (tmp_path / "vocab.json").write_text(json.dumps(vocab))
    with pytest.raises(TokenizerError, match=r"vocab.json gives 'a' the id"):
        Tokenizer.from_pretrained(tmp_path)


@pytest.mark.parametrize("name", ["roberta_json", "albert_json"])
def test_settings_of_other_kinds_that_contradict_are_told(directories, tmp_path, name):
    content = json.loads((directories / name / "tokenizer.json").read_text("utf-8"))
    (tmp_path / "tokenizer.json").write_text(json.dumps(content))
    plain = Tokenizer.from_pretrained(tmp_path)
    key = {"roberta_json": "add_prefix_space", "albert_json": "do_lower_case"}[name]
    config = {"tokenizer_class": "RobertaTokenizer", key: name == "roberta_json"}
    (tmp_path / "tokenizer_config.json").write_text(json.dumps(config))
    with pytest.warns(TokenizerFilesWarning, match=f"{key} is .* in tokenizer_config.json, but"):
        told = Tokenizer.from_pretrained(tmp_path)
    assert (told.encode("The the") == plain.encode("The the")) is (name == "albert_json")
    config["tokenizer_class"] = "PreTrainedTokenizerFast"
    (tmp_path / "tokenizer_config.json").write_text(json.dumps(config))
    with pytest.warns(TokenizerFilesWarning, match=r"The latter is used"):
        assert Tokenizer.from_pretrained(tmp_path).encode("The the") == plain.encode("The the")


def test_post_processors_that_contradict(directories, tmp_path):
    content = json.loads((directories / "roberta_json" / "tokenizer.json").read_text("utf-8"))
    processor = {"type": "BertProcessing", "sep": ["</s>", 77], "cls": ["<s>", 0]}
    for changed, message in [
        (processor, r"gives '</s>' the id 77, but the vocabulary 2"),
        (_template(["<s>", "A"], ["<s>", "A", "</s>", "B", "</s>"]), r"supported: <s> \*, where"),
        (_template(["A"], ["B", "A"]), r"not supported: \* \*, where"),
        (
            _template(["A", "</s>"], ["A", "</s>", "B", "</s>"], 2),
            r"The segment ids .* has \[0, 2",
        ),
    ]:
        content["post_processor"] = changed
        (tmp_path / "tokenizer.json").write_text(json.dumps(content))
        with pytest.raises(TokenizerError, match=message):
            Tokenizer.from_pretrained(tmp_path)


def _template(single: list[str], pair: list[str], segment: int = 0) -> dict:
    def items(words):
        return [
            {"Sequence": {"id": word, "type_id": 0}}
            if word in "AB"
            else {"SpecialToken": {"id": word, "type_id": segment}}
            for word in words
        ]

    tokens = {t: {"id": t, "ids": [i], "tokens": [t]} for t, i in (("<s>", 0), ("</s>", 2))}
    names = {"single": items(single), "pair": items(pair), "special_tokens": tokens}
    return {"type": "TemplateProcessing", **names}


def test_settings_of_sentencepiece_that_are_refused(directories, tmp_path):
    for file in (directories / "t5").iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    for settings in (
        {"legacy": False},
        {"sp_model_kwargs": {"enable_sampling": True}},
        {"remove_space": False},
    ):
        (tmp_path / "tokenizer_config.json").write_text(json.dumps(settings))
        with pytest.raises(TokenizerError, match=f"{next(iter(settings))}: .* is not supported"):
            Tokenizer.from_pretrained(tmp_path)
    with pytest.raises(TokenizerError, match="SentencePiece model, which gpt2 does not use"):
        Tokenizer.from_pretrained(directories / "t5", family="gpt2")
    with pytest.raises(TokenizerError, match="byte-level BPE, which t5 does not use"):
        Tokenizer.from_pretrained(directories / "gpt2", family="t5")


def test_an_end_token_that_files_ask_for(directories, tmp_path):
    for name in ("vocab.json", "merges.txt"):
        (tmp_path / name).write_bytes((directories / "gpt2" / name).read_bytes())
    (tmp_path / "tokenizer_config.json").write_text(
        '{"tokenizer_class": "GPT2Tokenizer", "add_eos_token": true}'
    )
    with pytest.raises(TokenizerError, match=r"add_eos_token of .*tokenizer_config\.json is not"):
        Tokenizer.from_pretrained(tmp_path)


def test_class_counts_more_than_the_model(directories, tmp_path):
    """A multilingual MiniLM is a BERT with XLM-R's tokenizer; mT5 has the class of T5."""
    for file in (directories / "xlm_roberta").iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    (tmp_path / "config.json").write_text('{"model_type": "bert"}')
    config = tmp_path / "tokenizer_config.json"
    config.write_text('{"tokenizer_class": "XLMRobertaTokenizer"}')
    known = Tokenizer.from_pretrained(directories / "xlm_roberta")
    assert Tokenizer.from_pretrained(tmp_path).vocab == known.vocab
    config.write_text('{"tokenizer_class": "MarianTokenizer"}')
    with pytest.raises(TokenizerError, match="'MarianTokenizer', which is not known"):
        Tokenizer.from_pretrained(tmp_path)


def test_bos_token_of_gpt2(directories, tmp_path):
    for file in (directories / "gpt2").iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    plain = Tokenizer.from_pretrained(tmp_path)
    (tmp_path / "tokenizer_config.json").write_text('{"add_bos_token": true}')
    begun = Tokenizer.from_pretrained(tmp_path)
    assert begun.encode("the")[0] == [begun.token_start_id, *plain.encode("the")[0]]


def test_random_tokenization_is_refused(directories):
    path = directories / "gpt2_json" / "tokenizer.json"
    content = json.loads(path.read_text("utf-8"))
    content["model"]["dropout"] = 0.1
    with pytest.raises(TokenizerError, match=r"dropout 0.1 of its BPE model"):
        SubwordTokenizer(content)


def test_ids_of_special_tokens(directories):
    roberta = Tokenizer.from_pretrained(directories / "roberta")
    ids = [getattr(roberta, f"{name}_token_id") for name in ("cls", "pad", "sep", "unk", "mask")]
    assert ids[:4] == [0, 1, 2, 3]
    assert roberta.ids_to_tokens(ids) == ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]
    gpt2 = Tokenizer.from_pretrained(directories / "gpt2")
    assert gpt2.pad_token_id is gpt2.mask_token_id is None
    t5 = Tokenizer.from_pretrained(directories / "t5")
    assert (t5.pad_token_id, t5.cls_token_id, t5.sep_token_id, t5.unk_token_id) == (0, None, 1, 2)
    assert Tokenizer(VOCAB).pad_token_id == Tokenizer(VOCAB).token_pad_id == 0


DEEP = '{"a":' * 5000 + "1" + "}" * 5000
BAD_CONFIGS = [
    (DEEP, "more than 64 deep"),
    ("[" * 100_000, "more than 64 deep"),
    ("[1]", "holds a json list, not an object"),
    ('{"x": NaN}', "NaN is no json number"),
    ('{"extra_ids": 1000000000000}', r"extra_ids is 1000000000000; it must be a number from 0"),
    ('{"do_lower_case": "no"}', "do_lower_case is 'no'; it must be true or false"),
    ('{"tokenizer_class": 3}', "tokenizer_class is 3; it must be a string"),
    ('{"pad_token": {"lstrip": true}}', r"pad_token is \{.*\}; it must be a token"),
    ('{"added_tokens_decoder": []}', r"added_tokens_decoder is \[\]; it must be an object"),
    ('{"added_tokens_decoder": {"x": {"content": "a"}}}', "added_tokens_decoder is 'x'; .*an id"),
    ('{"added_tokens_decoder": {"7": 3}}', "added_tokens_decoder.7 is 3; it must be a token"),
    (
        '{"added_tokens_decoder": {"7": {"content": "a", "lstrip": 1}}}',
        "added_tokens_decoder.7.lstrip is 1; it must be true or false",
    ),
    ('{"additional_special_tokens": [1]}', r"additional_special_tokens is \[1\]; .*tokens"),
    ('{"never_split": "a"}', "never_split is 'a'; it must be a list"),
    ('{"auto_map": 1}', "auto_map is 1; it must be an object"),
    ('{"bert4keras": {"layers": 3}}', "bert4keras has the key 'layers'; known are"),
    ('{"bert4keras": {"segments": [1]}}', r"bert4keras.segments is \[1\]; it must be two"),
    ('{"bert4keras": {"token_pad": 1}}', "bert4keras.token_pad is 1"),
    ('{"bert4keras": {"pattern": 1}}', "bert4keras.pattern is 1"),
    (
        '{"bert4keras": {"pattern": "[E1]"}}',
        r"bert4keras.pattern is '\[E1\]'; it must be a pattern",
    ),
    ('{"bert4keras": {"token_translate": {"a": 1}}}', "bert4keras.token_translate is"),
]


@pytest.mark.parametrize(("text", "message"), BAD_CONFIGS)
def test_configurations_that_are_no_good(listed, text, message):
    path = listed()
    (path / "tokenizer_config.json").write_text(text)
    with pytest.raises(TokenizerError, match=rf"tokenizer_config.json.*{message}"):
        Tokenizer.from_pretrained(path)


@pytest.mark.parametrize(
    ("keys", "value", "message"),
    [
        (["model"], 3, "model is 3; it must be an object"),
        (["model", "vocab"], 3, "model.vocab is 3; it must be an object token -> id"),
        (
            ["model", "vocab"],
            [["a", 1]],
            r"model.vocab is \[.*\]; it must be an object token -> id",
        ),
        (["model", "vocab"], {}, "model.vocab is empty"),
        (["model", "vocab"], {"a": -1}, "the id of 'a' is -1; it must be an id from 0"),
        (["model", "vocab"], {"a": 10**12}, "the id of 'a' is 1000000000000"),
        (
            ["model"],
            {"type": "Unigram", "vocab": [["a", 1], ["b"]]},
            r"model.vocab\[1\] is \['b'\]; it must be a pair",
        ),
        (["model"], {"type": "Unigram", "vocab": {"a": 1}}, "vocab is .*; it must be a list"),
        (["model"], {"type": "Unigram", "vocab": [["a", 1]], "unk_id": 1}, "unk_id is 1; it must"),
        (["model", "merges"], "ab", "model.merges is 'ab'; it must be a list"),
        (["model", "merges"], ["a"], r"model.merges\[0\] is 'a'; it must be two tokens"),
        (["model", "unk_token"], 1, "model.unk_token is 1; it must be a string"),
        (["added_tokens"], 1, "added_tokens is 1; it must be a list"),
        (["added_tokens"], [1], r"added_tokens\[0\] is 1; it must be an object"),
        (["added_tokens"], [{"id": 1}], r"added_tokens\[0\].content is None"),
        (["added_tokens"], [{"id": "1", "content": "a"}], r"added_tokens\[0\].id is '1'"),
        (["normalizer"], [], r"normalizer is \[\]; it must be an object"),
        (["normalizer"], {"type": "Odd"}, "cannot be read by the installed tokenizers"),
        (
            ["normalizer"],
            {"type": "Precompiled", "precompiled_charsmap": "AAAA"},
            "cannot be read by the installed tokenizers",
        ),
    ],
)
def test_tokenizer_json_that_is_no_good(directories, tmp_path, keys, value, message):
    content = json.loads((directories / "gpt2_json" / "tokenizer.json").read_text("utf-8"))
    inner = content
    for key in keys[:-1]:
        inner = inner[key]
    inner[keys[-1]] = value
    (tmp_path / "tokenizer.json").write_text(json.dumps(content))
    with pytest.raises(TokenizerError, match=message):
        Tokenizer.from_pretrained(tmp_path)
    with pytest.raises(TokenizerError, match=message):
        SubwordTokenizer(tmp_path / "tokenizer.json")


def test_panics_of_rust_while_encoding(tmp_path):
    library = word_piece(None, None)
    content = json.loads(library.to_str())
    content["pre_tokenizer"] = {"type": "FixedLength", "length": 0}
    (tmp_path / "tokenizer.json").write_text(json.dumps(content))
    tokenizer = Tokenizer.from_pretrained(tmp_path)
    for call in (
        tokenizer.encode,
        tokenizer.tokenize,
        lambda text: tokenizer.encode_batch([text] * 9),
    ):
        with pytest.raises(TokenizerError, match="A text cannot be tokenized: chunk size"):
            call("abc")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs pipes")
@pytest.mark.parametrize("name", ["tokenizer.json", "vocab.txt", "spiece.model", "config.json"])
def test_pipes_and_directories_are_refused(listed, name):
    path = listed()
    (path / name).unlink(missing_ok=True)
    os.mkfifo(path / name)
    with pytest.raises(TokenizerError, match=f"{name} is a pipe, not a regular"):
        Tokenizer.from_pretrained(path)
    (path / name).unlink()
    (path / name).mkdir()
    with pytest.raises(TokenizerError, match=f"{name} is a directory"):
        Tokenizer.from_pretrained(path)


def test_files_alone(tmp_path):
    for make in (Tokenizer, SubwordTokenizer, SpTokenizer):
        with pytest.raises((TokenizerError, FileNotFoundError), match="nowhere"):
            make(tmp_path / "nowhere")
    with pytest.raises(TokenizerNotFoundError, match=r"neither tokenizer.json nor"):
        Tokenizer.from_pretrained(tmp_path)
    big = tmp_path / "tokenizer.json"
    with open(big, "wb") as file:
        file.truncate(2**30)
    with pytest.raises(TokenizerError, match="1,073,741,824 bytes, more than 67,108,864"):
        Tokenizer.from_pretrained(tmp_path)
