"""Pages of the site that are not in docs/: files of the repository that pages link to.

In the repository a link leads to a file, such as `../examples/task_ner_crf.py`; in the site it
leads to the page that shows this file.
"""

from __future__ import annotations

import posixpath
import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
LINK = re.compile(r"(?<=\]\()([^)\s#]+)(#[^)\s]*)?(?=\))")
BLOCK = re.compile(r"^( *)(```|~~~).*?^\1\2 *$", re.MULTILINE | re.DOTALL)
# File of the repository -> its page. The site has its own first pages in place of the READMEs.
PAGES = {
    "CHANGELOG.md": "changelog.md",
    "CONTRIBUTING.md": "contributing.md",
    ".github/SECURITY.md": "security.md",
    "examples/README.md": "examples/index.md",
    "examples/datasets/README.md": "examples/datasets.md",
    "bert4keras/pretrained/bert-mini-zh-en/README.md": "bert_mini_zh_en.md",
}
FIRST_PAGES = {"README.md": "index.md", "README_zh.md": "index_zh.md"}


def page_of(path: str) -> str:
    """Return the page that shows a file of the repository."""
    known = PAGES | FIRST_PAGES
    if path.startswith("docs/"):
        return path.removeprefix("docs/")
    return known.get(path) or f"source/{path}.md"


def linked_file(link: str, source: str) -> str | None:
    """Return the file of the repository that a relative link in `source` means, if it exists."""
    if ":" in link or link.startswith("/"):
        return None
    path = posixpath.normpath(posixpath.join(posixpath.dirname(source), link))
    return path if (ROOT / path).is_file() else None


def linked_files(text: str, source: str) -> set[str]:
    """Return the files of the repository that a page links to."""
    links = LINK.findall(BLOCK.sub("", text))
    return {path for link, _ in links if (path := linked_file(link, source))}


def rewrite_links(text: str, source: str, page: str) -> str:
    """Point the links of a page to pages, where they point to files of the repository.

    Args:
        text: Markdown of the page; its blocks of code stay as they are.
        source: the file of the repository that it comes from.
        page: path of the page in the site.
    """

    def replace(link: re.Match) -> str:
        path = linked_file(link[1], source)
        if not path:
            return link[0]
        target = posixpath.relpath(page_of(path), posixpath.dirname(page) or ".")
        return target + (link[2] or "")

    parts, end = [], 0
    for block in BLOCK.finditer(text):
        parts += [LINK.sub(replace, text[end : block.start()]), block[0]]
        end = block.end()
    return "".join([*parts, LINK.sub(replace, text[end:])])


def code_page(path: str) -> str:
    """Return the page of a file that is not Markdown."""
    text = (ROOT / path).read_text(encoding="utf-8")
    language = "python" if path.endswith(".py") else ""
    return (
        f"---\nsearch:\n  exclude: true\n---\n# {path}\n\n`````{language}\n{text.rstrip()}\n`````\n"
    )


def pages_of_repository() -> dict[str, str]:
    """Return the text of each page that comes from a file: of docs/, of PAGES, or linked to."""
    docs = (path.relative_to(ROOT).as_posix() for path in sorted((ROOT / "docs").rglob("*.md")))
    texts = {name: (ROOT / name).read_text(encoding="utf-8") for name in [*docs, *PAGES]}
    pages = {
        page_of(name): rewrite_links(text, name, page_of(name)) for name, text in texts.items()
    }
    linked = set().union(*(linked_files(text, name) for name, text in texts.items()))
    for path in sorted(linked - {*texts, *FIRST_PAGES}):
        if page_of(path).startswith("source/"):
            pages[page_of(path)] = code_page(path)
    return pages
