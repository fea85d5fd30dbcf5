"""Questions about a table to SQL: one pass of BERT over question and header, four small heads.

Task: which columns are asked for, with which aggregates, and under which conditions. Where the
      table has rows, values become cells, and queries that return nothing are passed over
      (execution-guided decoding). The tables of the test questions do not occur in training.
Data: examples/datasets/tables (English, made from templates for this project, Apache-2.0), or your
      own files in the format of WikiSQL (BSD-3) or TableQA (research), *.xz too: `tables.read`.
Command: python examples/task_nl2sql.py
         python examples/task_nl2sql.py --train train.jsonl.xz --valid dev.jsonl.xz \
             --test test.jsonl.xz --epochs 1 --batch-size 32 --maxlen 160 --head-rate 10
Seen: tables, seed 1: logical form 0.4313, execution 0.4562; execution-guided 0.4938, 0.5750 (a rule
      that looks for names of columns and cells: 0.1625, 0.2062). 225 s on one CPU core (JAX).
      WikiSQL: 0.6409 on test, 45 min on one core.
"""

from __future__ import annotations

import collections
import time

import common
import keras
import tables

from bert4keras.data import DataGenerator
from bert4keras.models import build_transformer_model
from bert4keras.optimizers import Extended, RateByPath
from bert4keras.tasks.sql import (
    NL2SQL,
    UnsupportedQuery,
    ValueLinker,
    decode_sql,
    encode_question,
    encode_sql,
    execute,
    select_labels_only,
    sql_accuracy,
    scores_of_labels,
)
from bert4keras.tokenizers import Tokenizer


def build(directory, maxlen: int) -> tuple[keras.Model, NL2SQL]:
    """A model from ids and the places of the headers to the scores of the head."""
    bert = build_transformer_model(directory)
    common.check_room(bert, maxlen)
    columns = keras.Input((None, 2), dtype="int32", name="Columns")
    head = NL2SQL(name="SQL")
    x = keras.layers.Dropout(0.1)(bert.output)
    return keras.Model([*common.inputs(bert), columns], head([x, columns])), head


class Questions:
    """Questions as batches, and the queries that a model finds for them.

    How many of the queries of `samples` the labels can say is printed, under `name`.
    """

    def __init__(self, name: str, samples, tokenizer, options):
        self.samples, self.options = samples, options
        self.encoded, self.labels = [], []
        reasons: collections.Counter = collections.Counter()
        for question, table, sql in samples:
            one = encode_question(tokenizer, question, table.header, options.maxlen)
            try:
                labels = encode_sql(sql, question, one)
                link = ValueLinker(table).link if table.rows else None
                said = decode_sql(scores_of_labels(labels), question, one, link)
                if said.logical_form() != sql.logical_form():
                    reasons["the labels say something else"] += 1
            except UnsupportedQuery as error:
                labels = select_labels_only(sql, one)
                reasons[str(error)] += 1
            self.encoded.append(one)
            self.labels.append(labels)
        good = len(samples) - reasons.total()
        why = "".join(f", {count} not: {reason}" for reason, count in reasons.items())
        print(f"{name}: {len(samples)} questions; the labels give back {good} queries{why}")

    def batches(self, shuffle: bool = False, order=None) -> DataGenerator:
        order = range(len(self.samples)) if order is None else order
        # The offsets, the last of an EncodedQuestion, are no input.
        rows = [(tuple(self.encoded[i][:3]), self.labels[i]) for i in order]
        size = self.options.batch_size if shuffle else 64
        return DataGenerator(
            rows, size, encode=lambda row: row, shuffle=shuffle, seed=self.options.seed
        )

    def predict(self, model, head, **how) -> list:
        """The query of each question."""
        order = sorted(range(len(self.samples)), key=lambda i: len(self.encoded[i].token_ids))
        batches = self.batches(order=order)
        found = [None] * len(order)
        for start, batch in zip(range(0, len(order), 64), batches, strict=True):
            some = order[start : start + 64]
            questions, given, _ = zip(*(self.samples[i] for i in some), strict=True)
            encoded = [self.encoded[i] for i in some]
            scores = model.predict_on_batch(batch[0])
            queries = head.decode(scores, questions, encoded, given, **how)
            for i, sql in zip(some, queries, strict=True):
                found[i] = sql
        return found

    def accuracy(self, predictions) -> dict[str, float]:
        return sql_accuracy(
            predictions, [s.sql for s in self.samples], [s.table for s in self.samples]
        )


@common.script
def main() -> None:
    defaults = {"epochs": 5, "learning_rate": 1e-4, "maxlen": 64}
    parser = common.arguments(__doc__, "tables", **defaults)
    parser.add_argument("--head-rate", type=float, default=1, help="times the encoder's rate")
    options = parser.parse_args()
    keras.utils.set_random_seed(options.seed)
    started = time.perf_counter()
    directory = options.model or common.default_model()
    tokenizer = Tokenizer.from_pretrained(directory)
    parts = common.splits(options, tables.read, group=common.by(lambda sample: sample.table))
    names = ("train", "valid", "test")
    train, valid, test = (
        Questions(name, part, tokenizer, options) for name, part in zip(names, parts, strict=True)
    )
    how = {"max_select": max(len(sample.sql.sel) for sample in train.samples)}
    model, head = build(directory, options.maxlen)
    evaluate = lambda: valid.accuracy(valid.predict(model, head, **how))  # noqa: E731
    batches = train.batches(shuffle=True)
    optimizer = common.adamw(options.learning_rate, options.epochs * len(batches))
    optimizer = Extended(optimizer, [RateByPath({f"^{head.name}/": options.head_rate})])
    common.fine_tune(model, batches, evaluate, options, head.loss, optimizer)

    guess = tables.baseline(train.samples)
    found = {"baseline": [guess(s.question, s.table) for s in test.samples]}
    found["model"] = test.predict(model, head, **how)
    if test.samples[0].table.rows:
        found["model, execution-guided"] = test.predict(model, head, execution=True, **how)
    for name, predictions in found.items():
        figures = (f"{key} {value:.4f}" for key, value in test.accuracy(predictions).items())
        print(f"test: {name}: {', '.join(figures)}")
    for (question, table, _), sql in list(zip(test.samples, predictions, strict=True))[:5]:
        print(f"{question}\n  {sql.text(table.header)}")
        if table.rows:
            print(f"  {execute(sql, table)[:5]}")
    print(f"{time.perf_counter() - started:.0f} s")


if __name__ == "__main__":
    main()
