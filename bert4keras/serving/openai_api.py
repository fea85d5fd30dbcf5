"""Routes that clients of other services know: embeddings and models (OpenAI), and rerank."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Any, Literal

import numpy as np
from fastapi import FastAPI, Request
from pydantic import Field
from starlette.responses import JSONResponse, Response

from ..tasks import Reranker, SentenceEncoder, Task
from ..tasks.similarity.functions import similarity_matrix
from ..tasks.similarity.prompts import Prompted, search_prompts
from .errors import ApiError
from .requests import Body
from .served import Served


class EmbeddingsBody(Body):
    """Body of OpenAI's embeddings."""

    input: str | list[str] | list[int] | list[list[int]] = Field(examples=[["It is raining."]])
    model: str = Field(examples=["encoder"])
    encoding_format: Literal["float", "base64"] = "float"
    dimensions: int | None = Field(None, description="refused unless it is the model's own")
    user: str | None = Field(None, description="ignored")


class RerankDocument(Body):
    """A document as an object."""

    text: str


class RerankBody(Body):
    """Body of a ranking, as Cohere and Jina have it."""

    model: str | None = Field(
        None, description="absent: the first that ranks, cross-encoders first"
    )
    query: str = Field(examples=["Who?"])
    documents: list[str | RerankDocument] = Field(
        min_length=1, examples=[["It was me.", "It rains."]]
    )
    top_n: int | None = Field(None, ge=1)
    return_documents: bool = True


def add_routes(app: FastAPI, served: Mapping[str, Served]) -> None:
    """Add /v1/models, and /v1/embeddings and /v1/rerank where a task can answer them."""
    encoders = _of(served, SentenceEncoder)
    rankers = {**_of(served, Reranker), **encoders}

    @app.get("/v1/models", summary="Names of the tasks, as OpenAI's clients list models")
    async def models() -> Response:
        data = [
            {"id": name, "object": "model", "created": 0, "owned_by": "bert4keras"}
            for name in served
        ]
        return JSONResponse({"object": "list", "data": data})

    if encoders:

        @app.post("/v1/embeddings", summary="Vectors of texts, as OpenAI's API returns them")
        async def embeddings(request: Request, body: EmbeddingsBody) -> Response:
            one = _served_as(encoders, body.model)
            return JSONResponse(await _embed(one, request, body))

    if rankers:

        @app.post("/v1/rerank", summary="Documents by their relevance to a query")
        async def rerank(request: Request, body: RerankBody) -> Response:
            one = _served_as(rankers, body.model)
            return JSONResponse(await _ranking(one, request, body))


async def _embed(one: Served, request: Request, body: EmbeddingsBody) -> dict[str, Any]:
    encoder: Any = one.task
    texts: Any = [body.input] if isinstance(body.input, str) else body.input
    if not texts or not all(isinstance(text, str) for text in texts):
        raise ApiError(
            422, "input must be a text or a list of texts; token ids are not taken.", "input"
        )
    size = encoder.model.output.shape[-1]
    if body.dimensions not in (None, size):
        message = (
            f"{one.name} has vectors of {size} numbers, so dimensions must be {size} or absent."
        )
        raise ApiError(422, message, "dimensions")
    before = encoder.prompt_text(None)
    vectors = await one.ask(request, [Prompted(text, before) for text in texts])
    count = _tokens(encoder, [before + text for text in texts])
    data = [
        {"object": "embedding", "index": i, "embedding": _coded(vector, body.encoding_format)}
        for i, vector in enumerate(vectors)
    ]
    usage = {"prompt_tokens": count, "total_tokens": count}
    return {"object": "list", "data": data, "model": one.name, "usage": usage}


async def _ranking(one: Served, request: Request, body: RerankBody) -> dict[str, Any]:
    texts = [doc if isinstance(doc, str) else doc.text for doc in body.documents]
    if isinstance(one.task, Reranker):
        scores = await one.ask(request, [(body.query, text) for text in texts])
    else:
        scores = await _similarities(one, request, body.query, texts)
    order = sorted(range(len(texts)), key=lambda i: -scores[i])[: body.top_n]
    results = [
        {"index": i, "relevance_score": float(scores[i])}
        | ({"document": {"text": texts[i]}} if body.return_documents else {})
        for i in order
    ]
    count = _tokens(one.task, [body.query] * len(texts)) + _tokens(one.task, texts)
    return {"model": one.name, "results": results, "usage": {"total_tokens": count}}


async def _similarities(one: Served, request: Request, query: str, texts: list[str]) -> list[float]:
    """Return the similarities of texts with a query, each after the prompt for its part."""
    encoder: Any = one.task
    asked, found = search_prompts(encoder.prompts)
    samples = [
        Prompted(query, encoder.prompt_text(asked)),
        *(Prompted(text, encoder.prompt_text(found)) for text in texts),
    ]
    vectors = np.stack(await one.ask(request, samples))
    return similarity_matrix(vectors[:1], vectors[1:], encoder.similarity_name)[0].tolist()


def _of(served: Mapping[str, Served], cls: type[Task]) -> dict[str, Served]:
    return {name: one for name, one in served.items() if isinstance(one.task, cls)}


def _served_as(known: Mapping[str, Served], name: str | None) -> Served:
    """Return the task of a name; without a name, the first one."""
    if name is None:
        return next(iter(known.values()))
    if name not in known:
        message = f"there is no model {name!r:.100} for this; there is {', '.join(known)}."
        raise ApiError(404, message, "model", "model_not_found")
    return known[name]


def _tokens(task: Task, texts: list[str]) -> int:
    """Return the number of tokens of texts, as OpenAI's API counts what is paid for."""
    return sum(map(len, task.tokenizer.encode_batch(texts)[0]))


def _coded(vector: np.ndarray, form: str) -> str | list[float]:
    if form == "base64":
        return base64.b64encode(vector.astype("<f4").tobytes()).decode("ascii")
    return vector.tolist()
