"""Source files, and the lines, docstrings and comments in them."""

from __future__ import annotations

import ast
import dataclasses
import functools
import io
import json
import tokenize
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)
NOT_CODE = {tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT}
NOT_CODE |= {tokenize.ENDMARKER, tokenize.ENCODING}


@dataclasses.dataclass(frozen=True)
class Place:
    """A place that breaks a rule.

    Attributes:
        rule: name of the rule.
        path: the file, relative to the root of the repository.
        line: number of the line.
        text: what was found there.
    """

    rule: str
    path: str
    line: int
    text: str


@dataclasses.dataclass(frozen=True)
class Source:
    """Text of a Python file.

    Attributes:
        path: the file, relative to the root of the repository.
        text: its content.
    """

    path: str
    text: str

    @functools.cached_property
    def tree(self) -> ast.Module:
        return ast.parse(self.text)

    @functools.cached_property
    def tokens(self) -> list[tokenize.TokenInfo]:
        return list(tokenize.generate_tokens(io.StringIO(self.text).readline))

    @property
    def folder(self) -> str:
        """The folder in the package, such as "layers"; "" for a module beside `__init__.py`."""
        parts = Path(self.path).parts
        return parts[1] if len(parts) > 2 else ""

    @functools.cached_property
    def docstrings(self) -> list[tuple[ast.AST, ast.Constant]]:
        """Each module, class and function that has a docstring, with the node of it."""
        found = []
        for node in ast.walk(self.tree):
            if isinstance(node, (ast.Module, ast.ClassDef, *FUNCTIONS)) and node.body:
                first = node.body[0]
                value = first.value if isinstance(first, ast.Expr) else None
                if isinstance(value, ast.Constant) and isinstance(value.value, str):
                    found.append((node, value))
        return found

    @functools.cached_property
    def code_lines(self) -> frozenset[int]:
        """Numbers of the lines that are code: no blank line, comment or docstring."""
        prose = {
            line
            for _, node in self.docstrings
            for line in range(node.lineno, (node.end_lineno or node.lineno) + 1)
        }
        code: set[int] = set()
        for token in self.tokens:
            if token.type not in NOT_CODE:
                code.update(range(token.start[0], token.end[0] + 1))
        return frozenset(code - prose)

    def functions(self) -> Iterator[tuple[ast.AST | None, ast.FunctionDef]]:
        """Yield (class or function around it, function) of every function in the file."""
        pending: list[tuple[ast.AST | None, ast.AST]] = [(None, self.tree)]
        while pending:
            around, node = pending.pop()
            for child in ast.iter_child_nodes(node):
                if isinstance(child, FUNCTIONS):
                    yield around, child
                scope = isinstance(child, (ast.ClassDef, *FUNCTIONS))
                pending.append((child if scope else around, child))


def read(path: Path) -> Source:
    """Return the source file `path`."""
    return Source(path.relative_to(ROOT).as_posix(), path.read_text(encoding="utf-8"))


@functools.cache
def package() -> tuple[Source, ...]:
    """Return the source files of the package."""
    return tuple(map(read, sorted((ROOT / "bert4keras").rglob("*.py"))))


@functools.cache
def surroundings() -> tuple[Source, ...]:
    """Return the Python files that use the package: tests, examples and scripts."""
    folders = ("tests", "examples", "scripts")
    return tuple(read(path) for name in folders for path in sorted((ROOT / name).rglob("*.py")))


@functools.cache
def pages() -> tuple[Source, ...]:
    """Return the pages of documentation."""
    paths = [*ROOT.glob("README*.md"), ROOT / "CONTRIBUTING.md", ROOT / "examples" / "README.md"]
    paths += sorted((ROOT / "docs").rglob("*.md"))
    return tuple(read(path) for path in paths if path.exists())


@functools.cache
def notebooks() -> tuple[Source, ...]:
    """Return the notebooks, each as the text of its cells, without their outputs."""
    found = []
    for path in sorted((ROOT / "examples").rglob("*.ipynb")):
        cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
        text = "\n\n".join("".join(cell["source"]) for cell in cells)
        found.append(Source(path.relative_to(ROOT).as_posix(), text))
    return tuple(found)
