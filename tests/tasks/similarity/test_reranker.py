"""Cross-encoders: scores of pairs, rankings, training, saving, checkpoints of the hub."""

from __future__ import annotations

import json
import math
import shutil
from pathlib import Path

import keras
import numpy as np
import pytest

from bert4keras import tasks
from bert4keras.tasks import Ranked, Reranker, TaskError, TextClassifier
from bert4keras.training import FGM, RegularizedModel

pytestmark = pytest.mark.spread

FIXTURES = Path(__file__).parents[2] / "fixtures"
PAIRS = [
    (("good film", "the film is very good"), 1),
    (("good film", "it was bad"), 0),
    (("我爱北京", "北京大"), 1),
    (("我爱北京", "the play"), 0),
]


@pytest.fixture(scope="module")
def reranker():
    return Reranker.build(FIXTURES / "bert_gelu", dropout=0.0, dropout_rate=0.0)


def logit(task: Reranker, first: str, second: str) -> float:
    ids, segments = task.tokenizer.encode(first, second)
    outputs = task.model.predict_on_batch([np.array([ids]), np.array([segments])])
    return float(keras.ops.convert_to_numpy(outputs)[0, 0])


def test_scores_and_rankings(reranker):
    texts = ["bad", "the film is very good", "play act run walk"]
    expected = [1 / (1 + math.exp(-logit(reranker, "good film", text))) for text in texts]
    ranking = reranker("good film", texts)
    assert [one.position for one in ranking] == np.argsort(expected)[::-1].tolist()
    for one in ranking:
        assert one.text == texts[one.position]
        assert one.score == pytest.approx(expected[one.position], abs=1e-6)
    assert str(ranking[0]) == f"{ranking[0].score:.4f}  {ranking[0].text}"
    assert reranker(("good film", texts)) == ranking
    assert reranker("good film", "bad") == pytest.approx(expected[0], abs=1e-6)
    scores = reranker.scores([("good film", text) for text in texts])
    assert (scores.dtype, scores.shape) == (np.float32, (3,))
    np.testing.assert_allclose(scores, expected, atol=1e-6)
    raw = Reranker(reranker.tokenizer, reranker.model, "identity")
    assert raw("good film", "bad") == pytest.approx(logit(reranker, "good film", "bad"), abs=1e-6)
    # Negative control: the texts have different scores, and which is the query matters.
    assert len({round(score, 5) for score in expected}) == 3
    assert abs(reranker("bad", "good film") - expected[0]) > 1e-5
    assert reranker("good", []) == []
    assert reranker([("good", []), ("good", "bad")])[0] == []


def test_of_a_long_text_the_best_window_counts(reranker):
    text = "it was not a good film " * 20 + "very bad"
    encoded = reranker.encode(("good film", text))
    assert len(encoded.rows) > 2
    logits = [
        reranker.model.predict_on_batch([np.array([part]) for part in row])[0, 0]
        for row in encoded.rows
    ]
    best = max(float(x) for x in logits)
    assert reranker("good film", text) == pytest.approx(1 / (1 + math.exp(-best)), abs=1e-6)
    # Every window is trained on.
    data = reranker.batches([(("good film", text), 1)], 64)
    assert len(data[0][1]) == len(encoded.rows)


def test_learns_saves_and_answers_the_same(tmp_path):
    task = Reranker.build(FIXTURES / "bert_gelu", dropout=0.0, dropout_rate=0.0)
    task.model.compile(keras.optimizers.Adam(3e-3), task.loss)
    task.model.fit(task.batches(PAIRS, 4, shuffle=True), epochs=25, verbose=0)
    assert task.evaluate(PAIRS)["accuracy"] == 1.0
    lists = [(("good film", ["it was bad", "the film is very good"]), [0, 1])]
    assert task.evaluate(lists) == {"map": 1, "mrr@10": 1, "ndcg@10": 1, "accuracy@1": 1}
    assert len(task.batches(lists, 1)) == 2
    assert task.evaluate([(pair, label / 3 + 0.1) for pair, label in PAIRS])["spearman"] > 0.8

    task.save(tmp_path / "saved")
    again = tasks.load(tmp_path / "saved")
    assert isinstance(again, Reranker)
    assert again.get_config() == task.get_config()
    pairs = [pair for pair, _ in PAIRS]
    np.testing.assert_allclose(again.scores(pairs), task.scores(pairs), atol=1e-6)

    again.save_huggingface(tmp_path / "hub")
    hub = tasks.load(tmp_path / "hub")
    assert isinstance(hub, Reranker)
    np.testing.assert_allclose(hub.scores(pairs), task.scores(pairs), atol=1e-6)


def test_regularized():
    task = Reranker.build(FIXTURES / "bert_gelu", activation="identity")
    model = RegularizedModel(task.model, [FGM()])
    model.compile("adam", task.loss)
    before = task("good", "bad")
    model.fit(task.batches([(("good", "bad"), 3.5), (("good", "film"), -1)], 2), verbose=0)
    assert task("good", "bad") != before


@pytest.fixture
def directory(tmp_path) -> Path:
    return Path(shutil.copytree(FIXTURES / "cross_encoder", tmp_path / "copy"))


def test_the_scores_of_sentence_transformers(directory):
    with np.load(directory / "reference.npz") as arrays:
        expected, pairs = arrays["scores"], json.loads(arrays["texts"].tobytes())
    task = tasks.load(directory)
    assert (type(task), task.activation) == (Reranker, "sigmoid")
    np.testing.assert_allclose(task.scores(pairs), expected, atol=1e-5)
    assert np.ptp(expected) > 1e-2


@pytest.mark.parametrize("place", ["config", "older", "settings"])
def test_the_activation_is_that_of_the_files(directory, place):
    settings = directory / "config_sentence_transformers.json"
    config = json.loads((directory / "config.json").read_text())
    identity = {"activation_fn": "torch.nn.modules.linear.Identity"}
    if place == "settings":
        settings.write_text(json.dumps(identity))
    else:
        settings.unlink()
        added = (
            {"sentence_transformers": identity}
            if place == "config"
            else {"sbert_ce_default_activation_function": identity["activation_fn"]}
        )
        (directory / "config.json").write_text(json.dumps({**config, **added}))
    task = tasks.load(directory)
    assert (type(task), task.activation) == (Reranker, "identity")


def test_a_classifier_is_no_reranker_unless_asked(directory):
    (directory / "config_sentence_transformers.json").unlink()
    (directory / "modules.json").unlink()
    assert type(tasks.load(directory)) is TextClassifier  # one label, a number
    assert Reranker.load(directory).activation == "sigmoid"
    three = FIXTURES / "task_heads" / "BertForSequenceClassification"
    for file in ("config.json", "model.safetensors"):
        shutil.copyfile(three / file, directory / file)
    vocabulary = (FIXTURES / "bert_gelu" / "vocab.txt").read_text().split("\n")[:40]
    (directory / "tokenizer.json").unlink()
    (directory / "vocab.txt").write_text("\n".join(vocabulary) + "\n")
    with pytest.raises(TaskError, match=r"has 3 labels.*TextClassifier.load"):
        Reranker.load(directory)
    shutil.copytree(FIXTURES / "cross_encoder", directory, dirs_exist_ok=True)
    settings = directory / "config_sentence_transformers.json"
    settings.write_text(json.dumps({"activation_fn": "torch.nn.modules.activation.Tanh"}))
    with pytest.raises(TaskError, match="the activation 'tanh' is not known"):
        tasks.load(directory)


@pytest.mark.parametrize(
    ("sample", "message"),
    [
        ("good", r"a sample is \(query, text\) or \(query, \[text"),
        (("good", 7), "a sample is"),
        (("good", ["bad", 7]), "a sample is"),
        (("a", "b", "c"), "a sample is"),
    ],
)
def test_samples_that_do_not_fit(reranker, sample, message):
    with pytest.raises(TaskError, match=message):
        reranker(sample)
    with pytest.raises(TaskError, match=message):
        reranker.batches([(sample, 1)])


def test_labels_that_do_not_fit(reranker):
    for label in (2, -1, "good", float("nan")):
        with pytest.raises(TaskError, match="from 0 to 1; divide grades by the highest"):
            list(reranker.batches([(("good", "bad"), label)], shuffle=False))
    raw = Reranker(reranker.tokenizer, reranker.model, "identity")
    with pytest.raises(TaskError, match="must be finite"):
        list(raw.batches([(("good", "bad"), math.inf)], shuffle=False))
    with pytest.raises(TaskError, match="2 texts need as many labels, not 1"):
        reranker.batches([(("good", ["bad", "film"]), 1)])
    with pytest.raises(TaskError, match="1 texts need as many labels"):
        reranker.evaluate([(("good", ["bad"]), [1, 0])])
    with pytest.raises(TaskError, match="some samples are pairs"):
        reranker.evaluate([(("good", "bad"), 1), (("good", ["bad"]), [1])])


def test_options_that_do_not_fit(reranker, tmp_path):
    with pytest.raises(TaskError, match="activation='tanh' must be 'sigmoid' or 'identity'"):
        Reranker(reranker.tokenizer, reranker.model, "tanh")
    two = keras.Model(reranker.model.inputs, keras.layers.Dense(2)(reranker.model.output))
    with pytest.raises(TaskError, match=r"must be scores \(B, 1\)"):
        Reranker(reranker.tokenizer, two)
    plain = Reranker(reranker.tokenizer, reranker.model)
    with pytest.raises(TaskError, match="config of the encoder is not known"):
        plain.save_huggingface(tmp_path / "new")
    reranker.model.get_layer("Classifier").bias.assign([np.nan])
    try:
        with pytest.raises(TaskError, match="a score for 'good' is not finite"):
            reranker("good", "bad")
    finally:
        reranker.model.get_layer("Classifier").bias.assign([0.0])


def test_odd_texts(reranker):
    for text in ("", "   ", "\ud800 good", "good" * 2500):
        assert 0 <= reranker("good", text) <= 1
    assert isinstance(reranker("good", ["", "bad"])[0], Ranked)
