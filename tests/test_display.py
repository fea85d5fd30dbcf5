"""Entities in colour and pictures: what is drawn, by hand."""

from __future__ import annotations

import html
import re
import sys
import time
import types

import numpy as np
import pytest

from bert4keras.display import (
    entities_to_ansi,
    entities_to_html,
    plot_attention,
    plot_history,
    plot_points,
    plot_roc,
    plot_transitions,
    plot_weights,
    weights_to_ansi,
    weights_to_html,
)
from bert4keras.display.texts import escape_control_characters

pytestmark = pytest.mark.spread

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
    """Red and blue, the strongest for the largest; values below a tenth of it get no colour."""
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


@pytest.mark.parametrize(
    ("entity", "message"),
    [
        ((1, 3, "A"), "not within the 2 characters"),
        ((-1, 1, "A"), "not within the 2 characters"),
        ((2, 1, "A"), "not within the 2 characters"),
        ((1, 1, "A"), "empty within the 2 characters"),
        ((0, 1.0, "A"), "must be whole numbers"),
    ],
)
def test_an_entity_that_is_nowhere_is_refused(entity, message):
    for draw in (entities_to_ansi, entities_to_html):
        with pytest.raises(ValueError, match=message):
            draw("ab", [entity])
    for draw in (weights_to_ansi, weights_to_html):
        with pytest.raises(ValueError, match=message):
            draw("ab", [(*entity[:2], 1.0)])


@pytest.mark.parametrize("weight", [float("nan"), float("-inf")])
def test_a_weight_that_is_not_finite_is_refused(weight):
    for draw in (weights_to_ansi, weights_to_html):
        with pytest.raises(ValueError, match=f"characters 0 to 1 is {weight}, not finite"):
            draw("ab", [(0, 1, weight)])


def drawn_by_recursion(text, start, end, entities):
    """The rule in its plainest form, of quadratic time: `[inner text/label]`."""
    parts, place, rest = [], start, list(entities)
    while rest:
        (a, b, label), *rest = sorted(rest, key=lambda e: (max(e[0], place), -e[1]))
        inside, rest = [e for e in rest if e[1] <= b], [e for e in rest if e[1] > b]
        later = [e for e in inside if e[0] >= b]
        first = max(a, place)
        inside = [e for e in inside if e not in later]
        inner = drawn_by_recursion(text, first, b, [(max(a, first), b, n) for a, b, n in inside])
        parts += [text[place:first], f"[{inner}/{label}]"]
        place, rest = b, [(max(a, b), end, name) for a, end, name in rest + later]
    return "".join([*parts, text[place:end]])


def test_nested_and_crossing_ones_against_recursion():
    rng = np.random.default_rng(0)
    for _ in range(300):
        size = int(rng.integers(1, 9))
        text = "abcdefghi"[:size]
        pairs = np.sort(rng.integers(0, size + 1, (int(rng.integers(0, 7)), 2)), axis=1).tolist()
        entities = [(a, b, str(n)) for n, (a, b) in enumerate(pairs) if a < b]
        drawn = re.sub("<mark [^>]*>", "[", entities_to_html(text, entities))
        drawn = re.sub("<sub>(.*?)</sub></mark>", r"/\1]", drawn)
        assert drawn == f"<span>{drawn_by_recursion(text, 0, size, entities)}</span>"
        ansi = plain(entities_to_ansi(text, entities))
        assert ansi == re.sub(r"[\[\]]", "", drawn_by_recursion(text, 0, size, entities))


SIZE = 20_000


@pytest.mark.parametrize(
    "pairs",
    [
        [(3 * n, 3 * n + 2) for n in range(SIZE)],
        [(n, 2 * SIZE - n) for n in range(SIZE)],
        [(n, n + SIZE) for n in range(SIZE)],
        # Each of the second half crosses all of the first half.
        [(n, 2 * SIZE - n) for n in range(SIZE // 2)] + [(SIZE, 3 * SIZE)] * (SIZE // 2),
        [(0, 1)] * SIZE,
    ],
    ids=["side by side", "nested", "a staircase", "crossing", "identical"],
)
def test_many_entities_take_no_time(pairs):
    """58 s, or RecursionError, when each was looked for in a list of the others."""
    text = "<" * 3 * SIZE
    started = time.process_time()
    found = entities_to_html(text, [(a, b, "A") for a, b in pairs])
    assert (found.count("<mark"), found.count("&lt;")) == (SIZE, 3 * SIZE)
    assert plain(entities_to_ansi(text, [(a, b, "A") for a, b in pairs])).count("/A") == SIZE
    weights_to_html(text, [(a, b, 1.0) for a, b in pairs])
    weights_to_ansi(text, [(a, b, 1.0) for a, b in pairs])
    assert time.process_time() - started < 8


HOSTILE = "a\x1b[2J\x9b2J\x1b]0;x\x07\r\x00\u202eb\u2066\ud800\x7f\tc\nd"
SHOWN = r"a\x1b[2J\x9b2J\x1b]0;x\x07\r\x00\u202eb\u2066\ud800\x7f" + "\tc\nd"


def test_control_characters_are_written_out():
    """None reaches the terminal, from the text, an entity or a label."""
    size = len(HOSTILE)
    assert escape_control_characters(HOSTILE) == SHOWN
    for entities in ([], [(0, size, "A\x1b\nB")], [(3, size, "A\x1b\nB")]):
        drawn = plain(entities_to_ansi(HOSTILE, entities))
        assert drawn == SHOWN + (r"/A\x1b\nB" if entities else "")
        inner = html.unescape(re.sub("<[^>]*>", "", entities_to_html(HOSTILE, entities)))
        assert inner == SHOWN + (r"A\x1b\nB" if entities else "")
    for weights in ([], [(2, size, 1.0)]):
        assert plain(weights_to_ansi(HOSTILE, weights)) == SHOWN
        assert html.unescape(re.sub("<[^>]*>", "", weights_to_html(HOSTILE, weights))) == SHOWN


def test_html_of_hostile_labels():
    drawn = entities_to_html("<a>", [(0, 3, '"><script>')])
    assert drawn.count("<") == len(re.findall(r"</?(?:span|mark|sub)\b", drawn))
    assert "&quot;&gt;&lt;script&gt;" in drawn


def test_the_ground_of_an_outer_weight_comes_back():
    drawn = weights_to_ansi("abc", [(0, 3, 1.0), (1, 2, -1.0)])
    red, blue = "\x1b[30;48;5;196m", "\x1b[30;48;5;39m"
    assert drawn == f"{red}a{blue}b\x1b[0m{red}c\x1b[0m"


def test_settings_of_matplotlib_stay(pyplot):
    import matplotlib

    before = dict(matplotlib.rcParams)
    plot_weights(["坏", "但"], [2.0, -1.0])
    plot_transitions(np.eye(2), ["O", "B"])
    plot_attention(np.eye(2), ["a", "b"])
    plot_history({"loss": [1.0]})
    assert dict(matplotlib.rcParams) == before


def test_fonts_of_the_user_come_first(pyplot, monkeypatch):
    """Chinese ones, where there are any, stand behind them, in what is drawn later, too."""
    import matplotlib
    from matplotlib import font_manager

    from bert4keras.display import plots

    name = font_manager.fontManager.ttflist[0].name
    monkeypatch.setattr(plots, "_FONTS", ("No Such Font", name))
    with matplotlib.rc_context({"font.family": ["serif"]}):
        axes = plot_weights(["a", "b"], [2.0, -1.0])
        plot_history({"loss": [1.0]})
    axes.set(title="later", xlabel="x")
    texts = [axes.title, axes.xaxis.label, *axes.get_yticklabels()]
    assert {tuple(text.get_fontfamily()) for text in texts} == {("serif", name)}


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


def test_receiver_operating_characteristic(pyplot):
    chance, found = plot_roc(np.array([0.0, 0.5, 1.0]), np.array([0.0, 0.9, 1.0])).lines
    assert chance.get_xydata().tolist() == [[0, 0], [1, 1]]
    assert found.get_xydata().tolist() == [[0, 0], [0.5, 0.9], [1, 1]]


def test_points_with_names(pyplot):
    points = [[0.0, 1.0], [2.0, 3.0], [4.0, 5.0]]
    axes = plot_points(points, ["a", "诗"])
    assert axes.collections[0].get_offsets().tolist() == points
    assert [(text.get_text(), text.xy) for text in axes.texts] == [("a", (0, 1)), ("诗", (2, 3))]


def test_curves(pyplot):
    history = {"loss": [2.0, 1.0], "val_loss": [2.5, 1.5], "eval_f1": [0.1, 0.2]}
    axes = plot_history(types.SimpleNamespace(history=history))
    loss, validation, f1 = axes.lines
    assert loss.get_xydata().tolist() == [[1, 2], [2, 1]]
    assert loss.get_color() == validation.get_color() != f1.get_color()
    assert (loss.get_linestyle(), validation.get_linestyle()) == ("-", "--")
    with pytest.raises(ValueError, match="history is empty"):
        plot_history({})
