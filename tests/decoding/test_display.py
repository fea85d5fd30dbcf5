"""Entities in colour and pictures: what is drawn, by hand."""

from __future__ import annotations

import html
import re
import sys
import types

import numpy as np
import pytest

from bert4keras.decoding import (
    entities_to_ansi,
    entities_to_html,
    plot_attention,
    plot_history,
    plot_transitions,
    plot_weights,
    weights_to_ansi,
    weights_to_html,
)

TEXT = "<Li> at Bank of China"
NESTED = [(1, 3, "PER"), (8, 21, "ORG"), (16, 21, "LOC")]


def plain(ansi: str) -> str:
    return re.sub(r"\x1b\[[\d;]*m", "", ansi)


def test_ansi():
    drawn = entities_to_ansi(TEXT, NESTED[::-1])
    assert plain(drawn) == "<Li/PER> at Bank of China/LOC/ORG"
    assert drawn.endswith("\x1b[0m")
    assert entities_to_ansi(TEXT, []) == TEXT
    colours = {label: entities_to_ansi("a", [(0, 1, label)], ["A", "B"]) for label in "AB"}
    assert colours["A"].replace("/A", "/B") != colours["B"]
    # The colour of the outer one comes back behind the inner one.
    around = entities_to_ansi("abc", [(0, 3, "A"), (1, 2, "B")])
    first = re.match(r"\x1b\[[\d;]*m", around)[0]
    assert around.count(first) == 2


def test_html():
    drawn = entities_to_html(TEXT, NESTED)
    text = re.sub(r"<mark [^>]*>", "[", drawn).replace("</mark>", "]")
    text = text.replace("<sub>", "/").replace("</sub>", "")
    assert text == "<span>&lt;[Li/PER]&gt; at [Bank of [China/LOC]/ORG]</span>"


def test_of_two_that_cross_the_second_has_the_rest():
    assert plain(entities_to_ansi("abcde", [(0, 3, "A"), (2, 5, "B")])) == "abc/Ade/B"
    assert plain(entities_to_ansi("ab", [(0, 2, "A"), (0, 2, "B")])) == "ab/B/A"
    assert plain(entities_to_ansi("abcd", [(0, 3, "A"), (1, 4, "B"), (1, 3, "C")])) == "abc/C/Ad/B"


WEIGHTS = [(0, 3, 2.0), (4, 7, -1.0), (8, 9, 0.1), (9, 10, 0.0)]


def test_weights_in_ansi():
    """Red and blue, the strongest for the largest; what is below a tenth of it is left alone."""
    red, blue = "\x1b[30;48;5;196m", "\x1b[30;48;5;117m"
    assert weights_to_ansi("bad but <>", WEIGHTS) == f"{red}bad\x1b[0m {blue}but\x1b[0m <>"
    assert weights_to_ansi("a", [(0, 1, 0.0)]) == weights_to_ansi("a", []) == "a"


def test_weights_in_html():
    drawn = weights_to_html("bad but <>", WEIGHTS)
    grounds = re.findall(r"rgba\((\d+),\d+,\d+,([\d.]+)\)", drawn)
    assert grounds == [("214", "1.00"), ("31", "0.50"), ("214", "0.05"), ("31", "0.00")]
    assert html.unescape(re.sub("<[^>]*>", "", drawn)) == "bad but <>"
    assert 'title="-1.0000">but<' in drawn


def test_bars_of_weights():
    pytest.importorskip("matplotlib").use("agg")
    axes = plot_weights(["bad", "but"], [2.0, -1.0])
    assert [bar.get_width() for bar in axes.patches] == [2.0, -1.0]
    red, blue = (bar.get_facecolor() for bar in axes.patches)
    assert red[0] > red[2]
    assert blue[0] < blue[2]
    assert [label.get_text() for label in axes.get_yticklabels()] == ["bad", "but"]


def test_an_entity_beyond_the_text_is_refused():
    with pytest.raises(ValueError, match="not within the 2 characters"):
        entities_to_html("ab", [(1, 3, "A")])


def test_pictures_need_matplotlib(monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(ImportError, match=r"pip install bert4keras\[plot\]"):
        plot_history({"loss": [1.0]})


@pytest.fixture
def pyplot():
    matplotlib = pytest.importorskip("matplotlib")
    matplotlib.use("Agg")
    from matplotlib import pyplot

    yield pyplot
    pyplot.close("all")


def test_heat_maps(pyplot, tmp_path):
    transitions = np.array([[0.5, -2.0], [1.0, 0.0]])
    axes = plot_transitions(transitions, ["O", "B-PER"])
    (image,) = axes.images
    np.testing.assert_array_equal(image.get_array(), transitions)
    assert image.get_clim() == (-2, 2)  # 0 has the colour in the middle
    assert [label.get_text() for label in axes.get_yticklabels()] == ["O", "B-PER"]
    axes.figure.savefig(tmp_path / "transitions.png")
    assert (tmp_path / "transitions.png").stat().st_size > 1000

    drawn = plot_attention(np.eye(2, 3), ["a", "b"], ["x", "y", "z"], axes=pyplot.subplots()[1])
    assert drawn.images[0].get_array().shape == (2, 3)
    with pytest.raises(ValueError, match=r"shape \(2, 2\) for 3 rows and 3 columns"):
        plot_transitions(transitions, ["O", "B", "I"])


def test_curves(pyplot):
    history = {"loss": [2.0, 1.0], "val_loss": [2.5, 1.5], "eval_f1": [0.1, 0.2]}
    axes = plot_history(types.SimpleNamespace(history=history))
    loss, validation, f1 = axes.lines
    assert loss.get_xydata().tolist() == [[1, 2], [2, 1]]
    assert loss.get_color() == validation.get_color() != f1.get_color()
    assert (loss.get_linestyle(), validation.get_linestyle()) == ("-", "--")
    with pytest.raises(ValueError, match="history is empty"):
        plot_history({})
