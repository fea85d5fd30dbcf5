"""Several texts in one row get the vectors that each has in its own row, in every family."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from keras import ops

from bert4keras.data import pack, pack_candidates
from bert4keras.generation.prompts import lay_out
from bert4keras.masks import LM, Packed, SharedPrefix, Window
from bert4keras.models import FAMILIES
from helpers.family_models import SINGLE, build, call

pytestmark = pytest.mark.spread

PAD = 3
rng = np.random.default_rng(5)
TEXTS = [rng.integers(4, 20, n).tolist() for n in (6, 5, 4, 2)]
# A row is longer than the model's positions: only a text must not be.
SIZES = {"pad_token_id": PAD, "max_position": 12}
ROWS = pack([(ids, [0] * len(ids)) for ids in TEXTS], 20, PAD)
FAR = 64  # a window that hides nothing here


def inputs_of(model, token_ids, segment_ids, groups=None):
    """Inputs in the order of the model; `groups` are document or candidate ids."""
    arrays = {"token_ids": token_ids, "segment_ids": segment_ids}
    arrays |= {"document_ids": groups, "candidate_ids": groups}
    return [arrays[name] for name in model.transformer.get_inputs()]


def read(model, *arrays):
    return call(model, inputs_of(model, *(np.asarray(x, "int32") for x in arrays)))


def apart(found, wanted, rows=ROWS) -> float:
    """The largest difference of texts in rows from texts in their own rows."""
    places = zip(rows.rows, rows.starts, wanted, strict=True)
    return max(np.abs(found[r, s : s + len(x)] - x).max() for r, s, x in places)


def sizes_of(family) -> dict:
    # A text fills these positions, of which RoBERTa uses none up to the padding id.
    return {**SIZES, "max_position": 12 + (PAD + 1) * (family == "roberta")}


def pair(family, mask, **options):
    """A model under a mask, and one with the same weights for texts in their own rows."""
    causal = FAMILIES[family].transformer.native_application == "lm"
    mask = mask & Window(FAR, 0 if causal else None)
    both = [
        build(family, application, sizes_of(family), **options) for application in (mask, "encoder")
    ]
    both[1].set_weights(both[0].get_weights())
    return both


@pytest.mark.parametrize("family", [*SINGLE, "t5.1.1_encoder"])
def test_a_packed_text_is_read_as_if_it_were_alone(family):
    packed, plain = pair(family, Packed())
    wanted = [read(plain, [ids], [[0] * len(ids)])[0] for ids in TEXTS]
    rows = ROWS
    assert rows.token_ids.shape[1] > 12  # longer than a text may be
    assert apart(read(packed, *rows[:3]), wanted) < 2e-5
    # Texts that are joined see each other.
    joined = np.where(rows.document_ids == 2, 1, rows.document_ids)
    assert apart(read(packed, *rows[:2], joined), wanted) > 1e-3


@pytest.mark.parametrize("family", ["bert", "roberta", "nezha", "roformer", "t5.1.1_encoder"])
def test_a_candidate_is_read_as_if_it_were_the_only_one(family):
    prefix, candidates = TEXTS[3], TEXTS[1:3]
    model, _ = pair(family, SharedPrefix())
    row = pack_candidates(prefix, candidates)
    (together,) = read(model, *(part[None] for part in row[:3]))
    for start, ids in zip(row.starts, candidates, strict=True):
        only = pack_candidates(prefix, [ids])
        (alone,) = read(model, *(part[None] for part in only[:3]))
        found = np.concatenate([together[: len(prefix)], together[start : start + len(ids)]])
        np.testing.assert_allclose(found, alone, atol=2e-5)


def test_documents_may_be_interleaved():
    packed, plain = pair("bert", Packed())
    ids = np.array([[4, 9, 5, 8, 6]], "int32")
    documents = np.array([[1, 2, 1, 2, 1]], "int32")
    found = read(packed, ids, np.zeros_like(ids), documents)[0]
    np.testing.assert_allclose(found[::2], read(plain, ids[:, ::2], 0 * ids[:, ::2])[0], atol=2e-5)


def test_given_positions_win():
    model = build("bert", "packed", SIZES, custom_position_ids=True)
    same = build("bert", "packed", SIZES)
    same.set_weights(model.get_weights())
    x = [ROWS.token_ids, ROWS.segment_ids, np.zeros_like(ROWS.token_ids), ROWS.document_ids]
    assert np.abs(call(model, x) - call(same, [*x[:2], x[3]])).max() > 1e-3


def test_a_text_that_is_too_long_is_named():
    model = build("bert", "packed", {**SIZES, "max_position": 5})
    with pytest.raises(ValueError, match=r"number 5 .from 0. of its text, and the model has 5"):
        read(model, *ROWS[:3])


def test_a_packed_model_is_saved_and_read(tmp_path):
    model = build("roberta", Window(FAR) & Packed(), sizes_of("roberta"))
    wanted = read(model, *ROWS[:3])
    model.save(tmp_path / "m.keras")
    np.testing.assert_array_equal(
        read(keras.models.load_model(tmp_path / "m.keras"), *ROWS[:3]), wanted
    )
    head = keras.Model(model.input, keras.layers.Dense(2)(model.output))
    head.save(tmp_path / "head.keras")
    keras.models.load_model(tmp_path / "head.keras")


@pytest.mark.parametrize("family", ["bert", "roberta", "nezha"])
def test_steps_over_a_cache_restart_too(family):
    """Left to right within each document: row by row as all at once."""
    model = build(family, Packed() & LM(), sizes_of(family))
    names = list(model.transformer.get_inputs())
    length = ROWS.token_ids.shape[1]
    arrays = dict(zip(names, inputs_of(model, *ROWS[:2], ROWS.document_ids), strict=True))
    inputs = {name: ops.convert_to_tensor(array) for name, array in arrays.items()}
    cache = model.transformer.empty_cache(len(ROWS.token_ids), length)
    found = []
    for rows in ([*range(5)], [5], [6], [*range(7, length)]):
        y, cache = model.transformer.step(inputs, ops.convert_to_tensor(rows, "int32"), cache)
        found.append(ops.convert_to_numpy(y))
    real = ROWS.document_ids > 0
    wanted = call(model, list(arrays.values()))
    np.testing.assert_allclose(np.concatenate(found, 1)[real], wanted[real], atol=2e-5)


def test_prompts_of_several_documents_restart_too():
    """Lay out rows as `generate` does: prompts at the right end, new tokens behind them."""
    model = build("roberta", Packed() & LM(), sizes_of("roberta"), with_mlm=True)
    documents = np.array([[0] * 8 + [1, 1, 1, 2] + [2] * 32], "int32")
    found = lay_out(model.transformer, [[5, 6, 7, 8]], 8, extra={"document_ids": documents})
    places = found.inputs["position_ids"][0] - (PAD + 1)
    assert places[8:15].tolist() == [0, 1, 2, 0, 1, 2, 3]
    with pytest.raises(ValueError, match=r"has shape \(1, 4\), but must have \(1, 44\)"):
        lay_out(model.transformer, [[5, 6, 7, 8]], 8, extra={"document_ids": documents[:, :4]})
