"""Math word problems: read a problem, write its equation, compute that.

Task: seq2seq by one BERT (UniLM), from random weights. The numbers of a problem are replaced by
      [n0], [n1], ... in the order in which they stand, so that the model learns what to do with
      them, not to copy digits. An automaton allows only well-formed equations with the numbers
      that the problem has. Right is what has the right value, however it is written.
Data: examples/datasets/word_problems (Chinese, made from templates for this project, Apache-2.0),
      or your own: TSV of problem, equation, answer, or lines of json with these as "question",
      "equation", "answer" (Math23K, no licence stated), *.xz too. Of one file given as --train, a
      tenth each becomes the other two.
Command: python examples/task_math_word_problem.py [--train FILE] [--epochs N] [--limit N]
Seen: word_problems, seed 1: test 0.8300 right, greedily and by beam search (the most frequent
      equation for as many numbers: 0.1600). 91 s on one CPU core (TensorFlow).
"""

from __future__ import annotations

import collections
import re
import time
from fractions import Fraction
from pathlib import Path

import common
import keras
from equations import NUMBER, SLOTS, grammar, slots_of, value

from bert4keras.config import TransformerConfig
from bert4keras.data import DataGenerator
from bert4keras.generation import BeamSearch, Constrained, Greedy, generate
from bert4keras.models import build_transformer_model
from bert4keras.tokenizers import Tokenizer

SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]"]
LONGEST = 24  # tokens of an equation


def read(path: Path, options) -> list[tuple[list[str], list[str], list[str], Fraction]]:
    """Problem and equation as tokens, the numbers, and the answer, of rows that hold together."""
    if ".jsonl" in path.suffixes:
        keys = ("question", "equation", "answer")
        found = common.json_rows(path, *keys, kind=(str, int, float, type(None)))
        rows = [(str(text), str(said), value(str(answer))) for text, said, answer in found]
    else:
        rows = common.read_tsv(path, (0, 1, 2), number=Fraction)
    kept = []
    for text, equation, answer in rows:
        numbers = re.findall(NUMBER, text)
        problem = re.findall(r"\[n\d\]|\S", re.sub(NUMBER, slots_of(numbers), text))
        problem = ["[CLS]", *problem, "[SEP]"]
        tokens = re.sub(NUMBER, slots_of(numbers), equation)
        tokens = re.findall(rf"\[n\d\]|{NUMBER}|\S", tokens)
        fits = 0 < len(numbers) <= len(SLOTS) and len(tokens) < LONGEST
        fits = fits and len(problem) <= options.maxlen
        if fits and answer is not None and value(equation) == answer:
            kept.append((problem, tokens, numbers, answer))
    print(f"{path.name}: {len(kept)} of {len(rows)} rows are short and have a right equation")
    return kept


class Solver:
    """A model that writes equations.

    Args:
        train: rows, whose characters and constants make the vocabulary.
    """

    def __init__(self, train):
        constants = collections.Counter(t for row in train for t in row[1] if t[0].isdigit())
        self.constants = [token for token, count in constants.items() if count > 2]
        chars = dict.fromkeys(token for row in train for token in row[0])
        tokens = dict.fromkeys([*SPECIAL, *SLOTS, *"+-*/()", *self.constants, *chars])
        self.tokenizer = Tokenizer(list(tokens))
        config = TransformerConfig(
            vocab_size=len(tokens),
            hidden_size=128,
            num_hidden_layers=2,
            num_attention_heads=4,
            intermediate_size=512,
            max_position=512,
            initializer_range=0.05,
        )
        self.model = build_transformer_model(config, application="unilm", with_mlm="linear")
        self.grammars: dict[int, Constrained] = {}

    def encode(self, row):
        """Inputs and labels of a row."""
        problem, equation = (self.tokenizer.tokens_to_ids(part) for part in row[:2])
        return common.unilm_sample(problem, equation, self.tokenizer)

    def constraint(self, numbers: int) -> Constrained:
        """Of problems with so many numbers; the same object each time, compiled once."""
        if numbers not in self.grammars:
            ids = self.tokenizer.tokens_to_ids([*SLOTS[:numbers], *self.constants])
            end = self.tokenizer.token_end_id
            self.grammars[numbers] = Constrained(grammar(ids, self.tokenizer), end)
        return self.grammars[numbers]

    def solve(self, rows, strategy) -> list[str]:
        """The equation of each problem."""
        found = [""] * len(rows)
        for count in sorted({len(row[2]) for row in rows}):
            places = [i for i, row in enumerate(rows) if len(row[2]) == count]
            for some in (places[i : i + 256] for i in range(0, len(places), 256)):
                prompts = [self.tokenizer.tokens_to_ids(rows[i][0]) for i in some]
                how = {"processors": [self.constraint(count)]}
                end = self.tokenizer.token_end_id
                answers = generate(self.model, prompts, LONGEST, end, strategy, **how).best
                for i, ids in zip(some, answers, strict=True):
                    found[i] = "".join(self.tokenizer.ids_to_tokens(ids))
        return found


def right(rows, equations: list[str]) -> float:
    """Share of equations whose value is the answer."""
    filled = (
        re.sub(r"\[n(\d)\]", lambda m: row[2][int(m[1])], equation)  # noqa: B023
        for row, equation in zip(rows, equations, strict=True)
    )
    return sum(value(e) == row[3] for row, e in zip(rows, filled, strict=True)) / len(rows)


@common.script
def main() -> None:
    defaults = {"epochs": 20, "learning_rate": 1e-3, "maxlen": 100}
    parser = common.arguments(__doc__, "word_problems", "", **defaults)
    options = parser.parse_args()
    keras.utils.set_random_seed(options.seed)
    train, valid, test = common.splits(options, lambda path: read(path, options))
    solver, started = Solver(train), time.perf_counter()
    how = {"encode": solver.encode, "shuffle": True, "seed": options.seed}
    batches = DataGenerator(train, options.batch_size, **how)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True, ignore_class=-1)
    share = lambda: {"right": right(valid, solver.solve(valid, Greedy()))}  # noqa: E731
    common.fine_tune(solver.model, batches, share, options, loss)
    usual = collections.Counter((len(row[2]), "".join(row[1])) for row in train)
    best = {count: equation for (count, equation), _ in reversed(usual.most_common())}
    guesses = [best.get(len(row[2]), "") for row in test]
    print(f"test: right values by the usual equation {right(test, guesses):.4f}")
    for strategy in (Greedy(), BeamSearch(4)):
        found = solver.solve(test, strategy)
        print(f"test: right values by {strategy} {right(test, found):.4f}")
    print(f"{''.join(test[0][0][1:-1])} {found[0]}, {time.perf_counter() - started:.0f} s")


if __name__ == "__main__":
    main()
