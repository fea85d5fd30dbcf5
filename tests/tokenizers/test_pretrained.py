"""The tokenizer that a directory gets, and the errors where it can get none."""

from __future__ import annotations

import json
import shutil
import sys

import pytest

from bert4keras.tokenizers import SpTokenizer, SubwordTokenizer, Tokenizer
from bert4keras.tokenizers.classes import find_family

pytestmark = pytest.mark.spread

BROKEN = {"a": 0, "<unk>": 1, "</s>": 2}


@pytest.fixture
def copy(directories, tmp_path):
    """Copies a recorded directory, with changes: file name -> None, text or JSON content."""

    def make(name: str, **changes):
        target = tmp_path / name
        shutil.copytree(directories / name, target)
        for file, content in changes.items():
            path = target / {"merges": "merges.txt"}.get(file, f"{file}.json")
            if content is None:
                path.unlink()
            else:
                path.write_text(content if isinstance(content, str) else json.dumps(content))
        return target

    return make


def test_tokenizer_json_comes_first(copy, directories):
    directory = copy("t5")
    shutil.copyfile(directories / "t5_json" / "tokenizer.json", directory / "tokenizer.json")
    assert isinstance(Tokenizer.from_pretrained(directory), SubwordTokenizer)


@pytest.mark.parametrize("name", ["roberta", "gpt2", "xlm_roberta", "deberta_v2"])
def test_files_tell_the_family(copy, directories, name):
    directory = copy(name, config=None)
    known = Tokenizer.from_pretrained(directories / name)
    if name == "deberta_v2":
        (directory / "tokenizer_config.json").write_text(
            '{"tokenizer_class": "DebertaV2TokenizerFast"}'
        )
    guessed = Tokenizer.from_pretrained(directory)
    assert guessed.vocab == known.vocab
    assert guessed.encode("the storm", "came") == known.encode("the storm", "came")


@pytest.mark.parametrize("name", ["t5", "albert"])
def test_family_is_asked_for(copy, directories, name):
    directory = copy(name, config=None)
    with pytest.raises(ValueError, match=r"Nothing beside it says so.*family=.*xlm-roberta"):
        Tokenizer.from_pretrained(directory)
    given = Tokenizer.from_pretrained(directory, family=name)
    known = Tokenizer.from_pretrained(directories / name)
    assert given.encode("The storm") == known.encode("The storm")
    with pytest.raises(ValueError, match="'nonsense' is not known"):
        Tokenizer.from_pretrained(directory, family="nonsense")


@pytest.mark.parametrize(
    ("name", "family"),
    [
        ("DebertaV2TokenizerFast", "deberta-v2"),
        ("deberta-v2", "deberta-v2"),
        ("XLMRobertaTokenizer", "xlm-roberta"),
        ("GPT2Tokenizer", "gpt2"),
        ("umt5", "mt5"),
        ("PreTrainedTokenizerFast", None),
    ],
)
def test_names_of_families(name, family):
    assert find_family(name) == family


def test_configuration_counts(copy, directories):
    names = {"eos_token": {"content": "."}, "extra_ids": 3, "mask_token": None}
    tokenizer = Tokenizer.from_pretrained(copy("t5", tokenizer_config=names))
    assert tokenizer.token_end == "."
    assert tokenizer.token_mask is None
    assert tokenizer.id_to_token(tokenizer.vocab_size - 3) == "<extra_id_2>"
    assert "<extra_id_3>" not in tokenizer.vocab
    cased = {"do_lower_case": False, "keep_accents": True}
    albert = copy("albert", tokenizer_config=cased)
    assert "The" not in Tokenizer.from_pretrained(albert).tokenize("the")
    assert Tokenizer.from_pretrained(albert).encode("É") != Tokenizer.from_pretrained(
        albert, do_lower_case=True, strip_accents=True
    ).encode("É")
    size = Tokenizer.from_pretrained(directories / "deberta_v2").vocab_size
    added = {"added_tokens_decoder": {str(size): {"content": "<new>"}}}
    deberta = Tokenizer.from_pretrained(copy("deberta_v2", tokenizer_config=added))
    assert "<new>" in deberta.tokenize("the <new> storm")


@pytest.mark.parametrize(
    ("post_processor", "pattern"),
    [
        (None, "**"),
        ({"type": "BertProcessing", "sep": ["</s>", 2], "cls": ["<s>", 0]}, "S*E*E"),
        (
            {"type": "RobertaProcessing", "sep": ["</s>", 2], "cls": ["<s>", 0]}
            | {"trim_offsets": True, "add_prefix_space": False},
            "S*EE*E",
        ),
    ],
)
def test_frame_is_read_from_the_post_processor(copy, post_processor, pattern):
    directory = copy("roberta_json")
    content = json.loads((directory / "tokenizer.json").read_text("utf-8"))
    content["post_processor"] = post_processor
    (directory / "tokenizer.json").write_text(json.dumps(content))
    tokenizer = Tokenizer.from_pretrained(directory)
    assert tokenizer.pattern == pattern
    frame = {"**": "a b", "S*E*E": "<s> a </s> b </s>", "S*EE*E": "<s> a </s> </s> b </s>"}
    assert " ".join(tokenizer.ids_to_tokens(tokenizer.encode("a", "b")[0])) == frame[pattern]


def _post_processor(single: list[str], pair: list[str]) -> dict:
    def items(words):
        return [
            {"Sequence": {"id": word, "type_id": 0}}
            if word in "AB"
            else {"SpecialToken": {"id": word, "type_id": 0}}
            for word in words
        ]

    special = {
        token: {"id": token, "ids": [i], "tokens": [token]}
        for i, token in enumerate(("<s>", "<pad>", "</s>"))
    }
    return {
        "type": "TemplateProcessing",
        "single": items(single),
        "pair": items(pair),
        "special_tokens": special,
    }


def test_a_frame_that_is_none(copy):
    directory = copy("roberta_json")
    content = json.loads((directory / "tokenizer.json").read_text("utf-8"))
    content["post_processor"] = _post_processor(
        ["<s>", "A"], ["<s>", "A", "<pad>", "<pad>", "<pad>", "B"]
    )
    (directory / "tokenizer.json").write_text(json.dumps(content))
    with pytest.raises(ValueError, match=r"<s> \* <pad> <pad> <pad> \*, where"):
        Tokenizer.from_pretrained(directory)


def test_nothing_found(tmp_path):
    looked_for = r"neither tokenizer.json nor vocab.txt, nor vocab.json.*spiece.model"
    with pytest.raises(FileNotFoundError, match=looked_for):
        Tokenizer.from_pretrained(tmp_path)
    with pytest.raises(FileNotFoundError, match="not a directory"):
        Tokenizer.from_pretrained(tmp_path / "nowhere")


@pytest.mark.parametrize(
    ("name", "changes", "error", "message"),
    [
        ("roberta", {"merges": None}, FileNotFoundError, r"has vocab.json but no merges.txt"),
        ("roberta", {"vocab": None}, FileNotFoundError, r"has merges.txt but no vocab.json"),
        ("roberta", {"merges": "t h\nq zz\n"}, ValueError, r"does not belong .* merges 'q zz'"),
        ("roberta", {"merges": "the\n"}, ValueError, r"does not belong .* merges 'the'"),
        ("roberta", {"vocab": {"a</w>": 0}}, ValueError, "</w>"),
        ("roberta", {"vocab": {"a": 0}}, ValueError, "does not belong|lacks"),
        ("roberta", {"vocab": "{"}, ValueError, "not a json file"),
        ("roberta", {"vocab": "[]"}, ValueError, "json list"),
        ("roberta", {"config": {"model_type": "llama"}}, ValueError, "'llama' is not known"),
        ("t5", {"config": {"model_type": "albert"}}, ValueError, r"lacks \[CLS\], \[SEP\]"),
        ("t5", {"added_tokens": {"<new>": 9}}, ValueError, "'<new>' the id 9, but in"),
        ("deberta_v2", {"tokenizer_config": {"split_by_punct": True}}, ValueError, "by_punct"),
        ("t5_json", {"tokenizer": {"model": {"type": "Odd"}}}, ValueError, "holds a Odd model"),
        (
            "t5_json",
            {"tokenizer": {"model": {"type": "BPE", "vocab": BROKEN, "merges": ["a b"]}}},
            ValueError,
            "cannot be read by the installed tokenizers",
        ),
    ],
)
def test_directories_that_are_no_good(copy, name, changes, error, message):
    with pytest.raises(error, match=message):
        Tokenizer.from_pretrained(copy(name, **changes))


def test_without_the_library(directories, monkeypatch):
    monkeypatch.setitem(sys.modules, "sentencepiece", None)
    with pytest.raises(ImportError, match=r"pip install bert4keras\[sentencepiece\]"):
        Tokenizer.from_pretrained(directories / "t5")
    assert Tokenizer.from_pretrained(directories / "t5_json").encode("the")[0]


def test_files_that_are_no_models(tmp_path):
    path = tmp_path / "spiece.model"
    with pytest.raises(FileNotFoundError, match=r"no SentencePiece model file"):
        SpTokenizer(path)
    for content in (b"", b"not a model at all"):
        path.write_bytes(content)
        with pytest.raises(ValueError, match=r"spiece.model is not a SentencePiece model"):
            SpTokenizer(path)
