"""Data generators with the methods of 0.11."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from types import ModuleType
from typing import TYPE_CHECKING, Any

from ..data import DataGenerator as _DataGenerator

if TYPE_CHECKING:
    import tensorflow as tf


class DataGenerator(_DataGenerator):
    """`data.DataGenerator` with the methods of 0.11.

    Args:
        data, batch_size, buffer_size, **options: of that class.
    """

    def fortest(self, random: bool = False, sort: bool = False) -> Iterator:
        """Yield inputs endlessly; `sort` as of `data.DataGenerator.fortest`.

        Args:
            random: in a random order.
            sort: in the order of their length.
        """
        if not random:
            yield from super().fortest(sort)
        for batch in self.forfit(random=True):
            yield (batch[0] if isinstance(batch, tuple) else batch,)

    def to_dataset(
        self,
        types: str | Sequence,
        shapes: Sequence,
        names: str | Sequence | None = None,
        padded_batch: bool = False,
    ) -> tf.data.Dataset:
        """Return an endless, shuffled `tf.data.Dataset` of batches; needs TensorFlow.

        `__iter__` yields single samples here, not batches. `data.DataGenerator.as_tf` makes a data
        set of its batches.

        Args:
            types: dtype of each array of a sample, in its structure: tuples of dtypes.
            shapes: shapes in the same structure, each a list; None for an axis that varies.
            names: for inputs by name: the name of each array, or of each array in each part of
                the sample.
            padded_batch: pad the samples of a batch to their longest; else all are equal.

        Raises:
            ModuleNotFoundError: TensorFlow is not installed.
        """
        import tensorflow as tf

        arrange = _arranger(names)
        specs = arrange(_specs(tf, types, shapes))
        dataset = tf.data.Dataset.from_generator(
            lambda: (arrange(sample) for sample in self.forfit()), output_signature=specs
        )
        if not padded_batch:
            return dataset.batch(self.batch_size)
        # No shapes are given, so that each axis that varies is padded to the longest.
        return dataset.padded_batch(self.batch_size)


def _arranger(names: str | Sequence | None) -> Callable[[Any], Any]:
    """Return a function that puts the arrays of a sample into dicts with these names."""
    if names is None:
        return lambda sample: sample
    if isinstance(names, str):
        return lambda sample: {names: sample}
    if all(isinstance(name, str) for name in names):
        return lambda sample: dict(zip(names, sample, strict=True))
    parts = [_arranger(part) for part in names]
    return lambda sample: tuple(arrange(part) for arrange, part in zip(parts, sample, strict=True))


def _specs(tf: ModuleType, types: str | Sequence, shapes: Sequence) -> Any:
    """Return a `TensorSpec` for each array, in the structure of the types."""
    if isinstance(types, Sequence) and not isinstance(types, str):
        return tuple(_specs(tf, kind, shape) for kind, shape in zip(types, shapes, strict=True))
    return tf.TensorSpec(shapes, types)
