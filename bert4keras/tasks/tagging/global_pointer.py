"""GlobalPointer: a score for every pair of tokens as start and end of an entity."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from ..._scores import lowest
from ..._serialization import function_of, serializable
from ..._types import Shape, Tensor
from ...layers.masking import ReadsPadding, first_shape
from ...losses import globalpointer_crossentropy, sparse_globalpointer_crossentropy
from ...positions import Rotary
from ..labelled_span import LabelledSpan
from ..span_matrix import Offsets, decode_spans

_INITIAL_SCORE = -6.0  # about -log of the number of pairs in a sentence


@serializable
class GlobalPointer(ReadsPadding, keras.layers.Layer):
    """Score all spans of a text for each of H labels; spans may be nested.

    For label h, first token i and last token j, both included,

        s_h(i, j) = (R_i q_h,i) . (R_j k_h,j) / sqrt(K) + c_h

    with `q_h,i = W_h x_i + b_h`, k likewise, and R_i the rotation by position i (RoPE). Because of
    the rotations the product depends on `j - i`; without them the model could not see the length of
    a span, which costs much accuracy. Train it with ZLPR: a span is predicted if its score is above
    0. The paper has no c_h. It starts below 0, where nearly all scores must end, so training need
    not change the encoder for that.

    Args:
        heads: number of labels, H.
        head_size: width of queries and keys, K; must be even if they are rotated.
        use_rotary: rotate queries and keys.
        tril: mask pairs whose last token is before the first.
        use_bias: use a bias in the projections, and c_h.
        initial_score: initial value of c_h; None: no c_h, as in the paper.
        pad_token_id: token id of padding; None: use the Keras mask of x; -1: no padding.
        kernel_initializer: of the projections.

    Call arguments:
        inputs: x (B, T, D), or the pair x and token ids (B, T).

    Returns:
        (B, H, T, T): first tokens in rows, last tokens in columns. Masked scores are finite, but
        far below any threshold.

    Source: Su et al., Global Pointer, 2022 (arXiv:2208.03054), https://kexue.fm/archives/8373.

    Example:
        >>> scores = GlobalPointer(3, 64)(bert.output)
        >>> model = keras.Model(bert.input, scores)
        >>> model.compile("adam", loss=GlobalPointer.sparse_loss)
    """

    head_name = "global-pointer"

    def __init__(
        self,
        heads: int,
        head_size: int,
        use_rotary: bool = True,
        tril: bool = True,
        use_bias: bool = True,
        initial_score: float | None = _INITIAL_SCORE,
        pad_token_id: int | None = None,
        kernel_initializer: Any = "lecun_normal",
        **kwargs,
    ):
        super().__init__(**kwargs)
        if heads < 1 or head_size < 1:
            raise ValueError(f"heads={heads} and head_size={head_size} must be at least 1.")
        if use_rotary and head_size % 2:
            raise ValueError(
                f"head_size={head_size} must be even, because rotations act on pairs of "
                "coordinates. Or set use_rotary=False."
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
        if self.has_offset:
            start = keras.initializers.Constant(self.initial_score)
            self.bias = self.add_weight(name="bias", shape=(self.heads,), initializer=start)

    @property
    def has_offset(self) -> bool:
        """True if there is a c_h."""
        return self.use_bias and self.initial_score is not None

    @property
    def scores_dtype(self) -> str:
        """Dtype of the scores. Never float16: a product of two large vectors would overflow."""
        return "float32" if self.compute_dtype == "float16" else self.compute_dtype

    @property
    def projected(self) -> int:
        """Number of queries, and of keys, per token."""
        return self.heads

    def _dense(self, name: str, units: int, shape: Shape) -> keras.layers.Dense:
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
        if self.has_offset:
            scores = scores + ops.cast(self.bias, scores.dtype)[:, None, None]
        return ops.where(
            self.possible(self.real_tokens(inputs, mask)), scores, lowest(scores.dtype)
        )

    def products(self, query: Tensor, key: Tensor) -> Tensor:
        """Return scaled products (B, N, T, T) of queries and keys (B, T, N K)."""
        shape = (*ops.shape(query)[:2], self.projected, self.head_size)
        query, key = ops.cast(query, self.scores_dtype), ops.cast(key, self.scores_dtype)
        query, key = ops.reshape(query, shape), ops.reshape(key, shape)
        if self.use_rotary:
            positions = ops.arange(shape[1], dtype="int32")[None]
            query, key = Rotary().rotate(query, key, positions)
        return ops.einsum("bsnk,benk->bnse", query / math.sqrt(self.head_size), key)

    def extend(self, products: Tensor, query: Tensor, key: Tensor) -> Tensor:
        """Add the terms of a variant to the products (B, N, T, T); result (B, H, T, T)."""
        return products

    def possible(self, real: Tensor) -> Tensor:
        """Return which pairs of tokens may be spans, bool (B, 1, T, T).

        Args:
            real: bool (B, T), False for padding.
        """
        allowed = ops.logical_and(real[:, None, :, None], real[:, None, None, :])
        if not self.tril:
            return allowed
        places = ops.arange(ops.shape(real)[1], dtype="int32")
        return ops.logical_and(allowed, places[:, None] <= places[None, :])

    @staticmethod
    @function_of("GlobalPointer")
    def loss(y_true: Tensor, scores: Tensor) -> Tensor:
        """Compute ZLPR (B,) for labels (B, H, T, T), see `losses.globalpointer_crossentropy`."""
        return globalpointer_crossentropy(y_true, scores)

    @staticmethod
    @function_of("GlobalPointer")
    def sparse_loss(y_true: Tensor, scores: Tensor) -> Tensor:
        """Compute ZLPR (B,) for pairs of first and last token (B, H, n, 2), padded with -1."""
        return sparse_globalpointer_crossentropy(y_true, scores)

    @staticmethod
    def decode(
        scores: Tensor,
        offsets: Sequence[Offsets] | None = None,
        labels: Sequence[str] | None = None,
        threshold: float = 0.0,
        nested: bool = True,
    ) -> list[list[LabelledSpan]]:
        """Return the spans of each text; arguments as of `tasks.span_matrix.decode_spans`."""
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
    """`GlobalPointer` that shares one product among all labels, which locates the spans.

        s_h(i, j) = (R_i q_i) . (R_j k_j) / sqrt(K) + u_h . [q_i; k_i] + v_h . [q_j; k_j] + c_h

    Each label adds about 4 K weights instead of 2 D K. Arguments and results are the same.

    Source: https://kexue.fm/archives/8877.
    """

    head_name = "efficient-global-pointer"

    @property
    def projected(self) -> int:
        return 1

    def build(self, input_shape):
        super().build(input_shape)
        # Outputs 0 .. H-1 score a token as the first of a span, the others as the last.
        self.ends = self._dense(
            "ends", 2 * self.heads, (*first_shape(input_shape)[:2], 2 * self.head_size)
        )

    def extend(self, products, query, key):
        ends = self.ends(ops.concatenate([query, key], axis=-1))
        first, last = ops.split(ops.transpose(ends, (0, 2, 1)), 2, axis=1)
        first, last = ops.cast(first, products.dtype), ops.cast(last, products.dtype)
        return products + first[:, :, :, None] + last[:, :, None, :]
