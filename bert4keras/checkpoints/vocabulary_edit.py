"""Vocabulary edit while loading: keep some rows of a per-token tensor, append mixtures."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np

from .errors import CheckpointError


@dataclasses.dataclass(frozen=True)
class VocabularyEdit:
    """What happens to the rows of every per-token tensor.

    Attributes:
        keep: old ids in their new order, or None for all.
        compounds: (ids after `keep`, weights that sum to one) of every appended row.
    """

    keep: np.ndarray | None
    compounds: tuple[tuple[np.ndarray, np.ndarray], ...]

    @classmethod
    def of(cls, keep_tokens: Any = None, compound_tokens: Any = None) -> VocabularyEdit:
        """Check the user's arguments.

        Args:
            keep_tokens: old ids to keep, in the new order; None keeps all.
            compound_tokens: one entry for every new row, `[id, ...]` (plain mean) or
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

    def rows(self, vocab_size: int) -> int:
        """Number of rows after the edit on a tensor of `vocab_size` rows.

        Raises:
            CheckpointError: an id that the vocabulary does not have.
        """
        if self.keep is not None:
            _require_range(self.keep, vocab_size, "keep_tokens", "the checkpoint has")
            vocab_size = len(self.keep)
        for k, (ids, _) in enumerate(self.compounds):
            _require_range(ids, vocab_size, f"compound_tokens[{k}]", "keep_tokens leave")
        return vocab_size + len(self.compounds)

    def moved(self, key: str, value: Any, vocab_size: int) -> Any:
        """The value of a config key: if it is the id of a token, or a list of them, the new id.

        Args:
            key, value: of the config.
            vocab_size: of the vocabulary before; an id beyond, a family's default, stays.

        Raises:
            CheckpointError: the token is not kept.
        """
        if self.keep is None or not key.endswith(("_token_id", "_token_ids")):
            return value
        if isinstance(value, (list, tuple)):
            return [self.moved(key, part, vocab_size) for part in value]
        if type(value) is not int or not 0 <= value < vocab_size:
            return value
        places = np.flatnonzero(self.keep == value)
        if not len(places):
            raise CheckpointError(
                f"keep_tokens leaves out token {value}, which is the config's `{key}`: without it "
                "another token would be taken for it. Add it to keep_tokens."
            )
        return int(places[0])

    def apply(self, tensor: np.ndarray) -> np.ndarray:
        """Cut and extend axis 0 of `tensor`, whose `rows` were checked."""
        if self.keep is not None:
            tensor = tensor[self.keep]
        if not self.compounds:
            return tensor
        # Sums in float64, so that a mixture of equal rows is that row.
        new = [np.tensordot(weights, tensor[ids], axes=1) for ids, weights in self.compounds]
        return np.concatenate([tensor, np.stack(new).astype(tensor.dtype)])


def _ids(values: Any, name: str) -> np.ndarray:
    ids = np.asarray(values)
    if ids.ndim != 1 or ids.size == 0 or ids.dtype.kind not in "iu":
        raise CheckpointError(f"{name} must be a list of token ids, not {values!r:.80}")
    return ids.astype(np.int64)


def _compound(k: int, entry: Any) -> tuple[np.ndarray, np.ndarray]:
    name = f"compound_tokens[{k}]"
    weighted = isinstance(entry, Sequence) and len(entry) == 2 and np.ndim(entry[0]) == 1
    ids = _ids(entry[0] if weighted else entry, name)
    weights = np.asarray(entry[1] if weighted else np.ones(len(ids)), dtype=np.float64)
    total = weights.sum()
    if weights.shape != ids.shape or not np.isfinite(total) or total == 0:
        raise CheckpointError(f"{name}: {len(ids)} ids need as many weights, and not a sum of 0")
    return ids, weights / total


def _require_range(ids: np.ndarray, vocab_size: int, name: str, holder: str) -> None:
    bad = ids[(ids < 0) | (ids >= vocab_size)]
    if bad.size:
        raise CheckpointError(
            f"{name} names token {int(bad[0])}, but {holder} only tokens 0 to {vocab_size - 1}"
        )
