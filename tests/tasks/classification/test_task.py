"""Texts to labels: training, windows, pairs, several labels, numbers, saving."""

from __future__ import annotations

import json
import math

import keras
import numpy as np
import pytest
from safetensors.numpy import load_file

from bert4keras import tasks
from bert4keras.models import build_transformer_model
from bert4keras.tasks import TaskError, TextClassifier, register_task
from bert4keras.tasks.classification import (
    Classification,
    classification_scores,
    multi_label_scores,
    regression_scores,
)
from bert4keras.tasks.windows import text_windows
from bert4keras.tokenizers import Tokenizer, prune_tokenizer
from bert4keras.training import VAT, RegularizedModel

pytestmark = pytest.mark.spread

LABELS = ["负面", "正面"]
TEXTS = [("very good film", "正面"), ("not good", "负面"), ("我爱北京", "正面"), ("bad", "负面")]


@pytest.fixture(scope="module")
def checkpoint(fixtures):
    return fixtures / "bert_gelu"


@pytest.fixture(scope="module")
def classifier(checkpoint):
    return TextClassifier.build(checkpoint, LABELS, dropout=0.0, dropout_rate=0.0)


def test_learns_saves_and_answers_the_same(checkpoint, tmp_path):
    task = TextClassifier.build(checkpoint, LABELS, dropout=0.0, dropout_rate=0.0)
    task.model.compile(keras.optimizers.Adam(3e-3), task.loss)
    task.model.fit(task.batches(TEXTS, 4, shuffle=True), epochs=20, verbose=0)
    assert task.evaluate(TEXTS)["accuracy"] == 1.0
    answers = task.predict([text for text, _ in TEXTS])
    assert [answer.label for answer in answers] == [label for _, label in TEXTS]
    for answer in answers:
        assert math.isclose(sum(answer.scores.values()), 1, rel_tol=1e-6)
        assert answer.score == max(answer.scores.values())

    task.save(tmp_path / "saved")
    again = tasks.load(tmp_path / "saved")
    assert isinstance(again, TextClassifier)
    for text, _ in TEXTS:
        assert again(text).label == task(text).label
        assert math.isclose(again(text).score, task(text).score, rel_tol=1e-5)
    assert again.get_config() == task.get_config()
    # Nothing else is left beside it, and a task is replaced by a task.
    task.save(tmp_path / "saved", card="# Mine\n")
    assert [path.name for path in tmp_path.iterdir()] == ["saved"]
    assert (tmp_path / "saved" / "README.md").read_text() == "# Mine\n"


def test_alone_and_in_a_batch(classifier):
    """Neither padding nor the order of lengths changes an answer."""
    texts = [
        "bad",
        "very good film story play act run",
        "not good",
        "我爱北京 北京",
        "the film is good",
    ]
    together = classifier.predict(texts, batch_size=3)
    for text, answer in zip(texts, together, strict=True):
        assert math.isclose(answer.score, classifier(text).score, abs_tol=1e-6)
    assert list(classifier.stream(iter(texts), batch_size=2)) == classifier.predict(texts, 2)
    # Negative control: the texts have different answers.
    assert len({round(answer.score, 4) for answer in together}) == len(texts)


def test_a_long_text_is_read_whole(classifier):
    text = "good " * 60 + "bad film"
    encoded = classifier.encode(text)
    assert len(encoded.rows) > 1
    assert all(len(row[0]) <= classifier.maxlen for row in encoded.rows)
    # By hand: the windows' probabilities, weighted by their tokens.
    each = [
        classifier.model.predict_on_batch([np.array([part]) for part in row])[0]
        for row in encoded.rows
    ]
    scores = np.stack([keras.ops.convert_to_numpy(x) for x in each])
    probabilities = np.exp(scores) / np.exp(scores).sum(1, keepdims=True)
    lengths = [len(row[0]) for row in encoded.rows]
    wanted = np.average(probabilities, axis=0, weights=lengths)
    np.testing.assert_allclose(list(classifier(text).scores.values()), wanted, rtol=1e-5)
    # The end of the text counts: with a cut after the first window it would not.
    assert classifier(text).scores != classifier("good " * 62).scores


def test_windows_of_a_pair_hold_the_shorter_text(checkpoint):
    tokenizer = Tokenizer.from_pretrained(checkpoint)
    question, passage = "good film", "the story is not bad " * 6
    windows = text_windows(tokenizer, question, passage, maxlen=20)
    head = tokenizer.encode(question)[0]
    ids = tokenizer.encode_batch([passage], return_offsets=True)
    inner, offsets = ids[0][0][1:-1], ids[2][0][1:-1]
    seen = set()
    for window in windows:
        assert window.token_ids[: len(head)] == head
        assert window.token_ids[-1] == tokenizer.token_end_id
        assert window.segment_ids == [0] * len(head) + [1] * (len(window.token_ids) - len(head))
        for place in range(window.begin, window.end):
            k = offsets.index(window.offsets[place])
            assert window.token_ids[place] == inner[k]
            seen.add(k)
    assert seen == set(range(len(inner)))
    assert text_windows(tokenizer, "good", "bad")[0].token_ids == tokenizer.encode("good", "bad")[0]
    assert text_windows(tokenizer, "good")[0].token_ids == tokenizer.encode("good")[0]
    with pytest.raises(ValueError, match="leaves no room for the longer text"):
        text_windows(tokenizer, passage, passage + " bad", maxlen=20)


def test_several_labels(checkpoint):
    task = TextClassifier.build(checkpoint, ["a", "b", "c"], "multi_label", dropout_rate=0.0)
    rows = [("good", ["a", "b"]), ("bad", []), ("film", "c")]
    task.model.compile(keras.optimizers.Adam(3e-3), task.loss)
    task.model.fit(task.batches(rows, 3), epochs=25, verbose=0)
    assert task.evaluate(rows) == {"micro_f1": 1.0, "exact_match": 1.0}
    assert task("good").label == ("a", "b")
    assert task("bad").label == ()
    assert task("bad").score > 0.5


def test_a_number(checkpoint):
    task = TextClassifier.build(checkpoint, dropout=0.0, dropout_rate=0.0)
    assert task.problem == "regression"
    rows = [(("good", "film"), 0.9), (("bad", "film"), 0.1), (("bad", "story"), 0.4)]
    task.model.compile(keras.optimizers.Adam(3e-3), task.loss)
    task.model.fit(task.batches(rows, 3), epochs=60, verbose=0)
    assert task.evaluate(rows)["spearman"] == pytest.approx(1)
    assert task(("good", "film")).scores == {}


def test_scores_by_hand():
    assert classification_scores(["a", "a", "b"], ["a", "b", "b"]) == {
        "accuracy": pytest.approx(2 / 3),
        "macro_f1": pytest.approx((2 / 3 + 2 / 3) / 2),
    }
    found = multi_label_scores([["a"], ["a", "b"], []], [["a", "c"], ["b"], []])
    assert found == {"micro_f1": pytest.approx(2 * 2 / 6), "exact_match": pytest.approx(1 / 3)}
    assert regression_scores([1, 2, 3], [1, 3, 2]) == {
        "spearman": pytest.approx(0.5),
        "mean_squared_error": pytest.approx(2 / 3),
    }
    assert regression_scores([1, 1], [1, 2])["spearman"] == 0


def test_a_model_of_ones_own(checkpoint):
    bert = build_transformer_model(checkpoint)
    x = keras.layers.GlobalAveragePooling1D()(bert.output)
    model = keras.Model(bert.inputs, keras.layers.Dense(2)(x))
    task = TextClassifier(Tokenizer.from_pretrained(checkpoint), model, LABELS, maxlen=16)
    assert task("good").label in LABELS


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"labels": ["a", "b", "c"]}, r"for 3 labels it must be \(B, 3\)"),
        ({"labels": ["a", "a"]}, "two of the labels are the same"),
        ({"problem": "ranking"}, "problem='ranking' must be one of single_label"),
        ({"problem": "regression"}, "with 2 labels: regression has none"),
        ({"maxlen": 41}, "more than the 40 positions"),
        ({"maxlen": 3}, "leaves no room for a text"),
    ],
)
def test_options_that_do_not_fit(classifier, change, message):
    options = {"labels": LABELS, "problem": "single_label", "maxlen": 16, **change}
    with pytest.raises(TaskError, match=message):
        TextClassifier(classifier.tokenizer, classifier.model, **options)


def test_answers_are_short(classifier):
    answer = Classification("b", 0.6, {"a": 0.1, "b": 0.6, "c": 0.2, "d": 0.1})
    assert repr([answer]) == "[Classification(label='b', score=0.6)]"
    assert str(answer) == "b 0.600, c 0.200, a 0.100, ..."
    assert repr(Classification(("a", "c"), 0.75, {"a": 0.75, "b": 0.1, "c": 0.9})) == (
        "Classification(label=('a', 'c'), score=0.75)"
    )
    number = Classification(0.123456, None, {})
    assert (repr(number), str(number)) == ("Classification(label=0.1235)", "0.1235")
    assert set(classifier("good").scores) == set(LABELS)


def test_a_progress_bar_is_for_terminals(classifier, capsys, monkeypatch):
    texts = ["good"] * 10
    classifier.predict(texts, batch_size=2)
    classifier.predict(texts, batch_size=2, progress=False)
    assert capsys.readouterr() == ("", "")  # stderr is no terminal
    classifier.predict(texts, batch_size=2, progress=True)
    out, err = capsys.readouterr()
    assert out == ""
    assert "/5 [" in err
    monkeypatch.setattr("sys.stderr.isatty", lambda: True, raising=False)
    classifier.predict(texts, batch_size=2)
    assert "/5 [" in capsys.readouterr().err
    classifier.predict(texts[:3], batch_size=2)  # short work
    assert capsys.readouterr().err == ""


def test_texts_without_a_label(checkpoint):
    """They count for virtual adversarial training, and for nothing else."""
    task = TextClassifier.build(checkpoint, LABELS, dropout=0.0, dropout_rate=0.0)
    with_unlabelled = [*TEXTS, ("the film is good", None)]
    inputs, labels = task.batches(with_unlabelled, 8)[0][:2]
    scores, labels = task.model.predict_on_batch(inputs), np.asarray(labels)
    known = labels >= 0
    assert known.sum() == 4
    loss, alone = task.loss(labels, scores), task.loss(labels[known], scores[known])
    assert float(loss) == pytest.approx(float(alone), rel=1e-5)
    model = RegularizedModel(task.model, [VAT()])
    model.compile(keras.optimizers.Adam(1e-3), task.loss)
    history = model.fit(task.batches(with_unlabelled, 8), epochs=2, verbose=0).history
    assert np.isfinite(history["loss"]).all()
    with pytest.raises(TaskError, match=r"a sample without a label \(None\) cannot be evaluated"):
        task.evaluate(with_unlabelled)


def test_samples_that_do_not_fit(classifier):
    with pytest.raises(TaskError, match="no label '中性'; the labels are 负面, 正面"):
        list(classifier.batches([("good", "中性")], shuffle=False))
    with pytest.raises(TaskError, match="got no samples"):
        classifier.evaluate([])
    with pytest.raises(TaskError, match="batch_size=0 must be at least 1"):
        classifier.predict(["good"], batch_size=0)
    with pytest.raises(TypeError, match="text"):
        classifier(7)
    for text in ("", "   ", "\ud800 good", "good " * 2000):
        assert classifier(text).label in LABELS
    assert classifier.predict([]) == []


def write_task(directory, **changes):
    values = {"format": 1, "task": "TextClassifier", "options": {}, **changes}
    directory.mkdir(exist_ok=True)
    (directory / "task.json").write_text(json.dumps(values))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"format": 2}, "has format 2, and bert4keras .* reads up to 1"),
        ({"format": "x"}, "format must be a number from 1, not 'x'"),
        ({"task": "Oracle"}, "task is 'Oracle', which is not known here. Import the module"),
        ({"task": ["x"]}, "task is .* not known"),
        ({"options": []}, "options must be an object"),
        ({"options": {"speed": 3}}, r"options that TextClassifier does not take: \['speed'\]"),
    ],
)
def test_directories_that_are_no_task(tmp_path, changes, message):
    write_task(tmp_path / "task", **changes)
    with pytest.raises(TaskError, match=message):
        tasks.load(tmp_path / "task")


def test_what_is_no_checkpoint_and_no_sample(tmp_path, classifier):
    with pytest.raises(TaskError, match=r"absent is no directory; .* one of minilm-l6"):
        tasks.open_encoder(tmp_path / "absent")
    with pytest.raises(TaskError, match=r"or a Backbone \(what build_.*\), not a Functional"):
        tasks.open_encoder(classifier.model)
    for call in (classifier.predict, lambda text: list(classifier.stream(text))):
        with pytest.raises(TaskError, match=r"or call the task: task\('ab'\)"):
            call("ab")


def test_other_directories(tmp_path, fixtures, classifier):
    with pytest.raises(TaskError, match=r"is no directory; give what Task\.save wrote"):
        tasks.load(tmp_path / "absent")
    with pytest.raises(TaskError, match=r"has neither task\.json"):
        tasks.load(tmp_path)
    with pytest.raises(TaskError, match="The encoder only: build_transformer_model"):
        tasks.load(fixtures / "bert_bare")
    (tmp_path / "thesis.txt").write_text("years of work")
    with pytest.raises(TaskError, match="exists and holds no task; it is not replaced"):
        classifier.save(tmp_path)
    assert (tmp_path / "thesis.txt").exists()


@pytest.mark.parametrize("problem", ["", "-multilabel", "-regression"])
def test_a_class_of_transformers_both_ways(fixtures, checkpoint, tmp_path, problem):
    directory = tmp_path / "hub"
    directory.mkdir()
    source = fixtures / "task_heads" / f"BertForSequenceClassification{problem}"
    for path in (*source.iterdir(), checkpoint / "vocab.txt"):
        (directory / path.name).write_bytes(path.read_bytes())
    lines = (directory / "vocab.txt").read_text().split("\n")[:40]
    (directory / "vocab.txt").write_text("\n".join(lines) + "\n")
    task = TextClassifier.load(directory)
    if not problem:
        assert task.labels == ["negative", "neutral", "positive"]
        assert task("good").label in task.labels
    task.save(tmp_path / "task")
    saved = tasks.load(tmp_path / "task")
    assert saved.get_config() == task.get_config()
    saved.save_huggingface(tmp_path / "back")
    saved.save_huggingface(tmp_path / "back")  # replaces what it wrote
    configs = [json.loads((x / "config.json").read_text()) for x in (directory, tmp_path / "back")]
    keys = ("architectures", "problem_type", "model_type")
    assert [configs[0].get(k) or "single_label_classification" for k in keys] == [
        configs[1][k] for k in keys
    ]
    assert list(configs[1]["id2label"].values()) == (task.labels or ["LABEL_0"])
    written, original = (load_file(x / "model.safetensors") for x in (tmp_path / "back", source))
    assert written.keys() == original.keys()
    for name, value in original.items():
        np.testing.assert_array_equal(written[name], value, err_msg=name)
    assert TextClassifier.load(tmp_path / "back")("good") == task("good")


def test_a_new_classifier_is_written_for_transformers(checkpoint, tmp_path):
    task = TextClassifier.build(checkpoint, LABELS)
    task.save_huggingface(tmp_path / "new")
    assert tasks.load(tmp_path / "new")("good film") == task("good film")
    fewer, kept = prune_tokenizer(task.tokenizer, task.tokenizer.encode("good film")[0])
    changes = {"tokenizer": fewer, "keep_tokens": kept, "num_hidden_layers": 1}
    smaller = TextClassifier.build(checkpoint, LABELS, **changes)
    smaller.save_huggingface(tmp_path / "smaller")  # its config has these sizes
    assert tasks.load(tmp_path / "smaller")("good film") == smaller("good film")
    with pytest.raises(TaskError, match="exists and holds something else; it is not replaced"):
        task.save_huggingface(tmp_path)
    unknown = TextClassifier(task.tokenizer, task.model, LABELS)
    with pytest.raises(TaskError, match="the config of the encoder is not known: give"):
        unknown.save_huggingface(tmp_path / "other")


def test_a_registered_task_of_somebody_else(classifier, tmp_path):
    @register_task
    class Shouting(TextClassifier):
        def decode(self, outputs, encoded):
            return super().decode(outputs, encoded).label + "!"

    try:
        task = Shouting(classifier.tokenizer, classifier.model, LABELS, maxlen=16)
        task.save(tmp_path / "loud")
        assert Shouting.load(tmp_path / "loud")("good") == task("good")
        classifier.save(tmp_path / "quiet")
        with pytest.raises(TaskError, match="holds a TextClassifier, not a Shouting"):
            Shouting.load(tmp_path / "quiet")
    finally:
        del tasks.TASKS["Shouting"]
