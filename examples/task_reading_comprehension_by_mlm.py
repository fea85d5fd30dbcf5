"""Reading comprehension by a masked language model: all characters of the answer at one time.

Task: the model reads question, a fixed number of [MASK]s and passage, and fills all masks in one
      pass: the answer, then [SEP]s. Nothing is written step by step, so the characters of an answer
      do not know of one another; what holds them together is that only spans of the passage are
      candidates. Of each, the product of its probabilities, with a [SEP] behind it, is compared.
      The empty answer, [SEP] alone, says that there is none. Without an argument a small RoFormer
      is trained from random weights, whose vocabulary is the characters of the training text and
      whose segment ids also tell what the passage has in common with the question.
Data: examples/datasets/reading (Chinese, made from templates for this project, Apache-2.0), or
      files of SQuAD or CMRC 2018 (CC BY-SA 4.0), *.xz too. Of one file given as --train, a tenth
      each becomes the other two.
Command: python examples/task_reading_comprehension_by_mlm.py [--model DIR --learning-rate 5e-5]
             [--train train.json --valid dev.json --test dev.json --maxlen 256] [--epochs N]
Seen: reading, seed 1: EM 0.3229, F1 0.3733 (what the question lacks of its nearest sentence:
      0.0229, 0.1363); 27 min on one very busy CPU core (JAX).
"""

from __future__ import annotations

import common
import numpy as np
from answering import Reader, train_and_report
from characters import small_bert
from keras import ops
from reading import mark_shared

from bert4keras.data import sequence_padding


def best_span(log_probabilities: np.ndarray, passage: np.ndarray, end: int) -> tuple[int, int]:
    """The span of a passage whose tokens, with the end behind them, are most probable.

    Args:
        log_probabilities: (L, V) of the places of the answer.
        passage: token ids, (T,).
        end: id behind an answer that has fewer than L tokens.

    Returns:
        [start, stop) in the passage; stop == start for the empty answer. Of spans of the same
        tokens the first.
    """
    longest, length = len(log_probabilities), len(passage)
    closing = np.append(log_probabilities[:, end], 0.0)  # none is needed behind the last place
    best, found = closing[0], (0, 0)
    totals = np.zeros(length)  # of the spans of k tokens that begin at each place
    for k in range(min(longest, length)):
        totals = totals[: length - k] + log_probabilities[k, passage[k:]]
        start = int(totals.argmax())
        if totals[start] + closing[k + 1] > best:
            best, found = totals[start] + closing[k + 1], (start, start + k + 1)
    return found


class Filler(Reader):
    """A model that fills in answers."""

    def __init__(self, train, options):
        sizes = {"segment_vocab_size": 4}
        small = lambda size: small_bert(size, "encoder", "roformer", **sizes)  # noqa: E731
        super().__init__(train, options, "encoder", small)

    def inputs(self, rows) -> tuple[list, list, list, list]:
        """[CLS] question [SEP] [MASK]... [SEP] passage [SEP] of each row and its segments; the
        passage and its places."""
        start, options = self.tokenizer.token_start_id, self.options
        room = options.maxlen - options.question - options.answer - 4
        passages, spans = self.passages(rows, room)
        masks = [self.tokenizer.token_mask_id] * options.answer
        asked = [self.tokens(row.question, options.question) for row in rows]
        firsts = [[start, *masks, self.end, *question, self.end] for question in asked]
        seconds = [[*passage, self.end] for passage in passages]
        pairs = list(zip(firsts, seconds, strict=True))
        segments = [[0] * len(first) + [1] * len(second) for first, second in pairs]
        ids = [first + second for first, second in pairs]
        if not options.model:
            begin = len(masks) + 2
            segments = [
                mark_shared(some, row, range(begin, len(first) - 1), range(len(first), len(row)))
                for some, row, (first, _) in zip(segments, ids, pairs, strict=True)
            ]
        return ids, segments, passages, spans

    def encode(self, row):
        """Inputs and labels of a row: the answer and one [SEP] where there are masks."""
        (ids,), (segments,), _, _ = self.inputs([row])
        answer = [*self.tokens(row.target, self.options.answer), self.end][: self.options.answer]
        labels = [-1, *answer] + [-1] * (len(ids) - len(answer) - 1)
        return (ids, segments)[: len(self.model.inputs)], labels

    def answer(self, rows) -> list[str]:
        """The answer to each question, in the words of its passage."""
        found, places = [], slice(1, self.options.answer + 1)
        for some in (rows[i : i + 64] for i in range(0, len(rows), 64)):
            ids, segments, passages, spans = self.inputs(some)
            pads = (self.tokenizer.token_pad_id, 0)[: len(self.model.inputs)]
            columns = zip((ids, segments), pads)  # noqa: B905 - RoBERTa has no segment ids
            arrays = [sequence_padding(part, value=pad, multiple_of=32) for part, pad in columns]
            scores = self.model.predict(arrays, verbose=0)[:, places]
            scores = ops.convert_to_numpy(ops.log_softmax(scores))
            for row, score, passage, span in zip(some, scores, passages, spans, strict=True):
                first, stop = best_span(score, np.array(passage, "int32"), self.end)
                empty = first == stop
                found.append("" if empty else row.context[span[first][0] : span[stop - 1][1]])
        return found


@common.script
def main() -> None:
    train_and_report(Filler, __doc__, epochs=30, learning_rate=1e-3, maxlen=180)


if __name__ == "__main__":
    main()
