"""Saved tasks of every kind and saved models of every family, to be loaded on another backend."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import numpy as np

from bert4keras import tasks
from bert4keras.generation import BeamSearch, NoRepeatNGram, RepetitionPenalty
from bert4keras.models import build_transformer_model
from bert4keras.tasks.linking import KnowledgeBase, KnowledgeBaseEntity, Link, LinkedText
from bert4keras.tokenizers import Tokenizer
from helpers import family_models
from helpers.task_table import FIXTURES, LONG, SHORT, STILL, TABLE, Row, build_row, values

HEADS = ("softmax", "memm", "bi-memm", "global-pointer", "efficient-global-pointer")
IDS = np.array([[2, 5, 6, 3, 0, 0], [2, 7, 8, 9, 4, 3]], "int32")


def _tagger(head: str) -> Row:
    def build(bert, tokenizer):
        return tasks.Tagger.build(bert, ["X"], head=head, tokenizer=tokenizer)

    return Row(build, [], [SHORT, LONG])


def _writer(name: str, directory: str, sizes: dict[str, Any]) -> Row:
    """A Generator of a family with its own tokenizer, which searches beams."""

    def build(*_: Any) -> tasks.Generator:
        tokenizer = Tokenizer.from_pretrained(FIXTURES / "tokenizers" / directory)
        config = {"vocab_size": tokenizer.vocab_size, "initializer_range": 0.3, **sizes}
        model = build_transformer_model(config, model=name, with_mlm="linear", **STILL)
        processors = [RepetitionPenalty(1.5), NoRepeatNGram(2)]
        strategy = BeamSearch(2)
        return tasks.Generator(
            tokenizer, model, max_new_tokens=8, strategy=strategy, processors=processors
        )

    return Row(build, [], [SHORT, "the story is"])


def _linker(*_: Any) -> tasks.Task:
    entities = [
        KnowledgeBaseEntity(str(i), "北京", ("北京",), (("类型", x),))
        for i, x in ((1, "城市"), (2, "歌曲"))
    ]
    texts = [
        LinkedText("他在北京住", (Link(2, 4, "1"),)),
        LinkedText("她唱北京歌曲", (Link(2, 4, "2"),)),
    ]
    return tasks.CCKS2019Linker.build(texts, KnowledgeBase(entities), units=8, min_count=1)


ROWS: dict[str, Row] = {
    **TABLE,
    **{f"Tagger, {head}": _tagger(head) for head in HEADS},
    "WordSegmenter": Row(
        lambda bert, t: tasks.WordSegmenter.build(bert, tokenizer=t), [], [SHORT, LONG]
    ),
    "ExtractiveQA, dgcnn": Row(
        lambda bert, t: tasks.ExtractiveQA.build(bert, "dgcnn", tokenizer=t, units=8),
        [],
        [("the film", [SHORT, LONG]), ("not very good", [LONG])],
    ),
    "SentenceParser": Row(
        lambda *_: tasks.SentenceParser.build(
            [SHORT, LONG] * 2, hidden_size=8, levels=4, num_layers=2
        ),
        [],
        [SHORT, LONG],
    ),
    "CCKS2019Linker": Row(_linker, [], ["他在北京住", "北京歌曲"]),
    "Generator, gpt2": _writer(
        "gpt2", "gpt2_json", {"n_embd": 16, "n_layer": 1, "n_head": 2, "n_positions": 64}
    ),
    "Generator, t5": _writer(
        "t5.1.1",
        "t5_json",
        {
            "d_model": 16,
            "d_kv": 8,
            "d_ff": 32,
            "num_layers": 1,
            "num_heads": 2,
            "eos_token_id": 1,
        },
    ),
}


def model_inputs(model: keras.Model) -> list[np.ndarray]:
    """Ids for every input; segments and the like are 0."""
    return [IDS if "Token" in x.name else 0 * IDS for x in model.inputs]


def save_models(directory: Path) -> dict[str, np.ndarray]:
    """Save a model of every family; return the outputs by name, of this backend."""
    wanted = {}
    for name in (*family_models.SINGLE, "t5", "mt5"):
        model = family_models.build(name, config={"max_position": 16})
        model.save(directory / f"{name}.keras", include_optimizer=False)
        wanted[name] = family_models.call(model, model_inputs(model))
    return wanted


def save_tasks(directory: Path) -> dict[str, list[Any]]:
    """Save a task of every row; return its answers by name, of this backend."""
    wanted = {}
    for name, family in zip(ROWS, ["roberta", "albert", "modernbert", "bert"] * 9, strict=False):
        task = build_row(ROWS[name], "bert" if family in ROWS[name].without else family)
        task.save(directory / name)
        wanted[name] = ask(name, task)
    return wanted


def ask(name: str, task: tasks.Task) -> list[Any]:
    """Return the numbers and texts of a task's answers to the samples of its row."""
    row = ROWS[name]
    return values(task.predict(list(row.ask or [sample for sample, _ in row.train])))
