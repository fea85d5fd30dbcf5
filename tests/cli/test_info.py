"""`bert4keras info`, `convert`, `download`, `benchmark`."""

from __future__ import annotations

import json
import shutil

import pytest
from safetensors.numpy import load_file

from bert4keras import checkpoints, tasks
from bert4keras.cli.benchmark import percentile
from bert4keras.cli.data import TASK_KINDS
from bert4keras.cli.description import TASK_OF_ENDING, trainable_tasks
from helpers.command_line import imported, run, run_json
from helpers.task_table import ONE_WAY, TABLE

pytestmark = pytest.mark.spread


@pytest.fixture(scope="module")
def tagger(tmp_path_factory):
    """Directory of a tiny tagger."""
    directory = tmp_path_factory.mktemp("info") / "ner"
    sizes = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
    encoder, tokenizer = tasks.from_scratch(["王小明去了北京。"] * 2, **sizes)
    tasks.Tagger.build(encoder, ["人名", "地名"], tokenizer=tokenizer).save(directory)
    return directory


def test_a_task(tagger):
    found = run_json("info", tagger)
    task = tasks.load(tagger)
    assert found["weights"] == task.model.count_params()
    assert found["labels"] == task.labels
    assert found["options"] == {"maxlen": task.maxlen, "units": "token", "scheme": "BIO"}
    assert found["task"] == "Tagger (tagger)"
    assert found["head"] == "ConditionalRandomField"
    size = task.tokenizer.vocab_size
    assert found["sizes"] == {"vocab_size": size, "hidden_size": 16, "layers": 1}
    assert f"bert4keras predict {tagger} FILE" in found["uses"]
    text = run("info", tagger).stdout
    assert "labels               2: 人名, 地名\n" in text


def test_no_model_is_built(tagger, fixtures):
    for directory in (tagger, fixtures / "bert_gelu"):
        text, names = imported("bert4keras", "info", directory)
        assert "What can be done with it:" in text
        assert not {"keras", "tensorflow", "jax", "torch", "bert4keras.tasks"} & set(names)


@pytest.mark.parametrize(
    ("name", "family", "use"),
    [
        ("bert_gelu", "bert", "train TASK"),
        ("task_heads/RobertaForTokenClassification", "roberta", "(as tagger)"),
        ("task_heads/GPT2ForSequenceClassification", "gpt2", "(as text-classifier)"),
        ("families/distilbert", "distilbert", "train TASK"),
        ("families/t5", "t5", "(TASK: generator)"),
        ("sentence_encoder", "bert", "(as sentence-encoder)"),
    ],
)
def test_a_checkpoint(fixtures, name, family, use):
    found = run_json("info", fixtures / name)
    assert found["family"] == family
    assert any(use in line for line in found["uses"])
    tensors = load_file(next((fixtures / name).glob("*.safetensors")))
    assert found["weights"] == sum(tensor.size for tensor in tensors.values())
    sizes = found["sizes"]
    assert {"vocab_size", "hidden_size", "layers", "attention_heads"} <= set(sizes)
    assert min(sizes.values()) > 0


def test_the_heads_are_those_of_the_tasks():
    for ending, name in TASK_OF_ENDING.items():
        architecture = TASK_KINDS[name].cls.architecture
        assert ending in ((architecture,) if isinstance(architecture, str) else architecture)


def test_the_tasks_of_a_family_are_those_of_the_table():
    """Each task is built on each of these families in tests/tasks/test_families.py."""
    tasks_of = {kind.task: kind for kind in TASK_KINDS.values() if kind.task in TABLE}
    known = {name for name, kind in tasks_of.items() if not kind.refusal}
    for family in (
        "bert",
        "nezha",
        "roberta",
        "distilbert",
        "deberta-v2",
        "modernbert",
        "gau_alpha",
    ):
        wanted = {name for name in known if family not in TABLE[name].without}
        assert {TASK_KINDS[name].task for name in trainable_tasks(family)} & known == wanted
    for family in ONE_WAY:  # they write as language models; in the table Generator is a UniLM
        wanted = {name for name in known if family not in TABLE[name].without} | {"Generator"}
        assert {TASK_KINDS[name].task for name in trainable_tasks(family)} & known == wanted
    alike = {"xlm-roberta": "roberta", "camembert": "roberta", "openai-gpt": "gpt", "mt5": "t5"}
    for family, other in alike.items():
        assert trainable_tasks(family) == trainable_tasks(other)


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({}, "holds neither task.json nor config.json"),
        ({"task.json": "{}"}, "has no task and options"),
        ({"task.json": '{"task": "Tagger", "options": {}}', "model.keras": "x"}, "cannot be read"),
        ({"config.json": "["}, "config.json"),
    ],
)
def test_what_is_no_model(tmp_path, files, message):
    for name, text in files.items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    done = run("info", tmp_path)
    assert done.exit_code == 1
    assert message in done.stderr


def test_an_unknown_family(tmp_path):
    config = {"model_type": "mamba", "architectures": ["MambaModel"], "hidden_size": 8}
    (tmp_path / "config.json").write_text(json.dumps(config), encoding="utf-8")
    found = run_json("info", tmp_path)
    assert found["family"] == "mamba (not supported)"
    assert found["uses"][0].startswith("nothing yet: families are bert, ")


def test_a_name_that_is_nothing():
    done = run("info", "no/where")
    assert done.stderr.startswith("error: no/where is no directory. Give one, hf://org/name, or")


def test_convert_there_and_back(tmp_path, fixtures):
    pytest.importorskip("tensorflow")
    source = fixtures / "bert_gelu"
    done = run("convert", source, tmp_path / "bert_model.ckpt")
    assert done.exit_code == 0, done.output
    found = run_json("convert", tmp_path / "bert_model.ckpt", tmp_path / "back")
    assert str(tmp_path / "back" / "model.safetensors") in found["files"]
    one, other = (load_file(path / "model.safetensors") for path in (source, tmp_path / "back"))
    assert len(other) == found["tensors"]
    shared = set(one) & set(other)
    assert len(shared) > 40
    assert all((one[name] == other[name]).all() for name in shared)
    again = run("convert", tmp_path / "bert_model.ckpt", tmp_path / "back")
    assert again.exit_code == 1
    assert "pass --force" in again.stderr


def test_convert_with_fewer_tokens(tmp_path, fixtures):
    texts, source = tmp_path / "texts.txt", fixtures / "bert_gelu"
    texts.write_text("good film\n", encoding="utf-8")
    done = run("convert", source, tmp_path / "few", "--keep-tokens-of", texts)
    assert done.exit_code == 0, done.output
    sizes = [
        json.loads((d / "config.json").read_text())["vocab_size"]
        for d in (source, tmp_path / "few")
    ]
    assert 6 < sizes[1] < sizes[0]
    script = ["--keep-scripts", "ASCII", "--split", "characters", "--max-tokens", 10_000]
    assert run("convert", source, tmp_path / "latin", *script).exit_code == 0
    done = run("convert", source, tmp_path / "no", "--max-tokens", 9)
    assert (done.exit_code, done.stdout) == (1, "")
    assert "give --keep-scripts or --keep-tokens-of too" in done.stderr
    done = run("convert", source, tmp_path / "no", "--keep-scripts", "Thai")
    assert "error: No token is written in the script 'Thai'." in done.stderr


def test_convert_a_task(tmp_path, fixtures, tagger):
    task = tasks.TextClassifier.build(fixtures / "bert_gelu", ["bad", "good"])
    task.save(tmp_path / "task")
    found = run_json("convert", tmp_path / "task", tmp_path / "out")
    assert {"config.json", "model.safetensors", "vocab.txt"} <= set(found["files"])
    assert tasks.load(tmp_path / "out")("good film") == task("good film")
    again = run("convert", tmp_path / "task", tmp_path / "out")
    assert (again.exit_code, "exists; give another" in again.stderr) == (1, True)
    assert run("convert", tmp_path / "task", tmp_path / "out", "--force").exit_code == 0
    (tmp_path / "file").touch()
    file = run("convert", tmp_path / "task", tmp_path / "file", "--force")
    assert "file is a file; a task becomes a directory" in file.stderr
    few = run("convert", tmp_path / "task", tmp_path / "few", "--keep-scripts", "Han")
    assert "error: a task is converted whole" in few.stderr
    crf = run("convert", tagger, tmp_path / "crf")
    assert 'error: transformers has no class for the head "crf"' in crf.stderr
    tasks.RelationExtractor.build(fixtures / "bert_gelu", ["of"]).save(tmp_path / "relations")
    other = run("convert", tmp_path / "relations", tmp_path / "other")
    assert "holds a RelationExtractor; transformers has classes for Tagger, " in other.stderr
    assert not (tmp_path / "other").exists()


def test_download(tmp_path, fixtures, monkeypatch):
    monkeypatch.setattr(checkpoints, "fetch", lambda name: fixtures / "bert_gelu")
    assert run("download", "minilm-l6").stdout == f"{fixtures / 'bert_gelu'}\n"
    assert "model.safetensors" in run_json("download", "minilm-l6")["files"]
    done = run("download", "minilm")
    assert (done.exit_code, done.stdout) == (1, "")
    assert "there is no checkpoint named 'minilm'. Names: minilm-l6" in done.stderr


def test_benchmark(tagger, tmp_path):
    path = tmp_path / "texts.txt"
    path.write_text("王小明去了北京。\n北京。\n" * 4, encoding="utf-8")
    found = run_json("benchmark", tagger, path, "--limit", 6, "--single", 3, "--batch-size", 4)
    assert (found["texts"], found["tokens"]) == (6, 3 * (8 + 2) + 3 * (3 + 2))  # [CLS] and [SEP]
    rate = found["tokens_per_second"] / found["texts_per_second"]
    assert rate == pytest.approx(found["tokens"] / found["texts"], rel=1e-3)
    assert 0 < found["single_p50_ms"] <= found["single_p99_ms"]
    assert 0 < found["batch_p50_ms"] <= found["batch_p99_ms"]


@pytest.mark.filterwarnings("ignore::bert4keras.tokenizers.UnknownTokensWarning")
def test_benchmark_without_texts(tagger):
    done = run("benchmark", tagger, "--limit", 2, "--single", 1)
    assert done.stdout.startswith("texts                2 (")


def test_percentiles():
    assert percentile(range(1, 101), 0.99) == 99
    assert percentile(range(1, 11), 0.99) == 10
    assert percentile([3.0], 0.5) == 3.0
    assert percentile([4, 1, 3, 2], 0.5) == 2


def test_a_directory_without_its_model(tagger, tmp_path):
    shutil.copytree(tagger, tmp_path / "ner")
    (tmp_path / "ner" / "model.keras").unlink()
    done = run("info", tmp_path / "ner")
    assert done.exit_code == 1
    assert "model.keras cannot be read" in done.stderr
