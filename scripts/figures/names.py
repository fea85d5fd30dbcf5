"""Names with two meanings, exports that nothing uses, absolute imports."""

from __future__ import annotations

import ast
import re
import tokenize
from collections import defaultdict
from collections.abc import Iterable

from .source import FUNCTIONS, Place, Source

# The import paths of bert4keras on Keras 2, which repeat names on purpose.
FACADES = ("bert4keras/backend.py", "bert4keras/snippets.py", "bert4keras/legacy/")
LEFT_OUT = (*FACADES, "bert4keras/_compat/")
CODE = re.compile(r"```.*?```|`[^`\n]+`", re.DOTALL)


def definitions(source: Source) -> dict[str, int]:
    """Return the line of each function, class and value that a module defines at top level.

    A re-export under the same name (`load = transfer.load`) and dunder names are left out.
    """
    found: dict[str, int] = {}
    for node in source.tree.body:
        if isinstance(node, (ast.ClassDef, *FUNCTIONS)):
            names = [node.name]
        elif isinstance(node, (ast.Assign, ast.AnnAssign)):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            parts = [part for target in targets for part in ast.walk(target)]
            names = [part.id for part in parts if isinstance(part, ast.Name)]
            if isinstance(node.value, ast.Attribute):
                names = [name for name in names if name != node.value.attr]
        else:
            continue
        found.update((name, node.lineno) for name in names if not name.startswith("__"))
    return found


def repeated_names(sources: Iterable[Source], private: bool = False) -> list[Place]:
    """Return the top-level names that two or more modules define: the public ones or the others.

    `logger`, of the module that has one, and `command`, of each module of the command line, are no
    second meaning.
    """
    rule = "repeated-private-name" if private else "repeated-name"
    where: dict[str, list[tuple[str, int]]] = defaultdict(list)
    for source in sources:
        if not source.path.startswith(FACADES):
            for name, line in definitions(source).items():
                where[name].append((source.path, line))
    return [
        Place(rule, *places[0], f"{name}, also {_listed(places[1:])}")
        for name, places in sorted(where.items())
        if len(places) > 1 and name.startswith("_") == private and name not in ("logger", "command")
    ]


def _listed(places: list[tuple[str, int]]) -> str:
    return ", ".join(f"{path}:{line}" for path, line in places)


def mentions(source: Source) -> set[str]:
    """Return the identifiers that a file mentions.

    In Python: names in code and in strings such as "a.b", not in prose. In an `__init__.py`: only
    what its code uses, since handing a name on is no use of it. In a page: every word.
    """
    if not source.path.endswith(".py"):
        return set(re.findall(r"\w+", source.text))
    if source.path.endswith("__init__.py"):
        return {node.id for node in ast.walk(source.tree) if isinstance(node, ast.Name)}
    found = {token.string for token in source.tokens if token.type == tokenize.NAME}
    for node in ast.walk(source.tree):
        text = node.value if isinstance(node, ast.Constant) else None
        if isinstance(text, str) and re.fullmatch(r"[\w.:]+", text):
            found.update(re.findall(r"\w+", text))
    return found


def unused_exports(sources: Iterable[Source], users: Iterable[Source]) -> list[Place]:
    """Return the public top-level names that no other file mentions.

    Args:
        sources: modules of the package.
        users: tests, examples, scripts and pages.

    A class that is registered with Keras or a task is used by its registration.
    """
    sources = list(sources)
    used = defaultdict(set)  # files that mention a name
    for source in [*sources, *users]:
        for name in mentions(source):
            used[name].add(source.path)
    found = []
    for source in sources:
        if source.path in FACADES:
            continue
        registered = {
            node.name
            for node in source.tree.body
            if isinstance(node, (ast.ClassDef, *FUNCTIONS)) and node.decorator_list
        }
        for name, line in definitions(source).items():
            public = not name.startswith("_") and name not in registered
            if public and not used[name] - {source.path}:
                found.append(Place("unused-export", source.path, line, name))
    return found


def exports(source: Source) -> dict[str, int]:
    """Return the line of each name in the `__all__` of a module, or in the dict it is made of.

    Names that are added when the module runs are left out.
    """
    values = {
        target.id: node.value
        for node in source.tree.body
        if isinstance(node, ast.Assign)
        for target in node.targets
        if isinstance(target, ast.Name)
    }
    listed = values.get("__all__")
    if isinstance(listed, ast.Call):  # sorted(_EXPORTS)
        listed = next((values.get(a.id) for a in listed.args if isinstance(a, ast.Name)), None)
    nodes = listed.elts if isinstance(listed, (ast.List, ast.Tuple)) else []
    nodes = listed.keys if isinstance(listed, ast.Dict) else nodes
    return {str(n.value): n.lineno for n in nodes if isinstance(n, ast.Constant)}


def undocumented_exports(sources: Iterable[Source], readable: Iterable[Source]) -> list[Place]:
    """Return the exported names that no page, example, script or notebook mentions.

    A name that only the reference lists is not found by those who need it, or is no name for them:
    then it is not exported. Of pages only code counts: prose about a loss does not mention `loss`.

    Left out are private modules, and, since the page on migrating tells of them as a whole, the
    import paths of bert4keras 0.11 and the layers of Keras that `bert4keras.layers` adds to them.

    Args:
        sources: modules of the package.
        readable: pages, examples, scripts and notebooks.
    """
    used: set[str] = set()
    for source in readable:
        if source.path.endswith(".md"):
            used.update(re.findall(r"\w+", " ".join(CODE.findall(source.text))))
        else:
            used |= mentions(source)
    return [
        Place("undocumented-export", source.path, line, name)
        for source in sources
        if not source.path.startswith(LEFT_OUT)
        for name, line in exports(source).items()
        if name not in used
    ]


def absolute_imports(sources: Iterable[Source]) -> list[Place]:
    """Return the imports of the package by its full name, inside it."""
    found = []
    for source in sources:
        for node in ast.walk(source.tree):
            if isinstance(node, ast.ImportFrom) and not node.level:
                names = [node.module or ""]
            elif isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            else:
                continue
            found += [
                Place("absolute-import", source.path, node.lineno, f"imports {name}")
                for name in names
                if name.split(".")[0] == "bert4keras"
            ]
    return found
