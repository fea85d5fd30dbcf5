"""Packed label sequences: labelled positions moved to the front, the boundary label behind them.

The heads of this package label only some positions of a row: not padding, not special tokens, not
the later pieces of a word. A recursion over positions would have to skip the others. Instead each
row is packed: its n labelled positions move to the front, in order, and all positions behind them
get the boundary label, which only the boundary may follow. Then every row is a full sequence, and
no step of a recursion asks where a sequence ends.

Symbols: B batch, T positions, C labels. The boundary is label number C, the last of C + 1.
"""

from __future__ import annotations

from collections.abc import Callable

from keras import ops

from ..._scores import lowest
from ..._types import Tensor

# Score that keeps the boundary label out of real positions and real labels out of boundary
# positions. It is below FORBIDDEN times the length of a text; otherwise a text whose labels have
# to break a rule would be decoded as boundary.
_IMPOSSIBLE = lowest("float32")
_CHUNK = 8  # positions


def packed_order(mask: Tensor) -> tuple[Tensor, Tensor]:
    """Compute the order that moves labelled positions to the front.

    Args:
        mask: boolean (B, T), True where a position has a label.

    Returns:
        order: int (B, T), for each new position the old one it takes its content from.
        valid: boolean (B, T), the mask in the new order.
    """
    length = ops.shape(mask)[1]
    # Not argsort: backends differ in whether it keeps the order of equal keys.
    keys = ops.sort(ops.where(mask, 0, length) + ops.arange(length), axis=1)
    return keys % length, keys < length


def pack_labels(labels: Tensor, order: Tensor, valid: Tensor, boundary: int) -> Tensor:
    """Pack labels (B, T): the valid ones in front, `boundary` behind them."""
    return ops.where(valid, gather_positions(labels, order), boundary)


def pack_scores(scores: Tensor, order: Tensor, valid: Tensor) -> Tensor:
    """Pack scores (B, T, C) as (T, C + 1, B): valid positions in front, the boundary behind them.

    The batch is the last axis because a sum over labels then adds whole vectors.
    """
    scores = ops.concatenate([scores, ops.full_like(scores[..., :1], _IMPOSSIBLE)], axis=-1)
    edge = boundary_scores(scores.shape[-1])
    packed = ops.where(valid[..., None], gather_positions(scores, order), edge)
    return ops.transpose(packed, (1, 2, 0))


def unpack(x: Tensor, mask: Tensor) -> Tensor:
    """Undo the packing of x (B, T, ...); values where the mask is False are undefined."""
    return gather_positions(x, ops.maximum(ops.cumsum(ops.cast(mask, "int32"), axis=1) - 1, 0))


def gather_positions(x: Tensor, places: Tensor) -> Tensor:
    """Return x[b, places[b, t]] for x (B, T, ...) and places (B, T)."""
    shape = ops.shape(x)
    places = places + ops.arange(shape[0])[:, None] * shape[1]
    return ops.take(ops.reshape(x, (-1, *shape[2:])), places, axis=0)


def one_hot(labels: Tensor, count: int) -> Tensor:
    """Return labels (...) as float32 (..., count). `ops.one_hot` is slower on two backends."""
    return ops.cast(ops.equal(labels[..., None], ops.arange(count)), "float32")


def boundary(size: int) -> Tensor:
    """Return the boundary as a one-hot vector (size,), where `size` is C + 1."""
    return ops.cast(ops.arange(size) == size - 1, "float32")


def boundary_scores(size: int) -> Tensor:
    """Return scores (size,), where `size` is C + 1, under which only the boundary is possible."""
    return (1.0 - boundary(size)) * _IMPOSSIBLE


def whole_chunks(x: Tensor, edge: Tensor) -> Tensor:
    """Append copies of `edge` (...) to x (T, ...) until T is a multiple of the chunk size."""
    length = ops.shape(x)[0]
    edges = ops.zeros_like(ops.take(x, [0] * _CHUNK, axis=0)) + edge
    return ops.concatenate([x, edges], axis=0)[: (length + _CHUNK - 1) // _CHUNK * _CHUNK]


def scan_chunks(
    step: Callable[[Tensor, Tensor, int], Tensor], begin: Tensor, inputs: Tensor
) -> Tensor:
    """Run a recursion over positions and return all of its states.

    Each step of `ops.scan`, which is slow to start, handles one chunk of positions.

    Args:
        step: function (state, input of a position, its index in the chunk) -> next state.
        begin: the state (...) before the first position.
        inputs: (T, ...), padded by `whole_chunks`.

    Returns:
        The state after each position, (T, ...).
    """

    def chunk_step(states, chunk):
        state, states = states[-1], []
        for place in range(_CHUNK):
            state = step(state, chunk[place], place)
            states.append(state)
        return tuple(states), tuple(states)

    chunks = ops.reshape(inputs, (-1, _CHUNK, *ops.shape(inputs)[1:]))
    _, states = ops.scan(chunk_step, (begin,) * _CHUNK, chunks)
    return ops.reshape(ops.stack(states, axis=1), (-1, *ops.shape(begin)))
