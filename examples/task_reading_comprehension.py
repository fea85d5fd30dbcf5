"""Where in the passage is the answer? An encoder reads question and passage together.

Task: extractive reading comprehension: the first and the last token of the answer, or [CLS] if the
      passage has none. Passages that are too long are read in overlapping windows. How much better
      than "none" an answer must be is chosen on the valid rows. Without an argument a small
      RoFormer is trained from random weights over characters: from so few texts relative positions
      learn more than BERT's. Since it knows nothing, its segment ids also tell which characters of
      the passage stand in the question, alone (2) or in a run of two (3).
Data: examples/datasets/reading (Chinese, made from templates for this project, Apache-2.0), or your
      own files of SQuAD 1.1 or 2.0, CMRC 2018 (CC BY-SA 4.0) or SubjQA (no licence named; *.csv).
      Of one file given as --train, a tenth each becomes the other two.
Command: python examples/task_reading_comprehension.py
         python examples/task_reading_comprehension.py --model DIR --train train.csv.xz \
             --valid dev.csv.xz --test test.csv.xz --epochs 2 --learning-rate 1e-4
Seen: reading, seed 1: EM 0.8686, F1 0.8958 (tf-idf sentence: 0.0600, 0.1173); 82 s on one CPU core.
"""

from __future__ import annotations

import time

import common
import comprehension
import keras
from characters import tokenizer_of
from reading import mark_shared

from bert4keras.config import TransformerConfig
from bert4keras.data import DataGenerator, sequence_padding
from bert4keras.models import build_transformer_model
from bert4keras.tasks.reading import Reading, SpanExtraction, Window, read_answers, read_windows
from bert4keras.tokenizers import Tokenizer


class Reader:
    """A model that finds answers.

    Args:
        rows: to train on.
    """

    def __init__(self, rows, options):
        self.options, self.marks = options, not options.model
        if options.model:
            self.tokenizer = Tokenizer.from_pretrained(options.model)
            bert = build_transformer_model(options.model)
            common.check_room(bert, options.maxlen)
        else:
            texts = {text for row in rows for text in (row.question, row.context)}
            self.tokenizer = tokenizer_of(texts)
            config = TransformerConfig(
                self.tokenizer.vocab_size,
                hidden_size=options.width,
                num_hidden_layers=2,
                num_attention_heads=4,
                intermediate_size=4 * options.width,
                max_position=512,
                segment_vocab_size=4,
                initializer_range=0.05,
            )
            bert = build_transformer_model(config, model="roformer")
        self.segments = len(bert.inputs) > 1  # RoBERTa has none
        mask = keras.Input((None,), dtype="int32", name="Passage")
        self.head = SpanExtraction(name="Answer")
        x = keras.layers.Dropout(0.1)(bert.output)
        self.model = keras.Model([*bert.inputs, mask], self.head([x, mask]))

    def windows(self, rows) -> list[list[Window]]:
        """Each row's windows."""
        questions, passages = zip(*((row.question, row.context) for row in rows), strict=True)
        sizes = {"maxlen": self.options.maxlen, "stride": self.options.stride}
        return read_windows(self.tokenizer, questions, passages, **sizes)

    def inputs(self, window: Window):
        """Token ids, segment ids (if the model has any) and the mask of the passage."""
        segments = list(window.segment_ids)
        if self.marks:
            asked, passage = range(1, window.begin - 1), range(window.begin, window.end)
            segments = mark_shared(segments, window.token_ids, asked, passage)
        return (window.token_ids, *([segments] if self.segments else ()), window.mask)

    def samples(self, rows) -> list[tuple]:
        """Inputs and labels of all windows; of several answers the first counts."""
        return [
            (self.inputs(window), [*window.labels(*(row.spans or [(0, 0)])[0])])
            for row, windows in zip(rows, self.windows(rows), strict=True)
            for window in windows
            if row.spans or not row.answers  # an answer that stands nowhere teaches nothing
        ]

    def read(self, rows) -> list[Reading]:
        """What each passage says."""
        found = self.windows(rows)
        inputs = [self.inputs(window) for windows in found for window in windows]
        order = sorted(range(len(inputs)), key=lambda i: len(inputs[i][0]))
        made = {}
        for some in (order[k : k + 64] for k in range(0, len(order), 64)):
            columns = zip(*(inputs[i] for i in some), strict=True)
            ids, *others = (list(column) for column in columns)
            batch = [sequence_padding(ids, value=self.tokenizer.token_pad_id, multiple_of=32)]
            batch += [sequence_padding(column, multiple_of=32) for column in others]
            made |= zip(some, self.model.predict_on_batch(batch), strict=True)
        scores = (made[i] for i in range(len(inputs)))
        length = {"max_length": self.options.answer}
        return [
            read_answers(row.context, windows, [next(scores) for _ in windows], **length)
            for row, windows in zip(rows, found, strict=True)
        ]

    def answer(self, rows) -> list[tuple[str, float]]:
        """For each row the best answer and its margin."""
        return [(found.text(-float("inf")), found.margin) for found in self.read(rows)]


@common.script
def main() -> None:
    defaults = {"epochs": 12, "learning_rate": 2e-3, "maxlen": 256, "batch_size": 32}
    parser = common.arguments(__doc__, "reading", "none, random weights", **defaults)
    parser.add_argument("--stride", type=int, default=128, help="tokens from window to window")
    parser.add_argument("--answer", type=int, default=40, help="longest answer, in tokens")
    parser.add_argument("--width", type=int, default=64, help="of a model without --model")
    options = parser.parse_args()
    parser.refuse(["width"], options.model is not None, "on a --model")
    keras.utils.set_random_seed(options.seed)
    train, valid, test = comprehension.splits(options)
    started, reader = time.perf_counter(), Reader(train, options)
    samples = reader.samples(train)
    print(f"{len(train)} questions in {len(samples)} windows")
    how = {"encode": tuple, "shuffle": True, "seed": options.seed}
    batches = DataGenerator(samples, options.batch_size, **how)

    evaluate = lambda: comprehension.scores(reader.answer(valid), valid)  # noqa: E731
    common.fine_tune(reader.model, batches, evaluate, options, reader.head.loss)
    baseline = comprehension.SentenceBaseline(train)
    comprehension.report("tf-idf sentence", baseline.answer, valid, test)
    texts = comprehension.report("SpanExtraction", reader.answer, valid, test)
    print(f"{test[0].context}\n{test[0].question}\n  {texts[0] or '(no answer)'}")
    print(f"{time.perf_counter() - started:.0f} s")


if __name__ == "__main__":
    main()
