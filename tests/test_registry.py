"""The registry of families: its list, its order, and what a third party registers."""

from __future__ import annotations

import pytest

from bert4keras import registry
from bert4keras.checkpoints import TABLES, register_tables
from bert4keras.families import MODULES
from bert4keras.models import BERT, FAMILIES, Transformer, register_model
from bert4keras.registry import TOKENIZERS, FamilyMapping, get_family
from bert4keras.tokenizers import Tokenizer, TokenizerDefaults

NAMES = [name for names in MODULES.values() for name in names.split()]


@pytest.mark.parametrize("module", MODULES)
def test_a_module_registers_the_names_of_its_line(module):
    registered = [
        name
        for name, family in FAMILIES.items()
        if family.transformer.__module__.startswith(f"bert4keras.families.{module}")
    ]
    assert registered == MODULES[module].split()


def test_the_order_is_that_of_the_list():
    # Other tests register more families, which come last.
    assert list(FAMILIES)[: len(NAMES)] == NAMES
    for mapping in (TABLES, TOKENIZERS):
        expected = [name for name in NAMES if name in mapping]
        assert list(mapping)[: len(expected)] == expected
        assert len(mapping) == len(list(mapping))


def test_a_family_is_imported_when_its_name_is_asked_for(monkeypatch):
    asked = []
    monkeypatch.setattr(registry.importlib, "import_module", asked.append)
    mapping = FamilyMapping()
    with pytest.raises(KeyError, match="mt5"):
        mapping["mt5"]
    assert asked == ["bert4keras.families.t5"]
    mapping["bert"] = "ours"  # imported before, so that it is not replaced afterwards
    assert asked == ["bert4keras.families.t5", "bert4keras.families.bert"]
    mapping["of a third party"] = "theirs"
    assert "unknown" not in mapping
    assert len(asked) == 2
    assert mapping.imported() == ["bert", "of a third party"]


def test_a_class_is_found_by_its_first_name():
    assert get_family(BERT).name == "bert"
    assert get_family(FAMILIES["xlm-roberta"].transformer).name == "roberta"


@pytest.fixture
def wordy():
    """A family of a third party whose vocab.txt is read as BERT's."""
    defaults = TokenizerDefaults("WordyTokenizer", bert_vocab=True)

    @register_model("wordy", "wordy-v2", tables="bert", tokenizer=defaults)
    class Wordy(Transformer):
        pass

    yield Wordy
    del FAMILIES["wordy"], FAMILIES["wordy-v2"], TOKENIZERS["wordy"]


def test_a_third_party_shares_tables_and_describes_its_tokenizer(wordy, tmp_path):
    assert FAMILIES["wordy"].tables == TABLES["bert"]
    assert "wordy" not in TABLES
    assert get_family(wordy).name == "wordy"
    (tmp_path / "vocab.txt").write_text("[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\nword\n")
    (tmp_path / "tokenizer_config.json").write_text('{"tokenizer_class": "WordyTokenizerFast"}')
    assert Tokenizer.from_pretrained(tmp_path).tokenize("word") == ["[CLS]", "word", "[SEP]"]


@pytest.mark.parametrize("family", [name for name in NAMES if name not in TABLES])
def test_names_without_tables_of_their_own_share_them(family):
    shared = "mt5" if family.startswith("mt5") else "t5" if family.startswith("t5") else "bert"
    shared = {"xlm-roberta": "roberta", "camembert": "roberta", "openai-gpt": "gpt"}.get(
        family, "gau_alpha" if family == "gau-alpha" else shared
    )
    assert FAMILIES[family].tables == TABLES[shared]


def test_tables_that_do_not_exist():
    with pytest.raises(ValueError, match="register_model\\('wordy', tables='words'\\): no tables"):
        register_model("wordy", tables="words")(Transformer)
    assert "wordy" not in FAMILIES


def test_tables_of_a_family_are_replaced():
    before = TABLES["ernie"]
    try:
        register_tables("ernie", TABLES["bert"])
        assert TABLES["ernie"] == TABLES["bert"]
        assert FAMILIES["ernie"].tables == before  # those it was registered with
    finally:
        register_tables("ernie", before)
