"""Binary trees from syntax distances, as spans of tokens; brackets and drawings of them.

A tree over n tokens is the list of its constituents (start, end), end excluded, of at least two
tokens, each before those inside it. The distance of a token says how large the constituent is that
ends before it, so a sentence is split there, recursively:

    split(start, end): k = argmax of distances[start + 1 : end];  split(start, k), split(k, end)

Sources: Shen et al., Ordered Neurons, 2019 (arXiv:1810.09536); Dyer et al., A Critical Analysis of
Biased Parsers in Unsupervised Parsing, 2019 (arXiv:1909.09428), for `right_biased`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from ...tokenizers.spans import Span


def build_tree(distances: Sequence[float], right_biased: bool = False) -> list[Span]:
    """Split a sentence recursively before the token of the largest distance.

    Args:
        distances: n numbers, one per token. The first one does not matter; among equal ones the
            first counts.
        right_biased: the rule of the ON-LSTM paper: a part is split into what is before the token
            k of the largest distance (the first one included), and (k, (what is after it)). So
            every token joins what is on its right, which fits English even if the distances are
            random.

    Returns:
        Spans of tokens, from the whole sentence on; none for fewer than two tokens.

    >>> build_tree([0.9, 0.1, 0.8, 0.2])
    [(0, 4), (0, 2), (2, 4)]
    """
    values = np.asarray(distances, "float64")
    spans, todo = [], [(0, len(values))]
    while todo:
        start, end = todo.pop()
        if end - start < 2:
            continue
        spans.append((start, end))
        if not right_biased:
            k = start + 1 + int(np.argmax(values[start + 1 : end]))
            todo += [(k, end), (start, k)]
            continue
        k = start + int(np.argmax(values[start:end]))
        if k > start and end - k > 1:  # k and what is after it
            spans.append((k, end))
        todo += [(k + 1, end), (start, k)]
    return sorted(spans, key=lambda span: (span[0], -span[1]))


def bracketed(tokens: Sequence[str], spans: Iterable[Span]) -> str:
    """Write a tree with brackets.

    >>> bracketed(["the", "cat", "sat", "down"], [(0, 4), (0, 2), (2, 4)])
    '((the cat) (sat down))'
    """
    opened, closed = [0] * len(tokens), [0] * len(tokens)
    for start, end in spans:
        opened[start] += 1
        closed[end - 1] += 1
    parts = zip(opened, tokens, closed, strict=True)
    return " ".join(f"{'(' * a}{token}{')' * b}" for a, token, b in parts)


def drawn(tokens: Sequence[str], spans: Iterable[Span]) -> str:
    """Draw a tree with a line per token; so characters of any width are aligned.

    >>> print(drawn(["the", "cat", "sat", "down"], [(0, 4), (0, 2), (2, 4)]))
    ┬┬── the
    │└── cat
    └┬── sat
     └── down
    """
    ordered = sorted(spans, key=lambda span: (span[0], -span[1]))
    lines: list[list[str]] = [[] for _ in tokens]
    for (start, end), following in zip(ordered, [*ordered[1:], (len(tokens), 0)], strict=False):
        # The first child is the next constituent if that starts here too, otherwise one token.
        second = following[1] if following[0] == start else start + 1
        for row in range(start, end):
            mark = "┬" if row == start else "│" if row < second else "└" if row == second else " "
            lines[row].append(mark)
    width = max(map(len, lines), default=0) + 2
    pairs = zip(lines, tokens, strict=True)
    return "\n".join(f"{''.join(line).ljust(width, '─')} {token}" for line, token in pairs)
