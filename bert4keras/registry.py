"""Families by name: which builder and which checkpoint tables belong to a `model_type`."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from .checkpoints import TABLES, WeightTable, register_tables

if TYPE_CHECKING:
    from .models.transformer import Transformer


@dataclasses.dataclass(frozen=True)
class Family:
    """A registered family: its name, its `Transformer` class and its checkpoint tables."""

    name: str
    transformer: type[Transformer]
    tables: tuple[WeightTable, ...]


FAMILIES: dict[str, Family] = {}


def register_model(
    *names: str, tables: Iterable[WeightTable] | str | None = None
) -> Callable[[type[Transformer]], type[Transformer]]:
    """Class decorator that makes a `Transformer` known as `model=name` and `model_type`.

    Args:
        *names: the family's names; the first is what a saved model says.
        tables: one checkpoint table per format; or the name of a family that has the same ones;
            None: those already registered under the first name, if any.
    """
    shares = tables if isinstance(tables, str) else names[0]
    if tables is not None and shares is not tables:
        register_tables(names[0], tables)
    known = TABLES.get(shares, ())

    def register(cls: type[Transformer]) -> type[Transformer]:
        for name in names:
            FAMILIES[name] = Family(name, cls, known)
        return cls

    return register


def get_family(model: str | type[Transformer]) -> Family:
    """The family of a name, or of a `Transformer` class.

    Raises:
        ValueError: an unknown name; says what is known and how to add one.
    """
    if isinstance(model, type) and hasattr(model, "config_class"):
        known = [family for family in FAMILIES.values() if family.transformer is model]
        return known[0] if known else Family(model.__name__, model, ())
    if model not in FAMILIES:
        raise ValueError(
            f"unknown model {model!r}. Known: {', '.join(sorted(FAMILIES))}. Another one is added "
            "with @bert4keras.models.register_model(name, tables=...) on a Transformer subclass."
        )
    return FAMILIES[model]
