"""The app: a route for each task, and those that say how the server is."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Mapping

from fastapi import FastAPI, Request
from starlette.responses import HTMLResponse, JSONResponse, Response, StreamingResponse

from ..tasks import Task
from ..tasks.answers import to_json
from . import errors, openai_api, pages
from .gate import Gate
from .metrics import Metrics
from .requests import TaskBody
from .served import Served
from .settings import ServerSettings

_STOP = 5.0  # seconds in which the threads of the models must end


class State:
    """State of the server: does it take requests?

    Attributes:
        is_warm: all models have answered once.
        is_stopping: no more requests are taken.
    """

    is_warm = False
    is_stopping = False

    @property
    def is_ready(self) -> bool:
        """True if requests are taken and answered without delay."""
        return self.is_warm and not self.is_stopping


def create_app(tasks: Mapping[str, Task], settings: ServerSettings | None = None) -> FastAPI:
    """Build the app that answers over HTTP for tasks.

    Args:
        tasks: tasks by the names that they have in addresses.
        settings: limits and times.

    Returns:
        An ASGI app, for `run` or any ASGI server; its models run in threads of this process.

    Raises:
        ValueError: no task, or a name that an address cannot have.

    Example:
        >>> app = create_app({"ner": tasks.load("ner")})
        >>> uvicorn.run(app)
    """
    if not tasks:
        raise ValueError("there is no task to serve.")
    settings, state = settings or ServerSettings(), State()
    served = {
        name: Served(name, task, settings, lambda name, count: metrics.batch(name, count))
        for name, task in tasks.items()
    }
    queues = {name: one.worker.__len__ for name, one in served.items()}
    metrics = Metrics(queues, lambda: state.is_ready)

    @contextlib.asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        for one in served.values():
            one.worker.start()
        warming = asyncio.create_task(_warm_up(served, state))
        yield
        state.is_stopping = True
        warming.cancel()
        for one in served.values():
            one.worker.stop()
        for one in served.values():
            await asyncio.to_thread(one.worker.join, _STOP)

    # The pages that FastAPI makes load scripts from elsewhere.
    app = FastAPI(title="bert4keras", docs_url=None, redoc_url=None, lifespan=lifespan)
    app.state.server = state
    routes: set[str] = set()
    app.add_middleware(Gate, settings=settings, metrics=metrics, routes=lambda: routes)
    errors.install(app)
    _add_status(app, served, state, metrics)
    for one in served.values():
        _add_task(app, one)
    openai_api.add_routes(app, served)
    _add_pages(app)
    routes |= {path for route in app.routes if (path := getattr(route, "path", ""))}
    return app


async def _warm_up(served: Mapping[str, Served], state: State) -> None:
    found = await asyncio.gather(*(one.warm_up() for one in served.values()))
    state.is_warm = all(found)


def _add_status(app: FastAPI, served: Mapping[str, Served], state: State, metrics: Metrics) -> None:
    @app.get("/health", summary="200 while the models' threads are alive")
    async def health() -> Response:
        dead = [name for name, one in served.items() if not one.worker.is_alive()]
        if dead and not state.is_stopping:
            raise errors.ApiError(503, f"the thread of {', '.join(dead)} has ended.")
        return JSONResponse({"status": "ok"})

    @app.get("/ready", summary="200 when requests are taken; 503 before and while stopping")
    async def ready() -> Response:
        if not state.is_ready:
            what = "stopping" if state.is_stopping else "warming up"
            raise errors.ApiError(503, f"the server is {what}.", headers={"Retry-After": "1"})
        return JSONResponse({"status": "ready"})

    @app.get("/metrics", summary="Figures for Prometheus")
    async def figures() -> Response:
        return Response(metrics.text(), media_type="text/plain; version=0.0.4; charset=utf-8")

    @app.get("/v1/tasks", summary="The tasks: class, labels, options, fields of requests")
    async def list_tasks() -> Response:
        return JSONResponse({"tasks": [one.describe() for one in served.values()]})


def _add_task(app: FastAPI, one: Served) -> None:
    async def answer(request: Request, body: TaskBody) -> Response:
        try:
            samples = body.samples(one.task)
        except ValueError as error:  # a table without columns, an unknown prompt
            raise errors.ApiError(422, str(error)) from None
        options = body.options(one.task)
        if getattr(body, "stream", False):
            events = await one.stream(request, samples[0], options)
            headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
            return StreamingResponse(events, media_type="text/event-stream", headers=headers)
        answers = [to_json(answer) for answer in await one.ask(request, samples, options)]
        return JSONResponse({"answers": answers} if body.is_list else {"answer": answers[0]})

    # FastAPI reads the form of the body from here, and each task has its own.
    answer.__annotations__["body"] = one.body
    kind = type(one.task)
    app.add_api_route(
        f"/v1/tasks/{one.name}",
        answer,
        methods=["POST"],
        summary=f"{one.name}: {kind.__name__}",
        description=(kind.__doc__ or "").split("\n\n")[0].strip(),
        operation_id=f"task_{one.name}",
    )


def _add_pages(app: FastAPI) -> None:
    demo = pages.read_page()
    policy = {"Content-Security-Policy": pages.content_security_policy(demo)}
    headers = {**policy, "X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer"}

    @app.get("/", include_in_schema=False)
    async def page() -> Response:
        return HTMLResponse(demo, headers=headers)

    @app.get("/docs", include_in_schema=False)
    async def docs() -> Response:
        text = pages.routes_page(app.openapi())
        policy = {"Content-Security-Policy": pages.content_security_policy(text)}
        return HTMLResponse(text, headers={**headers, **policy})
