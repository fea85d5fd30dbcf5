"""Questions and answers from a passage: draw an answer, then write the question for it.

Task: seq2seq by one model (UniLM): the passage is segment 0; the answer and then the question, each
      with a [SEP] behind it, are segment 1. The answer is drawn by its probability, so that one
      passage gives several, the question is found by beam search. Such pairs serve as training data
      for reading comprehension. Without an argument a small BERT is trained from random
      weights, whose vocabulary is the characters of the training text.
Data: examples/datasets/reading (Chinese, made from templates for this project, Apache-2.0), or
      files of SQuAD or CMRC 2018 (CC BY-SA 4.0), *.xz too; questions that have no answer are left
      out. Of one file given as --train, a tenth each becomes the other two.
Command: python examples/task_question_answer_generation.py [--model DIR --learning-rate 5e-5]
             [--train train.json --valid dev.json --test dev.json --maxlen 512] [--epochs N]
Seen: reading, seed 1: of questions for the right answer ROUGE-L 0.510, BLEU 0.270 (the sentence of
      the answer: 0.426, 0.145). So small a model hardly copies: of 300 answers drawn 8 stand in
      their passage. 4 min on one CPU core (JAX).
"""

from __future__ import annotations

import itertools
import re
import time

import common
import reading
from answering import LOSS, Reader, parse, writing_bert

from bert4keras.data import DataGenerator
from bert4keras.generation import BannedTokens, BeamSearch, Greedy, Sample, generate
from bert4keras.tasks.generation import bleu, rouge


class Asker(Reader):
    """A model that writes answers and questions.

    Args:
        train: rows, all with an answer.
    """

    def __init__(self, train, options):
        super().__init__(train, options, "unilm", writing_bert)
        names = ("pad", "unk", "start", "mask")
        never = [getattr(self.tokenizer, f"token_{name}_id") for name in names]
        self.banned = BannedTokens(tuple(never))

    def passage(self, row) -> list[int]:
        """[CLS] passage [SEP], as much of it as has room."""
        room = self.options.maxlen - self.options.question - self.options.answer - 4
        tokens = self.tokens(row.context, room)
        return [self.tokenizer.token_start_id, *tokens, self.end]

    def encode(self, row):
        """Inputs and labels of a row."""
        answer = self.tokens(row.target, self.options.answer)
        question = self.tokens(row.question, self.options.question)
        target = [*answer, self.end, *question]
        return common.unilm_sample(self.passage(row), target, self.tokenizer)

    def write(self, prompts, segments, size, strategy) -> list[list[list[int]]]:
        """Several texts for each prompt, or one."""
        found = []
        for i in range(0, len(prompts), 64):
            some = slice(i, i + 64)
            how = {"processors": [self.banned], "segment_ids": segments[some]}
            how["new_segment_id"] = 1
            found += generate(self.model, prompts[some], size, self.end, strategy, **how).token_ids
        return found

    def answers(self, rows, strategy) -> list[list[str]]:
        """Answers to what one might ask about each passage."""
        prompts = [self.passage(row) for row in rows]
        segments = [[0] * len(prompt) for prompt in prompts]
        found = self.write(prompts, segments, self.options.answer, strategy)
        return [[self.tokenizer.decode(ids) for ids in some] for some in found]

    def questions(self, rows, answers: list[str], strategy) -> list[str]:
        """The question for each passage and answer."""
        passages = [self.passage(row) for row in rows]
        given = [[*self.tokens(text, self.options.answer), self.end] for text in answers]
        pairs = list(zip(passages, given, strict=True))
        segments = [[0] * len(passage) + [1] * len(answer) for passage, answer in pairs]
        prompts = [passage + answer for passage, answer in pairs]
        found = self.write(prompts, segments, self.options.question, strategy)
        return [self.tokenizer.decode(some[0]) for some in found]


def scores(questions: list[str], rows) -> dict[str, float]:
    """ROUGE-L and BLEU of characters (of Chinese; else of words)."""
    wanted = [row.question.lower() for row in rows]
    questions = [question.lower() for question in questions]
    return {"rouge-l": rouge(questions, wanted)["rouge-l"], "bleu": bleu(questions, wanted)}


def sentence_with(row) -> str:
    """A baseline: the part between commas or stops where the answer stands, without the answer."""
    start, stop = row.spans[0]
    before = re.split(r"[。！？!?；;，,]", row.context[:start])[-1]
    return before + "什么" + re.split(r"[。！？!?；;，,]", row.context[stop:])[0] + "？"


@common.script
def main() -> None:
    options = parse(__doc__, epochs=12, learning_rate=1e-3, maxlen=180)
    train, valid, test = reading.splits(options, answered=True)
    started, asker = time.perf_counter(), Asker(train, options)
    common.check_room(asker.model, options.maxlen)
    how = {"encode": asker.encode, "shuffle": True, "seed": options.seed, "buckets": 4}
    batches, few = DataGenerator(train, options.batch_size, **how), common.first_rows(valid, 200)
    right = [row.target for row in few]
    evaluate = lambda: scores(asker.questions(few, right, Greedy()), few)  # noqa: E731
    common.fine_tune(asker.model, batches, evaluate, options, LOSS)

    found = {"the sentence of the answer": [sentence_with(row) for row in test]}
    right = [row.target for row in test]
    found["model, Greedy"] = asker.questions(test, right, Greedy())
    found["model, BeamSearch"] = asker.questions(test, right, BeamSearch(4))
    for name, questions in found.items():
        figures = ", ".join(f"{k} {v:.4f}" for k, v in scores(questions, test).items())
        print(f"test: question for the right answer: {name}: {figures}")
    passages = [next(rows) for _, rows in itertools.groupby(test, lambda row: row.context)]
    drawn = asker.answers(passages, Sample(top_p=0.9, n=3, seed=options.seed))
    pairs = [(row, text) for row, some in zip(passages, drawn, strict=True) for text in set(some)]
    there = [(row, text) for row, text in pairs if text and text in row.context.lower()]
    print(f"test: {len(there)} of {len(pairs)} answers drawn stand in their passage")
    few = there[:6]
    questions = asker.questions(*zip(*few, strict=True), BeamSearch(4)) if few else []
    for (row, text), question in zip(few, questions, strict=True):
        print(f"{row.context}\n  {question} {text}")
    print(f"{time.perf_counter() - started:.0f} s")


if __name__ == "__main__":
    main()
