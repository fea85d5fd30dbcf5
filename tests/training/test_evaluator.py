"""The evaluation callback."""

from __future__ import annotations

import keras
import numpy as np
import pytest

from bert4keras.training import Evaluator


class Counting:
    """A model of one weight that grows with every step."""

    def __init__(self):
        self.model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1, use_bias=False)])
        self.model.compile(keras.optimizers.SGD(0.1), "mse")

    def fit(self, scores, **options):
        """Trains an epoch per score; the weight after each."""
        remaining, self.weights = iter(scores), []

        def evaluate():
            self.weights.append(self.weight())
            return next(remaining)

        evaluator = Evaluator(evaluate, **options)
        x = np.ones((4, 1), "float32")
        self.model.fit(x, 9 * x, epochs=len(scores), verbose=0, callbacks=[evaluator])
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
    assert [file.name for file in path.parent.iterdir()] == [path.name]


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
    assert list(tmp_path.iterdir()) == [path]


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
    [(float("nan"), "nan for 'score' after epoch 1"), ({"f1": 1.0}, r"gave \['f1'\].*'score'")],
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
