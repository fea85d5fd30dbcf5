"""Packing: several short texts in one row, to avoid padding."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np


class PackedRows(NamedTuple):
    """Result of `pack`: R rows; three arrays of shape (R, maxlen), two of shape (samples,).

    `document_ids` number the texts of a row (1, 2, ...; 0 is padding): a model built with
    `application="packed"` attends only within a document, and its positions start at 0 in each.
    Sample i begins at `token_ids[rows[i], starts[i]]`, where its [CLS] is.
    """

    token_ids: np.ndarray
    segment_ids: np.ndarray
    document_ids: np.ndarray
    rows: np.ndarray
    starts: np.ndarray


def pack(
    samples: Sequence[tuple[Sequence[int], Sequence[int]]], maxlen: int, pad_token_id: int | None
) -> PackedRows:
    """Pack texts into rows of `maxlen` tokens.

    Which texts share a row is bin packing: rows are bins of size `maxlen`. The smallest number of
    rows, OPT, is NP-hard to find; best-fit decreasing needs at most 11/9 OPT + 4 rows (Johnson,
    1974): take the texts from the longest to the shortest, and put each into the fullest row that
    still has room for it, or else into a new row.

    Within row r the texts follow each other without a gap. The k-th has document id k and starts
    at the sum of the lengths before it:

        token_ids[r, starts[i] : starts[i] + n_i] = ids of sample i,   rows[i] = r
        document_ids[r, starts[i] : starts[i] + n_i] = k,              elsewhere 0

    Args:
        samples: (token_ids, segment_ids) of each text, none longer than `maxlen`.
        maxlen: tokens per row.
        pad_token_id: token id of empty places, `config.pad_token_id` of the model. None, as in a
            GPT, gives 0: no text attends to them.

    Raises:
        ValueError: a text longer than `maxlen`.
    """
    lengths = np.array([len(ids) for ids, _ in samples], "int64")
    if len(lengths) and lengths.max() > maxlen:
        raise ValueError(
            f"Sample {lengths.argmax()} has {lengths.max()} tokens, more than maxlen={maxlen}. "
            "Encode it with maxlen."
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
    """Assign texts to rows by best-fit decreasing.

    Rows are listed by the room they have left, so the fullest row with room for n tokens is in the
    first list that is not empty, from n on: O(maxlen) per text.

    Returns:
        Row, start and document id of each text, and the number of rows.
    """
    rows, starts, documents = np.zeros((3, len(lengths)), "int32")
    open_rows: list[list[int]] = [[] for _ in range(maxlen + 1)]  # indexed by their room
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
