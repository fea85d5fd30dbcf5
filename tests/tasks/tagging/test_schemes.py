"""Tags and entities: by hand, by enumeration of all sequences, and characters to units and back."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bert4keras.tasks.alignment import align_entities, first_tokens, locate_entities, merge_windows
from bert4keras.tasks.tagging import (
    SCHEMES,
    LabelledSpan,
    allowed_transitions,
    decode_tags,
    encode_tags,
    find_scheme,
    tag_names,
)
from bert4keras.tasks.tagging.schemes import split_tag
from bert4keras.tasks.windows import sliding_windows

pytestmark = pytest.mark.spread

ENTITIES = [(0, 1, "P"), (1, 3, "P"), (3, 6, "L"), (7, 8, "L")]
BY_HAND = {
    "IOB1": "I-P B-P I-P I-L I-L I-L O I-L",
    "BIO": "B-P B-P I-P B-L I-L I-L O B-L",
    "BIOES": "S-P B-P E-P B-L I-L E-L O S-L",
    "BMES": "S-P B-P E-P B-L M-L E-L O S-L",
}


@pytest.mark.parametrize("scheme", SCHEMES)
def test_tags_by_hand(scheme):
    tags = BY_HAND[scheme].split()
    assert encode_tags(reversed(ENTITIES), 8, scheme) == tags
    assert decode_tags(tags) == decode_tags(tags, scheme, strict=True) == ENTITIES
    assert find_scheme(tags) == scheme
    assert set(tags) <= set(tag_names("PL", scheme))
    assert encode_tags([], 2, scheme) == ["O", "O"]
    assert decode_tags([]) == encode_tags([], 0, scheme) == []


def test_names_of_tags():
    assert tag_names(["P", "L"], "BIO") == ["O", "B-P", "I-P", "B-L", "I-L"]
    assert tag_names([""], "BMES", outside=False) == ["B", "M", "E", "S"]
    assert tag_names(["P"], "IOB1") == ["O", "B-P", "I-P"]
    assert encode_tags([(0, 2, ""), (2, 3, ""), (3, 6, "")], 6, "BMES") == list("BESBME")
    assert split_tag("B-a-b") == ("B", "a-b")


@st.composite
def separate_entities(draw):
    """A length and entities that do not overlap."""
    cuts = sorted(draw(st.sets(st.integers(0, 12), max_size=8)))
    pairs = [pair for pair in itertools.pairwise(cuts) if draw(st.booleans())]
    return 12, [LabelledSpan(a, b, draw(st.sampled_from("PL"))) for a, b in pairs]


@given(separate_entities(), st.sampled_from(SCHEMES))
def test_entities_come_back_from_their_tags(drawn, scheme):
    length, entities = drawn
    tags = encode_tags(entities, length, scheme)
    assert decode_tags(tags) == decode_tags(tags, scheme, strict=True) == entities


@pytest.mark.parametrize("scheme", SCHEMES)
def test_allowed_are_just_the_sequences_that_are_written(scheme):
    """All sequences of up to 4 tags: those that a set of entities has, and no other."""
    tags = tag_names("PL", scheme)
    start, transitions, end = allowed_transitions(tags, scheme)
    spans = [LabelledSpan(a, b, t) for a, b in itertools.combinations(range(5), 2) for t in "PL"]
    for length in range(1, 5):
        own = [span for span in spans if span.end <= length]
        written = set()
        for size in range(length + 1):
            for some in itertools.combinations(own, size):
                if all(a.end <= b.start for a, b in itertools.pairwise(sorted(some))):
                    written.add(tuple(encode_tags(some, length, scheme)))
        allowed = {
            tuple(tags[i] for i in path)
            for path in itertools.product(range(len(tags)), repeat=length)
            if start[path[0]]
            and end[path[-1]]
            and all(transitions[a, b] for a, b in itertools.pairwise(path))
        }
        assert allowed == written


def test_allowed_for_segmentation():
    start, transitions, end = allowed_transitions(list("BMES"), "BMES")
    assert start.tolist() == [True, False, False, True]
    assert end.tolist() == [False, False, True, True]
    assert transitions.astype(int).tolist() == [[0, 1, 1, 0]] * 2 + [[1, 0, 0, 1]] * 2


@pytest.mark.parametrize(
    ("tags", "entities", "strict"),
    [  # what no scheme writes: read as CoNLL's script does, or left out
        ("O I-P I-P", [(1, 3, "P")], []),
        ("B-P I-L", [(0, 1, "P"), (1, 2, "L")], [(0, 1, "P")]),
        ("I-P B-P I-P", [(0, 1, "P"), (1, 3, "P")], [(1, 3, "P")]),
    ],
)
def test_ill_formed_tags(tags, entities, strict):
    assert decode_tags(tags.split()) == entities
    assert decode_tags(tags.split(), "BIO", strict=True) == strict


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: encode_tags([(0, 2, "P"), (1, 3, "L")], 3), "overlaps LabelledSpan"),
        (lambda: encode_tags([(0, 4, "P")], 3), "not within the 3 items"),
        (lambda: encode_tags([(1, 1, "P")], 3), "not within the 3 items"),
        (lambda: encode_tags([], 3, "BILOU"), "no scheme 'BILOU'; there are IOB1, BIO"),
        (lambda: decode_tags(["X-P"]), "'X-P' is not a tag"),
        (lambda: decode_tags(["O-P"]), "'O-P' is not a tag"),
        (lambda: decode_tags([""]), "'' is not a tag"),
        (lambda: decode_tags(["B-P"], strict=True), "needs the scheme"),
        (lambda: allowed_transitions(["O", "E-P"], "BIO"), "'E-P' is not a tag of BIO"),
        (lambda: align_entities([(2, 2, "P")], [(0, 3)]), "is empty"),
    ],
)
def test_bad_input_is_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()


# "San Jose's  mayor" with a special token at both ends
TOKENS = [(0, 0), (0, 3), (4, 8), (8, 9), (9, 10), (12, 17), (0, 0)]


@pytest.mark.parametrize(
    ("entities", "found", "dropped"),
    [
        ([(0, 8, "L"), (12, 17, "P")], [(1, 3, "L"), (5, 6, "P")], []),
        ([(0, 6, "L")], [(1, 3, "L")], [((0, 6, "L"), "inside a token")]),
        ([(5, 8, "L")], [(2, 3, "L")], [((5, 8, "L"), "inside a token")]),
        ([(3, 8, "L")], [(2, 3, "L")], [((3, 8, "L"), "no token")]),
        ([(10, 12, "L")], [], [((10, 12, "L"), "no token")]),
        ([(0, 8, "L"), (4, 8, "P")], [(1, 3, "L")], [((4, 8, "P"), "overlap")]),
        ([(0, 8, "L"), (4, 10, "P")], [(1, 3, "L")], [((4, 10, "P"), "overlap")]),
        ([(17, 19, "L")], [], [((17, 19, "L"), "no token")]),
    ],
)
def test_characters_to_tokens(entities, found, dropped):
    alignment = align_entities(entities, TOKENS)
    assert alignment == (found, dropped)
    kept = [e for e in entities if e not in [entity for entity, _ in dropped]]
    back = locate_entities(alignment.entities, TOKENS)
    assert [e for e in back if e in entities] == kept
    assert len(back) == len(found)


def test_nested_and_truncated():
    entities = [(0, 8, "L"), (4, 8, "P")]
    alignment = align_entities(entities, TOKENS, overlap=True)
    assert alignment == ([(1, 3, "L"), (2, 3, "P")], [])
    assert locate_entities(alignment.entities, TOKENS) == entities
    cut = align_entities([(0, 3, "L"), (4, 10, "P")], TOKENS[:4], length=9)
    assert cut == ([(1, 2, "L")], [((4, 10, "P"), "truncated")])


def test_special_tokens_are_no_part_of_an_entity():
    assert locate_entities([(0, 2, "L"), (5, 7, "P"), (6, 7, "P")], TOKENS) == [
        (0, 3, "L"),
        (12, 17, "P"),
    ]


def test_first_token_of_each_word():
    offsets = [(0, 0), (0, 2), (2, 4), (5, 6), (8, 9), (0, 0)]
    assert first_tokens(offsets, [(0, 4), (5, 6), (7, 8), (8, 9)]) == [1, 3, -1, 4]
    assert first_tokens(offsets, [(0, 1), (1, 4)]) == [1, 2]
    assert first_tokens([], [(0, 1)]) == [-1]
    assert first_tokens(offsets, []) == []


@pytest.mark.parametrize("length", [0, 1, 5, 6, 7, 23])
def test_windows_give_each_item_its_best_scores(length):
    windows = sliding_windows(length, 6, 3)
    scores = []
    for number, (start, end) in enumerate(windows):
        rows = np.full((6, 2), np.nan)  # padding must not be taken
        rows[: end - start, 0], rows[: end - start, 1] = np.arange(start, end), number
        scores.append(rows)
    merged = merge_windows(scores, windows)
    assert merged[:, 0].tolist() == list(range(length))
    for item, number in enumerate(merged[:, 1].astype(int)):
        depths = [min(item - a, b - 1 - item) for a, b in windows]
        assert depths[number] == max(depths)


def test_an_entity_across_the_border_of_windows_is_found():
    tags = tag_names("P")
    gold = encode_tags([(4, 9, "P"), (10, 11, "P")], 12)
    windows = sliding_windows(12, 6, 3)
    scores = [np.eye(3)[[tags.index(tag) for tag in gold[a:b]]] for a, b in windows]
    merged = [tags[i] for i in merge_windows(scores, windows).argmax(-1)]
    assert decode_tags(merged) == [(4, 9, "P"), (10, 11, "P")]
    # Each window by itself breaks it.
    alone = {(e.start + a, e.end + a) for a, b in windows for e in decode_tags(gold[a:b])}
    assert alone != {(4, 9), (10, 11)}
