"""Pages of the site with code: it runs, prints what the page shows, and is the same in Chinese."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from helpers import pages
from helpers.pages import alike, printed_and_shown, without_comments

ROOT = Path(__file__).resolve().parent.parent
DOCS = ROOT / "docs"
# English pages that have a Chinese one beside them, `NAME_zh.md`.
TRANSLATED = ("index.md", "tasks.md", "guides/tagger.md", "faq.md")
# Pages whose code runs here, each in an empty folder.
RUN = (
    *TRANSLATED[1:],
    "guides/generation.md",
    "guides/checkpoints.md",
    "assistants.md",
    "distributed.md",
    "guides/pretraining_objectives.md",
    "guides/resuming.md",
    "latent.md",
    "pretraining.md",
    "words.md",
)
# Files that the code of a page reads, and where they are here.
FILES = {
    "pretraining.md": {"texts": "corpus_en.txt"},
    "words.md": {"news.tsv": "titles/train.tsv", "general.txt": "corpus_zh.txt"},
}


pytestmark = [
    pytest.mark.spread,
    pytest.mark.skipif(not DOCS.is_dir(), reason="docs are not part of this tree"),
]


def blocks(path: Path) -> list[tuple[str, str]]:
    """(language, text) of each block; output has no language."""
    return pages.blocks(path.read_text(encoding="utf-8"))


def outline(path: Path) -> list[int]:
    """Levels of the headings, and numbers of rows, items and links."""
    text = pages.BLOCK.sub("", path.read_text(encoding="utf-8"))
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


# On torch, which compiles nothing: several small models are trained.
@pytest.mark.spread(over="torch")
@pytest.mark.parametrize("page", RUN)
def test_code_prints_what_the_page_shows(page, tmp_path, monkeypatch, minilm_by_name):
    monkeypatch.chdir(tmp_path)
    for name, shipped in FILES.get(page, {}).items():
        (tmp_path / name).symlink_to(ROOT / "examples" / "datasets" / shipped)
    found = printed_and_shown(DOCS / page)
    assert any(printed for printed, _ in found)
    assert [pair for pair in found if not alike(*pair)] == []


def test_another_output_is_seen(tmp_path):
    page = tmp_path / "page.md"
    page.write_text(
        "```python\nprint(1)\n```\nSo:\n```\n2\n```\n```bash\nls\n```\n", encoding="utf-8"
    )
    assert printed_and_shown(page) == [("1\n", "2\n")]
    page.write_text("```python\nx = 1\n```\n```bash\nls\n```\n", encoding="utf-8")
    assert printed_and_shown(page) == [("", "")]
    assert alike("f1 0.9\n", "f1 0.8\n")
    assert not alike("f1 0.9\n", "f1 0.6\n")
    assert not alike("", "1\n")


def test_pages_of_llms_txt_exist():
    text = (DOCS / "llms.txt").read_text(encoding="utf-8")
    links = re.findall(r"^- \[[^]]+\]\(([^)]+)\): \S", text, re.MULTILINE)
    assert len(links) > 20
    assert [link for link in links if not (DOCS / link).is_file()] == []
    assert text.startswith("# bert4keras\n\n> ")


def test_every_chinese_page_has_an_english_one():
    chinese = sorted(path.relative_to(DOCS).as_posix() for path in DOCS.rglob("*_zh.md"))
    # Some are compared with the English ones by other tests, such as tests/test_guides.py.
    assert {page.replace(".md", "_zh.md") for page in TRANSLATED} <= set(chinese)
    assert [page for page in chinese if not (DOCS / page.replace("_zh.md", ".md")).is_file()] == []


def test_the_first_page_has_the_code_of_the_readme():
    """The tests of the README run this code and compare what it prints."""
    readme = [without_comments(block) for block in blocks(ROOT / "README.md")]
    start = [without_comments(block) for block in blocks(DOCS / "index.md")]
    assert len(start) == 5
    assert start == readme[: len(start)]
