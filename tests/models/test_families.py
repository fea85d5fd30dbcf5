"""Every family that another implementation has: its files and numbers, loaded and saved."""

from __future__ import annotations

import json

import numpy as np
import pytest
from safetensors.numpy import load_file

from bert4keras.checkpoints import save
from bert4keras.models import build_transformer_model
from helpers.families import (
    FAMILIES,
    HEADS,
    NAMES,
    TOLERANCE,
    TOLERANCES,
    build,
    gap,
    reference,
    run,
)

# Keys of a config that say the same in two ways, of which we write one.
OTHER_SPELLING = {"pos_att_type", "n_inner", "tie_word_embeddings"}
OTHER_ACTIVATION = {"gelu": "gelu_tanh", "gelu_tanh": "gelu"}


def head_values(arrays: dict[str, np.ndarray]) -> list[np.ndarray]:
    """References of the heads, in the order of the model's outputs; NSP hides the pooled vector."""
    values = {head: arrays[head] for head in HEADS if head in arrays}
    if "with_nsp" in values:
        values.pop("with_pool", None)
    if "with_discriminator" in values:
        values["with_discriminator"] = values["with_discriminator"][..., None]
    return list(values.values())


@pytest.mark.parametrize("name", NAMES)
def test_hidden_states_and_heads(name):
    arrays, model = reference(name), build(name)
    tolerance = TOLERANCES.get(name, TOLERANCE)
    real = arrays["attention_mask"].astype(bool)
    states, heads = run(model, arrays)
    assert len(states) == len(arrays["hidden_states"])
    for ours, theirs in zip(states, arrays["hidden_states"], strict=True):
        assert gap(ours, theirs, real) < tolerance
    for ours, theirs in zip(heads, head_values(arrays) or [states[-1]], strict=True):
        assert gap(ours, theirs, real) < tolerance
    report = model.load_report
    assert (report.missing, report.unexpected, report.untouched) == ((), (), ())
    assert not [unused for unused in report.unused if "pooler" not in unused]


@pytest.mark.parametrize("name", [name for name in NAMES if "with_nsp" in reference(name)])
def test_the_pooled_vector_behind_the_classifier(name):
    arrays = reference(name)
    _, (pooled, *_) = run(build(name, with_nsp=False), arrays)
    assert gap(pooled, arrays["with_pool"], ...) < TOLERANCE


def copies(model) -> set[str]:
    """Tensors of the recorded file that repeat another one."""
    return {key for key, why in model.load_report.ignored.items() if "copy" in why}


@pytest.mark.spread
@pytest.mark.parametrize("name", NAMES)
def test_saving_gives_back_every_name_and_byte(name, tmp_path):
    model = build(name)
    files = save(model, tmp_path / "saved", config=model.config)
    ours = load_file(files[0])
    theirs = load_file(FAMILIES / name / "model.safetensors")
    # The only tensors that we leave out are copies of others.
    assert set(theirs) - set(ours) == copies(model)
    for key in ours:
        assert ours[key].tobytes() == theirs[key].tobytes(), key
    again = build_transformer_model(tmp_path / "saved", model=model.config.model_type)
    assert again.config == model.config
    written = json.loads((tmp_path / "saved" / "config.json").read_text())
    original = json.loads((FAMILIES / name / "config.json").read_text())
    both = (original.keys() & written.keys()) - OTHER_SPELLING
    assert len(both) > 15
    assert {key: written[key] for key in both} == {key: original[key] for key in both}


@pytest.mark.spread
@pytest.mark.parametrize("name", NAMES)
def test_another_activation_would_be_noticed(name):
    arrays = reference(name)
    real = arrays["attention_mask"].astype(bool)
    own = build(name).config.hidden_act
    states, _ = run(build(name, hidden_act=OTHER_ACTIVATION.get(own, "gelu")), arrays)
    assert gap(states[-1], arrays["hidden_states"][-1], real) > 5 * TOLERANCE


@pytest.mark.spread
@pytest.mark.parametrize("name", [n for n in NAMES if not reference(n)["attention_mask"].all()])
def test_ignored_padding_would_be_noticed(name):
    arrays = reference(name)
    real = arrays["attention_mask"].astype(bool)
    states, _ = run(build(name, pad_token_id=-1), arrays)
    assert gap(states[-1], arrays["hidden_states"][-1], real) > 100 * TOLERANCE


@pytest.mark.spread
@pytest.mark.parametrize("name", NAMES)
def test_a_position_off_by_one_would_be_noticed(name):
    arrays, model = reference(name), build(name, custom_position_ids=True)
    real = arrays["attention_mask"].astype(bool)
    columns = np.arange(real.shape[1], dtype="int32")
    natural = np.broadcast_to(columns, real.shape)
    if name.endswith("roberta"):
        natural = natural + model.config.pad_token_id + 1
    states, _ = run(model, arrays, natural)
    assert gap(states[-1], arrays["hidden_states"][-1], real) < TOLERANCES.get(name, TOLERANCE)
    # From the third token on; a shift of all means nothing to relative positions.
    states, _ = run(model, arrays, natural + (columns >= 2))
    assert gap(states[-1], arrays["hidden_states"][-1], real) > 100 * TOLERANCE
