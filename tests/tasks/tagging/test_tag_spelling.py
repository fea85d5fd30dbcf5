"""Tags as files spell them."""

from __future__ import annotations

import pytest

from bert4keras.tasks.tagging import decode_tags, encode_tags
from bert4keras.tasks.tagging.tag_spelling import FILE_SCHEMES, TagError, standard_tags

pytestmark = pytest.mark.spread

# One sentence in all spellings: a person of three tokens, one of one, a place of two.
TABLE = {
    "BIO": "B-PER I-PER I-PER B-PER O B-LOC I-LOC",
    "IOB1": "I-PER I-PER I-PER B-PER O I-LOC I-LOC",
    "BIOES": "B-PER I-PER E-PER S-PER O B-LOC E-LOC",
    "BMES": "B-PER M-PER E-PER S-PER O B-LOC E-LOC",
    "BILOU": "B-PER I-PER L-PER U-PER O B-LOC L-LOC",
    "BMEWO": "B-PER M-PER E-PER W-PER O B-LOC E-LOC",
}
SPELLINGS = {
    "B_PER": lambda tag: tag.replace("-", "_"),
    "B/PER": lambda tag: tag.replace("-", "/"),
    "b-PER": lambda tag: tag[0].lower() + tag[1:],
    "PER-B": lambda tag: "-".join(reversed(tag.split("-"))),
    "PER_b": lambda tag: "_".join(reversed(tag.split("-"))).replace("_B", "_b"),
    "B-人名": lambda tag: tag.replace("PER", "人名").replace("LOC", "地-名"),
}


@pytest.mark.parametrize("spelling", ["B-PER", *SPELLINGS])
@pytest.mark.parametrize("scheme", TABLE)
@pytest.mark.parametrize("told", [False, True])
def test_every_spelling_says_the_same(scheme, spelling, told):
    plain = TABLE[scheme].split()
    tags = [SPELLINGS.get(spelling, str)(tag) for tag in plain]
    standard = standard_tags(tags, scheme if told else None)
    found = encode_tags(decode_tags([standard[tag] for tag in tags]), len(tags))
    wanted = TABLE["BIO"].split()
    if spelling == "B-人名":
        wanted = [SPELLINGS[spelling](tag) for tag in wanted]
    assert found == wanted
    # The negative control: read only by their letters these would be refused or other entities.
    assert scheme == "BIO" or tags != wanted


def test_tags_without_types():
    assert standard_tags(["B", "L", "U", "o"]) == {"B": "B", "L": "E", "U": "S", "o": "O"}
    assert standard_tags([]) == {}
    assert set(FILE_SCHEMES) == set(TABLE)


@pytest.mark.parametrize(
    ("tags", "scheme", "message", "culprit"),
    [
        (["B-PER", "PER"], None, "'PER' is not a tag: one of B, E, I, L, M, S, U, W", "PER"),
        (["B-PER", "O-PER"], None, "'O-PER' is not a tag", "O-PER"),
        (["B-PER", "B-"], None, "'B-' is not a tag", "B-"),
        (["B-PER", "B.PER"], None, "'B.PER' is not a tag", "B.PER"),
        (["B-PER", ""], None, "'' is not a tag", ""),
        (["B-PER", "PER-I"], None, "'PER-I' is not a tag", "PER-I"),
        (["B-PER", "S-PER"], "BIO", "'S-PER' is not a tag of BIO: one of B, I", "S-PER"),
        (["B-PER", "E-PER"], "BILOU", "'E-PER' is not a tag of BILOU", "E-PER"),
        (["B-S", "I-S", "O"], None, "'B-S' may be B of 'S' or S of 'B', like all tags", "B-S"),
        (["B-PER-I", "I-PER-I"], None, "'B-PER-I' may be B of 'PER-I' or I of 'B-PER'", "B-PER-I"),
        (["I-PER", "M-PER"], None, "'I-PER' and 'M-PER' belong to different schemes", "M-PER"),
        (["E-PER", "L-PER"], None, "different schemes", "L-PER"),
        (["S-PER", "O", "U-PER", "W-PER"], None, "different schemes", "W-PER"),
        (["B-PER", "I-Per"], None, "the type of 'I-Per' is written 'PER' elsewhere", "I-Per"),
        (["B-a b", "I-a  b"], None, "the type of 'I-a  b' is written 'a b' elsewhere", "I-a  b"),
    ],
)
def test_what_cannot_be_read(tags, scheme, message, culprit):
    with pytest.raises(TagError, match=message) as caught:
        standard_tags(tags, scheme)
    assert caught.value.tag == culprit


def test_a_scheme_that_is_told_settles_what_is_meant():
    assert standard_tags(["B-S", "I-S"], "BIO") == {"B-S": "B-S", "I-S": "I-S"}
    # These need no help: without B, I or S no entity would ever begin.
    assert standard_tags(["B-E", "I-E"]) == {"B-E": "B-E", "I-E": "I-E"}
    assert standard_tags(["L-B", "L-I", "O"]) == {"L-B": "B-L", "L-I": "I-L", "O": "O"}
    assert standard_tags(["B-E", "B-PER"]) == {"B-E": "B-E", "B-PER": "B-PER"}
    with pytest.raises(ValueError, match="no scheme 'IO'; there are BIO"):
        standard_tags(["B"], "IO")
