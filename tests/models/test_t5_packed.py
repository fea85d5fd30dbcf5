"""Packed documents of a T5: each is read as it is in a separate row."""

from __future__ import annotations

import keras
import numpy as np
import pytest

from bert4keras.masks import LM, Packed
from helpers.family_models import build, call

pytestmark = pytest.mark.spread
LENGTHS = [(5, 4), (3, 6), (4, 2)]  # of source and target; a target begins with the padding id


@pytest.fixture(scope="module")
def documents():
    rng = np.random.default_rng(5)
    texts = [[rng.integers(1, 20, n) for n in pair] for pair in LENGTHS]
    for _, target in texts:
        target[0] = 0
    return texts


@pytest.fixture(scope="module")
def models():
    packed = build("t5.1.1", LM() & Packed(), with_mlm="linear")
    plain = build("t5.1.1", "lm", with_mlm="linear")
    plain.set_weights(packed.get_weights())
    return packed, plain


def rows(parts, padding: int = 2):
    """Ids and numbers of documents, (1, L), with padding behind them."""
    ids = np.concatenate([*parts, np.zeros(padding)]).astype("int32")
    numbers = np.repeat(np.arange(1, len(parts) + 1), [len(x) for x in parts])
    return ids[None], np.pad(numbers, (0, padding))[None].astype("int32")


def packed_inputs(documents):
    sources, targets = zip(*documents, strict=True)
    (source, source_number), (target, number) = rows(sources), rows(targets, 3)
    return [source, source_number, target, number]


def test_each_document_is_read_alone(documents, models):
    packed, plain = models
    names = ("encoder_token_ids", "encoder_document_ids", "token_ids", "document_ids")
    assert packed.input_order == names
    arrays = packed_inputs(documents)
    wanted = np.concatenate(
        [call(plain, [source[None], target[None]])[0] for source, target in documents]
    )
    found = call(packed, arrays)[0, : len(wanted)]
    assert np.abs(found - wanted).max() < 2e-5
    # Control: with one number for all, a document sees the others.
    arrays[1], arrays[3] = np.ones_like(arrays[0]), np.ones_like(arrays[2])
    assert np.abs(call(packed, arrays)[0, : len(wanted)] - wanted).max() > 1e-2


def test_start_tokens_count_in_the_loss(documents, models):
    """The padding id begins every document, and what is predicted there is no padding."""
    packed, _ = models
    mask = packed.get_layer("Decoder-Padding-Mask")
    x = np.zeros((1, 15, 8), "float32")
    numbers = packed_inputs(documents)[3]
    symbols = [keras.Input((None,), dtype="int32") for _ in packed.inputs]
    (whole,) = packed.compute_mask(packed_inputs(documents))
    for valid in (mask.compute_mask([x, numbers]), whole):
        found = keras.ops.convert_to_numpy(valid)
        assert found[0].tolist() == [True] * 12 + [False] * 3
    assert packed(symbols).shape == (None, None, 20)  # as a layer of another model


def test_the_parts_give_what_the_whole_gives(documents, models):
    packed, _ = models
    source, source_number, target, number = packed_inputs(documents)
    encoder, decoder = packed.transformer.encoder, packed.transformer.decoder
    states = call(encoder, [source, source_number])
    found = call(decoder, [states, source, source_number, target, number])
    assert np.abs(found - call(packed, packed_inputs(documents))).max() < 2e-5
