"""ON-LSTM: an LSTM whose neurons are ordered, so that it shows the constituents of a sentence.

The units are split into p levels of q units each: lower levels change often, higher ones keep what
belongs to a longer constituent. Two master gates say which levels a token closes. With x the input,
h the previous output, c the previous state, and "*" the product by elements:

    i, f, o   = sigmoid(W [x, h] + b)                 gates of an LSTM, (B, p q) each
    g         = tanh(W [x, h] + b)                    candidate, (B, p q)
    ft        = cumsum(softmax(W [x, h] + b))         master forget gate, (B, p), rises to 1
    it        = reverse cumsum(softmax(W [x, h] + b)) master input gate, (B, p), falls from 1
    w         = ft * it                               overlap; the three repeated q times
    c'        = (w * f + ft - w) * c + (w * i + it - w) * g
    h'        = o * tanh(c')

The more levels a token forgets, the larger the constituent that ended before it. So

    d = 1 - mean(ft)                                  syntax distance of a token from the one before

which is (the expected number of the level up to which the state is forgotten) / p.

Symbols: B batch, T length, D width of the input, U = p q units, p levels.

Sources: Shen et al., Ordered Neurons, 2019 (arXiv:1810.09536); Su Jianlin,
https://kexue.fm/archives/6621, for the reverse sum (the paper has it = 1 - cumsum(softmax)).
"""

from __future__ import annotations

from collections.abc import Sequence

import keras
from keras import ops

from .._compat import recurrent_loop
from .._serialization import serializable
from .._types import Shape, Tensor
from .masking import first_shape


def syntax_distances(master_forget: Tensor) -> Tensor:
    """Return the syntax distance of each token from the one before it.

    Args:
        master_forget: (B, T, p), the second output of `ONLSTM(..., return_levels=True)`.

    Returns:
        (B, T), from 0 (the token continues the constituent) to 1 - 1/p.
    """
    return 1 - ops.mean(master_forget, axis=-1)


def _master_gates(logits: Tensor, levels: int) -> tuple[Tensor, Tensor]:
    """Return master forget and input gate, (B, p, 1) each, of logits (B, 2 p)."""
    # In half precision the sum would lose small increments.
    logits = ops.cast(ops.reshape(logits, (-1, 2, levels)), "float32")
    shares = ops.softmax(logits, axis=-1)
    forget = ops.cumsum(shares[:, 0], axis=-1)
    write = ops.flip(ops.cumsum(ops.flip(shares[:, 1], axis=-1), axis=-1), axis=-1)
    return forget[..., None], write[..., None]


@serializable
class ONLSTMCell(keras.layers.Layer):
    """One step of ON-LSTM, for `keras.layers.RNN`; see the module's docstring.

    Args:
        units: U, a multiple of `levels`.
        levels: p.
        return_levels: append the master forget gate to the output: (B, U + p) instead of (B, U).
        kernel_initializer, recurrent_initializer: of the kernels (D, 4 U + 2 p), (U, 4 U + 2 p).
            The columns are i, f, g, o, and the two master gates. Biases start at 0, that of f at 1,
            as in `keras.layers.LSTM`.

    Call arguments:
        inputs: (B, D).
        states: output h and state c, (B, U) each.

    Raises:
        ValueError: `units` is no multiple of `levels`.
    """

    def __init__(
        self,
        units: int,
        levels: int,
        return_levels: bool = False,
        kernel_initializer: str | keras.initializers.Initializer = "glorot_uniform",
        recurrent_initializer: str | keras.initializers.Initializer = "orthogonal",
        **kwargs,
    ):
        super().__init__(**kwargs)
        if levels < 1 or units < 1 or units % levels:
            raise ValueError(
                f"{self.name}: units={units} must be a multiple of levels={levels}, both from 1 "
                "on, since each level has units / levels units."
            )
        self.units, self.levels, self.return_levels = units, levels, return_levels
        self.kernel_initializer = keras.initializers.get(kernel_initializer)
        self.recurrent_initializer = keras.initializers.get(recurrent_initializer)
        self.state_size = [units, units]
        self.output_size = units + levels * return_levels

    def build(self, input_shape):
        width = 4 * self.units + 2 * self.levels
        self.kernel = self.add_weight(
            (input_shape[-1], width), self.kernel_initializer, name="kernel"
        )
        self.recurrent_kernel = self.add_weight(
            (self.units, width), self.recurrent_initializer, name="recurrent_kernel"
        )

        def bias(shape: Shape, dtype: str | None = None) -> Tensor:
            ones = slice(self.units, 2 * self.units)
            start = ops.zeros(shape, dtype)
            return ops.slice_update(start, (ones.start,), ops.ones((self.units,), dtype))

        self.bias = self.add_weight((width,), bias, name="bias")
        self.built = True

    def call(self, inputs, states, training=None):
        return self.step(self.project(inputs), states, self.recurrent_kernel)

    def project(self, inputs: Tensor) -> Tensor:
        """Return the part of all gates that depends on the input: (..., D) to (..., 4 U + 2 p)."""
        return ops.matmul(inputs, self.kernel) + self.bias

    def step(
        self, projected: Tensor, states: Sequence[Tensor], recurrent_kernel: Tensor
    ) -> tuple[Tensor, list[Tensor]]:
        """Return output and new states.

        Args:
            projected: result of `project` for one step, (B, 4 U + 2 p).
            states: h and c, (B, U) each.
            recurrent_kernel: (U, 4 U + 2 p), with the connections that dropout left.
        """
        h, c = states
        z = projected + ops.matmul(h, recurrent_kernel)
        gates, masters = z[:, : 4 * self.units], z[:, 4 * self.units :]
        master_forget, master_input = _master_gates(masters, self.levels)
        ft, it = (ops.cast(gate, z.dtype) for gate in (master_forget, master_input))
        overlap = ft * it
        by_level = (-1, self.levels, self.units // self.levels)
        i, f, g, o = (ops.reshape(gate, by_level) for gate in ops.split(gates, 4, axis=-1))
        forget = overlap * ops.sigmoid(f) + (ft - overlap)
        write = overlap * ops.sigmoid(i) + (it - overlap)
        c = forget * ops.reshape(c, by_level) + write * ops.tanh(g)
        h = ops.reshape(ops.sigmoid(o) * ops.tanh(c), (-1, self.units))
        output = ops.concatenate([h, ft[..., 0]], axis=-1) if self.return_levels else h
        return output, [h, ops.reshape(c, (-1, self.units))]

    def get_config(self):
        initializers = {
            name: keras.initializers.serialize(getattr(self, name))
            for name in ("kernel_initializer", "recurrent_initializer")
        }
        names = ("units", "levels", "return_levels")
        return {
            **super().get_config(),
            **{name: getattr(self, name) for name in names},
            **initializers,
        }


@serializable
class ONLSTM(keras.layers.RNN):
    """Ordered-neurons LSTM, used as `keras.layers.LSTM`; see the module's docstring.

    The input of all steps is projected in one product before the loop.

    Args:
        units, levels, kernel_initializer, recurrent_initializer: of `ONLSTMCell`.
        recurrent_dropconnect: share of the recurrent connections that is dropped in training, the
            same at all steps of a batch.
        return_levels: also return the master forget gate; needs `return_sequences`. Outputs at
            padding are then 0.
        seed: of the dropped connections.
        **kwargs: of `keras.layers.RNN`: `return_sequences`, `return_state`, `go_backwards`, ...

    Call arguments:
        sequences: (B, T, D). Where a Keras mask is False the states do not change.
        initial_state: h and c, (B, U) each; None: zeros.

    Returns:
        (B, T, U) with `return_sequences`, otherwise (B, U); with `return_levels` also (B, T, p),
        which `syntax_distances` takes; with `return_state` also h and c.

    Raises:
        ValueError: `units` is no multiple of `levels`, the rate is not in [0, 1), or
            `return_levels` without `return_sequences`.

    Example:
        >>> h, levels = ONLSTM(128, 16, return_sequences=True, return_levels=True)(vectors)
        >>> distances = syntax_distances(levels)
    """

    def __init__(
        self,
        units: int,
        levels: int,
        recurrent_dropconnect: float = 0.0,
        return_levels: bool = False,
        kernel_initializer: str | keras.initializers.Initializer = "glorot_uniform",
        recurrent_initializer: str | keras.initializers.Initializer = "orthogonal",
        seed: int | None = None,
        **kwargs,
    ):
        if return_levels and not kwargs.get("return_sequences"):
            raise ValueError("return_levels=True is per token: set return_sequences=True as well.")
        if not 0 <= recurrent_dropconnect < 1:
            raise ValueError(
                f"recurrent_dropconnect={recurrent_dropconnect} must be at least 0 and below 1."
            )
        cell = ONLSTMCell(
            units,
            levels,
            return_levels,
            kernel_initializer,
            recurrent_initializer,
            dtype=kwargs.get("dtype"),
            name="cell",
        )
        # At padding Keras repeats the first state, which has not the width of output and levels.
        repeat = {"zero_output_for_mask": True} if return_levels else {}
        super().__init__(cell, **{**kwargs, **repeat})
        self.recurrent_dropconnect, self.return_levels = recurrent_dropconnect, return_levels
        self.seed, self.seed_generator = seed, keras.random.SeedGenerator(seed)

    def inner_loop(self, sequences, initial_state, mask, training=False):
        """Run the cell over sequences (B, T, D); all steps drop the same recurrent weights."""
        cell = self.cell
        kernel = ops.cast(cell.recurrent_kernel, cell.compute_dtype)
        if training and self.recurrent_dropconnect:
            rate = self.recurrent_dropconnect
            kernel = keras.random.dropout(kernel, rate, seed=self.seed_generator)

        def step(projected: Tensor, states: Sequence[Tensor]) -> tuple[Tensor, list[Tensor]]:
            return cell.step(projected, states, kernel)

        return recurrent_loop(self, step, cell.project(sequences), initial_state, mask)

    def call(self, sequences, initial_state=None, mask=None, training=False):
        outputs = super().call(sequences, initial_state, mask, training)
        if not self.return_levels:
            return outputs
        both, *states = outputs if self.return_state else [outputs]
        units = self.cell.units
        return both[..., :units], both[..., units:], *states

    def compute_output_shape(self, sequences_shape, initial_state_shape=None):
        shape = super().compute_output_shape(sequences_shape, initial_state_shape)
        if not self.return_levels:
            return shape
        states = list(shape[1:]) if self.return_state else []
        batch, length, _ = first_shape(shape) if self.return_state else shape
        return (batch, length, self.cell.units), (batch, length, self.cell.levels), *states

    def compute_mask(self, sequences, mask):
        masks = super().compute_mask(sequences, mask)
        if not self.return_levels:
            return masks
        first, *states = masks if self.return_state else [masks]
        return [first, first, *states]

    def get_config(self):
        config = super().get_config()
        del config["cell"]
        own = self.cell.get_config()
        names = ("units", "levels", "return_levels", "kernel_initializer", "recurrent_initializer")
        config |= {name: own[name] for name in names}
        return {**config, "recurrent_dropconnect": self.recurrent_dropconnect, "seed": self.seed}

    @classmethod
    def from_config(cls, config, custom_objects=None):
        return cls(**config)
