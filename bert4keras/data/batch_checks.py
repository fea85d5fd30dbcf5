"""Checks of batches before a model gets them: padding of token ids, labels below 0.

Token ids padded with another id than the model's padding id would be read as text. Labels below 0
mean "no label" for the losses and metrics of this package, but Keras' own count them as a class.
"""

from __future__ import annotations

import weakref
from collections.abc import Sequence
from typing import Any, NamedTuple

import keras
import numpy as np

from .._compat import (
    TrainerCall,
    compiled_losses_and_metrics,
    keras_mask,
    padding_ids,
    wrapped_function,
)
from .collate import Collator, flatten_sample, is_sample, unflatten_sample

_PADDING: weakref.WeakKeyDictionary[keras.Model, list] = weakref.WeakKeyDictionary()


class _IgnoredLabels(NamedTuple):
    """Values below 0 in one array of labels, which mean "no label".

    Attributes:
        padding: padding value, if below 0; None if there is none.
        negative: integers below 0 in the labels before padding.
    """

    padding: int | None
    negative: frozenset[int]

    @property
    def numbers(self) -> set[int]:
        """All values that mean "no label"."""
        return set(self.negative) | ({self.padding} if self.padding is not None else set())


def checked_batch(call: TrainerCall | None, batch: Any, collator: Collator | None) -> Any:
    """Check a batch for the model of a call.

    Args:
        call: the running `fit`, `evaluate` or `predict`; None skips the checks.
        batch: batch of arrays.
        collator: collator that made the batch; None if it was made otherwise.

    Returns:
        The batch; its labels may be changed by `_plain_labels`.

    Raises:
        ValueError: a check failed, see the functions below.
    """
    if call is None:
        return batch
    _check_token_padding(call, batch, collator and collator.padded(batch))
    if call.name == "predict" or getattr(call.model, "reads_unlabelled", False):
        return batch
    labels = labels_of(batch)
    all_ignored = (
        [_IgnoredLabels(*m) for m in collator.ignored_labels(batch)]
        if collator
        else _ignored_in(labels)
    )
    batch, all_ignored = _plain_labels(call, batch, all_ignored)
    _check_no_ignored_labels(call, labels, all_ignored)
    _check_class_weight(call, labels)
    return batch


def _plain_labels(
    call: TrainerCall, batch: Any, all_ignored: Sequence[_IgnoredLabels]
) -> tuple[Any, Sequence[_IgnoredLabels]]:
    """Replace the padding of labels by 0 where Keras' own losses and metrics skip it by the mask.

    They would read -1 as a class. It is replaced if the model's output has a Keras mask, all
    losses and metrics of these labels are Keras' own, and labels are padded exactly where the token
    ids are: then loss and accuracy are those of the real tokens.

    Returns:
        The batch and `all_ignored`, updated for the replaced labels.
    """
    real = _real_token_mask(call, batch)
    outputs = list(getattr(call.model, "outputs", None) or [])
    if real is None or not outputs or not all(keras_mask(output) is not None for output in outputs):
        return batch, all_ignored
    readers = [
        item for group in _compiled_by_output(call, batch[1], len(all_ignored)) for item in group
    ]
    if not readers or not all(_is_keras_own(item, module) for item, module in readers):
        return batch, all_ignored
    leaves, changed = flatten_sample(batch[1]), list(all_ignored)
    for place, (leaf, ignored) in enumerate(zip(leaves, all_ignored, strict=True)):
        if ignored.padding is None or ignored.negative or leaf.shape[:2] != real.shape:
            continue
        padded = (leaf == ignored.padding).reshape(*real.shape, -1)
        if np.array_equal(padded.all(-1), ~real) and np.array_equal(padded.any(-1), ~real):
            leaves[place] = np.where(leaf == ignored.padding, 0, leaf).astype(leaf.dtype)
            changed[place] = _IgnoredLabels(None, frozenset())
    labels = unflatten_sample(batch[1], iter(leaves))
    return (batch[0], labels, *batch[2:]), changed


def _real_token_mask(call: TrainerCall, batch: Any) -> np.ndarray | None:
    """Return the mask of real tokens by the model's padding id, bool (B, T); None if unknown."""
    if not is_sample(batch):
        return None
    wanted, inputs = _model_padding(call.model), batch[0]
    known = [(k, pad) for k, pad in enumerate(wanted) if pad is not None]
    leaves = flatten_sample(inputs)
    if len(known) != 1 or isinstance(inputs, dict) or len(leaves) != len(wanted):
        return None
    place, pad = known[0]
    return np.asarray(leaves[place]) != pad


def _model_padding(model: keras.Model) -> list[int | None]:
    """Return `padding_ids` of a model, cached."""
    wanted = _PADDING.get(model)
    if wanted is None:
        wanted = _PADDING[model] = padding_ids(model)
    return wanted


def _check_token_padding(
    call: TrainerCall, batch: Any, padded: Sequence[int | None] | None
) -> None:
    """Raise ValueError if token ids are padded with an id that the model reads as text.

    Args:
        call: call whose model gets the batch.
        batch: batch of arrays.
        padded: padding value of each array, None for one that has no padded axis. None for a batch
            that was made otherwise: then a last column with a 0 is taken for padding with 0,
            because no text ends in token 0.
    """
    wanted = _model_padding(call.model)
    inputs = batch[0] if isinstance(batch, tuple) else batch
    names = [tensor.name for tensor in call.model.inputs] if wanted else []
    by_name = dict(zip(names, wanted, strict=True))
    leaves = flatten_sample(inputs)
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
                f"{call.model.name!r}: its padding id is {pad}. Use DataGenerator("
                f"pad_value=({values})), one value for each input, or pad_value=tokenizer. If "
                f"sequence_padding makes the batch, use sequence_padding(ids, value={pad})."
            )


def _check_no_ignored_labels(
    call: TrainerCall, labels: Any, all_ignored: Sequence[_IgnoredLabels]
) -> None:
    """Raise ValueError if a loss or metric of Keras would count labels that mean "no label".

    Args:
        call: a `fit` or `evaluate`.
        labels: labels of a batch, in their structure.
        all_ignored: `_IgnoredLabels` of each array of labels.
    """
    if not any(ignored.numbers for ignored in all_ignored):
        return
    outputs = list(getattr(call.model, "outputs", None) or [])
    masked = bool(outputs) and all(keras_mask(output) is not None for output in outputs)
    found = [
        item
        for ignored, group in zip(
            all_ignored, _compiled_by_output(call, labels, len(all_ignored)), strict=True
        )
        for item, module in group
        if _misreads(item, ignored, masked, module)
    ]
    if found:
        numbers = sorted(set().union(*(ignored.numbers for ignored in all_ignored)))
        raise ValueError(
            f"labels of {', '.join(map(str, numbers))} say that a position has no label (such as "
            f"padding), but Keras' own {', '.join(dict.fromkeys(map(_name, found)))} would count "
            "them. Compile with bert4keras.losses.SparseCategoricalCrossentropy() and "
            "bert4keras.training.SparseCategoricalAccuracy(), for yes-or-no labels with "
            "BinaryCrossentropy() and BinaryAccuracy(): they ignore labels below 0."
        )


def _check_class_weight(call: TrainerCall, labels: Any) -> None:
    """Raise ValueError for `class_weight` with sequences of labels.

    Keras would take them for one-hot vectors, and the index of the largest label for the class.
    """
    if call.name != "fit" or call.arguments.get("class_weight") is None:
        return
    for leaf in map(np.asarray, flatten_sample(labels)):
        if leaf.dtype.kind in "iu" and leaf.ndim > 1 and leaf.shape[-1] != 1:
            raise ValueError(
                f"class_weight needs one class per sample, but there are labels {leaf.shape}. Give "
                "weights of the labels as a third part, (inputs, labels, weights)."
            )


def _ignored_in(labels: Any) -> list[_IgnoredLabels]:
    """Return `_IgnoredLabels` of each array of labels; its padding, if any, is unknown."""
    return [
        _IgnoredLabels(None, _negative_values(np.asarray(leaf))) for leaf in flatten_sample(labels)
    ]


def _negative_values(leaf: np.ndarray) -> frozenset[int]:
    """Return the integers below 0 in an array."""
    if leaf.dtype.kind != "i":
        return frozenset()
    return frozenset(np.unique(leaf[leaf < 0]).tolist())


def labels_of(batch: Any) -> Any:
    """Return the labels of a batch; () if it has none."""
    return batch[1] if is_sample(batch) else ()


def _compiled_by_output(call: TrainerCall, labels: Any, count: int) -> list[list[tuple[Any, Any]]]:
    """Return for each array of labels its losses and metrics, with `keras.losses` or `.metrics`."""
    loss, metrics = compiled_losses_and_metrics(call.model)
    names = list(getattr(call.model, "output_names", None) or ["output"])
    keys = [str(key) for key in labels] if isinstance(labels, dict) else names
    groups = []
    for place in range(count):
        name = keys[place] if len(keys) == count else None
        group = [(item, keras.losses) for item in _of_output(loss, names, name)]
        for part in metrics:
            group += [(item, keras.metrics) for item in _of_output(part, names, name)]
        groups.append(group)
    return groups


def _is_keras_own(item: Any, module: Any) -> bool:
    """Return whether a loss or metric, or its name, is one of Keras itself."""
    if isinstance(item, str) and item in ("accuracy", "acc", "crossentropy", "ce"):
        return True
    resolved = module.get(item) if isinstance(item, str) else item
    own = wrapped_function(resolved)
    return (getattr(own, "__module__", "") or "").startswith("keras.")


def _of_output(given: Any, names: list[str], name: str | None) -> list:
    """Return the losses or metrics of one output among those given to `compile`."""
    if isinstance(given, dict):
        given = given.get(name, list(given.values()) if name not in names else [])
    elif isinstance(given, (list, tuple)) and len(given) == len(names) > 1 and name in names:
        given = given[names.index(name)]
    return [item for item in keras.tree.flatten(given) if item is not None]


def _misreads(item: Any, ignored: _IgnoredLabels, masked: bool, module: Any) -> bool:
    """Return whether a loss or metric counts labels that mean "no label"."""
    if isinstance(item, str) and item in ("accuracy", "acc", "crossentropy", "ce"):
        resolved = item
    else:
        resolved = module.get(item) if isinstance(item, str) else item
        own = wrapped_function(resolved)
        if not _is_keras_own(item, module) or isinstance(own, keras.metrics.Mean):
            return False
    ignore_class = getattr(resolved, "ignore_class", None)
    if ignore_class is not None and ignored.numbers <= {ignore_class}:
        return False
    name = _name(resolved).lower()
    if module is keras.losses and "sparse" in name:
        return bool(ignored.numbers)
    counted = any(part in name for part in ("entropy", "accuracy", "acc", "ce", "focal"))
    return (ignored.padding is not None and not masked) or (counted and bool(ignored.negative))


def _name(item: Any) -> str:
    if isinstance(item, str):
        return f"{item!r}"
    return getattr(item, "__name__", None) or type(item).__name__
