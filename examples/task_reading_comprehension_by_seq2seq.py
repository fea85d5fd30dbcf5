"""Reading comprehension as generation: passage and question in, answer out, from left to right.

Task: seq2seq by one model (UniLM): question and passage are segment 0, the answer is segment 1. It
      may write only what stands in the passage, in one piece (`SpansOfPrompt`), or nothing, which
      says that there is no answer. Without an argument a small BERT is trained from random
      weights, whose vocabulary is the characters of the training text.
Data: examples/datasets/reading (Chinese, made from templates for this project, Apache-2.0), or
      files of SQuAD or CMRC 2018 (CC BY-SA 4.0), *.xz too. Of one file given as --train, a tenth
      each becomes the other two.
Command: python examples/task_reading_comprehension_by_seq2seq.py [--model DIR --learning-rate 5e-5]
             [--train train.json --valid dev.json --test dev.json --maxlen 512] [--epochs N]
Seen: reading, seed 1: EM 0.2200, F1 0.3253 (what the question lacks of its nearest sentence:
      0.0229, 0.1363); 206 s on one CPU core (JAX).
"""

from __future__ import annotations

import dataclasses

import common
from answering import Reader, train_and_report, writing_bert
from keras import ops

from bert4keras.generation import Greedy, Processor, generate
from bert4keras.generation.processors import BANNED, mark


@dataclasses.dataclass(frozen=True)
class SpansOfPrompt(Processor):
    """Only what stands in the second text of the prompt, in one piece, or nothing at all.

    `Constrained` with `Trie.of_spans` allows the same, but is compiled for the passages it is made
    of. This reads them off the prompts, so that one compiled search serves all passages.

    Attributes:
        end_id: what ends each text of the prompt ([SEP]) and the answer.
        longest: answers have at most so many tokens.
    """

    end_id: int
    longest: int

    def __call__(self, scores, state, history):
        tokens, vocab_size = history.tokens, scores.shape[1]
        columns = ops.arange(tokens.shape[1], dtype="int32")[None]
        prompt = ops.logical_and(history.written, columns < history.index - history.step)
        ends = ops.cast(ops.logical_and(prompt, tokens == self.end_id), "int32")
        passage = ops.logical_and(prompt, ops.cumsum(ends, axis=1) - ends == 1)
        # A token may come next if the answer so far stands before it. That of the passage's end
        # is the end of the answer.
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
        return ops.where(ops.logical_or(found, end), scores, BANNED)


def place(tokens: list[int], passage: list[int]) -> int:
    """Where tokens stand in a passage."""
    return next(i for i in range(len(passage)) if passage[i : i + len(tokens)] == tokens)


class Generator(Reader):
    """A model that writes answers."""

    def __init__(self, train, options):
        super().__init__(train, options, "unilm", writing_bert)
        self.only = SpansOfPrompt(self.end, options.answer)

    def prompts(self, rows) -> tuple[list, list, list]:
        """[CLS] question [SEP] passage [SEP] of each row; the passage and its places."""
        start, options = self.tokenizer.token_start_id, self.options
        room = options.maxlen - options.question - options.answer - 4
        passages, spans = self.passages(rows, room)
        asked = [self.tokens(row.question, options.question) for row in rows]
        joined = zip(asked, passages, strict=True)
        return [[start, *q, self.end, *p, self.end] for q, p in joined], passages, spans

    def encode(self, row):
        """Inputs and labels of a row."""
        answer = self.tokens(row.target, self.options.answer)
        return common.unilm_sample(self.prompts([row])[0][0], answer, self.tokenizer)

    def answer(self, rows, strategy=None) -> list[str]:
        """The answer to each question, in the words of its passage."""
        found, how = [], {"processors": [self.only]}
        for some in (rows[i : i + 64] for i in range(0, len(rows), 64)):
            prompts, passages, spans = self.prompts(some)
            size, strategy = self.options.answer, strategy or Greedy()
            answers = generate(self.model, prompts, size, self.end, strategy, **how).best
            for row, ids, passage, span in zip(some, answers, passages, spans, strict=True):
                first = place(ids, passage) if ids else 0
                found.append(
                    row.context[span[first][0] : span[first + len(ids) - 1][1]] if ids else ""
                )
        return found


@common.script
def main() -> None:
    train_and_report(Generator, __doc__, epochs=12, learning_rate=1e-3, maxlen=180)


if __name__ == "__main__":
    main()
