"""Tokens that constraints allow: spans of the prompt, well-formed expressions."""

from __future__ import annotations

import itertools

import keras
import numpy as np
import pytest

from bert4keras.generation import SpansOfPrompt, Trie
from bert4keras.generation.processors import History

pytestmark = pytest.mark.spread


def test_the_spans_of_a_prompt_are_those_of_its_passage():
    """Step by step against the suffix automaton that the package builds for a passage."""
    end, size, columns = 3, 8, 12
    only = SpansOfPrompt(end, longest=6)
    # Prompts end at the same column; 5 occurs in the question too, 0 is padding.
    prompts = [[2, 5, 3, 4, 5, 4, 6, 3], [2, 7, 3, 6, 6, 5, 6, 6, 4, 3]]
    tokens = np.zeros((2, columns + 5), "int32")
    for row, prompt in zip(tokens, prompts, strict=True):
        row[columns - len(prompt) : columns] = prompt

    def allowed(answers):
        step = len(answers[0])
        filled = tokens.copy()
        filled[:, columns : columns + step] = answers
        written = np.arange(columns + 5)[None] < columns + step
        starts = np.array([columns - len(prompt) for prompt in prompts])[:, None]
        written = written & (np.arange(columns + 5)[None] >= starts)
        arrays = [keras.ops.convert_to_tensor(x) for x in (filled, written)]
        index, count = (keras.ops.convert_to_tensor(x, "int32") for x in (columns + step, step))
        scores = keras.ops.zeros((2, size))
        found = keras.ops.convert_to_numpy(only(scores, (), History(*arrays, index, count)))
        return [set(np.flatnonzero(row > -1.0)) for row in found]

    def expected(prompt, answer):
        trie = Trie.of_spans(prompt[3:-1])
        node = 0
        for token in answer:
            where = trie.tokens[node].tolist()
            node = trie.targets[node][where.index(token)]
        return {*trie.tokens[node].tolist(), end} - {-1}

    for answers in ([[], []], [[4], [6]], [[5], [6]], [[5, 4], [6, 6]], [[4, 5, 4], [6, 5, 6]]):
        wanted = [expected(*pair) for pair in zip(prompts, answers, strict=True)]
        assert allowed(answers) == wanted
    assert allowed([[], []])[0] == {4, 5, 6, end}  # neither 2 nor, of the question, [SEP] and 7


def accepted(trie: Trie, longest: int, node: int = 0) -> set[tuple[int, ...]]:
    """Every sequence of at most so many tokens that a trie accepts."""
    found = {()} if trie.final[node] else set()
    for token, target in zip(trie.tokens[node], trie.targets[node], strict=True):
        if token >= 0 and longest:
            found |= {(int(token), *rest) for rest in accepted(trie, longest - 1, target)}
    return found


def is_expression(text: str) -> bool:
    """Return whether Python reads it as sums of 1 and 12 in at most two brackets, without signs."""
    inside = list(itertools.accumulate({"(": 1, ")": -1}.get(c, 0) for c in text))
    if any(bad in text for bad in ("(+", "++", ")(", ")1", "1(", "2(", "2)1", ")2", "()", "+)")):
        return False
    if not text or text[0] == "+" or text[-1] == "+" or max(inside) > 2 or min(inside) < 0:
        return False
    numbers = text.replace("(", "").replace(")", "").split("+")
    return inside[-1] == 0 and all(number in ("1", "12") for number in numbers)


@pytest.mark.spread
def test_expressions_are_those_of_the_definition():
    signs = "12+()"
    trie = Trie.of_expressions([[0], [0, 1]], [2], (3, 4))
    found = {"".join(signs[i] for i in ids) for ids in accepted(trie, 6)}
    texts = ("".join(t) for n in range(1, 7) for t in itertools.product(signs, repeat=n))
    assert found == {text for text in texts if is_expression(text)}
    assert {"1", "12+1", "((1))", "(12+1)"} <= found
    assert "(((1" not in found
    plain = set(accepted(Trie.of_expressions([[0]], [2]), 3))
    assert plain == {(0,), (0, 2, 0)}
    for operands in ([], [[]]):
        with pytest.raises(ValueError, match="need operands, none of them empty"):
            Trie.of_expressions(operands, [2])
