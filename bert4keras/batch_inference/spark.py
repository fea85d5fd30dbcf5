"""Answers to the texts of a Spark DataFrame: each Python worker loads the task once.

answered = spark.transform(frame, "names", column="title")
frame.select("title", spark.predict_udf("names")("title").alias("found"))
"""

from __future__ import annotations

import functools
import uuid
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from .predictor import ERROR, Predictor

if TYPE_CHECKING:
    from pandas import DataFrame as PandasDataFrame
    from pyspark.sql import DataFrame


def transform(
    frame: DataFrame,
    directory: str | Path,
    types: str | Mapping[str, str] = "string",
    **options: Any,
) -> DataFrame:
    """Add answers to a DataFrame, by `mapInPandas`.

        spark.transform(frame, "names", column="title")
        spark.transform(frame, "topics", types={"label": "string", "score": "double"})
        spark.transform(frame, "vectors", types="array<float>")

    Args:
        frame: DataFrame with one sample a row.
        directory: a saved task, or anything else that `tasks.load` takes. Every machine must be
            able to read it.
        types: type of the column of the answers in Spark; or, by name, of each of the `fields`.
        **options: of `Predictor`, except `fields`.

    Returns:
        A DataFrame with the columns of `frame`, the answers and, unless on_error="stop", the column
        `error`.

    Raises:
        ValueError: the frame has a column of such a name already.
    """
    from pyspark.sql.types import DataType, StringType, StructField, StructType

    named = {options.get("output", "answer"): types} if isinstance(types, str) else dict(types)
    fields = () if isinstance(types, str) else tuple(types)
    new = [StructField(name, DataType.fromDDL(kind)) for name, kind in named.items()]
    if options.get("on_error", "skip") == "skip":
        new.append(StructField(ERROR, StringType()))
    predictor = _in_each_worker(directory, fields=fields, **options)

    def predict(frames: Iterator[PandasDataFrame]) -> Iterator[PandasDataFrame]:
        import pandas

        for part in frames:
            found = predictor()({name: part[name].to_numpy() for name in part})
            yield pandas.DataFrame({name: _series(column) for name, column in found.items()})

    return frame.mapInPandas(predict, StructType([*frame.schema.fields, *new]))


def predict_udf(
    directory: str | Path, columns: int = 1, batch_size: int = 64, rows: int = 1024, **options: Any
) -> Callable[..., Any]:
    """Return a function of columns for `select` and SQL, by `predict_batch_udf`.

        ner = spark.predict_udf("names")
        frame.select("title", ner("title").answer)
        session.udf.register("ner", ner)          # SELECT ner(title).answer FROM ...

    Args:
        directory: as in `transform`.
        columns: number of columns that are its arguments, 2 for pairs of texts.
        batch_size: rows that the model reads at once.
        rows: rows that are answered together.
        **options: `threads` of `Predictor`.

    Returns:
        The function. Its values have the parts `answer`, a JSON text, and `error`, of which one is
        null.
    """
    from pyspark.ml.functions import predict_batch_udf
    from pyspark.sql.types import StructType

    names = [f"text{number}" for number in range(columns)]
    predictor = _in_each_worker(directory, column=names, batch_size=batch_size, **options)

    def make_function() -> Callable[..., dict[str, np.ndarray]]:
        def predict(*arrays: np.ndarray) -> dict[str, np.ndarray]:
            found = predictor()(dict(zip(names, arrays, strict=True)))
            return {name: found[name] for name in ("answer", ERROR)}

        return predict

    parts = StructType.fromDDL(f"answer string, {ERROR} string")
    return predict_batch_udf(make_function, return_type=parts, batch_size=rows)


def _in_each_worker(directory: str | Path, **options: Any) -> Callable[[], Predictor]:
    """Return a function that makes a `Predictor` when a process first calls it.

    Spark keeps its Python workers from one task, and one job, to the next. The key makes them load
    again what a later call of `transform` finds in the same directory.
    """
    fixed = {name: tuple(x) if isinstance(x, list) else x for name, x in options.items()}
    return functools.partial(_predictor, uuid.uuid4().hex, str(directory), tuple(fixed.items()))


@functools.lru_cache(maxsize=2)  # a job that compares two models keeps both
def _predictor(key: str, directory: str, options: tuple[tuple[str, Any], ...]) -> Predictor:
    return Predictor(directory, **dict(options))


def _series(column: np.ndarray) -> Any:
    """Return a column for pandas, in which each row of a matrix is one value."""
    return list(column) if column.ndim > 1 else column
