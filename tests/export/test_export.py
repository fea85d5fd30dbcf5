"""Exported tasks answer like their originals, with and without Keras."""

from __future__ import annotations

import importlib
import json
import shutil
import sys
from pathlib import Path

import keras
import numpy as np
import pytest

import bert4keras.export
from bert4keras import tasks
from bert4keras.export import ExportedModel, ExportError, convert
from bert4keras.tasks.answers import to_json
from helpers import family_models, without_keras
from helpers.task_table import LONG, SHORT, TABLE, build, values

pytestmark = pytest.mark.skipif(
    sys.version_info < (3, 11), reason="Keras for Python 3.10 has no OpenVINO backend"
)
HEADS = ("softmax", "crf", "memm", "bi-memm", "global-pointer", "efficient-global-pointer")
FAMILIES = ("bert", "roberta", "albert", "modernbert")


def tagger(head: str) -> tasks.Task:
    bert, tokenizer = encoder()
    task = tasks.Tagger.build(bert, ["X", "Y"], head=head, tokenizer=tokenizer)
    random = np.random.default_rng(1)
    for weight in task.model.trainable_weights:
        weight.assign_add(random.normal(scale=0.3, size=weight.shape).astype("float32"))
    return task


def encoder():
    task = build("TextClassifier", "bert")
    vocabulary = task.tokenizer.vocab_size
    sizes = {"vocab_size": vocabulary, "max_position": 48, "dropout_rate": 0.0}
    return family_models.build("bert", config=sizes), task.tokenizer


def casrel() -> tasks.Task:
    bert, tokenizer = encoder()
    task = tasks.RelationExtractor.build(bert, ["of"], head="casrel", tokenizer=tokenizer)
    random = np.random.default_rng(1)
    for weight in task.model.trainable_weights:
        weight.assign_add(random.normal(scale=0.3, size=weight.shape).astype("float32"))
    task.threshold = 0.2
    return task


def parser() -> tasks.Task:
    return tasks.SentenceParser.build([SHORT, "the story is good"], min_count=1, hidden_size=16)


def segmenter() -> tasks.Task:
    bert, tokenizer = encoder()
    return tasks.WordSegmenter.build(bert, tokenizer=tokenizer)


def samples_of(name: str) -> list:
    """Return what a case is asked."""
    if name == "SentenceParser":
        return [SHORT, "the story is good"]  # the words that it knows
    row = TABLE.get(name.partition(" ")[0])
    return [SHORT, LONG] if row is None else list(row.ask or [one for one, _ in row.train])


def cases() -> dict[str, tasks.Task]:
    """Return tasks by name: all kinds, all heads of taggers, and a classifier of every family."""
    found = {}
    kinds = [name for name in TABLE if not tasks.TASKS[name].not_exported]
    for number, name in enumerate(kinds):
        found[name] = build(name, FAMILIES[number % len(FAMILIES)])
    found |= {f"Tagger {head}": tagger(head) for head in HEADS}
    found |= {"RelationExtractor casrel": casrel(), "SentenceParser": parser()}
    found["WordSegmenter"] = segmenter()
    row = TABLE["TextClassifier"]
    for family in family_models.SINGLE:
        if family not in row.without:
            found[f"TextClassifier {family}"] = build("TextClassifier", family)
    return found


def export_all(found: dict[str, tasks.Task], folder: Path, format: str, patch) -> dict[str, Path]:
    """Export tasks with one conversion for all of their models, which saves processes.

    Returns:
        The directory of each, by name.
    """
    places = {name: f"case{number}" for number, name in enumerate(found)}
    models = {
        f"{places[name]}_{part}": model
        for name, task in found.items()
        for part, model in task.exported_models().items()
    }
    graphs = folder / "graphs"
    graphs.mkdir()
    backend = convert.convert_models(models, graphs, format, "float32")

    def copied(models, directory, format, precision):
        for part in models:
            for path in graphs.glob(f"{current}_{part}.*"):
                shutil.copy(path, directory / path.name.removeprefix(f"{current}_"))
        return backend

    patch.setattr(convert, "convert_models", copied)
    directories = {}
    for name, task in found.items():
        current, directories[name] = places[name], folder / places[name]
        task.export(directories[name], format)
    return directories


def assert_same(found, wanted) -> None:
    found, wanted = values(to_json(found)), values(to_json(wanted))
    numbers = [[x for x in some if isinstance(x, float)] for some in (found, wanted)]
    others = [[x for x in some if not isinstance(x, float)] for some in (found, wanted)]
    assert others[0] == others[1]
    np.testing.assert_allclose(*numbers, rtol=1e-3, atol=1e-4)


ANSWER = """
import json, sys
import bert4keras.export
from bert4keras.tasks.answers import to_json
assert not {"keras", "tensorflow", "jax", "torch"} & set(sys.modules)
answers = {}
for directory, samples in json.load(sys.stdin).items():
    samples = [tuple(one) if isinstance(one, list) else one for one in samples]
    answers[directory] = to_json(bert4keras.export.load(directory).predict(samples))
assert not {"keras", "tensorflow", "jax", "torch"} & set(sys.modules)
print(json.dumps(answers))
"""


def answers_without_keras(directory: Path, asked: dict[Path, list]) -> dict[Path, object]:
    """Return answers, as JSON values, of a process that has no Keras."""
    given = json.dumps({str(place): samples for place, samples in asked.items()})
    done = without_keras.run(directory, ["-c", ANSWER], given)
    assert done.returncode == 0, done.stderr[-3000:]
    return {Path(place): answer for place, answer in json.loads(done.stdout).items()}


@pytest.mark.spread
def test_every_task_and_family_on_openvino(tmp_path, monkeypatch):
    found = cases()
    places = export_all(found, tmp_path, "openvino", monkeypatch)
    wanted = {name: task.predict(samples_of(name)) for name, task in found.items()}
    for name, place in places.items():
        task = bert4keras.export.load(place)
        assert type(task) is type(found[name])
        assert_same(task.predict(samples_of(name)), wanted[name])
    # Tables are no values of JSON.
    asked = {places[name]: samples_of(name) for name in found if name != "TableQA"}
    answers = answers_without_keras(tmp_path / "site", asked)
    for name, place in places.items():
        if place in answers:
            assert_same(answers[place], wanted[name])


def test_from_each_backend(tmp_path):
    """The negative control is another task: its answers differ."""
    task, other = tagger("crf"), tagger("softmax")
    labelled = [(LONG, [(0, 2, "X")]), (SHORT, [])]
    report = task.export(tmp_path / "exported", samples=labelled)
    assert report.difference < 1e-4 < report.scale
    assert (report.agreement, report.samples) == (1, 2)
    assert all(before == after for before, after in report.scores.values())
    assert report.seconds[0] > 0 < report.seconds[1]
    assert report.size[1] > report.size[0] > 1000
    assert json.loads((tmp_path / "exported" / "parity.json").read_text()) == report.to_json()
    (answers,) = answers_without_keras(
        tmp_path / "site", {tmp_path / "exported": [LONG, SHORT]}
    ).values()
    assert_same(answers, task.predict([LONG, SHORT]))
    assert to_json(other.predict([LONG])) != answers[:1]


@pytest.mark.spread(over="torch")
def test_onnx(tmp_path):
    found = {"TextClassifier": build("TextClassifier", "bert"), "RelationExtractor": casrel()}
    found["Reranker"] = build("Reranker", "deberta-v2")
    for name, task in found.items():
        task.export(tmp_path / name, "onnx")
    answers = answers_without_keras(
        tmp_path / "site", {tmp_path / name: samples_of(name) for name in found}
    )
    for name, task in found.items():
        assert_same(answers[tmp_path / name], task.predict(samples_of(name)))


@pytest.mark.spread(over="tensorflow jax")
def test_onnx_from_a_backend_that_cannot(tmp_path):
    task = build("TextClassifier", "roberta")
    report = task.export(tmp_path / "exported", "onnx")
    assert report.backends == (keras.backend.backend(), "torch")
    assert_same(bert4keras.export.load(tmp_path / "exported")(SHORT), task(SHORT))


@pytest.mark.spread(over="tensorflow")
@pytest.mark.parametrize(
    ("format", "name"),
    [("saved_model", "bi-memm"), ("litert", "global-pointer"), ("litert", "SentenceEncoder")],
)
def test_formats_of_tensorflow(format, name, tmp_path):
    task = tagger(name) if name in HEADS else build(name, "bert")
    task.export(tmp_path / "exported", format)
    assert_same(
        bert4keras.export.load(tmp_path / "exported").predict([SHORT, LONG]),
        task.predict([SHORT, LONG]),
    )


@pytest.mark.spread(over="tensorflow")
@pytest.mark.parametrize(
    "key",
    [
        None,
        slice(1, 2),
        (slice(None), None),
        (None, 0, ..., None, slice(0, 2), None),
        (..., None, 1),
        (1, None),
    ],
)
def test_new_axes_for_litert(key):
    """They become other operations, with the same result."""
    import tensorflow as tf

    x = np.arange(2 * 3 * 4).reshape(2, 3, 4)
    with convert._expanding_dims():
        found = tf.constant(x)[key]
        operations = tf.function(lambda x: x[key], autograph=False).get_concrete_function(
            tf.TensorSpec((None, None, 4))
        )
    np.testing.assert_array_equal(found, x[key])
    nodes = operations.graph.as_graph_def().node
    assert not any(node.attr["new_axis_mask"].i for node in nodes)
    plain = tf.function(lambda x: x[:, None], autograph=False).get_concrete_function(
        tf.TensorSpec((None, None, 4))
    )
    assert any(node.attr["new_axis_mask"].i for node in plain.graph.as_graph_def().node)


@pytest.mark.spread
@pytest.mark.parametrize("precision", ["float16", "bfloat16", "int8"])
def test_precisions(precision, tmp_path):
    """Files are smaller, answers nearly the same; a graph of random weights is not."""
    task = build("SentenceEncoder", "bert")
    texts = [SHORT, LONG, "the story", "a good film", "it was bad"]
    options = {"calibration": texts * 4} if precision == "int8" else {}
    report = task.export(tmp_path / "exported", precision=precision, **options)
    plain = task.export(tmp_path / "plain")
    assert plain.difference <= report.difference < 0.2 * report.scale
    sizes = [(tmp_path / name / "model.bin").stat().st_size for name in ("exported", "plain")]
    smaller = {"float16": 0.6, "bfloat16": 1, "int8": 0.6}[precision]
    assert sizes[0] <= smaller * sizes[1]
    exported = bert4keras.export.load(tmp_path / "exported").predict(texts)
    vectors = task.predict(texts)
    assert cosine(exported, vectors).min() > 0.98
    assert cosine(exported, build("SentenceEncoder", "bert").predict(texts)[::-1]).min() < 0.98


def cosine(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return (a * b).sum(1) / np.linalg.norm(a, axis=1) / np.linalg.norm(b, axis=1)


@pytest.mark.spread
def test_a_wrong_graph_is_noticed(tmp_path, monkeypatch):
    task, wrong = tagger("softmax"), tagger("softmax")
    for weight in wrong.model.trainable_weights[-1:]:
        weight.assign_add(np.arange(weight.shape[0], dtype="float32"))
    convert_models = convert.convert_models
    monkeypatch.setattr(
        convert,
        "convert_models",
        lambda models, *rest: convert_models(wrong.exported_models(), *rest),
    )
    report = task.export(tmp_path / "exported", samples=[(LONG, [(0, 2, "X")])])
    assert report.difference > 1
    assert report.agreement == 0
    for weight in wrong.model.trainable_weights[-1:]:
        weight.assign_add(np.full(weight.shape, np.nan, "float32"))
    with pytest.raises(ExportError, match="gives nan"):
        task.export(tmp_path / "other")
    assert not (tmp_path / "other").exists()


@pytest.mark.spread
@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"format": "tflite"}, "must be one of openvino, onnx, litert, saved_model"),
        ({"precision": "int4"}, "does not exist for openvino: float32"),
        ({"format": "onnx", "precision": "float16"}, "does not exist for onnx: float32, int8"),
        ({"precision": "int8"}, "calibration=texts"),
        ({"samples": [SHORT]}, "is no pair"),
    ],
)
def test_wrong_options(options, message, tmp_path):
    task = build("TextClassifier", "bert")
    with pytest.raises(ValueError, match=message):
        task.export(tmp_path / "exported", **options)
    assert not (tmp_path / "exported").exists()


@pytest.mark.spread
def test_what_is_not_exported(tmp_path):
    for name in ("Generator", "SentenceAutoencoder"):
        with pytest.raises(ExportError, match="once for every token"):
            build(name, "bert").export(tmp_path / "exported")
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("years of work")
    with pytest.raises(ExportError, match="holds no export; it is not replaced"):
        build("TextClassifier", "bert").export(tmp_path / "mine")
    assert (tmp_path / "mine" / "thesis.txt").read_text() == "years of work"
    with pytest.raises(ExportError, match="holds no export"):
        bert4keras.export.load(tmp_path / "mine")


LAYER = """
import keras


@keras.saving.register_keras_serializable("mine")
class Twice(keras.layers.Layer):
    def call(self, x):
        return x * 2
"""


@pytest.mark.spread
def test_a_layer_of_ones_own(tmp_path, monkeypatch):
    """The process that builds the graph finds its module where this one does; not a script's."""
    (tmp_path / "mylayers.py").write_text(LAYER)
    monkeypatch.syspath_prepend(tmp_path)
    layer = importlib.import_module("mylayers").Twice
    plain = build("TextClassifier", "roberta")
    twice = keras.Model(plain.model.inputs, layer()(plain.model.output))
    task = tasks.TextClassifier(plain.tokenizer, twice, ["a", "b"])
    task.export(tmp_path / "exported")
    exported = bert4keras.export.load(tmp_path / "exported")
    assert_same(exported.predict([SHORT, LONG]), task.predict([SHORT, LONG]))
    monkeypatch.setattr(layer, "__module__", "__main__")
    with pytest.raises(ExportError, match="put them into a module"):
        task.export(tmp_path / "other")


@pytest.mark.spread
def test_messages_of_converters_are_cut():
    long = "x\n" * 5000
    assert len(convert._reason_of(long)) < 310
    assert convert._reason_of(f"{long}TF Select ops: Slice\n{long}").startswith(
        "TF Select ops: Slice x"
    )
    assert convert._reason_of("a short\n one") == "a short one"


@pytest.mark.spread
def test_a_package_that_is_missing(tmp_path, monkeypatch):
    find_spec = convert.importlib.util.find_spec
    for missing, format, advice in (
        ("openvino", "openvino", "pip install openvino"),
        ("onnxscript", "onnx", "pip install onnxscript"),
    ):
        monkeypatch.setattr(
            "importlib.util.find_spec",
            lambda name, m=missing: None if name == m else find_spec(name),
        )
        with pytest.raises(ExportError, match=advice):
            build("TextClassifier", "bert").export(tmp_path / "exported", format)


@pytest.mark.spread
def test_an_export_is_not_trained_or_saved(tmp_path):
    task = build("TextClassifier", "bert")
    task.export(tmp_path / "exported")
    exported = tasks.load(tmp_path / "exported")
    assert isinstance(exported.model, ExportedModel)
    with pytest.raises(AttributeError, match="no 'compile': it answers"):
        exported.model.compile("adam")
    with pytest.raises(tasks.TaskError, match="copy its directory"):
        exported.save(tmp_path / "saved")
    with pytest.raises(ExportError, match="export the task that it was made of"):
        exported.export(tmp_path / "again")
    path = tmp_path / "exported" / "export.json"
    good = path.read_text()
    for text, message in (
        (good.replace('"engine": "openvino"', '"engine": "pickle"'), "engine"),
        (good.replace('"model": {', '"../model": {'), "cannot be read"),
        (good.replace('"facts"', '"fact"'), "cannot be read"),
        ("{", "export.json"),
    ):
        path.write_text(text)
        with pytest.raises(ExportError, match=message):
            tasks.load(tmp_path / "exported")
    path.write_text(good)
    (tmp_path / "exported" / "model.bin").write_bytes(b"")
    with pytest.raises(ExportError, match="cannot be opened"):
        tasks.load(tmp_path / "exported")
    (tmp_path / "exported" / "model.xml").unlink()
    with pytest.raises(ExportError, match="is missing"):
        tasks.load(tmp_path / "exported")
