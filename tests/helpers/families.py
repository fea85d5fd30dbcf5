"""Recorded numbers of the families, and our models on the same inputs."""

from __future__ import annotations

from pathlib import Path

import keras
import numpy as np

from bert4keras.models import build_transformer_model

FAMILIES = Path(__file__).parents[1] / "fixtures" / "families"
NAMES = sorted(path.name for path in FAMILIES.iterdir())
HEADS = ("with_pool", "with_nsp", "with_mlm", "with_discriminator")
TOLERANCE = 2e-5
# T5 does not scale its attention scores, so that with large weights its softmax is steep: of this
# one, transformers' own float32 differs from float64 by 2e-5.
TOLERANCES = {"mt5": 1e-4}


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
    named = {"position_ids": positions, **inputs}
    if "encoder_token_ids" in inputs:
        source = inputs["encoder_token_ids"]
        named["encoder_position_ids"] = np.broadcast_to(np.arange(source.shape[1]), source.shape)
    results = full.predict([named[name] for name in model.transformer.get_inputs()], verbose=0)
    depth = len(model.hidden_states)
    return results[:depth], results[depth:]


def gap(ours, theirs, real) -> float:
    """Largest difference where tokens are real, relative to the size of the numbers."""
    error, size = np.abs(np.asarray(ours, "float64") - theirs), max(1.0, np.abs(theirs).max())
    return float((error[real] if error.ndim == 3 else error).max() / size)
