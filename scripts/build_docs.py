"""Build the documentation site: `scripts/build_docs` runs this in its environment.

The pages are collected in build/docs, from docs/, from files that these link to and, for the
reference, from docstrings; mkdocs then makes site/ of them. In strict mode a broken link is an
error; so are a public name without a docstring and a page that loads anything from elsewhere.
"""

from __future__ import annotations

import argparse
import logging
import os
import re
import shutil
import sys
from pathlib import Path

from documentation import pages, reference

ROOT = pages.ROOT
# Something that a browser loads from another place when it opens a page.
EXTERNAL = re.compile(
    r"<(?:script|img|iframe|source)\b[^>]*\bsrc=[\"']?(?:https?:)?//[^>]*>"
    r"|<link\b(?![^>]*rel=[\"']?canonical)[^>]*\bhref=[\"']?(?:https?:)?//[^>]*>"
    r"|\burl\([\"']?(?:https?:)?//[^)]*\)|@import[^;]*//[^;]*;"
)
SHIM = re.compile(r'<script src="https://unpkg.com/iframe-worker/shim"></script>')
# What the theme says in English, on Chinese pages.
CHINESE = {
    '<html lang="en"': '<html lang="zh-Hans"',
    "Table of contents": "目录",
    'placeholder="Search"': 'placeholder="搜索"',
}
REFERENCE = "  - Reference: reference/index.md\n"


def collect(folder: Path) -> list[str]:
    """Write all pages and other files of the site into a folder, and the config beside it.

    Returns:
        what is wrong with the docstrings of public names.
    """
    config = (ROOT / "scripts" / "documentation" / "mkdocs.yml").read_text(encoding="utf-8")
    if config.count(REFERENCE) != 1:
        raise SystemExit(f"error: mkdocs.yml does not have the line {REFERENCE.strip()!r} once")
    if folder.exists():
        shutil.rmtree(folder)
    ignore = shutil.ignore_patterns("*.md")
    shutil.copytree(ROOT / "docs", folder, ignore=ignore)
    package = reference.load_package()
    modules = sorted(reference.public_modules(package), key=lambda module: module.path)
    texts = pages.pages_of_repository()
    texts |= {module.page: module.markdown() for module in modules}
    texts["reference/index.md"] = reference.index(modules)
    for name, text in texts.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    section = "".join(f"      - {m.path}: {m.page}\n" for m in modules)
    section = f"  - Reference:\n      - reference/index.md\n{section}"
    (folder.parent / "mkdocs.yml").write_text(config.replace(REFERENCE, section), encoding="utf-8")
    return reference.problems(package, modules)


def finish(site: Path) -> list[str]:
    """Finish the pages that mkdocs wrote, and return what they load from elsewhere."""
    found = []
    for path in sorted(site.rglob("*.html")):
        text = path.read_text(encoding="utf-8")
        to_root = os.path.relpath(site, path.parent)
        text = SHIM.sub(f'<script src="{to_root}/assets/offline_search.js"></script>', text)
        if path.stem.endswith("_zh"):
            for english, chinese in CHINESE.items():
                text = text.replace(english, chinese)
        path.write_text(text, encoding="utf-8")
        found += external(text, path.relative_to(site).as_posix())
    for path in sorted(site.rglob("*.css")):
        found += external(path.read_text(encoding="utf-8"), path.relative_to(site).as_posix())
    return found


def external(text: str, name: str) -> list[str]:
    """Return what a page or a style sheet loads from another place."""
    return [f"{name} loads from elsewhere: {found[0]}" for found in EXTERNAL.finditer(text)]


def build(site: Path) -> None:
    """Build the site.

    Args:
        site: folder that is replaced.

    Raises:
        SystemExit: a problem of a docstring, a link or a page.
    """
    import jieba
    from mkdocs.commands.build import build as run_mkdocs
    from mkdocs.config import load_config
    from mkdocs.exceptions import Abort

    jieba.setLogLevel(logging.WARNING)  # it cuts Chinese texts for the search
    folder = ROOT / "build" / "documentation"
    problems = collect(folder / "docs")
    config = load_config(str(folder / "mkdocs.yml"), site_dir=str(site))
    try:
        run_mkdocs(config)
    except Abort as error:
        problems.append(str(error))
    else:
        problems += finish(site)
    for problem in problems:
        print(f"error: {problem}", file=sys.stderr)
    if problems:
        raise SystemExit(1)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--site", type=Path, default=ROOT / "site", help="folder of the result")
    # Material announces its successor on every build.
    os.environ.setdefault("NO_MKDOCS_2_WARNING", "1")
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(message)s")
    site = parser.parse_args().site.resolve()
    build(site)
    print(f"{site / 'index.html'}")


if __name__ == "__main__":
    main()
