"""Constrained generation: sequences of a list, spans of a passage, arithmetic expressions."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from keras import ops

from .._scores import lowest
from .._types import Tensor
from .processors import History, Processor, mark


class Trie:
    """Automaton of the token sequences that are allowed, stored in arrays.

    Args:
        children: for each node a dict from token id to next node; node 0 is the start.
        final: nodes at which the answer may end.

    Attributes:
        tokens: (nodes, K) int32, tokens that may follow a node; -1 for none.
        targets: (nodes, K) int32, node that each of these tokens leads to.
        final: (nodes,) bool.
    """

    def __init__(self, children: Sequence[dict[int, int]], final: Iterable[int]):
        width = max(1, *(len(node) for node in children))
        self.tokens = np.full((len(children), width), -1, "int32")
        self.targets = np.zeros((len(children), width), "int32")
        self.final = np.zeros(len(children), bool)
        for number, node in enumerate(children):
            self.tokens[number, : len(node)] = list(node)
            self.targets[number, : len(node)] = list(node.values())
        self.final[list(final)] = True

    @classmethod
    def of(cls, sequences: Iterable[Sequence[int]]) -> Trie:
        """Build the trie of whole sequences, such as candidate titles.

        Raises:
            ValueError: there is no sequence, or one is empty.
        """
        children: list[dict[int, int]] = [{}]
        final = set()
        for sequence in sequences:
            if not len(sequence):
                raise ValueError("an empty sequence cannot be an answer.")
            node = 0
            for token in sequence:
                if int(token) not in children[node]:
                    children[node][int(token)] = len(children)
                    children.append({})
                node = children[node][int(token)]
            final.add(node)
        if not final:
            raise ValueError("a trie needs at least one sequence.")
        return cls(children, final)

    @classmethod
    def of_spans(cls, tokens: Sequence[int]) -> Trie:
        """Build the suffix automaton of a passage, which accepts its spans; at most 2 n nodes.

        Source: Blumer et al., The smallest automaton recognizing the subwords of a text, 1985.
        """
        if not len(tokens):
            raise ValueError("an empty passage has no spans.")
        children: list[dict[int, int]] = [{}]
        links, lengths, last = [-1], [0], 0
        for token in map(int, tokens):
            new = len(children)
            children.append({})
            links.append(0)
            lengths.append(lengths[last] + 1)
            node = last
            while node != -1 and token not in children[node]:
                children[node][token] = new
                node = links[node]
            if node != -1:
                target = children[node][token]
                if lengths[node] + 1 == lengths[target]:
                    links[new] = target
                else:
                    copy = len(children)
                    children.append(dict(children[target]))
                    links.append(links[target])
                    lengths.append(lengths[node] + 1)
                    while node != -1 and children[node].get(token) == target:
                        children[node][token] = copy
                        node = links[node]
                    links[target] = links[new] = copy
            last = new
        return cls(children, range(1, len(children)))

    @classmethod
    def of_expressions(
        cls,
        operands: Iterable[Sequence[int]],
        operators: Iterable[int],
        brackets: tuple[int, int] | None = None,
        depth: int = 2,
    ) -> Trie:
        """Build the automaton of well-formed expressions: operands with operators between them.

        Args:
            operands: token sequences, such as the numbers of a word problem.
            operators: tokens, such as those of + - * /.
            brackets: tokens of the opening and the closing bracket; None: no brackets.
            depth: number of brackets that may be open at the same time.

        Raises:
            ValueError: there is no operand, or one is empty.
        """
        operands, operators = [list(map(int, one)) for one in operands], list(operators)
        if not operands or not all(operands):
            raise ValueError("expressions need operands, none of them empty.")
        levels = 1 + (depth if brackets else 0)
        # Node i < levels: an operand is next, inside i brackets. Node levels + i: after a closing
        # bracket, inside i brackets.
        children: list[dict[int, int]] = [{} for _ in range(2 * levels)]
        final = {levels}
        for level in range(levels):
            complete = {levels + level}
            for operand in operands:
                node = level
                for token in operand:
                    if token not in children[node]:
                        children[node][token] = len(children)
                        children.append({})
                    node = children[node][token]
                complete.add(node)
            for node in complete:
                children[node].update(dict.fromkeys(operators, level))
                if brackets and level:
                    children[node][brackets[1]] = levels + level - 1
            if not level:
                final |= complete
        for level in range(levels - 1):
            children[level][brackets[0]] = level + 1
        return cls(children, final)

    def __len__(self) -> int:
        return len(self.tokens)


class Constrained(Processor):
    """Allow only answers that a trie accepts, followed by `end_id`.

    Args:
        tries: one trie for all prompts, or a list with one for each prompt.
        end_id: token allowed where an answer may end, and required where it cannot go on.
    """

    def __init__(self, tries: Trie | Sequence[Trie], end_id: int):
        self.shared = isinstance(tries, Trie)
        tries = [tries] if isinstance(tries, Trie) else list(tries)
        if not tries:
            raise ValueError("Constrained needs a trie.")
        self.end_id = end_id
        offsets = np.cumsum([0, *(len(trie) for trie in tries)])
        self.roots = offsets[:-1].astype("int32")
        width = max(trie.tokens.shape[1] for trie in tries) + 1
        # One more node, after the end, at which only `end_id` is allowed, again and again.
        self.tokens = np.full((int(offsets[-1]) + 1, width), -1, "int32")
        self.targets = np.full_like(self.tokens, offsets[-1])
        for trie, offset in zip(tries, offsets, strict=False):
            here = slice(offset, offset + len(trie))
            self.tokens[here, : width - 1][:, : trie.tokens.shape[1]] = trie.tokens
            self.targets[here, : trie.tokens.shape[1]] = trie.targets + offset
            self.tokens[here, -1] = np.where(trie.final, end_id, -1)
        self.tokens[-1, -1] = end_id

    @property
    def per_prompt(self) -> bool:
        return len(self.roots) > 1

    def start(self, rows: int) -> Any:
        if self.shared:
            return ops.zeros((rows,), "int32")
        if rows % len(self.roots):
            raise ValueError(
                f"{len(self.roots)} tries were given for a batch of {rows} rows: give one trie, or "
                "one for each prompt."
            )
        return ops.convert_to_tensor(np.repeat(self.roots, rows // len(self.roots)))

    def __call__(self, scores, state, history):
        vocab_size = scores.shape[1]
        tokens = ops.take(ops.convert_to_tensor(self.tokens), state, axis=0)
        allowed = mark(ops.where(tokens < 0, vocab_size, tokens), vocab_size)
        return ops.where(allowed, scores, lowest(scores.dtype))

    def advance(self, state, chosen):
        tokens = ops.take(ops.convert_to_tensor(self.tokens), state, axis=0)
        targets = ops.take(ops.convert_to_tensor(self.targets), state, axis=0)
        taken = ops.cast(tokens == chosen[:, None], "int32")
        # No token is taken only in a row that is over and is fed padding.
        over = self.tokens.shape[0] - 1
        return ops.where(ops.any(taken > 0, axis=1), ops.sum(taken * targets, axis=1), over)


@dataclasses.dataclass(frozen=True)
class SpansOfPrompt(Processor):
    """Allow only spans of a text of the prompt, and the empty answer.

    `Constrained` with `Trie.of_spans` allows the same, but is compiled for its passages. This
    processor reads the passage from each prompt, so one compiled search serves all passages.

    Attributes:
        end_id: token that ends each text of the prompt ([SEP]) and the answer.
        longest: largest number of tokens of an answer.
        text: index of the text in the prompt; 1 is the passage of (question, passage).
    """

    end_id: int
    longest: int
    text: int = 1

    def __call__(self, scores: Tensor, state: Any, history: History) -> Tensor:
        tokens, vocab_size = history.tokens, scores.shape[1]
        columns = ops.arange(tokens.shape[1], dtype="int32")[None]
        prompt = ops.logical_and(history.written, columns < history.index - history.step)
        ends = ops.cast(ops.logical_and(prompt, tokens == self.end_id), "int32")
        passage = ops.logical_and(prompt, ops.cumsum(ends, axis=1) - ends == self.text)
        # A token of the passage may come next if the answer so far precedes it there. The end token
        # of the passage then ends the answer.
        follows = passage
        for back in range(1, self.longest):
            column = ops.reshape(ops.maximum(history.index - back, 0), (1,))
            last = ops.take(tokens, column, axis=1)
            shift = [[0, 0], [back, 0]]
            earlier = ops.pad(tokens[:, :-back], shift)
            inside = ops.pad(ops.cast(passage[:, :-back], "int32"), shift) > 0
            same = ops.logical_and(earlier == last, inside)
            follows = ops.logical_and(follows, ops.logical_or(same, back > history.step))
        found = mark(ops.where(follows, tokens, vocab_size), vocab_size)
        end = ops.arange(vocab_size, dtype="int32")[None] == self.end_id
        return ops.where(ops.logical_or(found, end), scores, lowest(scores.dtype))
