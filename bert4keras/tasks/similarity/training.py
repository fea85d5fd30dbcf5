"""Training of sentence encoders: which model for which samples, and their batches."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import keras
import numpy as np

from ...data import DataGenerator
from ...tokenizers import TruncationWarning
from ..base import Encoded, TaskError
from .models import contrastive_model, cosine_model

_CONTRASTIVE = {"simcse": 1, "pairs": 2, "triples": 3}  # texts of a sample
OBJECTIVES = ("cosent", *_CONTRASTIVE)


def training_model(
    encoder: keras.Model, objective: str, scale: float, symmetric: bool
) -> keras.Model:
    """See `SentenceEncoder.training_model`."""
    if objective == "cosent":
        return cosine_model(encoder)
    if objective not in _CONTRASTIVE:
        raise TaskError(f"objective={objective!r} must be one of {', '.join(OBJECTIVES)}.")
    return contrastive_model(encoder, _CONTRASTIVE[objective], scale, symmetric)


def _texts_of(sample: Any) -> tuple[tuple[str, ...], float | None]:
    """Return the texts of a training sample and its score, None if it has none.

    Raises:
        TaskError: a sample of another shape.
    """
    if isinstance(sample, str):
        return (sample,), None
    if isinstance(sample, (tuple, list)) and len(sample) > 1:
        if all(isinstance(part, str) for part in sample):
            return tuple(sample), None
        return scored_pair(sample)
    raise TaskError(
        f"a sample is a text, a tuple of texts, or ((first, second), score), not {sample!r:.80}."
    )


def scored_pair(sample: Any) -> tuple[tuple[str, str], float]:
    """Return two texts and a finite score.

    Raises:
        TaskError: something else.
    """
    try:
        (first, second), score = sample
        if isinstance(first, str) and isinstance(second, str) and math.isfinite(score):
            return (first, second), float(score)
    except (TypeError, ValueError):
        pass
    raise TaskError(f"a scored pair is ((first, second), number), not {sample!r:.80}.")


def training_batches(
    samples: Sequence[Any],
    encode: Callable[[str, int], Encoded],
    padding: Sequence[float],
    options: Mapping[str, Any],
) -> DataGenerator:
    """Return the batches whose inputs are those of every text of a sample, one text after another.

    Args:
        samples: as in `SentenceEncoder.batches`; all of one kind.
        encode: encodes a text, given its place in the sample.
        padding: of the inputs of one text.
        options: of `DataGenerator`.
    """
    rows, long, kinds = [], 0, set()
    for sample in samples:
        texts, score = _texts_of(sample)
        kinds.add((len(texts), score is None))
        if len(kinds) > 1:
            raise TaskError(
                "some samples have another number of texts than others, or no score; the first "
                f"one of them is {sample!r:.80}."
            )
        encoded = [encode(text, k) for k, text in enumerate(texts)]
        long += sum(len(one.rows) > 1 for one in encoded)
        inputs = tuple(np.asarray(values) for one in encoded for values in one.rows[0])
        rows.append((inputs,) if score is None else (inputs, np.array([score], "float32")))
    if long:
        warnings.warn(
            f"{long} texts are longer than the model reads at once; training sees the beginning of "
            "each. Give a larger maxlen, or cut the texts.",
            TruncationWarning,
            stacklevel=3,
        )
    count = next(iter(kinds))[0] if kinds else 1
    return DataGenerator(rows, encode=lambda row: row, pad_value=tuple(padding) * count, **options)
