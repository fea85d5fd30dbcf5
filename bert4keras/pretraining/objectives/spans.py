"""Random spans of texts, and their replacement by sentinels.

Legend: B rows, L tokens of a row, D documents of all rows. Places are indices in the flattened
rows (B * L).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ...data.masking import IGNORED
from ..rows import TokenRows
from .segments import Documents, counting, document_numbers


class Spans(NamedTuple):
    """Spans of the texts that are to be predicted.

    Attributes:
        inside: bool (B * L), True for tokens in a span.
        begins: bool (B * L), True for the first token of a span.
        numbers: int64 (B * L), number of the span within its document, from 0; -1 before the first.
        tokens, counts: int64 (D,), number of tokens in spans, and of spans, of each document.
    """

    inside: np.ndarray
    begins: np.ndarray
    numbers: np.ndarray
    tokens: np.ndarray
    counts: np.ndarray


def draw_spans(
    documents: Documents,
    size: int,
    rate: float,
    mean_length: float,
    most: int,
    rng: np.random.Generator,
) -> Spans:
    """Draw spans: `round(rate n)` tokens of n in `round(tokens / mean_length)` spans.

    Both the tokens in spans and the others are divided into as many parts as there are spans, all
    divisions being equally likely. Text and spans take turns, and each text ends with a span. A
    document has at least one span and one token outside; with fewer than two tokens it has none.

    Args:
        documents: the documents of some rows.
        size: number of places, B * L.
        rate: share of the tokens in spans.
        mean_length: mean number of tokens of a span.
        most: largest number of spans of a document.
        rng: source of randomness.

    Source: Raffel et al., 2019 (arXiv:1910.10683), section 3.3.4.
    """
    length = documents.text_lengths
    usable = length >= 2
    tokens = np.clip(np.round(rate * length).astype("int64"), 1, np.maximum(length - 1, 1))
    count = np.clip(np.round(tokens / mean_length).astype("int64"), 1, most)
    count = np.minimum(count, np.minimum(tokens, np.maximum(length - tokens, 1)))
    tokens, count = np.where(usable, tokens, 0), np.where(usable, count, 0)
    lengths = np.zeros((2 * int(count.sum()),), "int64")
    lengths[0::2] = _divide(np.where(usable, length - tokens, 0), count, rng)
    lengths[1::2] = _divide(tokens, count, rng)
    # Place of each part: its document's text, and the parts of that before it.
    owner = np.repeat(np.arange(len(length)), 2 * count)
    ends = np.cumsum(lengths)
    before = np.cumsum(length * usable) - length * usable
    starts = documents.first[owner] + ends - lengths - before[owner]
    inside, begins = np.zeros((2, size), bool)
    begins[starts[1::2]] = True
    inside[counting(lengths[1::2]) + np.repeat(starts[1::2], lengths[1::2])] = True
    number = document_numbers(documents, size)
    earlier = np.cumsum(count) - count
    index = np.cumsum(begins) - 1
    index = np.where(number >= 0, index - earlier[number], -1) if len(count) else index
    return Spans(inside, begins, index, tokens, count)


def _divide(totals: np.ndarray, parts: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Divide each total into so many positive parts, all divisions being equally likely.

    The `parts - 1` cuts are a random choice among the `total - 1` places between two units: those
    with the smallest random keys.

    Args:
        totals, parts: int64 (D,), `totals >= parts`.
        rng: source of randomness.

    Returns:
        The parts of the first total, then those of the second, and so on; int64 (sum of parts,).
    """
    owner = np.repeat(np.arange(len(totals)), totals)
    unit = counting(totals)
    keys = np.where(unit == 0, -1.0, rng.random(len(unit)))  # the first unit begins a part
    order = np.lexsort((keys, owner))
    chosen = np.zeros(len(unit), bool)
    chosen[order] = unit < np.repeat(parts, totals)  # `unit` is the place in the sorted keys, too
    starts = np.flatnonzero(chosen)
    return np.diff(np.append(starts, len(unit)))


def replace_spans(
    rows: TokenRows,
    documents: Documents,
    spans: Spans,
    sentinel_ids: np.ndarray,
    start_id: int,
    end_id: int,
    pad_id: int,
    lengths: tuple[int, int],
) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Replace spans by sentinels in the source of an encoder-decoder and make the target of them.

    A target is `sentinel 0, span 0, sentinel 1, span 1, ..., end`. The decoder reads the targets
    moved by one, behind a start token.

    Args:
        rows, documents, spans: the rows, their documents, and the spans in them.
        sentinel_ids: ids of the sentinels, in their order.
        start_id, end_id: ids that begin and end a target.
        pad_id: id of padding.
        lengths: S and T. Documents of a row that do not fit behind those before them, or that have
            no span, are left out.

    Returns:
        Inputs by name, `token_ids` and `document_ids` of the decoder (B, T) and of the encoder
        (B, S), and targets (B, T); all int32. A target of -1 is padding.
    """
    shape = rows.token_ids.shape
    ids = rows.token_ids.ravel()
    number = document_numbers(documents, ids.size)
    real = rows.document_ids.ravel() > 0
    sentinel = sentinel_ids[np.maximum(spans.numbers, 0) % len(sentinel_ids)]
    in_source = real & (~spans.inside | spans.begins)
    # Tokens of the target that a place gives: a sentinel, its own token, and the end.
    last = np.zeros(ids.size, bool)
    last[documents.end - 1] = True
    gives = np.where(spans.inside, 1 + spans.begins, 0) + last
    kept = np.ones(len(documents.start), bool)
    for counts, limit in zip((in_source, gives * real), lengths, strict=True):
        filled = np.cumsum(counts.reshape(shape), axis=1).ravel()
        kept &= filled[documents.end - 1] <= limit
    kept &= spans.counts > 0
    use = real & kept[number] if len(kept) else real
    source = np.flatnonzero(in_source & use)
    values = np.where(spans.begins, sentinel, ids)[source]
    numbers = rows.document_ids.ravel()[source]
    source_ids, source_documents = _fill(shape, lengths[0], source, (values, numbers), (pad_id, 0))
    places = np.repeat(np.arange(ids.size), gives * use)
    rank = counting((gives * use)[gives * use > 0])
    is_end = last[places] & (rank == gives[places] - 1)
    labels = np.where(spans.begins[places] & (rank == 0), sentinel[places], ids[places])
    labels = np.where(is_end, end_id, labels)
    begins = np.append(True, is_end[:-1]) if len(is_end) else is_end
    moved = np.where(begins, start_id, np.append(start_id, labels[:-1])[: len(labels)])
    columns = (moved, rows.document_ids.ravel()[places], labels)
    decoder = _fill(shape, lengths[1], places, columns, (pad_id, 0, IGNORED))
    inputs = {"encoder_token_ids": source_ids, "encoder_document_ids": source_documents}
    return {**inputs, "token_ids": decoder[0], "document_ids": decoder[1]}, decoder[2]


def _fill(
    shape: tuple[int, ...],
    length: int,
    places: np.ndarray,
    columns: tuple[np.ndarray, ...],
    padding: tuple[int, ...],
) -> list[np.ndarray]:
    """Write values at the beginning of rows; their places, in order, say to which row they go."""
    row = places // shape[1]
    column = counting(np.bincount(row, minlength=shape[0]))
    filled = []
    for values, pad in zip(columns, padding, strict=True):
        array = np.full((shape[0], length), pad, "int32")
        array[row, column] = values
        filled.append(array)
    return filled
