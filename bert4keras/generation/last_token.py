"""A model that returns its output at the last token of each row only."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from keras import ops


class LastTokenModel:
    """Model whose outputs (B, T, ...) are reduced to those at the last token, (B, ...).

    Args:
        model: functional model.

    Attributes:
        model: the functional model, with the lengths as an additional input.

    Raises:
        ValueError: the model is not functional, or an output has no token axis.
    """

    def __init__(self, model: keras.Model):
        if not getattr(model, "inputs", None):
            raise ValueError(f"last_token needs a functional model, and {model!r} is none.")
        for output in model.outputs:
            if len(output.shape) < 3:
                raise ValueError(
                    f"last_token needs outputs (batch, tokens, ...); one of {model.name} has "
                    f"shape {output.shape}."
                )
        lengths = keras.Input((), dtype="int32", name="lengths")
        outputs = [_at_last(output, lengths) for output in model.outputs]
        outputs = outputs[0] if len(outputs) == 1 else outputs
        self.model = keras.Model([*model.inputs, lengths], outputs)

    def predict(self, inputs: Any, lengths: Any = None, **options: Any) -> Any:
        """Return the outputs at the last token, as numpy.

        Args:
            inputs: array, or list of arrays, as the model takes them.
            lengths: int (B,), tokens of each row before its padding; None: no row is padded.
            **options: of `keras.Model.predict`; `verbose` is 0 by default.

        Returns:
            Array (B, ...), or a list of them if the model has several outputs.
        """
        inputs = list(inputs) if isinstance(inputs, (list, tuple)) else [inputs]
        rows = len(inputs[0])
        lengths = np.zeros(rows) if lengths is None else np.asarray(lengths)
        if lengths.shape != (rows,):
            raise ValueError(f"lengths has shape {lengths.shape}, but there are {rows} rows.")
        inputs = [*inputs, lengths.astype("int32")]
        return self.model.predict(inputs, **{"verbose": 0, **options})


def _at_last(x: Any, lengths: Any) -> Any:
    """Return x (B, T, ...) at position `lengths - 1`, or at the last one for length 0: (B, ...)."""
    # Index -1 is the last position on every backend.
    places = ops.reshape(lengths - 1, (-1,) + (1,) * (len(x.shape) - 1))
    return ops.squeeze(ops.take_along_axis(x, places, axis=1), axis=1)
