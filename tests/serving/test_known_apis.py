"""Embeddings with OpenAI's own client, and rankings in the form of Cohere and Jina."""

from __future__ import annotations

import httpx
import numpy as np
import openai
import pytest

TEXTS = ["It is raining", "王小明去了北京。", "the cat " * 30]


@pytest.fixture(scope="module")
def api(client):
    http = httpx.Client(trust_env=False)
    with openai.OpenAI(
        base_url=f"{client.base_url}/v1", api_key="any", http_client=http, max_retries=0
    ) as api:
        yield api


@pytest.mark.parametrize("form", ["float", "base64", None])
def test_embeddings(api, models, form):
    options = {} if form is None else {"encoding_format": form}
    answer = api.embeddings.create(model="vectors", input=TEXTS, **options)
    vectors = [one.embedding for one in answer.data]
    if form == "base64":  # the client decodes by itself only where it has chosen the form
        import base64

        vectors = [np.frombuffer(base64.b64decode(vector), "<f4") for vector in vectors]
    np.testing.assert_allclose(np.array(vectors), models["vectors"](TEXTS), atol=1e-5)
    assert [one.index for one in answer.data] == [0, 1, 2]
    assert answer.model == "vectors"
    tokens = sum(map(len, models["vectors"].tokenizer.encode_batch(TEXTS)[0]))
    assert answer.usage.prompt_tokens == answer.usage.total_tokens == tokens


def test_embedding_of_one_text(api, models):
    (one,) = api.embeddings.create(model="vectors", input="the cat", dimensions=16).data
    np.testing.assert_allclose(one.embedding, models["vectors"]("the cat"), atol=1e-5)


def test_models_are_listed(api, models):
    assert [model.id for model in api.models.list()] == list(models)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"dimensions": 8}, openai.UnprocessableEntityError, "vectors of 16 numbers"),
        ({"model": "ner"}, openai.NotFoundError, "no model 'ner' for this; there is vectors"),
        ({"input": [3, 4]}, openai.UnprocessableEntityError, "token ids are not taken"),
        ({"input": []}, openai.UnprocessableEntityError, "a text or a list of texts"),
        ({"encoding_format": "int8"}, openai.UnprocessableEntityError, "encoding_format: Input"),
    ],
)
def test_refusals(api, options, error, message):
    with pytest.raises(error, match=message):
        api.embeddings.create(**{"model": "vectors", "input": "a", **options})


def test_ranking_by_a_cross_encoder(client, models):
    body = {"model": "ranker", "query": "Who?", "documents": [*TEXTS[:2], {"text": TEXTS[2]}]}
    answer = client.post("/v1/rerank", json=body).json()
    ranked = models["ranker"]("Who?", TEXTS)
    assert [one["index"] for one in answer["results"]] == [one.position for one in ranked]
    assert [one["document"]["text"] for one in answer["results"]] == [one.text for one in ranked]
    scores = [one["relevance_score"] for one in answer["results"]]
    np.testing.assert_allclose(scores, [one.score for one in ranked], atol=1e-5)
    assert answer["usage"]["total_tokens"] > 30
    short = client.post("/v1/rerank", json={**body, "top_n": 1, "return_documents": False}).json()
    assert short["results"] == [
        {key: answer["results"][0][key] for key in ("index", "relevance_score")}
    ]


def test_ranking_by_vectors(client, models):
    body = {"model": "vectors", "query": "the cat", "documents": TEXTS}
    results = client.post("/v1/rerank", json=body).json()["results"]
    similar = models["vectors"].similarity("the cat", TEXTS)[0]
    assert [one["index"] for one in results] == list(np.argsort(-similar))
    np.testing.assert_allclose(
        [one["relevance_score"] for one in results], -np.sort(-similar), atol=1e-5
    )


def test_without_a_model_cross_encoders_come_first(client):
    answer = client.post("/v1/rerank", json={"query": "a", "documents": ["b"]}).json()
    assert answer["model"] == "ranker"
    wrong = client.post("/v1/rerank", json={"model": "mood", "query": "a", "documents": ["b"]})
    assert wrong.status_code == 404
    assert wrong.json()["error"]["code"] == "model_not_found"
    assert client.post("/v1/rerank", json={"query": "a", "documents": []}).status_code == 422
