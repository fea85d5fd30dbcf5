"""Answers to the texts of a data set that engines spread over processes and machines.

    dataset.map_batches(Predictor, fn_constructor_args=("names",), ...)   # Ray Data
    spark.transform(frame, "names")                                       # Spark

`names` is the directory of a saved task. Neither engine is imported before it is used; both are
shown in docs/batch.md.
"""

from __future__ import annotations

from . import spark
from .predictor import Predictor

__all__ = ["Predictor", "spark"]
