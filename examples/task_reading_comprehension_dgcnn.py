"""Where in the passages is the answer? DGCNN, a convolutional reader without a pretrained encoder.

Task: extractive reading comprehension over one or several passages a question: characters, and
      what each has in common with the question and the other passages, go through dilated gated
      convolutions (https://kexue.fm/archives/5409); the passages then vote. Long passages are
      read in overlapping windows. How sure an answer must be is chosen on the valid rows.
Data: examples/datasets/reading (Chinese, made from templates for this project, Apache-2.0), or your
      own files of WebQA or SogouQA (research only), SQuAD, CMRC 2018 (CC BY-SA 4.0), or SubjQA. Of
      one file given as --train, a tenth each becomes the other two.
Command: python examples/task_reading_comprehension_dgcnn.py
         python examples/task_reading_comprehension_dgcnn.py --train train.json --test dev.json
Seen: reading, seed 1: EM 0.8257, F1 0.8362 (tf-idf sentence: 0.0600, 0.1173); 77 s on one CPU core.
"""

from __future__ import annotations

import itertools
import time
from collections import Counter

import common
import comprehension
import keras
import numpy as np

from bert4keras.data import DataGenerator, sequence_padding
from bert4keras.tasks.reading import build_dgcnn, cut_windows, match_features, vote

UNKNOWN, FIRST = 1, 2  # token ids; 0 is padding
FEATURES = 6


class Reader:
    """A model that finds answers in passages.

    Args:
        rows: to train on.
    """

    def __init__(self, rows, options):
        self.options, self.random = options, np.random.default_rng(options.seed)
        texts = {text for row in rows for text in (row.question, row.context)}
        counts = Counter(itertools.chain.from_iterable(text.lower() for text in texts))
        known = sorted(char for char, count in counts.items() if count >= options.rare)
        self.ids = {char: i for i, char in enumerate(known, FIRST)}
        self.model = build_dgcnn(FIRST + len(known), FEATURES, units=options.units)
        self.head = self.model.get_layer("DGCNN")

    def numbers(self, text: str) -> list[int]:
        """Ids of characters; a text has one at least."""
        # One id a character: lower() makes two of some.
        return [self.ids.get(char.lower()[:1], UNKNOWN) for char in text] or [UNKNOWN]

    def prepare(self, rows) -> list[tuple]:
        """For each row (question ids, passage ids, features, places of answers)."""
        found = []
        for group in comprehension.questions(rows):
            for row in group:
                others = [other.context for other in group if other is not row]
                features = match_features(row.question, row.context, others)
                features = features if len(features) else np.zeros((1, FEATURES), "float32")
                ids = np.array(self.numbers(row.context), "int32")
                found.append((self.numbers(row.question), ids, features, row.spans))
        return found

    def sample(self, prepared):
        """Inputs and labels of one passage; of a long one a random part, often with an answer."""
        question, ids, features, spans = prepared
        labels = np.zeros((len(ids), 2), "int32")
        for start, end in spans:
            labels[start, 0] = labels[end - 1, 1] = 1
        start, size = 0, min(len(ids), self.options.maxlen)
        if len(ids) > size:
            start = self.random.integers(0, len(ids) - size + 1)
            if spans and self.random.random() < 0.8:
                a, b = spans[self.random.integers(len(spans))]
                low, high = max(0, b - size), min(a, len(ids) - size)
                start = self.random.integers(low, high + 1) if low <= high else a
        part = slice(start, start + size)
        return (question, ids[part], features[part]), labels[part]

    def scores(self, prepared) -> list[list[tuple[int, np.ndarray]]]:
        """For each row its windows: where they start, and their probabilities."""
        size = self.options.maxlen
        cut = [cut_windows(len(ids), size, size // 2) for _, ids, _, _ in prepared]
        parts = [
            ((question, ids[a:b], features[a:b]), a)
            for (question, ids, features, _), windows in zip(prepared, cut, strict=True)
            for a, b in windows
        ]
        order, made = sorted(range(len(parts)), key=lambda i: len(parts[i][0][1])), {}
        for some in (order[k : k + 64] for k in range(0, len(order), 64)):
            columns = zip(*(parts[i][0] for i in some), strict=True)
            batch = [sequence_padding(list(column), multiple_of=32) for column in columns]
            made |= zip(some, self.model.predict_on_batch(batch), strict=True)
        flat = ((a, made[i][: len(part[1])]) for i, (part, a) in enumerate(parts))
        return [list(itertools.islice(flat, len(windows))) for windows in cut]

    def answer(self, rows) -> list[tuple[str, float]]:
        """For each question the answer on which its passages agree, and its score."""
        found, scores = [], iter(self.scores(self.prepare(rows)))
        for group in comprehension.questions(rows):
            passages = []
            for row in group:
                passages.append([])
                for a, window in next(scores):
                    (spans,) = self.head.decode(window[None], 0.0, self.options.answer, top=5)
                    passages[-1] += [(row.context[a + s.start : a + s.end], s.score) for s in spans]
            found.append((vote(passages) or [("", 0.0)])[0])
        return found


@common.script
def main() -> None:
    defaults = {"epochs": 12, "learning_rate": 2e-3, "maxlen": 256, "batch_size": 32}
    parser = common.arguments(__doc__, "reading", "", **defaults)
    parser.add_argument("--units", type=int, default=64, help="width of the convolutions")
    parser.add_argument("--answer", type=int, default=40, help="longest answer, in characters")
    parser.add_argument("--rare", type=int, default=2, help="characters met less often are unknown")
    options = parser.parse_args()
    keras.utils.set_random_seed(options.seed)
    train, valid, test = comprehension.splits(options)
    started, reader = time.perf_counter(), Reader(train, options)
    how = {"encode": reader.sample, "shuffle": True, "seed": options.seed, "cache": False}
    how["buckets"] = [16, 32, *range(64, options.maxlen, 64), options.maxlen]
    batches = DataGenerator(reader.prepare(train), options.batch_size, **how)
    print(f"{len(train)} passages, {reader.model.count_params():,} weights")
    common.fine_tune(
        reader.model,
        batches,
        lambda: comprehension.scores(reader.answer(valid), valid),
        options,
        reader.head.loss,
    )
    baseline = comprehension.SentenceBaseline(train)
    comprehension.report("tf-idf sentence", baseline.answer, valid, test)
    texts = comprehension.report("DGCNN", reader.answer, valid, test)
    print(f"{test[0].context}\n{test[0].question}\n  {texts[0] or '(no answer)'}")
    print(f"{time.perf_counter() - started:.0f} s")


if __name__ == "__main__":
    main()
