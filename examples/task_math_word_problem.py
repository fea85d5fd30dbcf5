"""Math word problems: read a problem, write its equation, and compute the answer.

One small BERT from random weights (UniLM). The numbers of a problem are replaced by ①, ②, ... in
their order, so the model learns the operations instead of copying digits. An automaton allows only
well-formed equations with the numbers of the problem. An equation is right if its value is right,
whatever its form.

Data: examples/datasets/word_problems (Chinese, made from templates, Apache-2.0), or your own TSV of
problem<TAB>equation<TAB>answer; *.xz and *.gz too.
    python examples/task_math_word_problem.py
    python task_math_word_problem.py --train mine.tsv --save solver
Seen: 0.830 of the test problems right (the most frequent equation for as many numbers: 0.160); 91 s
on one CPU core (TensorFlow), of an earlier version with a BERT of this size.
"""

import argparse
import ast
import operator
import re
import sys
from fractions import Fraction
from pathlib import Path

import keras

from bert4keras import tasks
from bert4keras.data import read_table, split
from bert4keras.generation import Constrained, Trie
from bert4keras.optimizers import warm_up
from bert4keras.training import Evaluator

DATA = Path(__file__).parent / "datasets" / "word_problems"
SLOTS, NUMBER = "①②③④⑤⑥⑦⑧⑨⑩", r"\d+(?:\.\d+)?"
SIGNS = {ast.Add: operator.add, ast.Sub: operator.sub}
SIGNS |= {ast.Mult: operator.mul, ast.Div: operator.truediv}

parser = argparse.ArgumentParser(
    description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
)
parser.add_argument("--train", type=Path, default=DATA / "train.tsv", help="(default: %(default)s)")
parser.add_argument("--save", type=Path, help="directory for the trained task")
parser.add_argument("--epochs", type=int, default=20)
parser.add_argument("--batch-size", type=int, default=16)
parser.add_argument("--learning-rate", type=float, default=1e-3)
parser.add_argument("--seed", type=int, default=1)
parser.add_argument("--limit", type=int, help="train on only so many rows")
options = parser.parse_args()
keras.utils.set_random_seed(options.seed)


def value(equation: str) -> Fraction | None:
    """The exact value of sums, products and brackets; None for anything else."""

    def compute(node: ast.AST) -> Fraction:
        if isinstance(node, ast.BinOp) and type(node.op) in SIGNS:
            return SIGNS[type(node.op)](compute(node.left), compute(node.right))
        if isinstance(node, ast.Constant) and type(node.value) in (int, float):
            return Fraction(str(node.value))
        raise ValueError

    try:
        return compute(ast.parse(equation, mode="eval").body)
    except (SyntaxError, ValueError, ZeroDivisionError, RecursionError):
        return None


def read(path: Path) -> list[tuple[str, str, list[str], Fraction]]:
    """Problem and equation with slots, the numbers, and the answer, of rows that hold together."""
    rows = []
    for _, (text, equation, answer, *_) in read_table(path):
        numbers = re.findall(NUMBER, text)
        slots = dict(zip(reversed(numbers), reversed(SLOTS[: len(numbers)]), strict=False))
        texts = [re.sub(NUMBER, lambda m: slots.get(m[0], m[0]), t) for t in (text, equation)]  # noqa: B023
        if 0 < len(numbers) <= len(SLOTS) and value(equation) == value(answer) is not None:
            rows.append((*texts, numbers, value(answer)))
    return rows


train = read(options.train)
if options.train.parent == DATA:
    valid, test = read(DATA / "valid.tsv"), read(DATA / "test.tsv")
else:
    train, valid, test = split(train, (0.1, 0.1))
train = train[: options.limit]
texts = [*(text for row in train for text in row[:2]), *2 * (" ".join(SLOTS), "+-*/()")]
bert, tokenizer = tasks.from_scratch(texts, application="unilm", with_mlm="linear", maxlen=160)
task = tasks.Generator(tokenizer, bert, max_new_tokens=24)


def tokens(text: str) -> list[int]:
    return tokenizer.encode(text)[0][1:-1]


# Constants of the training equations, such as the 2 of "double", are allowed too.
constants = sorted({number for row in train for number in re.findall(NUMBER, row[1])})
rules = []
for count in range(1, len(SLOTS) + 1):
    operands = [tokens(text) for text in (*SLOTS[:count], *constants)]
    signs, brackets = [tokens(sign)[0] for sign in "+-*/"], (tokens("(")[0], tokens(")")[0])
    trie = Trie.of_expressions(operands, signs, brackets)
    rules.append([Constrained(trie, tokenizer.token_end_id)])


def solve(rows: list) -> tuple[float, list[str]]:
    """Share of equations with the right value, and the equations."""
    found = [""] * len(rows)
    for count in {len(row[2]) for row in rows}:
        places = [i for i, row in enumerate(rows) if len(row[2]) == count]
        answers = task.predict([rows[i][0] for i in places], processors=rules[count - 1])
        for i, answer in zip(places, answers, strict=True):
            numbers = dict(zip(SLOTS, rows[i][2], strict=False))
            text = "".join(numbers.get(c, c) for c in answer.text)
            found[i] = re.sub(r"\s", "", text)
    right = sum(value(text) == row[3] for text, row in zip(found, rows, strict=True))
    return right / len(rows), found


batches = task.batches([row[:2] for row in train], options.batch_size, shuffle=True)
steps = options.epochs * len(batches)
rate = warm_up(options.learning_rate, steps // 10, steps)
task.model.compile(keras.optimizers.AdamW(rate, weight_decay=0.01), task.loss)
task.model.fit(
    batches,
    epochs=options.epochs,
    verbose="auto" if sys.stdout.isatty() else 2,
    callbacks=[Evaluator(lambda: solve(valid)[0])],
)
share, equations = solve(test)
print(f"test: {share:.4f} right")
for (problem, _, numbers, answer), equation in list(zip(test, equations, strict=True))[:3]:
    print(f"{problem} {numbers}\n  {equation} = {value(equation)} (wanted: {answer})")
if options.save:
    task.save(options.save)
