"""Names and behaviour of bert4keras 0.11, for scripts that were written for it.

Scripts import them from where they were (`bert4keras.layers.Loss`, `bert4keras.snippets`, ...); the
tables in `_old_names` lead here. Each class is a thin adapter over an implementation of the
package, which uses none of them: it imports their modules only to register the classes with Keras.
Models that contain these layers can be saved and loaded.
docs/migrating.md names the new way of each.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

from .._types import Shape, Tensor

Tensors: TypeAlias = Tensor | Sequence[Tensor]
"""A tensor, or the tensors of a layer with several inputs or outputs."""

Masks: TypeAlias = Tensor | Sequence[Tensor | None] | None
"""The Keras mask of each of `Tensors`."""

Shapes: TypeAlias = Shape | Sequence[Shape]
"""The shape of each of `Tensors`."""

PACKAGE = "bert4keras.legacy"
