"""Editing of SentencePiece model files: protocol buffers with one field 1 per piece."""

from __future__ import annotations

from collections.abc import Container, Iterator

_PIECES, _TRAINER = 1, 2  # fields of a model
_MODEL_TYPE, _BPE = 3, 2  # field of the trainer's settings, and its value
_FIXED_SIZES = {1: 8, 5: 4}  # wire type -> bytes
_VARINT, _LENGTH = 0, 2
_CONTROL = bytes([3 << 3 | _VARINT, 3])  # field 3 of a piece, its type: CONTROL


def keep_pieces(model: bytes, kept: Container[int]) -> bytes:
    """Remove all other pieces from a model; the kept ones keep order, scores and types.

    Args:
        model: content of the model file.
        kept: indices of the pieces to keep.
    """
    parts, index = [], -1
    for field, start, end in _fields(model):
        index += field == _PIECES
        if field != _PIECES or index in kept:
            parts.append(model[start:end])
    return b"".join(parts)


def is_bpe(model: bytes) -> bool:
    """Return whether a model is one of BPE; if it does not say so, it is one of Unigram."""
    kind = None
    for field, start, end in _fields(model):
        if field == _TRAINER:
            spec = model[_varint(model, _varint(model, start)[1])[1] : end]
            for inner, at, _ in _fields(spec):
                kind = _varint(spec, _varint(spec, at)[1])[0] if inner == _MODEL_TYPE else kind
    return kind == _BPE


def hide_pieces(model: bytes, hidden: Container[int]) -> bytes:
    """Make pieces control symbols, which no text is tokenized into.

    Args:
        model: content of the model file.
        hidden: indices of the pieces.
    """
    parts, index = [], -1
    for field, start, end in _fields(model):
        index += field == _PIECES
        if field == _PIECES and index in hidden:
            head = _varint(model, start)[1]  # behind the tag
            size, inner = _varint(model, head)
            # If a field occurs twice, the last value is used.
            parts.append(model[start:head] + _as_varint(size + len(_CONTROL)))
            parts.append(model[inner:end] + _CONTROL)
        else:
            parts.append(model[start:end])
    return b"".join(parts)


def _fields(data: bytes) -> Iterator[tuple[int, int, int]]:
    """Yield (number, start, end) of each field of a message, including its tag."""
    position = 0
    while position < len(data):
        start = position
        tag, position = _varint(data, position)
        wire_type = tag & 7
        if wire_type == _LENGTH:
            size, position = _varint(data, position)
            position += size
        elif wire_type == _VARINT:
            position = _varint(data, position)[1]
        else:
            position += _FIXED_SIZES[wire_type]
        yield tag >> 3, start, position


def _varint(data: bytes, position: int) -> tuple[int, int]:
    """Decode the integer at a position; return it and the position behind it."""
    value = shift = 0
    while True:
        byte = data[position]
        value |= (byte & 0x7F) << shift
        position, shift = position + 1, shift + 7
        if byte < 0x80:
            return value, position


def _as_varint(value: int) -> bytes:
    parts = []
    while value >= 0x80:
        parts.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*parts, value])
