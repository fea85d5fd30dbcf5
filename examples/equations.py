"""What task_math_word_problem knows of arithmetic: numbers, values, and well-formed equations."""

from __future__ import annotations

import ast
import operator
import re
from collections.abc import Callable
from fractions import Fraction

from bert4keras.generation import Trie
from bert4keras.tokenizers import Tokenizer

SLOTS = [f"[n{i}]" for i in range(10)]
SIGNS = {ast.Add: operator.add, ast.Sub: operator.sub, ast.Mult: operator.mul}
SIGNS |= {ast.Div: operator.truediv}
# 2(1/2) is two and a half, (1/2) a fraction; these count as one number.
NUMBER = r"\d*\(\d+/\d+\)|\d+(?:\.\d+)?%?"


def value(equation: str) -> Fraction | None:
    """The exact value of sums, products and brackets; None for anything else."""
    text = re.sub(r"(\d+)\((\d+/\d+)\)", r"(\1+\2)", equation)
    text = re.sub(r"(\d+(?:\.\d+)?)%", r"(\1/100)", text)

    def compute(node):
        if isinstance(node, ast.BinOp) and type(node.op) in SIGNS:
            return SIGNS[type(node.op)](compute(node.left), compute(node.right))
        if isinstance(node, ast.Constant) and type(node.value) in (int, float):
            return Fraction(str(node.value))
        raise ValueError(ast.dump(node))

    try:
        return compute(ast.parse(text, mode="eval").body)
    except (SyntaxError, ValueError, ZeroDivisionError, MemoryError, RecursionError):
        return None


def slots_of(numbers: list[str]) -> Callable[[re.Match], str]:
    """Puts slots in the place of a problem's numbers, the first of equal ones; keeps others."""

    def replace(match):
        if match[0] in numbers[: len(SLOTS)]:
            return SLOTS[numbers.index(match[0])]
        return re.sub(r"\d+", replace, match[0]) if "(" in match[0] else match[0]

    return replace


def grammar(operands: list[int], tokenizer: Tokenizer, depth: int = 2) -> Trie:
    """Equations as an automaton: nodes 2d before an operand, 2d + 1 after it, in d brackets."""
    ids = {sign: tokenizer.token_to_id(sign) for sign in "+-*/()"}
    nodes: list[dict[int, int]] = []
    for d in range(depth + 1):
        before = dict.fromkeys(operands, 2 * d + 1)
        after = {ids[sign]: 2 * d for sign in "+-*/"}
        nodes += [before | ({ids["("]: 2 * d + 2} if d < depth else {})]
        nodes += [after | ({ids[")"]: 2 * d - 1} if d else {})]
    return Trie(nodes, [1])
