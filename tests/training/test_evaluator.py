"""The evaluation callback."""

from __future__ import annotations

import json

import keras
import numpy as np
import pytest

from bert4keras.training import Evaluator

pytestmark = pytest.mark.spread

RESULTS = "best.weights.json"


class Counting:
    """A model of one weight that grows with every step."""

    def __init__(self):
        self.model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1, use_bias=False)])
        self.model.compile(keras.optimizers.SGD(0.1), "mse")

    def fit(self, scores, first=0, evaluator=None, **options):
        """Trains an epoch per score; the weight after each."""
        remaining, self.weights = iter(scores), []

        def evaluate():
            self.weights.append(self.weight())
            return next(remaining)

        if evaluator is None:
            evaluator = Evaluator(evaluate, **options)
        evaluator.evaluate = evaluate
        x = np.ones((4, 1), "float32")
        fitted = {"initial_epoch": first, "epochs": first + len(scores)}
        self.model.fit(x, 9 * x, verbose=0, callbacks=[evaluator], **fitted)
        return evaluator

    def weight(self) -> float:
        return float(self.model.get_weights()[0][0, 0])


@pytest.mark.parametrize(("mode", "best"), [("max", 2), ("min", 3)])
def test_best_weights_come_back(mode, best, tmp_path):
    run, path = Counting(), tmp_path / "new" / "best.weights.h5"
    scores = [0.2, 0.7, 0.1, 0.4]
    evaluator = run.fit(scores, mode=mode, filepath=path, verbose=0)
    assert (evaluator.best, evaluator.best_epoch) == (scores[best - 1], best)
    assert run.weight() == run.weights[best - 1]
    assert len(set(run.weights)) == 4
    other = Counting()
    other.model.load_weights(path)
    assert other.weight() == run.weights[best - 1]
    assert sorted(file.name for file in path.parent.iterdir()) == [path.name, RESULTS]


def test_of_several_processes_the_first_one_writes(tmp_path, monkeypatch):
    path = tmp_path / "best.weights.h5"
    monkeypatch.setattr("bert4keras.training.evaluator.process_place", lambda: (1, 2))
    run = Counting()
    evaluator = run.fit([0.2, 0.7, 0.1], filepath=path, verbose=0)
    assert (evaluator.best, run.weight()) == (0.7, run.weights[1])
    assert not any(tmp_path.iterdir())
    monkeypatch.setattr("bert4keras.training.evaluator.process_place", lambda: (0, 2))
    Counting().fit([0.2, 0.7, 0.1], filepath=path, verbose=0)
    assert path.is_file()


def test_last_weights_stay_without_restoring():
    run = Counting()
    run.fit([0.9, 0.1], restore_best=False, verbose=0)
    assert run.weight() == run.weights[-1]


def test_the_first_of_equal_results_is_the_best():
    assert Counting().fit([0.5, 0.5], verbose=0).best_epoch == 1


@pytest.mark.parametrize("error", [OSError("disk full"), KeyboardInterrupt("disk full")])
def test_an_interrupted_write_leaves_the_old_file_alone(error, tmp_path, monkeypatch):
    run, path = Counting(), tmp_path / "best.weights.h5"
    run.fit([0.1], filepath=path, verbose=0)
    before = path.read_bytes()

    def broken(target, *args, **kwargs):
        target.write_bytes(b"half")
        raise error

    monkeypatch.setattr(run.model, "save_weights", broken)
    with pytest.raises(type(error), match="disk full"):
        run.fit([0.9], filepath=path, verbose=0)
    assert path.read_bytes() == before
    assert sorted(file.name for file in tmp_path.iterdir()) == [path.name, RESULTS]


def test_several_numbers_and_the_line(capsys):
    scores = [{"f1": 0.5, "loss": 2.0}, {"f1": 0.4, "loss": 1.0}]
    evaluator = Counting().fit(scores, monitor="f1")
    assert evaluator.history == scores
    lines = [line for line in capsys.readouterr().out.splitlines() if line]
    assert lines == [
        "epoch 1: f1 0.5000  loss 2.0000  (best so far)",
        "epoch 2: f1 0.4000  loss 1.0000  (best 0.5000 in epoch 1)",
    ]


def test_other_callbacks_see_the_numbers():
    logs = {}
    evaluator = Evaluator(lambda: 0.5, restore_best=False, verbose=0)
    evaluator.on_epoch_end(0, logs)
    assert logs == {"eval_score": 0.5}


def test_silence(capsys):
    Counting().fit([0.5], verbose=0)
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(
    ("score", "message"),
    [(float("nan"), "nan for 'score' after epoch 1"), ({"f1": 1.0}, r"returned \['f1'\].*'score'")],
)
def test_results_without_use(score, message):
    with pytest.raises(ValueError, match=message):
        Counting().fit([score], monitor="score", verbose=0)


@pytest.mark.parametrize(
    ("options", "message"),
    [({"mode": "auto"}, "'max' or 'min'"), ({"filepath": "best.h5"}, "end in '.weights.h5'")],
)
def test_wrong_options(options, message):
    with pytest.raises(ValueError, match=message):
        Evaluator(lambda: 0.0, **options)


def test_another_model_begins_anew():
    evaluator = Counting().fit([0.9, 0.8], verbose=0)
    other = Counting()
    other.fit([0.1, 0.2], evaluator=evaluator)
    assert (evaluator.best, evaluator.best_epoch) == (0.2, 2)
    assert evaluator.history == [{"score": 0.1}, {"score": 0.2}]
    assert other.weight() == other.weights[1]


def test_other_weights_in_the_same_model_begin_anew():
    run = Counting()
    evaluator = run.fit([0.9], verbose=0)
    run.model.set_weights([np.zeros((1, 1))])
    run.fit([0.1], evaluator=evaluator)
    assert (evaluator.best, run.weight()) == (0.1, run.weights[0])


@pytest.mark.parametrize("back", [True, False])
def test_a_second_stage_goes_on(back):
    run = Counting()
    evaluator = run.fit([0.9, 0.5], restore_best=back, verbose=0)
    best = run.weights[0]
    run.fit([0.1, 0.2], evaluator=evaluator)
    assert (evaluator.best, evaluator.best_epoch, len(evaluator.history)) == (0.9, 1, 4)
    assert run.weight() == (best if back else run.weights[-1])


def test_a_resumed_training_keeps_the_better_weights(tmp_path):
    path = tmp_path / "best.weights.h5"
    first = Counting()
    first.fit([0.3, 0.9, 0.4], filepath=path, verbose=0)
    best = first.weights[1]
    resumed = Counting()  # of epoch 3, whose results are lost, as when the process was killed
    evaluator = resumed.fit([0.5, 0.6], first=2, filepath=path, verbose=0)
    assert (evaluator.best, evaluator.best_epoch) == (0.9, 2)
    assert [row["score"] for row in evaluator.history] == [0.3, 0.9, 0.5, 0.6]
    assert resumed.weight() == best
    better = Counting().fit([0.95], first=4, filepath=path, monitor="score", verbose=0)
    assert (better.best, better.best_epoch, len(better.history)) == (0.95, 5, 5)
    stored = json.loads((tmp_path / RESULTS).read_text())
    assert stored["best_epoch"] == 5
    assert stored["results"][1] == {"epoch": 2, "score": 0.9}


@pytest.mark.parametrize("content", [None, "[", "[]", '{"results": [1]}', '{"results": 7}'])
def test_results_that_cannot_be_read_do_not_matter(tmp_path, content):
    path = tmp_path / "best.weights.h5"
    Counting().fit([0.9], filepath=path, verbose=0)
    (tmp_path / RESULTS).unlink() if content is None else (tmp_path / RESULTS).write_text(content)
    evaluator = Counting().fit([0.5], first=1, filepath=path, verbose=0)
    assert (evaluator.best, evaluator.history) == (0.9, [{"score": 0.5}])


@pytest.mark.parametrize("options", [{}, {"monitor": "f1"}, {"mode": "min"}])
def test_a_resumed_training_does_not_replace_weights_of_unknown_worth(tmp_path, options):
    path, run = tmp_path / "best.weights.h5", Counting()
    if options:
        run.fit([0.9], filepath=path, verbose=0)
    else:
        run.model.save_weights(path)
    before = path.read_bytes()
    with pytest.raises(ValueError, match=r"epoch 1, but .*best\.weights\.h5 does not say how"):
        Counting().fit([{"f1": 0.1}], first=1, filepath=path, verbose=0, **options)
    assert path.read_bytes() == before


def test_a_fresh_training_replaces_the_old_best_and_says_so(tmp_path, capsys):
    path = tmp_path / "best.weights.h5"
    Counting().fit([0.9], filepath=path, verbose=0)
    evaluator = Counting().fit([0.1], filepath=path)
    assert (evaluator.best, len(evaluator.history)) == (0.1, 1)
    assert "earlier training, score 0.9000, will be replaced" in capsys.readouterr().out
