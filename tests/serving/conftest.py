"""Fixtures of the server's tests."""

from __future__ import annotations

import pytest

pytest.importorskip("fastapi", reason="the server needs pip install bert4keras[serve]")

from bert4keras import tasks
from helpers.http_server import Counting, serving
from helpers.spread import runs_here

TEXTS = ["王小明去了北京。 It is raining in Lisbon, the cat sleeps. Who wrote it? 1901 545"] * 2


def pytest_collection_modifyitems(items):
    """Run all tests of the server on one backend, which shares the models that they build."""
    if not runs_here("server with its tasks"):
        for item in items:
            if "/tests/serving/" in str(item.path):
                item.add_marker(pytest.mark.skip(reason="runs on another backend"))


def _encoder(**options):
    return tasks.from_scratch(TEXTS, 16, 1, 2, 64, **options)


@pytest.fixture(scope="session")
def models():
    """Untrained tasks of every kind of request."""
    built = {}
    for name, cls, arguments in (
        ("ner", tasks.Tagger, [["PER", "LOC"]]),
        ("mood", tasks.TextClassifier, [["good", "bad"]]),
        ("reader", tasks.ExtractiveQA, []),
        ("tables", tasks.TableQA, []),
        ("ranker", tasks.Reranker, []),
        ("vectors", tasks.SentenceEncoder, []),
    ):
        encoder, tokenizer = _encoder()
        built[name] = cls.build(encoder, *arguments, tokenizer=tokenizer)
    encoder, tokenizer = _encoder(with_mlm="linear")
    built["gaps"] = tasks.FillMask.build(encoder, tokenizer=tokenizer)
    writer, tokenizer = _encoder(with_mlm="linear", application="lm")
    built["writer"] = tasks.Generator.build(writer, tokenizer=tokenizer, max_new_tokens=12)
    return built


@pytest.fixture(scope="session")
def client(models):
    """Client of a server with these tasks."""
    with serving(models) as client:
        yield client


@pytest.fixture
def counting():
    return Counting()
