"""Fine-tuned checkpoints with their heads: transformers' logits, and its tensors written back."""

from __future__ import annotations

import json
from pathlib import Path

import keras
import numpy as np
import pytest
from safetensors.numpy import load_file

from bert4keras.models import build_transformer_model
from bert4keras.tasks import TaskError
from bert4keras.tasks.huggingface import (
    KINDS,
    architecture,
    attach,
    check_architecture,
    head_of,
    model_with_head,
    read_config,
    save_with_head,
)

pytestmark = pytest.mark.spread

HEADS_MADE = Path(__file__).parents[1] / "fixtures" / "task_heads"
NAMES = sorted(path.name for path in HEADS_MADE.iterdir())


def kind_of(name: str) -> str:
    return next(kind for kind, ending in KINDS.items() if ending in name)


def run(model: keras.Model, reference: dict[str, np.ndarray]) -> np.ndarray:
    inputs = [reference["token_ids"]]
    if len(model.inputs) == 2:
        inputs.append(reference["segment_ids"])
    outputs = model.predict_on_batch(inputs if isinstance(model.input, list) else inputs[0])
    return keras.ops.convert_to_numpy(outputs)


def expected(reference: dict[str, np.ndarray]) -> np.ndarray:
    if "logits" in reference:
        return reference["logits"]
    return np.stack([reference["start"], reference["end"]], axis=-1)


@pytest.mark.parametrize("name", NAMES)
def test_logits_and_tensors(name, tmp_path):
    directory, kind = HEADS_MADE / name, kind_of(name)
    config = read_config(directory)
    model = model_with_head(directory, config, kind, {})
    with np.load(directory / "reference.npz") as arrays:
        reference = dict(arrays)
    found, wanted = run(model, reference), expected(reference)
    real = reference["token_ids"] != config["pad_token_id"] if wanted.ndim == 3 else ...
    np.testing.assert_allclose(found[real], wanted[real], atol=1e-5)
    # Negative control: the numbers come from the tokens.
    other = run(model, {**reference, "token_ids": np.roll(reference["token_ids"], 1, 0)})
    assert np.abs(other - wanted).max() > 1e-2

    save_with_head(model, kind, config, tmp_path)
    written, original = (load_file(p / "model.safetensors") for p in (tmp_path, directory))
    assert written.keys() == original.keys()
    for tensor, value in original.items():
        np.testing.assert_array_equal(written[tensor], value, err_msg=tensor)
    saved = json.loads((tmp_path / "config.json").read_text())
    for key in ("architectures", "id2label", "label2id", "problem_type", "model_type"):
        assert saved.get(key) == config.get(key)


def test_names_of_classes():
    for name in NAMES:
        family = json.loads((HEADS_MADE / name / "config.json").read_text())["model_type"]
        assert architecture(family, kind_of(name)) == name.split("-")[0]


def test_a_family_without_head():
    with pytest.raises(
        TaskError, match="no ForSequenceClassification of gau_alpha; families with one"
    ):
        head_of("gau_alpha", "sequence")


@pytest.mark.parametrize("labels", [["a", "b"], {"x": "a"}, {"0": "a", "2": "b"}, 3])
def test_labels_that_cannot_be(labels):
    directory = HEADS_MADE / "BertForSequenceClassification"
    config = {**read_config(directory), "id2label": labels}
    with pytest.raises(TaskError, match="id2label"):
        model_with_head(directory, config, "sequence", {})


def test_a_config_that_is_nested_too_deeply(tmp_path):
    (tmp_path / "config.json").write_text('{"a":' * 5000 + "1" + "}" * 5000)
    with pytest.raises(TaskError, match="more than 64 deep"):
        read_config(tmp_path)


def test_another_architecture():
    directory = HEADS_MADE / "BertForQuestionAnswering"
    with pytest.raises(TaskError, match="BertForQuestionAnswering, not a model ForToken"):
        check_architecture(directory, read_config(directory), "token")


def test_missing_head(fixtures, tmp_path):
    """A bare encoder is no classifier: the error names the weights of the missing head."""
    config = {**read_config(fixtures / "bert_bare"), "num_labels": 2}
    with pytest.raises(ValueError, match="Classifier/kernel"):
        model_with_head(fixtures / "bert_bare", config, "sequence", {})


def test_no_config(tmp_path):
    with pytest.raises(TaskError, match=r"has no config\.json"):
        read_config(tmp_path)


def test_a_head_drops_out_in_training_only():
    config = {**read_config(HEADS_MADE / "BertForTokenClassification"), "hidden_dropout_prob": 0.0}
    bert = build_transformer_model(config, attention_probs_dropout_prob=0.0)
    model = attach(bert, head_of("bert", "token"), 3, dropout=0.5)
    inputs = [np.arange(3, 9)[None], np.zeros((1, 6), "int32")]
    call = lambda **how: keras.ops.convert_to_numpy(model(inputs, **how))  # noqa: E731
    np.testing.assert_allclose(call(), call(), atol=1e-6)
    assert np.abs(call(training=True) - call()).max() > 1e-3
