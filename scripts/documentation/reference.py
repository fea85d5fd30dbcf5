"""The reference of the site: a page for each public module, with every name that it exports.

The source is read by griffe, not imported, so the site is built without Keras or a backend.
"""

from __future__ import annotations

import ast
from dataclasses import dataclass, field
from pathlib import Path

import griffe

ROOT = Path(__file__).resolve().parents[2]
# Modules whose names no package exports again.
MODULES = (
    "config",
    "positions",
    "registry",
    "saving",
    "tasks.answers",
    "tasks.isolation",
    "tasks.threshold_search",
    "tasks.thresholds",
    "backend",
    "snippets",
)
# Packages that are described elsewhere: commands in docs/cli.md, families in docs/models.md.
LEFT_OUT = ("cli", "families", "families.t5")
# Names that a module makes when they are first asked for, which griffe cannot see.
LAZY = {
    "bert4keras.generation.AutoRegressiveDecoder": (
        "bert4keras.generation.autoregressive.AutoRegressiveDecoder"
    ),
    "bert4keras.models.BERT": "bert4keras.families.bert.BERT",
}
# Methods that Keras calls and describes.
KERAS_METHODS = frozenset(
    """build build_from_config call compile_from_config compute_loss compute_mask compute_metrics
    compute_output_shape compute_output_spec finalize_variable_values from_config get_build_config
    get_config on_epoch_begin on_epoch_end on_test_begin on_test_end on_train_batch_begin
    on_train_batch_end on_train_begin on_train_end predict predict_step set_model set_params
    test_step train_step update_step""".split()
)
OPTIONS = """
::: {path}
    options:
      members: {members}
      show_root_heading: {heading}
      show_root_toc_entry: {heading}
"""


@dataclass
class Module:
    """A public module and the names that it exports.

    Attributes:
        path: dotted name.
        summary: first line of its docstring.
        own: names that its page describes.
        elsewhere: name -> dotted name of the object, for those that another page describes.
    """

    path: str
    summary: str
    own: list[str] = field(default_factory=list)
    elsewhere: dict[str, str] = field(default_factory=dict)

    @property
    def page(self) -> str:
        """Path of the page in the site."""
        return f"reference/{self.path.partition('.')[2] or 'bert4keras'}.md"

    def markdown(self) -> str:
        """Return the text of the page."""
        lines = [f"# {self.path}\n"]
        direct = [name for name in self.own if f"{self.path}.{name}" not in LAZY]
        lines.append(OPTIONS.format(path=self.path, members=direct, heading="false"))
        for name in sorted({*self.own} - {*direct}):
            target = LAZY[f"{self.path}.{name}"]
            lines.append(OPTIONS.format(path=target, members="true", heading="true"))
        if self.elsewhere:
            lines.append("\n## Names described on other pages {.elsewhere}\n")
            links = (f"[`{name}`][{path}]" for name, path in sorted(self.elsewhere.items()))
            lines += [f"- {link}" for link in links]
        return "\n".join(lines) + "\n"


def load_package() -> griffe.Module:
    """Return what griffe reads of the package."""
    return griffe.load("bert4keras", search_paths=[str(ROOT)], docstring_parser="google")


def _packages(module: griffe.Module) -> list[griffe.Module]:
    """Return a package and the public packages in it."""
    inner = (m for m in module.modules.values() if m.is_init_module and m.name[0] != "_")
    return [module, *(found for m in inner for found in _packages(m))]


def _exports(module: griffe.Module) -> list[str]:
    """Return the public names of a module: `__all__`, or what it defines."""
    if module.path == "bert4keras":
        table = module.members["_EXPORTS"].value
        return sorted(ast.literal_eval(str(table)))
    if module.exports is None:
        found = (m for m in module.members.values() if not m.is_alias)
        return [m.name for m in found if m.name[0] != "_" and (m.is_class or m.is_function)]
    names = [name for name in map(str, module.exports) if name[0] != "_"]
    # `from bert4keras.backend import keras` is of old scripts.
    return [name for name in names if not _is_foreign(module.members.get(name))]


def _is_foreign(member: griffe.Object | griffe.Alias | None) -> bool:
    return (
        member is not None and member.is_alias and member.target_path.split(".")[0] != "bert4keras"
    )


def public_modules(package: griffe.Module) -> list[Module]:
    """Return the public modules, each name described by the one nearest to its definition."""
    sources = [m for m in _packages(package) if m.path.partition(".")[2] not in LEFT_OUT]
    sources += [package[name] for name in MODULES]
    exports = {m.path: _exports(m) for m in sources}
    homes: dict[str, str] = {}  # object -> the longest, so the nearest, module that exports it
    # Single modules first, or the old import paths would describe what a package exports.
    packages = {m.path for m in sources if m.is_init_module} - {"bert4keras"}
    for path in sorted(exports, key=lambda path: (path in packages, len(path))):
        homes |= {target_of(package, path, name): path for name in exports[path]}
    found = []
    for source in sources:
        summary = source.docstring.value.partition("\n")[0] if source.docstring else ""
        module = Module(source.path, summary)
        for name in exports[source.path]:
            home = homes[target_of(package, source.path, name)]
            if home == source.path:
                module.own.append(name)
            else:
                module.elsewhere[name] = f"{home}.{name}"
        # Constants last: a reader looks for classes and functions.
        module.own.sort(key=lambda name: _is_constant(package, module.path, name))
        found.append(module)
    return found


def _is_constant(package: griffe.Module, path: str, name: str) -> bool:
    return package[target_of(package, path, name).partition(".")[2]].is_attribute


def target_of(package: griffe.Module, path: str, name: str) -> str:
    """Return the dotted name of the object that `path.name` is."""
    if path == "bert4keras":
        table = ast.literal_eval(str(package.members["_EXPORTS"].value))
        path = f"bert4keras.{table[name]}"
    if f"{path}.{name}" in LAZY:
        return LAZY[f"{path}.{name}"]
    found = package if path == "bert4keras" else package[path.partition(".")[2]]
    member = found.members[name]
    return member.final_target.path if member.is_alias else member.path


def _described(owner: griffe.Class, method: str) -> bool:
    """Tell whether Keras, or a base class of the package, describes a method."""
    if method in KERAS_METHODS:
        return True
    return any(
        method in base.members and base.members[method].has_docstring for base in owner.mro()
    )


def problems(package: griffe.Module, modules: list[Module]) -> list[str]:
    """Return what is wrong with the docstrings of public names, a sentence each."""
    found = []
    for module in modules:
        for name in module.own:
            path = target_of(package, module.path, name)
            target = package[path.partition(".")[2]]
            if not target.has_docstring:
                found.append(f"{path} has no docstring")
            members = target.members.values() if target.is_class else ()
            methods = [m for m in members if m.is_function and m.name[0] != "_"]
            for method in methods:
                if not method.has_docstring and not _described(target, method.name):
                    found.append(f"{method.path} has no docstring")
            for function in [target, *methods]:
                found += _unknown_parameters(function)
    return sorted(set(found))


def _unknown_parameters(target: griffe.Class | griffe.Function) -> list[str]:
    """Name the parameters that a docstring describes and the signature lacks."""
    if not target.has_docstring or not (target.is_class or target.is_function):
        return []
    known = {parameter.name for parameter in target.parameters}
    if any(p.kind is griffe.ParameterKind.var_keyword for p in target.parameters):
        return []  # they may be options that another function takes
    sections = target.docstring.parse("google", warn_unknown_params=False, warnings=False)
    found = []
    for section in sections:
        if section.kind is not griffe.DocstringSectionKind.parameters:
            continue
        named = (name for item in section.value for name in item.name.split(", "))
        found += [name for name in named if name.lstrip("*") not in known]
    return [f"{target.path} describes {name}, which is no parameter" for name in found]


def index(modules: list[Module]) -> str:
    """Return the first page of the reference: the modules."""
    lines = ["# Reference\n", "Every public name, by module.\n"]
    lines += ["| Module | Contents |", "|---|---|"]
    for module in modules:
        page = module.page.removeprefix("reference/")
        lines.append(f"| [`{module.path}`]({page}) | {module.summary} |")
    return "\n".join(lines) + "\n"
