"""A saved tokenizer is the same one when it is loaded."""

from __future__ import annotations

import json
import shutil

import pytest

from bert4keras.tokenizers import (
    SpTokenizer,
    SubwordTokenizer,
    Tokenizer,
    TokenizerError,
    load_vocab,
    save_vocab,
)

VOCAB = "[PAD] [unused1] [UNK] [CLS] [SEP] [MASK] the storm hello ##s é 中 ##中 国 ! [E1]".split()
TEXTS = ["Héllo THE storms 中国!", "the [E1] [MASK] x <extra_id_0> storm", "", "``a'' É ﬁ"]
pytestmark = [
    pytest.mark.spread,
    pytest.mark.filterwarnings("ignore::bert4keras.tokenizers.UnknownTokensWarning"),
]


def assert_equal(a, b) -> None:
    assert type(a) is type(b)
    assert a.vocab == b.vocab
    for special in (False, True):
        how = {"return_offsets": True, "special": special}
        assert a.encode_batch(TEXTS, TEXTS[::-1], **how) == b.encode_batch(
            TEXTS, TEXTS[::-1], **how
        )
    for name in ("pad", "cls", "sep", "unk", "mask"):
        assert getattr(a, f"{name}_token_id") == getattr(b, f"{name}_token_id")
    ids = a.encode(TEXTS[0])[0]
    assert a.decode(ids) == b.decode(ids)


def test_files_stay_byte_for_byte(kind, tokenizer, directories, tmp_path):
    loaded = Tokenizer.from_pretrained(directories / kind)
    loaded.save(tmp_path / "a" / "b")
    saved = {path.name: path.read_bytes() for path in (tmp_path / "a" / "b").iterdir()}
    for name, content in saved.items():
        source = directories / kind / name
        # A bare model is told by config.json, which belongs to the model, what it is.
        assert source.exists() or (name == "tokenizer_config.json" and len(content) < 100)
        assert not source.exists() or source.read_bytes() == content
    assert {p.name for p in (directories / kind).iterdir()} - saved.keys() <= {"config.json"}
    again = Tokenizer.from_pretrained(tmp_path / "a" / "b")
    assert_equal(loaded, again)
    again.save(tmp_path / "c")
    assert {path.name: path.read_bytes() for path in (tmp_path / "c").iterdir()} == saved


def test_the_source_may_be_gone(directories, tmp_path):
    shutil.copytree(directories / "t5", tmp_path / "t5")
    loaded = Tokenizer.from_pretrained(tmp_path / "t5")
    shutil.rmtree(tmp_path / "t5")
    loaded.save(tmp_path / "t5")
    assert_equal(loaded, Tokenizer.from_pretrained(tmp_path / "t5"))


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"do_lower_case": True},
        {"do_lower_case": True, "strip_accents": False, "split_cjk": False},
        {"word_maxlen": 4},
        {"token_mask": "!", "token_pad": None},
        {"token_start": None, "pattern": "S*EE*E", "segments": (0, 0)},
        {"pattern": "S*ES*E"},
        {"pattern": "**"},
        {"token_translate": {"hello": "the", "!": "[MASK]"}},
        {
            "added_tokens": [
                "[E1]",
                {"content": "storm", "single_word": True, "lstrip": True},
                "<x>",
            ]
        },
        {"keep_tokens": [15, 3, 4, 2, 6, 7, 8, 9], "added_tokens": ["[E1]"]},
        {"prefix": "#"},
    ],
)
def test_word_piece(tmp_path, options):
    made = Tokenizer(VOCAB, **options)
    made.save(tmp_path)
    assert_equal(made, Tokenizer.from_pretrained(tmp_path))
    again = Tokenizer.from_pretrained(tmp_path, do_lower_case=not made.do_lower_case)
    assert again.encode("THE É") != made.encode("THE É")


def test_a_simplified_vocabulary(tmp_path):
    save_vocab(tmp_path / "vocab.txt", {token: i for i, token in enumerate(VOCAB)})
    token_dict, keep_tokens = load_vocab(tmp_path / "vocab.txt", simplified=True)
    small = Tokenizer(token_dict, do_lower_case=True)
    small.save(tmp_path / "small")
    again = Tokenizer.from_pretrained(tmp_path / "small")
    assert_equal(small, again)
    assert again.vocab_size == len(keep_tokens) < len(VOCAB)
    assert load_vocab(tmp_path / "small" / "vocab.txt") == token_dict
    whole = Tokenizer.from_pretrained(tmp_path, do_lower_case=True)
    ids = again.encode("the storms 中国")[0]
    assert whole.ids_to_tokens(keep_tokens[i] for i in ids) == again.ids_to_tokens(ids)


@pytest.mark.parametrize("name", ["t5", "t5_json", "xlm_roberta", "albert", "albert_json"])
@pytest.mark.parametrize("order", [1, -1])
def test_smaller_vocabularies(directories, tmp_path, name, order):
    whole = Tokenizer.from_pretrained(directories / name)
    kept = whole.select_tokens(lambda token: token.isascii())[::order]
    small = Tokenizer.from_pretrained(directories / name, keep_tokens=kept)
    small.save(tmp_path)
    again = Tokenizer.from_pretrained(tmp_path)
    assert_equal(small, again)
    assert again.vocab_size == len(kept)
    fewer = sum(path.stat().st_size for path in tmp_path.iterdir())
    assert fewer < 200_000 or name.endswith("json")


@pytest.mark.parametrize("name", ["t5", "t5_json", "gpt2", "roberta_json", "deberta_v2", "albert"])
def test_options_of_other_kinds(directories, tmp_path, name):
    token = {"content": "[E1]", "single_word": True, "lstrip": True}
    options = {"added_tokens": [token], "pattern": "**", "segments": (1, 0)}
    made = Tokenizer.from_pretrained(directories / name, **options)
    made.save(tmp_path)
    again = Tokenizer.from_pretrained(tmp_path)
    assert_equal(made, again)
    assert again.encode("the [E1]")[0][-1] == made.vocab_size - 1
    plain = Tokenizer.from_pretrained(directories / name)
    assert plain.encode("the", "storm") != again.encode("the", "storm")


def test_a_tokenizer_made_of_one_file(directories, tmp_path):
    path = directories / "albert" / "spiece.model"
    options = {"token_start": None, "token_end": None, "do_lower_case": True, "plain_quotes": True}
    for n, made in enumerate(
        [
            SpTokenizer(path, **options),
            SubwordTokenizer(directories / "gpt2_json" / "tokenizer.json"),
        ]
    ):
        made.save(tmp_path / str(n))
        assert_equal(made, Tokenizer.from_pretrained(tmp_path / str(n)))


def test_a_family_that_the_caller_named(directories, tmp_path):
    shutil.copyfile(directories / "t5" / "spiece.model", tmp_path / "spiece.model")
    made = Tokenizer.from_pretrained(tmp_path, family="t5")
    made.save(tmp_path / "saved")
    assert_equal(made, Tokenizer.from_pretrained(tmp_path / "saved"))


def test_functions_are_asked_for(tmp_path):
    words = Tokenizer(VOCAB, pre_tokenize=str.split)
    words.save(tmp_path)
    with pytest.raises(TokenizerError, match=r"a function pre_tokenize, .* pre_tokenize=\.\.\."):
        Tokenizer.from_pretrained(tmp_path)
    assert_equal(words, Tokenizer.from_pretrained(tmp_path, pre_tokenize=str.split))
    without = Tokenizer.from_pretrained(tmp_path, pre_tokenize=None)
    assert_equal(without, Tokenizer(VOCAB))


def test_changes_after_loading_are_saved(directories, tmp_path):
    made = Tokenizer.from_pretrained(directories / "t5_json")
    made.pattern, made.segments = "**", (0, 1)
    made.save(tmp_path)
    assert_equal(made, Tokenizer.from_pretrained(tmp_path))


def test_other_files_go(directories, tmp_path):
    """A directory must not hold the files of two tokenizers."""
    Tokenizer.from_pretrained(directories / "t5").save(tmp_path)
    (tmp_path / "config.json").write_text("{}")
    (tmp_path / "notes.txt").write_text("mine")
    made = Tokenizer(VOCAB)
    made.save(tmp_path)
    assert_equal(made, Tokenizer.from_pretrained(tmp_path))
    names = {path.name for path in tmp_path.iterdir()}
    assert names == {
        "tokenizer.json",
        "tokenizer_config.json",
        "vocab.txt",
        "config.json",
        "notes.txt",
    }


def test_places_and_tokenizers_that_are_no_good(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(TokenizerError, match="file is not a directory"):
        Tokenizer(VOCAB).save(tmp_path / "file")
    with pytest.raises(TokenizerError, match="cannot be saved"):
        Tokenizer(VOCAB, segments=({1}, 0)).save(tmp_path / "sets")
    (tmp_path / "tokenizer_config.json").write_text(
        json.dumps({"bert4keras": {"class": "SpTokenizer", "first_tokens": 3}})
    )
    with pytest.raises(TokenizerError, match=r"sentencepiece|first_tokens"):
        Tokenizer.from_pretrained(tmp_path)
