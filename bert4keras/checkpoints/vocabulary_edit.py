"""Edits of the vocabulary while loading: keep some rows of per-token tensors, append means."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from .errors import CheckpointError


@dataclasses.dataclass(frozen=True)
class VocabularyEdit:
    """A change of the rows of every per-token tensor.

    Attributes:
        keep: old token ids in their new order; None keeps all.
        compounds: (ids, weights that sum to 1) of every appended row; the ids are new ones, after
            `keep`.
    """

    keep: np.ndarray | None
    compounds: tuple[tuple[np.ndarray, np.ndarray], ...]

    @classmethod
    def of(
        cls,
        keep_tokens: Sequence[int] | None = None,
        compound_tokens: Sequence[Any] | None = None,
    ) -> VocabularyEdit:
        """Create an edit from the user's arguments, and check them.

        Args:
            keep_tokens: old ids to keep, in the new order; None keeps all.
            compound_tokens: one entry for each new row, `[id, ...]` (plain mean) or
                `([id, ...], [weight, ...])`; ids count after `keep_tokens`.

        Raises:
            CheckpointError: ids that are no integers, entries that are empty, weights that do not
                fit their ids or sum to zero.
        """
        keep = None if keep_tokens is None else _ids(keep_tokens, "keep_tokens")
        entries = () if compound_tokens is None else compound_tokens
        return cls(keep, tuple(_compound(k, entry) for k, entry in enumerate(entries)))

    def __bool__(self) -> bool:
        return self.keep is not None or bool(self.compounds)

    def new_size(self, vocab_size: int) -> int:
        """Return the size of the vocabulary after the edit.

        Args:
            vocab_size: its size before.

        Raises:
            CheckpointError: a token id outside the vocabulary.
        """
        if self.keep is not None:
            _require_range(self.keep, vocab_size, "keep_tokens", "the checkpoint has")
            vocab_size = len(self.keep)
        for k, (ids, _) in enumerate(self.compounds):
            _require_range(ids, vocab_size, f"compound_tokens[{k}]", "keep_tokens leave")
        return vocab_size + len(self.compounds)

    def new_token_id(self, key: str, value: Any, vocab_size: int) -> Any:
        """Return the value of a config key after the edit.

        Args:
            key: key of the config. Only `*_token_id` and `*_token_ids` change.
            value: a token id, a list of them, or any other value.
            vocab_size: size of the vocabulary before the edit. An id outside it, such as a family's
                default, is returned unchanged.

        Raises:
            CheckpointError: the token is not kept.
        """
        if self.keep is None or not key.endswith(("_token_id", "_token_ids")):
            return value
        if isinstance(value, (list, tuple)):
            return [self.new_token_id(key, item, vocab_size) for item in value]
        if type(value) is not int or not 0 <= value < vocab_size:
            return value
        places = np.flatnonzero(self.keep == value)
        if not len(places):
            raise CheckpointError(
                f"keep_tokens leaves out token {value}, which is the config's `{key}`: without it "
                "another token would be taken for it. Add it to keep_tokens."
            )
        return int(places[0])

    def new_config(self, values: Mapping[str, Any] | None) -> dict[str, Any] | None:
        """Return the values of a config.json after the edit; None stays None.

        Raises:
            CheckpointError: a token id outside the vocabulary, or a special token is not kept.
        """
        size = (values or {}).get("vocab_size")
        if values is None or type(size) is not int:
            return None if values is None else dict(values)
        changed = {key: self.new_token_id(key, value, size) for key, value in values.items()}
        return {**changed, "vocab_size": self.new_size(size)}

    def apply(self, tensor: np.ndarray) -> np.ndarray:
        """Cut and extend axis 0 of a per-token tensor; `new_size` has checked the ids."""
        if self.keep is not None:
            tensor = tensor[self.keep]
        if not self.compounds:
            return tensor
        # Sums in float64, so that the mean of equal rows is exactly that row.
        new = [np.tensordot(weights, tensor[ids], axes=1) for ids, weights in self.compounds]
        return np.concatenate([tensor, np.stack(new).astype(tensor.dtype)])


def _ids(values: Any, name: str) -> np.ndarray:
    """Return token ids as an int64 array, after a check."""
    ids = np.asarray(values)
    if ids.ndim != 1 or ids.size == 0 or ids.dtype.kind not in "iu":
        raise CheckpointError(f"{name} must be a list of token ids, not {values!r:.80}")
    return ids.astype(np.int64)


def _compound(k: int, entry: Any) -> tuple[np.ndarray, np.ndarray]:
    """Return the token ids and normalised weights of the `k`-th appended row."""
    name = f"compound_tokens[{k}]"
    weighted = isinstance(entry, Sequence) and len(entry) == 2 and np.ndim(entry[0]) == 1
    ids = _ids(entry[0] if weighted else entry, name)
    weights = np.asarray(entry[1] if weighted else np.ones(len(ids)), dtype=np.float64)
    total = weights.sum()
    if weights.shape != ids.shape or not np.isfinite(total) or total == 0:
        raise CheckpointError(
            f"{name}: {len(ids)} ids need as many weights, with a sum other than 0."
        )
    return ids, weights / total


def _require_range(ids: np.ndarray, vocab_size: int, name: str, holder: str) -> None:
    bad = ids[(ids < 0) | (ids >= vocab_size)]
    if bad.size:
        raise CheckpointError(
            f"{name} names token {int(bad[0])}, but {holder} only tokens 0 to {vocab_size - 1}."
        )
