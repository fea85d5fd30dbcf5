"""The tables of every family, by family name."""

from __future__ import annotations

from collections.abc import Iterable

from ..table import WeightTable
from . import (
    albert,
    bert,
    deberta,
    distilbert,
    electra,
    ernie,
    gau,
    gpt,
    modernbert,
    roberta,
    roformer,
    t5,
)

TABLES: dict[str, tuple[WeightTable, ...]] = {
    "bert": bert.TABLES,
    "albert": albert.TABLES,
    "albert_unshared": albert.UNSHARED_TABLES,
    "albert_zh": albert.CHINESE_TABLES,
    "roberta": roberta.TABLES,
    "deberta-v2": deberta.TABLES,
    "distilbert": distilbert.TABLES,
    "electra": electra.TABLES,
    "electra_generator": electra.GENERATOR_TABLES,
    "ernie": ernie.TABLES,
    "gau_alpha": gau.TABLES,
    "modernbert": modernbert.TABLES,
    "nezha": roformer.NEZHA_TABLES,
    "roformer": roformer.TABLES,
    "roformer_v2": roformer.V2_TABLES,
    "t5": t5.TABLES,
    "mt5": t5.MT5_TABLES,
    "gpt": gpt.GPT_TABLES,
    "gpt2": gpt.GPT2_TABLES,
    "gpt2_ml": gpt.GPT2_ML_TABLES,
}


def register_tables(family: str, tables: Iterable[WeightTable]) -> None:
    """Make tables known to `load`, `save` and `convert` when none are passed.

    Args:
        family: `model_type` of the family; registering it again replaces its tables.
        tables: one `WeightTable` for every checkpoint format.
    """
    TABLES[family] = tuple(tables)


def all_tables() -> tuple[WeightTable, ...]:
    """Every registered table, in the order of registration."""
    return tuple(dict.fromkeys(table for tables in TABLES.values() for table in tables))
