"""Every family that another implementation has: its files and numbers, loaded and saved."""

from __future__ import annotations

from pathlib import Path

import keras
import numpy as np
import pytest
from safetensors.numpy import load_file

from bert4keras.checkpoints import save
from bert4keras.models import build_transformer_model

FAMILIES = Path(__file__).parents[1] / "fixtures" / "families"
NAMES = sorted(path.name for path in FAMILIES.iterdir())
HEADS = ("with_pool", "with_nsp", "with_mlm", "with_discriminator")
TOLERANCE = 2e-5
OTHER_ACTIVATION = {"gelu": "gelu_tanh", "gelu_tanh": "gelu"}


def reference(name: str) -> dict[str, np.ndarray]:
    with np.load(FAMILIES / name / "reference.npz") as arrays:
        return dict(arrays)


def build(name: str, **options):
    """The family's fixture with every head that its reference has."""
    heads = {head: head == "with_pool" or "linear" for head in HEADS if head in reference(name)}
    if name.startswith("electra_"):
        options.setdefault("model", name)
    return build_transformer_model(FAMILIES / name, **{"with_mlm": False, **heads, **options})


def run(model, inputs: dict[str, np.ndarray], positions=None) -> tuple[list, list]:
    """Hidden states, and the outputs of the heads, under the model's own activations."""
    heads = model.output if isinstance(model.output, list) else [model.output]
    full = keras.Model(model.input, [*model.hidden_states, *heads])
    x = [inputs[name] for name in ("token_ids", "segment_ids") if name in inputs]
    if positions is not None:
        x.append(positions)
    results = full.predict(x, verbose=0)
    depth = len(model.hidden_states)
    return results[:depth], results[depth:]


def gap(ours, theirs, real) -> float:
    """Largest difference where tokens are real, relative to the size of the numbers."""
    error, size = np.abs(np.asarray(ours, "float64") - theirs), max(1.0, np.abs(theirs).max())
    return float((error[real] if error.ndim == 3 else error).max() / size)


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
    real = arrays["attention_mask"].astype(bool)
    states, heads = run(model, arrays)
    assert len(states) == len(arrays["hidden_states"])
    for ours, theirs in zip(states, arrays["hidden_states"], strict=True):
        assert gap(ours, theirs, real) < TOLERANCE
    for ours, theirs in zip(heads, head_values(arrays) or [states[-1]], strict=True):
        assert gap(ours, theirs, real) < TOLERANCE
    report = model.load_report
    assert (report.missing, report.unexpected, report.untouched) == ((), (), ())
    assert not [unused for unused in report.unused if "pooler" not in unused]


@pytest.mark.parametrize("name", [name for name in NAMES if "with_nsp" in reference(name)])
def test_the_pooled_vector_behind_the_classifier(name):
    arrays = reference(name)
    _, (pooled, *_) = run(build(name, with_nsp=False), arrays)
    assert gap(pooled, arrays["with_pool"], ...) < TOLERANCE


@pytest.mark.parametrize("name", NAMES)
def test_saving_gives_back_every_name_and_byte(name, tmp_path):
    model = build(name)
    files = save(model, tmp_path / "saved", config=model.config)
    ours = load_file(files[0])
    theirs = load_file(FAMILIES / name / "model.safetensors")
    known = {key for key in theirs if key not in model.load_report.ignored}
    assert ours.keys() == known
    for key in ours:
        assert ours[key].tobytes() == theirs[key].tobytes(), key
    again = build_transformer_model(tmp_path / "saved", model=model.config.model_type)
    assert again.config == model.config


@pytest.mark.parametrize("name", NAMES)
def test_another_activation_would_be_noticed(name):
    arrays = reference(name)
    real = arrays["attention_mask"].astype(bool)
    own = build(name).config.hidden_act
    states, _ = run(build(name, hidden_act=OTHER_ACTIVATION.get(own, "gelu")), arrays)
    assert gap(states[-1], arrays["hidden_states"][-1], real) > 5 * TOLERANCE


@pytest.mark.parametrize("name", [n for n in NAMES if not reference(n)["attention_mask"].all()])
def test_ignored_padding_would_be_noticed(name):
    arrays = reference(name)
    real = arrays["attention_mask"].astype(bool)
    states, _ = run(build(name, pad_token_id=-1), arrays)
    assert gap(states[-1], arrays["hidden_states"][-1], real) > 100 * TOLERANCE


@pytest.mark.parametrize("name", NAMES)
def test_a_position_off_by_one_would_be_noticed(name):
    arrays, model = reference(name), build(name, custom_position_ids=True)
    real = arrays["attention_mask"].astype(bool)
    columns = np.arange(real.shape[1], dtype="int32")
    natural = np.broadcast_to(columns, real.shape)
    if name.endswith("roberta"):
        natural = natural + model.config.pad_token_id + 1
    states, _ = run(model, arrays, natural)
    assert gap(states[-1], arrays["hidden_states"][-1], real) < TOLERANCE
    # From the third token on; a shift of all means nothing to relative positions.
    states, _ = run(model, arrays, natural + (columns >= 2))
    assert gap(states[-1], arrays["hidden_states"][-1], real) > 100 * TOLERANCE
