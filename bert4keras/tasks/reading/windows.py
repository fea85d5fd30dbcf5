"""Encoding of questions with long passages: overlapping windows, each with the whole question."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ...tokenizers.base import TokenizerBase
from ..windows import max_context_window, sliding_windows


@dataclass(frozen=True)
class PassageWindow:
    """Question with a part of a passage: one input row of the model.

    Attributes:
        token_ids, segment_ids: T ints each.
        offsets: (start, end) of each token in characters of the passage; (0, 0) for other tokens.
        question: the tokens of the question are at positions [question[0], question[1]).
        begin, end: the tokens of the passage are at positions [begin, end).
        first: index, among all tokens of the passage, of the first one in this window.
        max_context: T bools, True if no other window gives the token more context.
        reach: characters [start, end) of the passage in which an answer must lie to be labelled in
            this window; no token outside the window covers them.
    """

    token_ids: list[int]
    segment_ids: list[int]
    offsets: list[tuple[int, int]]
    question: tuple[int, int]
    begin: int
    end: int
    first: int
    max_context: list[bool]
    reach: tuple[int, int]

    @property
    def mask(self) -> list[int]:
        """T ints: 1 for tokens of the passage, 0 for others."""
        return _range_mask(len(self.token_ids), self.begin, self.end)

    @property
    def question_mask(self) -> list[int]:
        """T ints: 1 for tokens of the question, 0 for others."""
        return _range_mask(len(self.token_ids), *self.question)

    def locate(self, start: int, end: int) -> tuple[int, int] | None:
        """Return the positions of first and last token of characters [start, end) of the passage.

        None if they are not completely inside this window, or if no token covers them.
        """
        if start < self.reach[0] or end > self.reach[1] or end <= start:
            return None
        places = [
            place
            for place in range(self.begin, self.end)
            if self.offsets[place][0] < end and self.offsets[place][1] > start
        ]
        return (places[0], places[-1]) if places else None


def encode_passages(
    tokenizer: TokenizerBase,
    questions: Sequence[str],
    passages: Sequence[str],
    maxlen: int = 384,
    stride: int = 128,
    overlap: int = 0,
) -> list[list[PassageWindow]]:
    """Encode questions with their passages; long passages in several overlapping windows.

    Every window contains the whole question.

    Args:
        tokenizer: a tokenizer that can encode two texts.
        questions, passages: N texts each.
        maxlen: maximum tokens of a window, including question and special tokens.
        stride: maximum number of tokens from the start of one window to the next.
        overlap: minimum number of tokens that two neighbouring windows share, at most three
            quarters of the space for the passage. An answer of this length is whole in one of them.

    Returns:
        For each question its windows, at least one.

    Raises:
        ValueError: different numbers of texts, or a question that leaves no room for its passage.
    """
    if len(questions) != len(passages):
        raise ValueError(
            f"{len(questions)} questions, but {len(passages)} passages. Give one for each."
        )
    if stride < 1:
        raise ValueError(f"stride={stride} must be at least 1.")
    if not questions:
        return []
    empty = [""] * len(questions)
    heads = tokenizer.encode_batch(questions, empty)
    tails = tokenizer.encode_batch(empty, passages, return_offsets=True)
    frame = len(tokenizer.encode("", "")[0])
    return [
        _windows(tokenizer, passage, (head, segments), (tail, offsets), frame, maxlen, stride, over)
        for passage, head, segments, tail, offsets, over in zip(
            passages, *heads, tails[0], tails[2], [overlap] * len(passages), strict=True
        )
    ]


def _windows(
    tokenizer: TokenizerBase,
    passage: str,
    head: tuple[list[int], list[int]],
    tail: tuple[list[int], list[tuple[int, int]]],
    frame: int,
    maxlen: int,
    stride: int,
    overlap: int,
) -> list[PassageWindow]:
    """Build the windows of one passage.

    Args:
        head: ids and segments of the question, encoded as a pair with an empty passage.
        tail: ids and offsets of the passage, encoded as a pair with an empty question.
        frame: number of special tokens of a pair.
    """
    (head_ids, segments), (tail_ids, tail_offsets) = head, tail
    # One start token or none precedes the question; one end token or none follows the passage.
    front = int(tokenizer.pattern.startswith("S") and tokenizer.token_start is not None)
    behind = int(tokenizer.pattern.endswith("E") and tokenizer.token_end is not None)
    before, room = len(head_ids) - behind, maxlen - len(head_ids)
    if room < 1:
        raise ValueError(
            f"maxlen={maxlen} leaves no room for the passage beside {len(head_ids)} tokens of "
            "question and special tokens. Raise it, or shorten the question."
        )
    own = slice(frame - behind, len(tail_ids) - behind)
    ids, spans = tail_ids[own], tail_offsets[own]
    cuts = sliding_windows(len(ids), room, min(stride, room - min(overlap, 3 * room // 4)))
    best = max_context_window(cuts, len(ids))
    # A window also covers the characters between its tokens and the neighbours, such as blanks.
    edges = [0, *(end for _, end in spans)], [*(start for start, _ in spans), len(passage)]
    return [
        PassageWindow(
            token_ids=[*head_ids[:before], *ids[start:end], *head_ids[before:]],
            segment_ids=[
                *segments[:before],
                *[tokenizer.segments[1]] * (end - start),
                *segments[before:],
            ],
            offsets=[*[(0, 0)] * before, *spans[start:end], *[(0, 0)] * behind],
            question=(front, front + len(head_ids) - frame),
            begin=before,
            end=before + end - start,
            first=start,
            max_context=[
                *[False] * before,
                *(best[start:end] == number).tolist(),
                *[False] * behind,
            ],
            reach=(edges[0][start], edges[1][end]),
        )
        for number, (start, end) in enumerate(cuts)
    ]


def _range_mask(length: int, begin: int, end: int) -> list[int]:
    return [int(begin <= place < end) for place in range(length)]
