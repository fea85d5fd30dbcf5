"""Passages that are longer than the model: overlapping windows, and the way back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ...tokenizers.base import TokenizerBase
from ..windows import cut_windows


def central_window(windows: Sequence[tuple[int, int]], length: int) -> np.ndarray:
    """For each item the window in which it has most context on its poorer side.

    Of equals it is the longer window, then the first.

    Args:
        windows: (start, end) of each.
        length: items of the sequence.

    Returns:
        int (length,), indices into `windows`.
    """
    places = np.arange(length)
    context = np.full((len(windows), length), -1.0)
    for row, (start, end) in zip(context, windows, strict=True):
        inside = places[start:end]
        # The hundredth of BERT's reference (run_squad.py) decides between equals.
        row[start:end] = np.minimum(inside - start, end - 1 - inside) + 0.01 * (end - start)
    return context.argmax(0)


@dataclass(frozen=True)
class Window:
    """A question with a part of its passage: input of a model.

    Attributes:
        token_ids, segment_ids: T ints each.
        offsets: T pairs (start, end), where each token stands in the passage, in characters;
            (0, 0) for what is not of the passage.
        begin, end: the tokens of the passage stand at positions [begin, end).
        central: T bools: the token has no better place in another window of the same passage.
        reach: characters [start, end) of the passage that no token of other windows alone holds.
    """

    token_ids: list[int]
    segment_ids: list[int]
    offsets: list[tuple[int, int]]
    begin: int
    end: int
    central: list[bool]
    reach: tuple[int, int]

    @property
    def mask(self) -> list[int]:
        """1 where an answer may stand, 0 elsewhere: T ints."""
        return [int(self.begin <= place < self.end) for place in range(len(self.token_ids))]

    def labels(self, start: int, end: int) -> tuple[int, int]:
        """Positions of the first and the last token of the characters [start, end) of the passage.

        (0, 0), which is "no answer", if they are not whole within this window, or if there are
        none (`start` < 0 or `end` <= `start`).
        """
        if start < self.reach[0] or end > self.reach[1] or end <= start:
            return 0, 0
        places = [
            place
            for place in range(self.begin, self.end)
            if self.offsets[place][0] < end and self.offsets[place][1] > start
        ]
        return (places[0], places[-1]) if places else (0, 0)


def read_windows(
    tokenizer: TokenizerBase,
    questions: Sequence[str],
    passages: Sequence[str],
    maxlen: int = 384,
    stride: int = 128,
    max_question: int = 64,
) -> list[list[Window]]:
    """Questions with their passages as inputs of a model, in windows where they are too long.

    Args:
        tokenizer: a tokenizer whose frame holds two texts.
        questions, passages: N texts each.
        maxlen: tokens of a window, with the question and the special tokens.
        stride: tokens from one window to the next; less where a long question leaves no room for
            so much.
        max_question: tokens of a question; longer ones lose their end.

    Returns:
        For each question its windows, one at least.

    Raises:
        ValueError: different numbers of texts, or a `maxlen` without room for the passage.
    """
    if len(questions) != len(passages):
        raise ValueError(f"{len(questions)} questions, but {len(passages)} passages.")
    frame = len(tokenizer.encode("", "")[0])
    # Behind the second text stands one end token or nothing.
    behind = int(tokenizer.pattern.endswith("E") and tokenizer.token_end is not None)
    empty, second = [""] * len(questions), tokenizer.segments[1]
    heads = tokenizer.encode_batch(questions, empty, max_question + frame, truncate=True)
    tails = tokenizer.encode_batch(empty, passages, return_offsets=True)
    found = []
    for passage, head, segments, tail, offsets in zip(
        passages, *heads, tails[0], tails[2], strict=True
    ):
        before, room = len(head) - behind, maxlen - len(head)
        if room < 1:
            raise ValueError(
                f"maxlen={maxlen} leaves no room for the passage beside {len(head)} tokens of "
                "question and special tokens. Raise it, or lower max_question."
            )
        own = slice(frame - behind, len(tail) - behind)
        ids, spans = tail[own], offsets[own]
        cuts = cut_windows(len(ids), room, min(stride, room))
        best = central_window(cuts, len(ids))
        # Beyond a window reaches what lies between its tokens and their neighbours, blanks say.
        edges = [0, *(end for _, end in spans)], [*(start for start, _ in spans), len(passage)]
        found.append(
            [
                Window(
                    [*head[:before], *ids[start:end], *head[before:]],
                    [*segments[:before], *[second] * (end - start), *segments[before:]],
                    [*[(0, 0)] * before, *spans[start:end], *[(0, 0)] * behind],
                    before,
                    before + end - start,
                    [*[False] * before, *(best[start:end] == number).tolist(), *[False] * behind],
                    (edges[0][start], edges[1][end]),
                )
                for number, (start, end) in enumerate(cuts)
            ]
        )
    return found
