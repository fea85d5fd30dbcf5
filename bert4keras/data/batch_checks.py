"""Refuse batches that the model which gets them would misread: padding of ids and of labels."""

from __future__ import annotations

import weakref
from collections.abc import Sequence
from typing import Any, NamedTuple

import keras
import numpy as np

from .._compat import TrainerCall, compiled_with, keras_mask, padding_ids
from .collate import Collator, flatten_sample, is_sample, unflatten_sample

_PADDING: weakref.WeakKeyDictionary[keras.Model, list] = weakref.WeakKeyDictionary()


class IgnoredLabels(NamedTuple):
    """Mark of "no label here" in the labels of an output.

    Attributes:
        padding: with what they were padded, below 0; None: they were not.
        negative: integers below 0 that they had before.
    """

    padding: int | None
    negative: frozenset[int]

    @property
    def numbers(self) -> set[int]:
        return set(self.negative) | ({self.padding} if self.padding is not None else set())


def checked_batch(call: TrainerCall | None, batch: Any, collator: Collator | None) -> Any:
    """Return a batch as the model of a call reads it right, or refuse it.

    Args:
        call: the running `fit`, `evaluate` or `predict`, if there is one.
        batch: of arrays.
        collator: that made it; None: somebody else did.

    Returns:
        The batch; with labels for Keras' own losses and metrics where `plain_labels` gives them.

    Raises:
        ValueError: see the checks below.
    """
    if call is None:
        return batch
    check_token_padding(call, batch, collator and collator.padded(batch))
    if call.name == "predict" or getattr(call.model, "reads_unlabelled", False):
        return batch
    labels = labels_of(batch)
    all_ignored = (
        [IgnoredLabels(*m) for m in collator.ignored_labels(batch)]
        if collator
        else ignored_in(labels)
    )
    batch, all_ignored = plain_labels(call, batch, all_ignored)
    check_no_ignored_labels(call, labels, all_ignored)
    check_class_weight(call, labels)
    return batch


def plain_labels(
    call: TrainerCall, batch: Any, all_ignored: Sequence[IgnoredLabels]
) -> tuple[Any, Sequence[IgnoredLabels]]:
    """Put 0 for the padding of labels where Keras' own losses and metrics leave it out by the mask.

    They would read -1 as a class. It is replaced where the model's output carries a Keras mask,
    everything that reads these labels is Keras' own, and the padding of the labels is exactly the
    padding of the token ids: then loss and accuracy are those of the real tokens.

    Returns:
        The batch and `all_ignored`, changed where labels were.
    """
    real = real_token_mask(call, batch)
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
            changed[place] = IgnoredLabels(None, frozenset())
    labels = unflatten_sample(batch[1], iter(leaves))
    return (batch[0], labels, *batch[2:]), changed


def real_token_mask(call: TrainerCall, batch: Any) -> np.ndarray | None:
    """Real tokens of a batch, as the model sees them, bool (B, T); None: it does not say."""
    if not is_sample(batch):
        return None
    wanted, inputs = model_padding(call.model), batch[0]
    known = [(k, pad) for k, pad in enumerate(wanted) if pad is not None]
    leaves = flatten_sample(inputs)
    if len(known) != 1 or isinstance(inputs, dict) or len(leaves) != len(wanted):
        return None
    place, pad = known[0]
    return np.asarray(leaves[place]) != pad


def model_padding(model: keras.Model) -> list[int | None]:
    """`padding_ids` of a model, kept for the next batch."""
    wanted = _PADDING.get(model)
    if wanted is None:
        wanted = _PADDING[model] = padding_ids(model)
    return wanted


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
    wanted = model_padding(call.model)
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
                f"{call.model.name!r}: its padding id is {pad}. Give DataGenerator("
                f"pad_value=({values})), one value for each input, or pad_value=tokenizer; where "
                f"sequence_padding makes the batch, sequence_padding(ids, value={pad})."
            )


def check_no_ignored_labels(
    call: TrainerCall, labels: Any, all_ignored: Sequence[IgnoredLabels]
) -> None:
    """Refuse labels below 0 for losses and metrics of Keras that take them for labels.

    Args:
        call: a `fit` or `evaluate`.
        labels: of a batch, in their structure.
        all_ignored: of each array of labels.

    Raises:
        ValueError: names these losses and metrics, and what to use in their place.
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
            f"labels of {', '.join(map(str, numbers))} say that a position has no label (padding, "
            f"for one), but Keras' own {', '.join(dict.fromkeys(map(_name, found)))} would count "
            "them. Compile with bert4keras.losses.SparseCategoricalCrossentropy() and "
            "bert4keras.training.SparseCategoricalAccuracy(), for yes-or-no labels with "
            "BinaryCrossentropy() and BinaryAccuracy(): they leave labels below 0 out."
        )


def check_class_weight(call: TrainerCall, labels: Any) -> None:
    """Refuse `class_weight` for sequences of labels: Keras takes the largest one's place for class.

    Raises:
        ValueError: names the way out.
    """
    if call.name != "fit" or call.arguments.get("class_weight") is None:
        return
    for leaf in map(np.asarray, flatten_sample(labels)):
        if leaf.dtype.kind in "iu" and leaf.ndim > 1 and leaf.shape[-1] != 1:
            raise ValueError(
                f"class_weight takes one class a sample, but there are labels {leaf.shape}: encode "
                "weights of the labels as a third part, (inputs, labels, weights)."
            )


def ignored_in(labels: Any) -> list[IgnoredLabels]:
    """`IgnoredLabels` of the labels of a batch that somebody else padded."""
    return [
        IgnoredLabels(None, negative_values(np.asarray(leaf))) for leaf in flatten_sample(labels)
    ]


def negative_values(leaf: np.ndarray) -> frozenset[int]:
    """The integers below 0 in an array."""
    if leaf.dtype.kind != "i":
        return frozenset()
    return frozenset(np.unique(leaf[leaf < 0]).tolist())


def labels_of(batch: Any) -> Any:
    """The labels of a batch; () where there are none."""
    return batch[1] if is_sample(batch) else ()


def _compiled_by_output(call: TrainerCall, labels: Any, count: int) -> list[list[tuple[Any, Any]]]:
    """For each array of labels, the losses and metrics that read it, with their module of Keras."""
    loss, metrics = compiled_with(call.model)
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
    """Tell whether a loss or metric, or its name, is one of Keras itself."""
    if isinstance(item, str) and item in ("accuracy", "acc", "crossentropy", "ce"):
        return True
    resolved = module.get(item) if isinstance(item, str) else item
    own = getattr(resolved, "fn", None) or getattr(resolved, "_fn", None) or resolved
    return (getattr(own, "__module__", "") or "").startswith("keras.")


def _of_output(given: Any, names: list[str], name: str | None) -> list:
    """Losses or metrics that an output gets, of what `compile` was given."""
    if isinstance(given, dict):
        given = given.get(name, list(given.values()) if name not in names else [])
    elif isinstance(given, (list, tuple)) and len(given) == len(names) > 1 and name in names:
        given = given[names.index(name)]
    return [item for item in keras.tree.flatten(given) if item is not None]


def _misreads(item: Any, ignored: IgnoredLabels, masked: bool, module: Any) -> bool:
    """Tell whether a loss or metric counts what is marked as no label."""
    if isinstance(item, str) and item in ("accuracy", "acc", "crossentropy", "ce"):
        resolved = item
    else:
        resolved = module.get(item) if isinstance(item, str) else item
        own = getattr(resolved, "fn", None) or getattr(resolved, "_fn", None) or resolved
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
