"""The page for users of 0.11: its Python runs and says what the page says, in both languages."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from helpers.pages import blocks, printed_and_shown, without_comments

DOCS = Path(__file__).resolve().parents[2] / "docs"
PAGES = ("migrating.md", "migrating_zh.md")

if not DOCS.is_dir():  # an sdist
    pytestmark = pytest.mark.skip("docs are not part of this tree")


@pytest.mark.spread
@pytest.mark.filterwarnings("ignore:Layer 'lambda")
def test_the_page_runs_and_prints_what_it_says(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    found = printed_and_shown(DOCS / PAGES[0])
    assert sum(bool(shown) for _, shown in found) == 4
    assert [pair for pair in found if pair[0] != pair[1]] == []


@pytest.mark.spread
def test_both_languages_have_the_same_code():
    english, chinese = (
        [without_comments(block) for block in blocks((DOCS / name).read_text(encoding="utf-8"))]
        for name in PAGES
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
