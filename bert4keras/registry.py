"""Model families by name, each imported when it is first asked for.

A family is a `Transformer` subclass, the tables of its checkpoints, and facts about its tokenizer
and its classes in transformers. Those of the package are listed in `families.MODULES`; any other is
added by `register_model`. This module imports none of them, so `checkpoints` and `tokenizers` look
families up here without depending on model code.
"""

from __future__ import annotations

import dataclasses
import importlib
from collections.abc import Callable, Iterable, Iterator, MutableMapping
from typing import TYPE_CHECKING, TypeVar

from .families import MODULES

if TYPE_CHECKING:
    from .checkpoints import WeightTable
    from .models.task_heads import TaskHeads
    from .models.transformer import Transformer
    from .tokenizers.defaults import TokenizerDefaults

_Value = TypeVar("_Value")
_Class = TypeVar("_Class", bound="type[Transformer]")
_MODULE_OF = {name: module for module, names in MODULES.items() for name in names.split()}
_NAMES_IN_ORDER = {name: place for place, name in enumerate(_MODULE_OF)}


def _import_family(name: str) -> None:
    """Import the module of one of the package's own families, which registers it."""
    if name in _MODULE_OF:
        importlib.import_module(f"{__package__}.families.{_MODULE_OF[name]}")


class FamilyMapping(MutableMapping[str, _Value]):
    """Values by family name; looking up a name imports its family, iterating imports all.

    The order is that of `families.MODULES`, then that of registration.
    """

    def __init__(self) -> None:
        self._values: dict[str, _Value] = {}

    def __getitem__(self, name: str) -> _Value:
        _import_family(name)
        return self._values[name]

    def __setitem__(self, name: str, value: _Value) -> None:
        _import_family(name)  # so that the import does not undo what is set here
        self._values[name] = value

    def __delitem__(self, name: str) -> None:
        del self._values[name]

    def __iter__(self) -> Iterator[str]:
        for name in _MODULE_OF:
            _import_family(name)
        return iter(self.imported())

    def __len__(self) -> int:
        return len(list(iter(self)))

    def names(self) -> list[str]:
        """Return all names that may have a value, without importing any."""
        return list(dict.fromkeys([*_MODULE_OF, *self._values]))

    def imported(self) -> list[str]:
        """Return the names of the families that have been imported, in order."""
        return sorted(
            self._values, key=lambda name: _NAMES_IN_ORDER.get(name, len(_NAMES_IN_ORDER))
        )


@dataclasses.dataclass(frozen=True)
class Family:
    """A registered family.

    Attributes:
        name: `model_type` of its configs.
        transformer: its `Transformer` class.
        tables: of its checkpoints, one for each format.
        heads: those of its classes in transformers; None if there are no such classes.
    """

    name: str
    transformer: type[Transformer]
    tables: tuple[WeightTable, ...]
    heads: TaskHeads | None = None


FAMILIES: FamilyMapping[Family] = FamilyMapping()
"""Name of a family -> its config and its model."""
TABLES: FamilyMapping[tuple[WeightTable, ...]] = FamilyMapping()
"""Name of a family -> the tables of names in its checkpoints."""
TOKENIZERS: FamilyMapping[TokenizerDefaults] = FamilyMapping()
CLASS_PREFIXES: FamilyMapping[str] = FamilyMapping()


def register_model(
    *names: str,
    tables: Iterable[WeightTable] | str | None = None,
    tokenizer: TokenizerDefaults | None = None,
    heads: TaskHeads | None = None,
    class_prefix: str | None = None,
) -> Callable[[_Class], _Class]:
    """Class decorator that makes a `Transformer` known as `model=name` and `model_type`.

    Args:
        *names: the family's names; the first is what a saved model says.
        tables: one checkpoint table per format; or the name of a family that has the same ones;
            None: those already registered under the first name, if any.
        tokenizer: facts about the tokenizer of models of the first name that its files leave open.
        heads: heads of the family's classes in transformers.
        class_prefix: beginning of the names of these classes (`"Roberta"`), for the first name.
    """
    if tables is not None and not isinstance(tables, str):
        register_tables(names[0], tables)
    if tokenizer is not None:
        TOKENIZERS[names[0]] = tokenizer
    if class_prefix is not None:
        CLASS_PREFIXES[names[0]] = class_prefix

    def register(cls: _Class) -> _Class:
        # Looked up here: of stacked decorators, all are evaluated before the first is applied.
        if isinstance(tables, str) and tables not in TABLES:
            raise ValueError(
                f"register_model({names[0]!r}, tables={tables!r}): no tables have that name. Pass "
                "the tables, or the name of a family that has some."
            )
        known = TABLES.get(tables if isinstance(tables, str) else names[0], ())
        for name in names:
            FAMILIES[name] = Family(name, cls, known, heads)
        return cls

    return register


def get_family(model: str | type[Transformer]) -> Family:
    """Return the family of a name, or of a `Transformer` class.

    Raises:
        ValueError: an unknown name; says what is known and how to add one.
    """
    if isinstance(model, type) and hasattr(model, "config_class"):
        registered = vars(model).get("form_of", model)  # a form of it that is used in its place
        known = [FAMILIES[name] for name in FAMILIES.imported()]
        known = [family for family in known if family.transformer is registered]
        if known:
            return dataclasses.replace(known[0], transformer=model)
        return Family(model.__name__, model, ())
    if not isinstance(model, str) or model not in FAMILIES:
        raise ValueError(
            f"unknown model {model!r}. Known: {', '.join(sorted(FAMILIES))}. One of your own is "
            "known once the module with its Transformer subclass, decorated with "
            "@bert4keras.models.register_model(name, tables=...), has been imported."
        )
    return FAMILIES[model]


def class_prefix(family: str) -> str:
    """Return the beginning of the names of a family's classes in transformers: "Roberta"."""
    return CLASS_PREFIXES.get(family, family.capitalize())


# Families with a language model in transformers -> end of the name of its class.
_LANGUAGE_MODEL_SUFFIXES = dict.fromkeys(("bert", "gpt2", "openai-gpt"), "LMHeadModel")
_LANGUAGE_MODEL_SUFFIXES |= dict.fromkeys(("t5", "mt5"), "ForConditionalGeneration")


def language_model_class(family: str) -> str | None:
    """Return the name of a family's language model in transformers, or None: "GPT2LMHeadModel"."""
    ending = _LANGUAGE_MODEL_SUFFIXES.get(family)
    return ending and class_prefix(family) + ending


def register_tables(family: str, tables: Iterable[WeightTable]) -> None:
    """Make tables known to `load`, `save` and `convert` when none are passed.

    A model keeps to the tables that its family was given by `register_model`. For a checkpoint in a
    format of your own, `load(model, directory, tables=[table])`, or register a family with it.

    Args:
        family: `model_type` of the family; registering it again replaces its tables.
        tables: one `WeightTable` for every checkpoint format.
    """
    TABLES[family] = tuple(tables)


def all_tables() -> tuple[WeightTable, ...]:
    """Return every registered table once, in the order of the families."""
    return tuple(dict.fromkeys(table for tables in TABLES.values() for table in tables))
