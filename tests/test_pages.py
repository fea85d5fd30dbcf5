"""Pages of the site with code: it runs, prints what the page shows, and is the same in Chinese."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
DOCS = ROOT / "docs"
BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
# English pages that have a Chinese one beside them, `NAME_zh.md`.
TRANSLATED = ("index.md",)

pytestmark = [
    pytest.mark.spread,
    pytest.mark.skipif(not DOCS.is_dir(), reason="docs are not part of this tree"),
]


def blocks(path: Path) -> list[tuple[str, str]]:
    """(language, text) of each block; output has no language."""
    return BLOCK.findall(path.read_text(encoding="utf-8"))


def without_comments(block: tuple[str, str]) -> tuple[str, str]:
    language, source = block
    if language == "python":
        return language, ast.unparse(ast.parse(source))
    return language, re.sub(r"\s+# .*", "", source)


def outline(path: Path) -> list[int]:
    """Levels of the headings, and numbers of rows, items and links."""
    text = BLOCK.sub("", path.read_text(encoding="utf-8"))
    levels = [len(marks) for marks in re.findall(r"^(#+) ", text, re.MULTILINE)]
    return levels + [text.count(mark) for mark in ("\n|", "\n- ", "](")]


def in_chinese(page: str) -> Path:
    return DOCS / page.replace(".md", "_zh.md")


@pytest.mark.parametrize("page", TRANSLATED)
def test_both_languages_have_the_same_code(page):
    english, chinese = (
        [without_comments(block) for block in blocks(path)]
        for path in (DOCS / page, in_chinese(page))
    )
    assert english == chinese
    assert english


@pytest.mark.parametrize("page", TRANSLATED)
def test_both_languages_have_the_same_structure(page):
    def start(path: Path) -> str:
        return path.read_text(encoding="utf-8").splitlines()[2]

    assert outline(DOCS / page) == outline(in_chinese(page))
    assert start(DOCS / page) == f"[中文]({in_chinese(page).name})"
    assert start(in_chinese(page)) == f"[English]({Path(page).name})"


def test_every_chinese_page_has_an_english_one():
    chinese = sorted(path.relative_to(DOCS).as_posix() for path in DOCS.rglob("*_zh.md"))
    assert chinese == sorted(page.replace(".md", "_zh.md") for page in TRANSLATED)


def test_the_first_page_has_the_code_of_the_readme():
    """The tests of the README run this code and compare what it prints."""
    readme = [without_comments(block) for block in blocks(ROOT / "README.md")]
    start = [without_comments(block) for block in blocks(DOCS / "index.md")]
    assert len(start) == 5
    assert start == readme[: len(start)]
