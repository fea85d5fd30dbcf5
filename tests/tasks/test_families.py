"""Every task on every family that can carry it: built, trained, padded, saved and loaded.

A row of the table says how a task is built on an encoder and what it is trained on and asked. A
task that is registered and has no row fails a test.
"""

from __future__ import annotations

import dataclasses
import json
import os
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from bert4keras import tasks
from bert4keras.models import FAMILIES, Backbone
from bert4keras.tokenizers import Tokenizer
from bert4keras.tokenizers.base import TokenizerBase
from helpers import family_models, fresh_process

pytestmark = pytest.mark.spread

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
CASES = [(n, f) for n, row in TABLE.items() for f in family_models.SINGLE if f not in row.without]


def build(name: str, family: str) -> tasks.Task:
    """A task on a tiny encoder whose dropout is off."""
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
    bert = family_models.build(family, config=sizes, **TABLE[name].options)
    return TABLE[name].build(bert, tokenizer)


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


def assert_same(found: Any, wanted: Any) -> None:
    found, wanted = values(found), values(wanted)
    numbers = [[x for x in some if isinstance(x, float)] for some in (found, wanted)]
    others = [[x for x in some if not isinstance(x, float)] for some in (found, wanted)]
    assert others[0] == others[1]
    np.testing.assert_allclose(*numbers, rtol=1e-3, atol=1e-4)


@pytest.mark.spread
@pytest.mark.parametrize(("name", "family"), CASES)
def test_a_task_on_a_family(name, family, tmp_path):
    row, task = TABLE[name], build(name, family)
    if row.trained is not None:
        assert_trains(row, task)

    ask = list(row.ask or [sample for sample, _ in row.train])
    together = task.predict(ask)
    for sample, answer in zip(ask, together, strict=True):
        assert_same(task(sample), answer)
    task.save(tmp_path / "saved")
    again = tasks.load(tmp_path / "saved")
    assert type(again) is type(task)
    assert_same(again.predict(ask), together)


def assert_trains(row: Row, task: tasks.Task) -> None:
    """Two steps change a weight, and the loss is a number."""
    before = [np.array(keras.ops.convert_to_numpy(w)) for w in task.model.trainable_weights]
    model = row.trained(task)
    model.compile(keras.optimizers.Adam(1e-3), task.loss, run_eagerly=True)
    history = model.fit(task.batches(row.train, 2, shuffle=True), epochs=2, verbose=0)
    assert np.isfinite(history.history["loss"]).all()
    after = [keras.ops.convert_to_numpy(w) for w in task.model.trainable_weights]
    assert any((x != y).any() for x, y in zip(before, after, strict=True))


def test_every_task_has_its_row():
    assert set(tasks.TASKS) <= {*ROWS, *ELSEWHERE}


def test_every_family_has_a_tokenizer_of_its_kind():
    assert set(TOKENIZERS) <= set(FAMILIES)
    assert set(ONE_WAY) <= set(TOKENIZERS)


CODE = """
import json, sys
from bert4keras import tasks
sys.path[:0] = sys.argv[1:2]
from test_families import TABLE, values
answers = {}
for path in sys.argv[2:]:
    name = path.rsplit("/", 1)[-1]
    row = TABLE[name]
    ask = list(row.ask or [sample for sample, _ in row.train])
    answers[name] = values(tasks.load(path).predict(ask))
print(json.dumps(answers))
"""


def test_in_a_fresh_process_on_another_backend(tmp_path):
    """A task saved on one backend answers the same on the next."""
    if not fresh_process.its_turn():
        pytest.skip("another backend's turn")
    wanted = {}
    for name, family in zip(TABLE, ["roberta", "albert", "modernbert", "bert"] * 9, strict=False):
        task = build(name, family)
        task.save(tmp_path / name)
        ask = list(TABLE[name].ask or [sample for sample, _ in TABLE[name].train])
        wanted[name] = values(task.predict(ask))
    backends = ("tensorflow", "jax", "torch")
    following = backends[(backends.index(keras.backend.backend()) + 1) % len(backends)]
    here = Path(__file__).parent
    paths = [str(here), str(here.parent), *sys.path]
    env = {**os.environ, "KERAS_BACKEND": following, "PYTHONPATH": os.pathsep.join(paths)}
    command = [sys.executable, "-W", "ignore", "-c", CODE, str(here)]
    command += [str(tmp_path / name) for name in wanted]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, env=env)
    assert done.returncode == 0, done.stderr[-2000:]
    found = json.loads(done.stdout.splitlines()[-1])
    for name, answer in wanted.items():
        assert_same(found[name], answer)
