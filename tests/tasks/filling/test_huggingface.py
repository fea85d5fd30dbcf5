"""Masked language models of transformers: their logits, and their tensors written back."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import keras
import numpy as np
import pytest
from safetensors.numpy import load_file

from bert4keras import tasks
from bert4keras.models import build_transformer_model
from bert4keras.tasks import FillMask, TaskError
from bert4keras.tokenizers import Tokenizer

FIXTURES = Path(__file__).parents[2] / "fixtures"
FAMILIES = """albert deberta-v2 deberta-v3 distilbert electra_generator ernie modernbert roberta
    roformer""".split()
MADE = sorted(path.name for path in (FIXTURES / "masked_lm").iterdir())
DIRECTORIES = [FIXTURES / "families" / name for name in FAMILIES]
DIRECTORIES += [FIXTURES / "masked_lm" / name for name in MADE]

pytestmark = pytest.mark.spread


def config_of(directory: Path) -> dict:
    return json.loads((directory / "config.json").read_text())


def make_tokenizer(directory: Path) -> Tokenizer:
    """Forty tokens, the padding where the config has it."""
    tokens = [f"t{i}" for i in range(40)]
    pad = config_of(directory)["pad_token_id"]
    special = [i for i in range(5) if i != pad]
    tokens[pad] = "[PAD]"
    for i, token in zip(special, ("[UNK]", "[CLS]", "[SEP]", "[MASK]"), strict=True):
        tokens[i] = token
    return Tokenizer(tokens)


def run(task: FillMask, reference: dict[str, np.ndarray]) -> np.ndarray:
    inputs = [reference[name] for name in task.encoder.inputs]
    outputs = task.model.predict_on_batch(
        inputs if isinstance(task.model.input, list) else inputs[0]
    )
    return keras.ops.convert_to_numpy(outputs)


@pytest.mark.parametrize("directory", DIRECTORIES, ids=lambda path: path.name)
def test_logits_and_tensors(directory, tmp_path):
    config = config_of(directory)
    task = FillMask.build(directory, tokenizer=make_tokenizer(directory))
    with np.load(directory / "reference.npz") as arrays:
        reference = dict(arrays)
    wanted = reference["with_mlm" if "with_mlm" in reference else "logits"]
    real = reference["token_ids"] != config["pad_token_id"]
    size = np.abs(wanted).max()
    np.testing.assert_allclose(run(task, reference)[real] / size, wanted[real] / size, atol=1e-5)
    # Negative control: the numbers come from the tokens.
    other = run(task, {**reference, "token_ids": np.roll(reference["token_ids"], 1, 0)})
    assert np.abs(other - wanted)[real].max() > 1e-2

    task.save_huggingface(tmp_path)
    written, original = (load_file(p / "model.safetensors") for p in (tmp_path, directory))
    left_out = {name for name in original if name not in written}
    pretraining = config["architectures"][0].endswith("ForPreTraining")
    allowed = ("pooler", "seq_relationship", "sop_classifier") if pretraining else ()
    assert all(any(part in name for part in allowed) for name in left_out)
    for tensor, value in written.items():
        np.testing.assert_array_equal(value, original[tensor], err_msg=tensor)
    saved = config_of(tmp_path)
    name = config["architectures"][0].replace("ForPreTraining", "ForMaskedLM")
    assert saved["architectures"] == [name]
    assert saved["model_type"] == config["model_type"]

    # What is written is a task again, which `load` recognises by the class.
    again = tasks.load(tmp_path)
    assert isinstance(again, FillMask)
    text = "t7 [MASK] t9"
    assert [f.token for f in again(text)] == [f.token for f in task(text)]


def test_a_checkpoint_without_the_head(fixtures, tmp_path):
    directory = fixtures / "families" / "electra"
    with pytest.raises(TaskError, match="ELECTRA's discriminator, which has no head that fills"):
        FillMask.build(directory)
    bare = fixtures / "bert_bare"
    tokenizer = Tokenizer.from_pretrained(fixtures / "bert_gelu")
    with pytest.raises(ValueError, match="MLM-Dense/kernel"):
        FillMask.build(bare, tokenizer=tokenizer)
    started = FillMask.build(bare, tokenizer=tokenizer, ignore=("MLM-*",))
    assert len(started("the [MASK]")) == 5
    # A user's own model has no class in transformers.
    bert = started.model
    own = FillMask(tokenizer, keras.Model(bert.inputs, bert.output))
    with pytest.raises(TaskError, match="transformers has no class for it"):
        own.save_huggingface(tmp_path)


def test_models_that_fill_nothing(fixtures):
    directory = fixtures / "bert_gelu"
    tokenizer = Tokenizer.from_pretrained(directory)
    with pytest.raises(TaskError, match="gives no scores over the vocabulary"):
        FillMask.build(build_transformer_model(directory), tokenizer=tokenizer)
    with pytest.raises(TaskError, match="gives no scores"):  # probabilities
        FillMask.build(build_transformer_model(directory, with_mlm=True), tokenizer=tokenizer)
    one_way = build_transformer_model(directory, application="lm", with_mlm="linear")
    with pytest.raises(TaskError, match="reads from left to right"):
        FillMask.build(one_way, tokenizer=tokenizer)
    encoder = build_transformer_model(directory)
    with pytest.raises(TaskError, match=r"must be scores over the 63 tokens, \(B, T, V\)"):
        FillMask(tokenizer, encoder)
    no_mask = Tokenizer([t for t in tokenizer.vocab if t != "[MASK]"], token_mask=None)
    with pytest.raises(TaskError, match="the tokenizer has no mask token"):
        FillMask.build(build_transformer_model(directory, with_mlm="linear"), tokenizer=no_mask)


def test_loaded_from_files(fixtures, tmp_path):
    """Model and tokenizer of a checkpoint as it is on the hub."""
    shutil.copytree(fixtures / "bert_gelu", tmp_path / "hub")
    task = tasks.load(tmp_path / "hub")
    assert isinstance(task, FillMask)
    task.save_huggingface(tmp_path / "again")
    names = {path.name for path in (tmp_path / "again").iterdir()}
    assert {"config.json", "model.safetensors", "vocab.txt"} <= names
    assert tasks.load(tmp_path / "again")("a [MASK] film") == task("a [MASK] film")
