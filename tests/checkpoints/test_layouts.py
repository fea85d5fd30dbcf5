"""Names and directories as other libraries write them: wrapped, compiled, sharded, adapted."""

from __future__ import annotations

import json
import logging
import os
import shutil

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from bert4keras.checkpoints import CheckpointError, convert, hub, load, open_checkpoint, save
from bert4keras.models import build_transformer_model
from helpers import families
from helpers.named_weights import assert_same, bag, values

pytestmark = pytest.mark.spread

WRAPPED = [
    "_orig_mod.",
    "module.",
    "model.",
    "module._orig_mod.",
    "_orig_mod.module.bert.",
    "base_model.model.",
    "base_model.model.bert.",
    "0.auto_model.",
    "0.model.",
    "_orig_mod.0.auto_model.",
]


@pytest.fixture
def bare():
    """The names of an encoder without a head and without a root."""
    source = bag(heads=False, seed=1)
    return source


@pytest.fixture
def arrays(tmp_path, bare):
    save(bare, tmp_path / "bare")
    return load_file(tmp_path / "bare" / "model.safetensors")


@pytest.mark.parametrize("wrapper", WRAPPED)
def test_wrapped_names(bare, arrays, wrapper):
    model = bag(heads=False)
    load(model, {wrapper + name: array for name, array in arrays.items()})
    assert_same(values(model), values(bare))


@pytest.mark.parametrize("part", ["_orig_mod", "_fsdp_wrapped_module", "base_layer"])
def test_parts_inserted_anywhere(bare, arrays, part):
    model = bag(heads=False)
    dense = {name.replace(".dense.", f".dense.{part}."): array for name, array in arrays.items()}
    load(model, dense)
    assert_same(values(model), values(bare))


@pytest.mark.parametrize("name", ["albert", "gpt2", "modernbert", "t5", "deberta-v2", "electra"])
@pytest.mark.parametrize("wrapper", ["_orig_mod.", "base_model.model.", "0.auto_model."])
def test_wrapped_names_of_families(name, wrapper):
    stored = load_file(families.FAMILIES / name / "model.safetensors")
    wrapped = {wrapper + key: array for key, array in stored.items()}
    config = families.FAMILIES / name / "config.json"
    model = build_transformer_model(config, wrapped, with_mlm=False)
    plain = build_transformer_model(config, stored, with_mlm=False)
    assert_same(values(model), values(plain))


def test_names_wrapped_without_end(arrays):
    deep = {"module." * 100_000 + name: array for name, array in list(arrays.items())[:3]}
    with pytest.raises(CheckpointError, match="which no table knows"):
        load(bag(heads=False), deep)


@pytest.mark.parametrize("part", ["lora_A.default.weight", "lora_magnitude_vector", "ia3_l"])
def test_an_adapter_beside_the_weights(arrays, part):
    arrays[f"encoder.layer.0.attention.self.query.{part}"] = np.ones((2, 8), "float32")
    with pytest.raises(CheckpointError, match=r"adapter of PEFT that is not merged.*lora|ia3"):
        load(bag(heads=False), arrays)


@pytest.fixture
def directory(tmp_path, fixtures):
    shutil.copytree(fixtures / "bert_bare", tmp_path / "bert")
    return tmp_path / "bert"


@pytest.mark.parametrize("alone", [True, False])
def test_a_directory_of_an_adapter(directory, alone):
    adapter = {"peft_type": "LORA", "base_model_name_or_path": "org/base"}
    (directory / "adapter_config.json").write_text(json.dumps(adapter))
    save_file({"a": np.ones(1, "float32")}, directory / "adapter_model.safetensors")
    if alone:
        (directory / "config.json").unlink()
        (directory / "model.safetensors").unlink()
    message = r"(?s)adapter \(LORA\) for the model 'org/base'.*merge_and_unload"
    for read in (open_checkpoint, build_transformer_model):
        with pytest.raises(CheckpointError, match=message):
            read(directory)
    if not alone:  # the model without the adapter
        model = build_transformer_model(directory / "config.json", directory / "model.safetensors")
        assert model.load_report.loaded
    (directory / "adapter_config.json").write_text("{}")
    with pytest.raises(CheckpointError, match=r"adapter \(of PEFT\) for the model '...'"):
        open_checkpoint(directory)


TRANSFORMER = {"idx": 0, "name": "0", "type": "sentence_transformers.models.Transformer"}
POOLING = {"idx": 1, "path": "1_Pooling", "type": "sentence_transformers.models.Pooling"}


def sentence_transformer(directory, path):
    modules = [{**TRANSFORMER, "path": path}, POOLING]
    (directory / "modules.json").write_text(json.dumps(modules))


@pytest.mark.parametrize("path", ["", "0_Transformer"])
def test_a_sentence_transformer(directory, path):
    plain = values(build_transformer_model(directory))
    if path:
        (directory / path).mkdir()
        for file in ("config.json", "model.safetensors"):
            (directory / file).rename(directory / path / file)
    sentence_transformer(directory, path)
    assert_same(values(build_transformer_model(directory)), plain)
    with open_checkpoint(directory) as reader:
        assert reader.names


@pytest.mark.parametrize(
    ("modules", "message"),
    [
        ([{**TRANSFORMER, "path": "../other"}], "which is no directory beside it"),
        ([{**TRANSFORMER, "path": "/tmp"}], "which is no directory beside it"),
        ([{**TRANSFORMER, "path": 3}], "which is no directory beside it"),
        ([{**TRANSFORMER, "path": "lost"}], "in 'lost', which is missing"),
        ([POOLING, 3], "names no Transformer"),
        ({}, "holds a json dict, not a list"),
    ],
)
def test_modules_that_lead_nowhere(directory, modules, message):
    (directory / "config.json").unlink()
    (directory / "modules.json").write_text(json.dumps(modules))
    for read in (open_checkpoint, build_transformer_model):
        with pytest.raises(CheckpointError, match=message):
            read(directory)


def test_a_file_and_an_index(directory, fixtures, caplog):
    """transformers reads the file; so does `load` if the index has the same weights."""
    file, index = (directory / f"model.safetensors{s}" for s in ("", ".index.json"))
    arrays = load_file(file)

    def point(*shards):
        names = sorted(arrays)
        places = {name: shards[k % len(shards)] for k, name in enumerate(names)}
        index.write_text(json.dumps({"weight_map": places}))
        for shard in set(shards) - {file.name, "gone.safetensors"}:
            part = {name: arrays[name] for name in names if places[name] == shard}
            save_file(part, directory / shard)

    for shards in (["gone.safetensors"], [file.name]):
        point(*shards)
        with caplog.at_level(logging.WARNING), open_checkpoint(directory) as reader:
            assert reader.source == str(file)
        assert "names no shards of its own" in caplog.text
    point("a.safetensors", "b.safetensors")
    with open_checkpoint(directory) as reader:
        assert reader.source == str(file)
    name = min(arrays)
    arrays[name] = arrays[name] + 1
    point("a.safetensors", "b.safetensors")
    with pytest.raises(CheckpointError, match=r"several checkpoints: .*index.json. Pass the path"):
        open_checkpoint(directory)
    index.write_text("{")
    with pytest.raises(CheckpointError, match=r"index.json is not a json file"):
        open_checkpoint(directory)


@pytest.mark.parametrize("name", ["model.safetensors", "model.safetensors.index.json"])
def test_only_regular_files(tmp_path, name):
    os.mkfifo(tmp_path / name)
    for source in (tmp_path, tmp_path / name):
        with pytest.raises(CheckpointError, match="is a pipe, not a regular file"):
            open_checkpoint(source)


def test_a_shard_that_is_a_pipe(tmp_path):
    os.mkfifo(tmp_path / "a.safetensors")
    index = tmp_path / "model.safetensors.index.json"
    index.write_text(json.dumps({"weight_map": {"x": "a.safetensors"}}))
    with pytest.raises(CheckpointError, match=r"a.safetensors is a pipe"):
        open_checkpoint(index)


def test_a_tensorflow_file_that_is_a_pipe(tmp_path):
    (tmp_path / "m.ckpt.index").write_bytes(b"")
    os.mkfifo(tmp_path / "m.ckpt.data-00000-of-00001")
    with pytest.raises(CheckpointError, match="is a pipe, not a regular file"):
        open_checkpoint(tmp_path)


class TestObjectCheckpoints:
    """TensorFlow 2 names tensors after Python attributes and keeps variable names in a graph."""

    @pytest.fixture
    def tf(self):
        return pytest.importorskip("tensorflow", reason="reads TensorFlow checkpoints")

    def write(self, tf, path, names):
        variables = [tf.Variable([float(k)], name=name) for k, name in enumerate(names)]
        optimizer = tf.Variable([9.0], name="Adam/m")
        return tf.train.Checkpoint(model=variables, slot=optimizer).write(str(path / "x.ckpt"))

    def test_by_the_names_of_variables(self, tf, tmp_path):
        self.write(tf, tmp_path, ["bert/pooler/dense/bias", "bert/pooler/dense/kernel"])
        with open_checkpoint(tmp_path) as reader:
            assert {"bert/pooler/dense/bias", "bert/pooler/dense/kernel"} <= set(reader.names)
            assert reader.read("bert/pooler/dense/kernel").tolist() == [1.0]
            assert reader.shape("bert/pooler/dense/bias") == (1,)
            assert reader.dtype("bert/pooler/dense/bias") == np.float32

    def test_names_that_repeat(self, tf, tmp_path):
        self.write(tf, tmp_path, ["kernel", "kernel"])
        message = r"object-based TensorFlow 2 checkpoint.*no unique names.*Saver"
        with pytest.raises(CheckpointError, match=message):
            open_checkpoint(tmp_path)


def test_an_adapter_on_a_hub():
    address = hub.Address("org/adapter", "main")
    with pytest.raises(CheckpointError, match="hf://org/adapter holds an adapter of PEFT"):
        hub._weights(address, None, {"adapter_config.json", "adapter_model.safetensors"})


@pytest.mark.parametrize(
    ("config", "message"), [("[1]", "holds a json list"), ('{"a": NaN}', "is no json number")]
)
def test_conversion_reads_configs_strictly(directory, tmp_path, config, message):
    (directory / "config.json").write_text(config)
    with pytest.raises(CheckpointError, match=f"config.json .*{message}"):
        convert(directory, tmp_path / "out", "huggingface", progress=False)


def test_conversion_of_a_config_with_an_odd_family(directory, tmp_path):
    (directory / "config.json").write_text('{"model_type": ["bert"]}')
    assert convert(directory, tmp_path / "out", "huggingface", progress=False).files
