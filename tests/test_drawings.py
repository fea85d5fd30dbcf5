"""Masks and attention weights as text, HTML and PNG: the pictures are written by hand."""

from __future__ import annotations

import html
import re
import sys
import warnings

import numpy as np
import pytest

from bert4keras.display import draw_grid, plot_grid
from bert4keras.display.grids import display_width
from bert4keras.masks import (
    LM,
    Atrous,
    Local,
    Mask,
    Packed,
    Permutation,
    SharedPrefix,
    Sparse,
    Window,
    draw_mask,
    visible_keys,
)

pytestmark = pytest.mark.spread

# Rows of the picture, without the tokens: what a token sees, from left to right.
PICTURES = {
    "encoder": ("encoder", {}, "#####", "#####", "#####", "#####", "#####"),
    "lm": ("lm", {}, "#....", "##...", "###..", "####.", "#####"),
    "unilm": (
        "unilm",
        {"segment_ids": [0, 0, 0, 1, 1]},
        *("###..", "###..", "###..", "####.", "#####"),
    ),
    "prefix": (
        "prefix",
        {"prefix": [1, 1, 0, 0, 0]},
        *("##...", "##...", "###..", "####.", "#####"),
    ),
    "permutation": (
        Permutation(),
        {"rank": [0, 3, 1, 4, 2]},  # the order 0, 2, 4, 1, 3
        *("#....", "###.#", "#.#..", "#####", "#.#.#"),
    ),
    "query stream": (
        Permutation(),
        {"rank": [0, 3, 1, 4, 2], "query_stream": True},
        *(
            "#....",
            "#.#.#",
            "#....",  # the first would see nothing
            "###.#",
            "#.#..",
        ),
    ),
    "window": (Window(1, 2), {}, "###..", "####.", ".####", "..###", "...##"),
    "local": (Local(1, rate=2), {}, "#.#..", ".#.#.", "#.#.#", ".#.#.", "..#.#"),
    "atrous": (Atrous(3), {}, "#..#.", ".#..#", "..#..", "#..#.", ".#..#"),
    "sparse": (Sparse(2), {}, "###.#", "####.", "#####", ".####", "#.###"),
    "packed": (
        Packed(),
        {"document_ids": [1, 1, 2, 2, 2]},
        *("##...", "##...", "..###", "..###", "..###"),
    ),
    "shared prefix": (
        SharedPrefix(),
        {"candidate_ids": [0, 0, 1, 1, 2]},
        *("##...", "##...", "####.", "####.", "##..#"),
    ),
    "sparse and lm": (Sparse(2) & LM(), {}, "#....", "##...", "###..", ".###.", "#.###"),
    "packed and lm": (
        Packed() & LM(),
        {"document_ids": [1, 1, 2, 2, 2]},
        *("#....", "##...", "..#..", "..##.", "..###"),
    ),
    "three": (
        Window(2) & Packed() & Permutation(),
        {"document_ids": [1, 1, 1, 1, 2], "rank": [4, 3, 2, 1, 0]},
        *("###..", ".###.", "..##.", "...#.", "....#"),
    ),
}


@pytest.mark.parametrize("name", PICTURES)
def test_masks(name):
    mask, options, *rows = PICTURES[name]
    lines = draw_mask(mask, list("abcde"), **options).splitlines()
    assert lines[0] == "  a b c d e"
    assert lines[1:] == [f"{t} {' '.join(row)}" for t, row in zip("abcde", rows, strict=True)]


def test_wide_tokens_and_padding():
    tokens = ["[CLS]", "今", "天", "rain", "[SEP]", "[PAD]"]
    assert draw_mask("lm", tokens) == (
        "      [CLS] 今 天 rain [SEP] [PAD]\n"
        "[CLS] #     .  .  .    .\n"
        "今    #     #  .  .    .\n"
        "天    #     #  #  .    .\n"
        "rain  #     #  #  #    .\n"
        "[SEP] #     #  #  #    #\n"
        "[PAD]\n"
    )
    assert not visible_keys("lm", tokens, pad_token=None).mask.any()
    assert draw_mask("encoder", ["a", "", "b"], pad_token="") == "  a  b\na #  #\n\nb #  #\n"
    assert [display_width(text) for text in ("ab", "天气", "ｱＡ", "e\u0301", "")] == [2, 4, 3, 1, 0]


def test_long_texts_have_numbers():
    tokens = [f"token_{n}" for n in range(12)]
    lines = draw_mask(Window(0, 1), tokens).splitlines()
    assert lines[0] == "            0 1 2 3 4 5 6 7 8 9 10 11"
    assert lines[1] == " 0 token_0  # # . . . . . . . . .  ."
    assert lines[12] == "11 token_11 . . . . . . . . . . .  #"
    # The keys of a cross-attention are other tokens, and named below.
    lines = draw_grid(np.ones((1, 12), bool), ["abc"], tokens).splitlines()
    assert lines[:2] == ["      0 1 2 3 4 5 6 7 8 9 10 11", "0 abc # # # # # # # # # # #  #"]
    assert lines[2:4] == ["", "0 token_0"]


def test_weights():
    weights = np.array([[1.0, 0.0, 0.0], [0.503, 0.497, 0.0], [0.004, 0.006, 0.99]])
    assert draw_grid(weights, ["我", "b", "c"]) == (
        "   我  b  c\n我 100 .  .\nb  50  50 .\nc  .   1  99\n"
    )
    assert draw_grid(np.zeros((0, 0)), []) == "\n"


def test_html():
    tokens = ["<s>", "天", "[PAD]"]
    drawn = draw_mask("lm", tokens, "html")
    rows = [re.findall("<t[dh].*?</t[dh]>", row) for row in re.findall("<tr>.*?</tr>", drawn)]
    text = lambda cell: html.unescape(re.sub("<[^>]*>", "", cell))  # noqa: E731
    assert [text(cell) for cell in rows[0]] == ["", *tokens]
    assert [text(row[0]) for row in rows[1:]] == tokens
    alpha = [[*re.findall(r"rgba\(31,119,180,([\d.]+)\)", cell), ""][0] for cell in rows[2]]
    assert alpha == ["", "0.90", "0.90", ""]  # padding has no colour
    assert 'title="天 → &lt;s&gt;"' in rows[2][1]
    assert "0.00" in rows[1][2]
    weights = draw_grid(np.array([[0.25, 0.75]]), ["q"], ["a", "b"], format="html")
    assert 'title="q → b: 0.7500"' in weights
    assert re.findall(r"180,([\d.]+)\)", weights) == ["0.30", "0.90"]


def test_png():
    pytest.importorskip("matplotlib")
    from matplotlib import pyplot

    small, large = (draw_mask("lm", list("abcdefghij")[:n], "png") for n in (3, 10))
    for png in (small, large):
        assert png.startswith(b"\x89PNG")
    width = [int.from_bytes(png[16:20], "big") for png in (small, large)]
    assert 60 < width[0] < width[1] < 600
    assert pyplot.get_fignums() == []  # no figure stays open
    assert draw_mask("encoder", list("abc"), "png") != small


def test_plot():
    matplotlib = pytest.importorskip("matplotlib")
    axes = plot_grid(
        visible_keys("lm", ["a", "b", "[PAD]"]),
        ["a", "b", "[PAD]"],
        axes=matplotlib.figure.Figure().subplots(),
    )
    shown = axes.images[0].get_array()
    assert shown.filled(-1).tolist() == [[1, 0, -1], [1, 1, -1], [-1, -1, -1]]
    assert [label.get_text() for label in axes.get_xticklabels()] == ["a", "b", "[PAD]"]


def test_chinese_in_a_png():
    pytest.importorskip("matplotlib")
    from bert4keras.display import plots

    if len(plots._fonts()) < 2:
        pytest.skip("no font with Chinese characters is installed")
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)  # of glyphs that no font has
        assert draw_mask("lm", ["天", "气"], "png").startswith(b"\x89PNG")


def test_png_needs_matplotlib(monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(ImportError, match=r"pip install bert4keras\[plot\]"):
        draw_mask("lm", ["a"], "png")


@pytest.mark.parametrize(
    ("mask", "inputs", "message"),
    [
        (
            "unilm",
            {},
            r"UniLM\(\) reads segment_ids: pass segment_ids=\[...\], a whole .* 2 tokens",
        ),
        ("unilm", {"segment_ids": [0]}, "segment_ids has 1 numbers for 2 tokens"),
        ("lm", {"rank": [0, 1]}, r"LM\(\) does not read rank, it reads nothing but the tokens"),
        ("packed", {"document_ids": [1, 1], "rank": [0, 1]}, "it reads document_ids"),
        ("bilm", {}, "unknown application 'bilm'"),
        ("lm", {"format": "svg"}, "format='svg' must be text, html or png"),
    ],
)
def test_errors(mask, inputs, message):
    with pytest.raises(ValueError, match=message):
        draw_mask(mask, ["a", "b"], **inputs)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (np.ones((2, 3)), r"shape \(2, 3\) for 2 rows and 2 columns"),
        (np.array([[0.5, -0.5], [1, 0]]), "finite weights from 0 on"),
        (np.array([[0.5, np.nan], [1, 0]]), "finite weights from 0 on"),
    ],
)
@pytest.mark.parametrize("kind", ["text", "html", "png"])
def test_grids_that_are_refused(values, message, kind):
    with pytest.raises(ValueError, match=message):
        draw_grid(values, ["a", "b"], format=kind)


def test_control_characters_are_written_out():
    drawn = draw_grid(np.ones((1, 1), bool), ["\x1b[2J\n"])
    assert drawn == "          \\x1b[2J\\n\n\\x1b[2J\\n #\n"
    assert "\x1b" not in draw_grid(np.ones((1, 1)), ["\x1b"], format="html")


def test_a_mask_of_ones_own():
    class Diagonal(Mask):
        def rule(self, pairs, inputs):
            return pairs.distance == 0

    assert draw_mask(Diagonal(), ["a", "b"]) == "  a b\na # .\nb . #\n"
