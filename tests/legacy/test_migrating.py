"""The page for users of 0.11: its Python runs and says what the page says, in both languages."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

DOCS = Path(__file__).resolve().parents[2] / "docs"
PAGES = ("migrating.md", "migrating_zh.md")
FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.M | re.S)

if not DOCS.is_dir():  # an sdist
    pytestmark = pytest.mark.skip("docs are not part of this tree")


def blocks(name: str) -> list[tuple[str, str]]:
    """Kind and text of the fenced blocks of a page."""
    return FENCE.findall((DOCS / name).read_text(encoding="utf-8"))


def without_comments(source: str) -> str:
    return re.sub(r'\s*#.*|\s*""".*"""', "", source)


@pytest.mark.spread
@pytest.mark.filterwarnings("ignore:Layer 'lambda")
def test_the_page_runs_and_prints_what_it_says(tmp_path, monkeypatch, capsys):
    import plot_initialization

    monkeypatch.chdir(tmp_path)
    plot_initialization.run(DOCS / PAGES[0])
    expected = [text for kind, text in blocks(PAGES[0]) if not kind]
    assert len(expected) == 4
    assert capsys.readouterr().out == "".join(expected)


@pytest.mark.spread
def test_both_languages_have_the_same_code():
    english, chinese = (
        [(kind, without_comments(text)) for kind, text in blocks(name)] for name in PAGES
    )
    assert english == chinese


@pytest.mark.spread
@pytest.mark.parametrize("name", PAGES)
def test_links_lead_somewhere(name):
    text = (DOCS / name).read_text(encoding="utf-8")
    for path, anchor in re.findall(r"\]\(([^)#]*)(#[^)]*)?\)", text):
        assert (DOCS / path).exists(), path
        if anchor and not path:
            headings = [_anchor(line) for line in re.findall(r"^#+ (.*)$", text, re.M)]
            assert anchor in headings, anchor


def _anchor(heading: str) -> str:
    return "#" + re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-")
