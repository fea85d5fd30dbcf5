"""GlobalPointer: a score for every pair of tokens, that a span of a kind starts and ends there."""

from __future__ import annotations

import math
from typing import Any

import keras
from keras import ops

from ..._scores import lowest
from ..._serialization import function_of, serializable
from ...layers.masking import ReadsPadding, first_shape
from ...losses import globalpointer_crossentropy, sparse_globalpointer_crossentropy
from ...positions import Rotary
from ..span_matrix import decode_spans

_INITIAL_SCORE = -6.0  # about -log of the number of pairs in a sentence


@serializable
class GlobalPointer(ReadsPadding, keras.layers.Layer):
    """Scores of all spans for each of H kinds; spans may lie inside one another.

    For kind h, first token i and last token j, both included:
    `s_h(i, j) = (R_i q_h,i) . (R_j k_h,j) / sqrt(K) + c_h`, with `q_h,i = W_h x_i + b_h` and k
    likewise, and R_i the rotation by position i, so that the product depends on `j - i`: without it
    a span's length plays no part, which costs much of the accuracy. Trained by ZLPR: a span is one
    whose score is above 0. The paper has no c_h; that it starts below 0, as nearly all scores must
    end, spares the encoder to be bent to that purpose first.

    Args:
        heads: number of kinds, H.
        head_size: width of queries and keys, K; even if they are rotated.
        use_rotary: rotate queries and keys.
        tril: mask pairs whose end lies before their start.
        use_bias: whether the projections have a bias, and whether there is a c_h.
        initial_score: what c_h starts with.
        pad_token_id: token id that counts as padding; None: what the Keras mask of the vectors
            says; -1: no token is padding.
        kernel_initializer: of the projections.

    Call arguments:
        inputs: x (B, T, D), or a pair of it and the token ids (B, T).

    Returns:
        (B, H, T, T): first tokens in rows, last tokens in columns. Masked scores are far below
        any threshold, but finite.

    Source: Su et al., Global Pointer, 2022 (arXiv:2208.03054), https://kexue.fm/archives/8373.

    Example:
        >>> scores = GlobalPointer(3, 64)(bert.output)
        >>> model = keras.Model(bert.input, scores)
        >>> model.compile("adam", loss=GlobalPointer.sparse_loss)
    """

    def __init__(
        self,
        heads: int,
        head_size: int,
        use_rotary: bool = True,
        tril: bool = True,
        use_bias: bool = True,
        initial_score: float = _INITIAL_SCORE,
        pad_token_id: int | None = None,
        kernel_initializer: Any = "lecun_normal",
        **kwargs,
    ):
        super().__init__(**kwargs)
        if heads < 1 or head_size < 1:
            raise ValueError(f"heads={heads} and head_size={head_size} must be at least 1.")
        if use_rotary and head_size % 2:
            raise ValueError(
                f"head_size={head_size} must be even: a rotation turns pairs of coordinates. "
                "Or say use_rotary=False."
            )
        self.heads = heads
        self.head_size = head_size
        self.use_rotary = use_rotary
        self.tril = tril
        self.use_bias = use_bias
        self.initial_score = initial_score
        self.pad_token_id = pad_token_id
        self.kernel_initializer = keras.initializers.get(kernel_initializer)

    def build(self, input_shape):
        width = self.projected * self.head_size
        shape = first_shape(input_shape)
        self.query = self._dense("query", width, shape)
        self.key = self._dense("key", width, shape)
        if self.use_bias:
            start = keras.initializers.Constant(self.initial_score)
            self.bias = self.add_weight(name="bias", shape=(self.heads,), initializer=start)

    @property
    def scores_dtype(self) -> str:
        """Of the scores: a product of two vectors of large tokens is beyond float16."""
        return "float32" if self.compute_dtype == "float16" else self.compute_dtype

    @property
    def projected(self) -> int:
        """Number of queries and keys of a token."""
        return self.heads

    def _dense(self, name: str, units: int, shape) -> keras.layers.Dense:
        dense = keras.layers.Dense(
            units,
            use_bias=self.use_bias,
            kernel_initializer=self.kernel_initializer.clone(),
            dtype=self.dtype_policy,
            name=name,
        )
        dense.build(shape)
        return dense

    def call(self, inputs, mask=None):
        x = self.split(inputs)[0]
        query, key = self.query(x), self.key(x)
        scores = self.extend(self.products(query, key), query, key)
        if self.use_bias:
            scores = scores + ops.cast(self.bias, scores.dtype)[:, None, None]
        return ops.where(
            self.possible(self.real_tokens(inputs, mask)), scores, lowest(scores.dtype)
        )

    def products(self, query, key):
        """Scaled products (B, N, T, T) of queries and keys (B, T, N K)."""
        shape = (*ops.shape(query)[:2], self.projected, self.head_size)
        query, key = ops.cast(query, self.scores_dtype), ops.cast(key, self.scores_dtype)
        query, key = ops.reshape(query, shape), ops.reshape(key, shape)
        if self.use_rotary:
            positions = ops.arange(shape[1], dtype="int32")[None]
            query, key = Rotary().rotate(query, key, positions)
        return ops.einsum("bsnk,benk->bnse", query / math.sqrt(self.head_size), key)

    def extend(self, products, query, key):
        """Terms that a variant adds to the products."""
        return products

    def possible(self, real):
        """Pairs of `real` tokens (B, T) that may be spans at all: bool (B, 1, T, T)."""
        allowed = ops.logical_and(real[:, None, :, None], real[:, None, None, :])
        if not self.tril:
            return allowed
        places = ops.arange(ops.shape(real)[1], dtype="int32")
        return ops.logical_and(allowed, places[:, None] <= places[None, :])

    @staticmethod
    @function_of("GlobalPointer")
    def loss(y_true: Any, scores: Any) -> Any:
        """ZLPR (B,) of spans given as (B, H, T, T), see `losses.globalpointer_crossentropy`."""
        return globalpointer_crossentropy(y_true, scores)

    @staticmethod
    @function_of("GlobalPointer")
    def sparse_loss(y_true: Any, scores: Any) -> Any:
        """ZLPR (B,) of spans given by their ends, (B, H, n, 2), padded with -1."""
        return sparse_globalpointer_crossentropy(y_true, scores)

    @staticmethod
    def decode(
        scores: Any,
        offsets: Any = None,
        labels: Any = None,
        threshold: float = 0.0,
        nested: bool = True,
    ) -> list:
        """Spans of each text; arguments as of `tasks.span_matrix.decode_spans`."""
        return decode_spans(ops.convert_to_numpy(scores), offsets, labels, threshold, nested)

    def compute_output_shape(self, input_shape):
        batch, length = first_shape(input_shape)[:2]
        return (batch, self.heads, length, length)

    def compute_output_spec(self, inputs, mask=None):
        shape = self.compute_output_shape(self.split(inputs)[0].shape)
        return keras.KerasTensor(shape, dtype=self.scores_dtype)

    def get_config(self):
        return {
            **super().get_config(),
            "heads": self.heads,
            "head_size": self.head_size,
            "use_rotary": self.use_rotary,
            "tril": self.tril,
            "use_bias": self.use_bias,
            "initial_score": self.initial_score,
            "pad_token_id": self.pad_token_id,
            "kernel_initializer": keras.initializers.serialize(self.kernel_initializer),
        }


@serializable
class EfficientGlobalPointer(GlobalPointer):
    """`GlobalPointer` with one product for all kinds: where a span is, and then which kind.

    `s_h(i, j) = (R_i q_i) . (R_j k_j) / sqrt(K) + u_h . [q_i; k_i] + v_h . [q_j; k_j] + c_h`

    Another kind costs about 4 K weights instead of 2 D K. Arguments and results are the same.

    Source: https://kexue.fm/archives/8877.
    """

    @property
    def projected(self):
        return 1

    def build(self, input_shape):
        super().build(input_shape)
        # Rows 0 .. H-1 score a token as first, the others as last.
        self.ends = self._dense(
            "ends", 2 * self.heads, (*first_shape(input_shape)[:2], 2 * self.head_size)
        )

    def extend(self, products, query, key):
        ends = self.ends(ops.concatenate([query, key], axis=-1))
        first, last = ops.split(ops.transpose(ends, (0, 2, 1)), 2, axis=1)
        first, last = ops.cast(first, products.dtype), ops.cast(last, products.dtype)
        return products + first[:, :, :, None] + last[:, :, None, :]
