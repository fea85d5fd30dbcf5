"""Table of the tasks: how each is built on an encoder, what it is trained on and asked."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np

from bert4keras import tasks
from bert4keras.models import Backbone
from bert4keras.tokenizers import Tokenizer
from bert4keras.tokenizers.base import TokenizerBase
from helpers import family_models

FIXTURES = Path(__file__).parents[1] / "fixtures"
# Families by the tokenizer that they have; all others have WordPiece.
TOKENIZERS = {
    "albert": "albert",
    "deberta-v2": "deberta_v2",
    "gpt": "gpt2",
    "gpt2": "gpt2",
    "gpt2_ml": "gpt2",
    "modernbert": "modernbert",
    "roberta": "roberta_json",
}
ONE_WAY = ("gpt", "gpt2", "gpt2_ml")  # a token sees those before it only
STILL = {"dropout_rate": 0.0, "attention_dropout_rate": 0.0}
SHORT, LONG = "the film", "我爱北京 and the story is not very good, but it was"


@dataclasses.dataclass(frozen=True)
class Row:
    """A task in the table.

    Attributes:
        build: function (encoder, its tokenizer) -> task.
        train: samples for `batches`.
        ask: samples for `predict`, a short one and a long one among them; None: those of `train`.
        options: of `build_transformer_model`.
        without: families that cannot carry the task.
        trained: function task -> the model that is compiled and trained; None: `build` fits it.
    """

    build: Callable[[Backbone, TokenizerBase], tasks.Task]
    train: Sequence[Any]
    ask: Sequence[Any] | None = None
    options: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    without: tuple[str, ...] = ()
    trained: Callable[[Any], keras.Model] | None = lambda task: task.model


def text_classifier() -> Row:
    build = lambda bert, t: tasks.TextClassifier.build(bert, ["a", "b"], tokenizer=t)  # noqa: E731
    return Row(build, [(SHORT, "a"), (LONG, "b")])


def fill_mask() -> Row:
    return Row(
        lambda bert, t: tasks.FillMask.build(bert, tokenizer=t),
        [SHORT, LONG],
        [f"{SHORT} [MASK]", f"[MASK] {LONG}", f"{LONG} [MASK] is [MASK]"],
        {"with_mlm": "linear"},
        ONE_WAY,
    )


def tagger() -> Row:
    return Row(
        lambda bert, t: tasks.Tagger.build(bert, ["X"], tokenizer=t),
        [(SHORT, [(4, 8, "X")]), (LONG, [(0, 2, "X")])],
    )


def extractive_qa() -> Row:
    return Row(
        lambda bert, t: tasks.ExtractiveQA.build(bert, tokenizer=t),
        [(("the film", SHORT), "film"), (("not very good", LONG), "story")],
    )


def relation_extractor() -> Row:
    return Row(
        lambda bert, t: tasks.RelationExtractor.build(bert, ["of"], tokenizer=t, head_size=8),
        [(SHORT, [("the", "of", "film")]), (LONG, [("story", "of", "good")])],
    )


def table_qa() -> Row:
    from bert4keras.tasks.sql import SQL, Table

    table = Table(("film", "story"), (("good", 2), ("bad", 0)))
    return Row(
        lambda bert, t: tasks.TableQA.build(bert, tokenizer=t, units=8),
        [
            (("good film", table), SQL((1,), ("",), [(0, "=", "good")])),
            (("the story of the very bad film", table), SQL((0,), ("MAX",))),
        ],
        without=ONE_WAY,
    )


def entity_linker() -> Row:
    from bert4keras.tasks.linking import KnowledgeBase, KnowledgeBaseEntity

    base = KnowledgeBase(
        [
            KnowledgeBaseEntity("1", "film", ("film", "story"), (("is", "good"),)),
            KnowledgeBaseEntity("2", "story", ("film", "story"), (("is", "bad"),)),
        ]
    )
    return Row(
        lambda bert, t: tasks.EntityLinker.build(bert, base, description=8, tokenizer=t),
        [(SHORT, [(4, 8, "1")]), (LONG, [(13, 18, "2")])],
        options={"application": "shared_prefix"},
        without=("gau_alpha",),
    )


def sentence_encoder() -> Row:
    return Row(
        lambda bert, t: tasks.SentenceEncoder.build(bert, tokenizer=t),
        [((SHORT, LONG), 1.0), ((SHORT, SHORT), 0.0)],
        [SHORT, LONG],
        trained=lambda task: task.training_model("cosent"),
    )


def generator() -> Row:
    return Row(
        lambda bert, t: tasks.Generator.build(bert, tokenizer=t, max_new_tokens=8),
        [(SHORT, "story"), (LONG, "good")],
        [SHORT, LONG],
        {"application": "unilm", "with_mlm": "linear"},
        # UniLM needs segments and a mask token; GPT and T5 have their own tests.
        (*ONE_WAY, "deberta-v2", "distilbert", "modernbert", "roberta"),
    )


def sentence_autoencoder() -> Row:
    build = lambda bert, t: tasks.SentenceAutoencoder.build(bert, "vq", tokenizer=t)  # noqa: E731
    without = ("gau_alpha", "roformer_v2")  # their norms take no condition
    return Row(build, [SHORT, LONG], [SHORT, LONG], without=without)


def reranker() -> Row:
    return Row(
        lambda bert, t: tasks.Reranker.build(bert, tokenizer=t),
        [((SHORT, "story"), 1.0), ((SHORT, LONG), 0.0)],
    )


def novelty_detector() -> Row:
    known = [f"{SHORT} {LONG[i:]}" for i in range(len(LONG))]
    return Row(
        lambda bert, t: tasks.NoveltyDetector.build(bert, false_alarm_rate=0.2, tokenizer=t).fit(
            known
        ),
        [],
        [SHORT, LONG],
        trained=None,
    )


ROWS: dict[str, Callable[[], Row]] = {
    "TextClassifier": text_classifier,
    "FillMask": fill_mask,
    "Tagger": tagger,
    "ExtractiveQA": extractive_qa,
    "RelationExtractor": relation_extractor,
    "TableQA": table_qa,
    "EntityLinker": entity_linker,
    "SentenceEncoder": sentence_encoder,
    "Reranker": reranker,
    "NoveltyDetector": novelty_detector,
    "Generator": generator,
    "SentenceAutoencoder": sentence_autoencoder,
}
ELSEWHERE = ("WordSegmenter", "CCKS2019Linker", "SentenceParser")  # tasks with a test like this one
TABLE = {name: row() for name, row in ROWS.items() if name in tasks.TASKS}


def build(name: str, family: str) -> tasks.Task:
    """A task of the table on a tiny encoder whose dropout is off."""
    return build_row(TABLE[name], family)


def build_row(row: Row, family: str) -> tasks.Task:
    """The task of a row on a tiny encoder whose dropout is off."""
    kind = TOKENIZERS.get(family)
    directory = FIXTURES / "tokenizers" / kind if kind else FIXTURES / "bert_gelu"
    tokenizer = Tokenizer.from_pretrained(directory)
    pad = tokenizer.pad_token_id
    sizes = {
        "vocab_size": tokenizer.vocab_size,
        "pad_token_id": tokenizer.token_end_id if pad is None else pad,
        "max_position": 48,
        **STILL,
    }
    bert = family_models.build(family, config=sizes, **row.options)
    return row.build(bert, tokenizer)


def values(answer: Any) -> list[Any]:
    """Return the numbers and texts of an answer, in order."""
    if dataclasses.is_dataclass(answer):
        answer = [getattr(answer, field.name) for field in dataclasses.fields(answer)]
    if isinstance(answer, Mapping):
        answer = [*answer, *answer.values()]
    if isinstance(answer, np.ndarray):
        answer = answer.tolist()
    if isinstance(answer, (list, tuple)):
        return [value for part in answer for value in values(part)]
    return [answer]
