"""Special tokens around texts and pairs."""

from __future__ import annotations

import pytest

from bert4keras.tokenizers import Tokenizer
from bert4keras.tokenizers.template import SpecialTokensTemplate

pytestmark = pytest.mark.spread

LISTED = Tokenizer(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "a", "b", "c"])


@pytest.mark.parametrize(
    ("pattern", "one", "two"),
    [
        ("S*E*E", "[CLS] a b [SEP]", "[CLS] a b [SEP] c [SEP]"),
        ("S*ES*E", "[CLS] a b [SEP]", "[CLS] a b [SEP] [CLS] c [SEP]"),
        ("S*EE*E", "[CLS] a b [SEP]", "[CLS] a b [SEP] [SEP] c [SEP]"),
        ("*E*E", "a b [SEP]", "a b [SEP] c [SEP]"),
        ("S**", "[CLS] a b", "[CLS] a b c"),
        ("S*S*", "[CLS] a b", "[CLS] a b [CLS] c"),
        ("S*E*", "[CLS] a b", "[CLS] a b [SEP] c"),
        ("**", "a b", "a b c"),
    ],
)
def test_patterns(pattern, one, two):
    def shown(*texts, **options):
        ids, segments = LISTED.encode(*texts, pattern=pattern, truncate=True, **options)
        assert len(ids) == len(segments)
        return " ".join(LISTED.ids_to_tokens(ids)), segments

    assert shown("a b")[0] == one
    tokens, segments = shown("a b", "c")
    assert tokens == two
    assert segments == sorted(segments)
    size = len(two.split())
    assert segments.count(1) == size - len(one.split())
    assert shown("a b", "c", maxlen=size)[0] == two
    assert shown("a b", "c", maxlen=size - 1)[0] == two.replace("a b", "a")
    left = shown("a b", "c", maxlen=size - 1, truncate_from="left")[0]
    assert left == two.replace("a b", "b")


@pytest.mark.parametrize("pattern", ["SE", "*", "S*E", "E*S*S", "S*EEE*E", "s*e*e", None])
def test_patterns_that_are_none(pattern):
    with pytest.raises(ValueError, match="A pattern is a pair of texts"):
        SpecialTokensTemplate.parse(pattern)


def test_tokens_that_do_not_exist_are_left_out():
    assert SpecialTokensTemplate.parse("S*ES*E", has_start=False) == SpecialTokensTemplate(
        head=False, tail=True, lead=""
    )
    assert SpecialTokensTemplate.parse("S*EE*E", has_end=False) == SpecialTokensTemplate(
        head=True, tail=False, lead=""
    )
