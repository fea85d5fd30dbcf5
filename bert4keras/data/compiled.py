"""Refuse batches that the model which gets them would misread: padding of ids and of labels."""

from __future__ import annotations

import weakref
from collections.abc import Sequence
from typing import Any, NamedTuple

import keras
import numpy as np

from bert4keras._compat import TrainerCall, compiled_with, keras_mask, padding_ids
from bert4keras.data.collate import Collator, flatten, is_sample

_PADDING: weakref.WeakKeyDictionary[keras.Model, list] = weakref.WeakKeyDictionary()


class Marks(NamedTuple):
    """What of the labels of an output says "no label here".

    Attributes:
        padding: with what they were padded, below 0; None: they were not.
        negative: integers below 0 that they had before.
    """

    padding: int | None
    negative: frozenset[int]

    @property
    def numbers(self) -> set[int]:
        return set(self.negative) | ({self.padding} if self.padding is not None else set())


def check_batch(call: TrainerCall | None, batch: Any, collator: Collator | None) -> None:
    """Refuse a batch that the model of a call would misread.

    Args:
        call: the running `fit`, `evaluate` or `predict`, if there is one.
        batch: of arrays.
        collator: that made it; None: somebody else did.

    Raises:
        ValueError: see the checks below.
    """
    if call is None:
        return
    labels = labels_of(batch)
    check_token_padding(call, batch, collator and collator.padded(batch))
    if call.name != "predict":
        marks = [Marks(*m) for m in collator.label_marks(batch)] if collator else marks_of(labels)
        check_labels(call, labels, marks)
        check_class_weight(call, labels)


def check_token_padding(call: TrainerCall, batch: Any, padded: Sequence[int | None] | None) -> None:
    """Refuse token ids that are padded with a token of the model.

    Args:
        call: whose model gets the batch.
        batch: of arrays.
        padded: the padding of each array, None where its size does not vary; None for a batch made
            elsewhere, of which the last column tells: no text ends in token 0, but padding does.

    Raises:
        ValueError: padding that the model takes for text.
    """
    wanted = _PADDING.get(call.model)
    if wanted is None:
        wanted = _PADDING[call.model] = padding_ids(call.model)
    inputs = batch[0] if isinstance(batch, tuple) else batch
    names = [tensor.name for tensor in call.model.inputs] if wanted else []
    by_name = dict(zip(names, wanted, strict=True))
    leaves = flatten(inputs)
    if isinstance(inputs, dict):
        names = [str(name) for name in inputs]
    for place, (name, leaf) in enumerate(zip(names, leaves, strict=False)):
        pad = by_name.get(name)
        if pad is None:
            continue
        if padded is not None:
            wrong = padded[place] is not None and padded[place] != pad
            used = padded[place]
        else:
            leaf = np.asarray(leaf)
            used, wrong = 0, pad != 0 and leaf.ndim == 2 and bool((leaf[:, -1] == 0).any())
        if wrong:
            values = ", ".join(str(by_name.get(other) or 0) for other in names)
            raise ValueError(
                f"input {place} ({name!r}) is padded with {used}, which is a token of "
                f"{call.model.name!r}: its padding id is {pad}. Give DataGenerator("
                f"pad_value=({values})), one value for each input, or pad_value=tokenizer; where "
                f"sequence_padding makes the batch, sequence_padding(ids, value={pad})."
            )


def check_labels(call: TrainerCall, labels: Any, marks: Sequence[Marks]) -> None:
    """Refuse labels below 0 for losses and metrics of Keras that take them for labels.

    Args:
        call: a `fit` or `evaluate`.
        labels: of a batch, in their structure.
        marks: of each array of them.

    Raises:
        ValueError: names these losses and metrics, and what to use in their place.
    """
    if not any(mark.numbers for mark in marks):
        return
    loss, metrics = compiled_with(call.model)
    outputs = list(getattr(call.model, "outputs", None) or [])
    names = list(getattr(call.model, "output_names", None) or ["output"])
    keys = [str(key) for key in labels] if isinstance(labels, dict) else names
    found = []
    for place, mark in enumerate(marks):
        name = keys[place] if len(keys) == len(marks) else None
        masked = bool(outputs) and all(keras_mask(output) is not None for output in outputs)
        for item in _of_output(loss, names, name):
            found += [item] if _misreads(item, mark, masked, keras.losses) else []
        for metric in (item for part in metrics for item in _of_output(part, names, name)):
            found += [metric] if _misreads(metric, mark, masked, keras.metrics) else []
    if found:
        numbers = sorted(set().union(*(mark.numbers for mark in marks)))
        raise ValueError(
            f"labels of {', '.join(map(str, numbers))} say that a position has no label (padding, "
            f"for one), but Keras' own {', '.join(dict.fromkeys(map(_name, found)))} would count "
            "them. Compile with bert4keras.losses.SparseCategoricalCrossentropy() and "
            "bert4keras.metrics.SparseCategoricalAccuracy(), for yes-or-no labels with "
            "BinaryCrossentropy() and BinaryAccuracy(): they leave labels below 0 out."
        )


def check_class_weight(call: TrainerCall, labels: Any) -> None:
    """Refuse `class_weight` for sequences of labels: Keras takes the largest one's place for class.

    Raises:
        ValueError: names the way out.
    """
    if call.name != "fit" or call.arguments.get("class_weight") is None:
        return
    for leaf in map(np.asarray, flatten(labels)):
        if leaf.dtype.kind in "iu" and leaf.ndim > 1 and leaf.shape[-1] != 1:
            raise ValueError(
                f"class_weight takes one class a sample, but there are labels {leaf.shape}: encode "
                "weights of the labels as a third part, (inputs, labels, weights)."
            )


def marks_of(labels: Any) -> list[Marks]:
    """`Marks` of the labels of a batch that somebody else padded."""
    return [Marks(None, negatives(np.asarray(leaf))) for leaf in flatten(labels)]


def negatives(leaf: np.ndarray) -> frozenset[int]:
    """The integers below 0 in an array."""
    if leaf.dtype.kind != "i":
        return frozenset()
    return frozenset(np.unique(leaf[leaf < 0]).tolist())


def labels_of(batch: Any) -> Any:
    """The labels of a batch; () where there are none."""
    return batch[1] if is_sample(batch) else ()


def _of_output(given: Any, names: list[str], name: str | None) -> list:
    """Losses or metrics that an output gets, of what `compile` was given."""
    if isinstance(given, dict):
        given = given.get(name, list(given.values()) if name not in names else [])
    elif isinstance(given, (list, tuple)) and len(given) == len(names) > 1 and name in names:
        given = given[names.index(name)]
    return [item for item in keras.tree.flatten(given) if item is not None]


def _misreads(item: Any, mark: Marks, masked: bool, module: Any) -> bool:
    """Whether a loss or metric counts what is marked as no label."""
    if isinstance(item, str) and item in ("accuracy", "acc", "crossentropy", "ce"):
        resolved = item
    else:
        resolved = module.get(item) if isinstance(item, str) else item
        own = getattr(resolved, "fn", None) or getattr(resolved, "_fn", None) or resolved
        origin = getattr(own, "__module__", "") or ""
        if not origin.startswith("keras.") or isinstance(own, keras.metrics.Mean):
            return False
    ignored = getattr(resolved, "ignore_class", None)
    if ignored is not None and mark.numbers <= {ignored}:
        return False
    name = _name(resolved).lower()
    if module is keras.losses and "sparse" in name:
        return bool(mark.numbers)
    counted = any(part in name for part in ("entropy", "accuracy", "acc", "ce", "focal"))
    return (mark.padding is not None and not masked) or (counted and bool(mark.negative))


def _name(item: Any) -> str:
    if isinstance(item, str):
        return f"{item!r}"
    return getattr(item, "__name__", None) or type(item).__name__
