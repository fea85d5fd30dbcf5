"""Several short texts in one row, so that nearly nothing is padding."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np


class PackedRows(NamedTuple):
    """Rows of `pack`; the first three have shape (R, maxlen), the last two (samples,).

    `document_ids` tell the texts of a row apart (1, 2, ...; 0 is padding): a model built with
    `application="packed"` attends within one document, and counts positions anew in each. Sample i
    begins at `token_ids[rows[i], starts[i]]`, where its [CLS] is.
    """

    token_ids: np.ndarray
    segment_ids: np.ndarray
    document_ids: np.ndarray
    rows: np.ndarray
    starts: np.ndarray


def pack(
    samples: Sequence[tuple[Sequence[int], Sequence[int]]], maxlen: int, pad_token_id: int | None
) -> PackedRows:
    """Put texts together into rows of `maxlen` tokens.

    Best-fit decreasing: the longest text first, each into the fullest row that still has room;
    at most about 11/9 of the rows that would do.

    Args:
        samples: (token_ids, segment_ids) of each text, none longer than `maxlen`.
        maxlen: tokens a row.
        pad_token_id: token id of the places that stay empty, `config.pad_token_id` of the model;
            None, as in a GPT: any will do, since no text sees them.

    Raises:
        ValueError: a text longer than `maxlen`.
    """
    lengths = np.array([len(ids) for ids, _ in samples], "int64")
    if len(lengths) and lengths.max() > maxlen:
        raise ValueError(
            f"Sample {lengths.argmax()} has {lengths.max()} tokens, more than maxlen={maxlen}; "
            "encode it with maxlen."
        )
    rows, starts, documents, count = _place(lengths, maxlen)
    token_ids, segment_ids, document_ids = np.zeros((3, count, maxlen), "int32")
    token_ids[:] = 0 if pad_token_id is None else pad_token_id
    for (ids, segments), row, start, document in zip(samples, rows, starts, documents, strict=True):
        place = row, slice(start, start + len(ids))
        token_ids[place], segment_ids[place] = ids, segments
        document_ids[place] = document
    return PackedRows(token_ids, segment_ids, document_ids, rows, starts)


def _place(lengths: np.ndarray, maxlen: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, int]:
    rows, starts, documents = np.zeros((3, len(lengths)), "int32")
    open_rows: list[list[int]] = [[] for _ in range(maxlen + 1)]  # by the room they have left
    texts_in: list[int] = []
    for i in np.argsort(-lengths, kind="stable"):
        need = int(lengths[i])
        room = next((r for r in range(need, maxlen + 1) if open_rows[r]), None)
        if room is None:
            row, room = len(texts_in), maxlen
            texts_in.append(0)
        else:
            row = open_rows[room].pop()
        texts_in[row] += 1
        rows[i], starts[i], documents[i] = row, maxlen - room, texts_in[row]
        open_rows[room - need].append(row)
    return rows, starts, documents, len(texts_in)
