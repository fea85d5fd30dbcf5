"""Loop of Keras' recurrent layers."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import keras

from .._types import Tensor


def recurrent_loop(
    layer: keras.layers.RNN,
    step: Callable[[Tensor, Sequence[Tensor]], tuple[Tensor, list[Tensor]]],
    sequences: Tensor,
    initial_state: Sequence[Tensor],
    mask: Tensor | Sequence[Tensor | None] | None,
) -> tuple[Tensor, Tensor, list[Tensor]]:
    """Call `step(input, states)` along the time axis, as `layer.inner_loop` does with its cell.

    Publicly only a whole cell can be run, which would project the input at each step and could not
    share one dropout mask among the steps.

    Returns:
        Last output, all outputs (only the last one without `layer.return_sequences`), last states.
    """
    from keras.src import backend, tree

    if backend.backend() == "torch" and layer.stateful:  # its variables are assigned in place later
        initial_state = tree.map_structure(keras.ops.copy, initial_state)
    return backend.rnn(
        step,
        sequences,
        initial_state,
        go_backwards=layer.go_backwards,
        mask=tree.flatten(mask)[0] if mask is not None else None,
        unroll=layer.unroll,
        input_length=sequences.shape[1],
        zero_output_for_mask=layer.zero_output_for_mask,
        return_all_outputs=layer.return_sequences,
    )
