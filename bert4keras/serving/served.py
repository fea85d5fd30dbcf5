"""A task behind the server: its requests go through its worker's queue."""

from __future__ import annotations

import asyncio
import concurrent.futures
import itertools
import json
import re
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from typing import Any

from fastapi import Request

from ..tasks import Task, TaskError
from ..tokenizers import TokenizerError
from .batching import LOG, Busy, SampleError, Stopped, Stream, Worker
from .errors import CLIENT_LEFT, ApiError
from .requests import NO_OPTIONS, Options, TaskBody, body_of, characters, has_lone_surrogate
from .settings import ServerSettings

_ADDRESS_PART = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_WARM_UP = 40  # words of the longer text that warms a model up


class Served:
    """A task, the form of its requests, and its worker.

    Args:
        name: its name in addresses.
        task: the task.
        settings: limits.
        observe: called with its name and the number of texts of each batch.

    Raises:
        ValueError: a name that an address cannot have.
    """

    def __init__(
        self, name: str, task: Task, settings: ServerSettings, observe: Callable[[str, int], None]
    ) -> None:
        if not _ADDRESS_PART.fullmatch(name):
            raise ValueError(
                f"the name {name!r} of a task must consist of letters, digits and . _ -, since it "
                "is part of an address."
            )
        self.name, self.task, self.settings = name, task, settings
        self.body: type[TaskBody] = body_of(task)
        self.worker = Worker(
            name,
            self._predict,
            settings.max_batch,
            settings.max_wait,
            settings.queue,
            settings.queue_characters,
            settings.max_streams,
            lambda count: observe(name, count),
        )

    def describe(self) -> dict[str, Any]:
        """Return what GET /v1/tasks says about the task."""
        hidden = {"labels", *self.task.hidden_options}
        options = {k: v for k, v in self.task.get_config().items() if k not in hidden}
        return {
            "name": self.name,
            "class": type(self.task).__name__,
            "route": f"/v1/tasks/{self.name}",
            "labels": [str(label) for label in getattr(self.task, "labels", ())],
            "options": json.loads(json.dumps(options, default=str)),
            "fields": list(self.body.model_fields),
        }

    async def warm_up(self) -> bool:
        """Let the model answer a few samples; return whether it can."""
        # Words of the vocabulary, or the tokenizer would warn of unknown ones.
        known = (token for token in self.task.tokenizer.vocab if token.isalnum())
        words = list(itertools.islice(known, _WARM_UP)) or ["1"]
        for texts in (words[:1], [" ".join(words), words[0]], [" ".join(words)]):
            samples = [self.body.example(text, self.task) for text in texts]
            try:
                await asyncio.wrap_future(self.submit(samples))
            except SampleError as error:
                if not isinstance(error.__cause__, TaskError):
                    LOG.error("%s cannot answer", self.name, exc_info=error.__cause__)
                    return False
        return True

    def submit(
        self, samples: Sequence[Any], options: Options = NO_OPTIONS
    ) -> concurrent.futures.Future[list[Any]]:
        """Queue samples; errors as of `Worker.submit`."""
        return self.worker.submit(samples, [characters(sample) for sample in samples], options)

    async def ask(
        self, request: Request, samples: Sequence[Any], options: Options = NO_OPTIONS
    ) -> list[Any]:
        """Return the answers to the samples of a request.

        Raises:
            ApiError: too many or too long, no room in the queue, no answer in time, a sample that
                makes no sense to the task, or a failure of the model.
        """
        self._check_size(samples)
        try:
            answers = self.submit(samples, options)
        except (Busy, Stopped) as error:
            raise _refusal(error) from None
        try:
            return (await self.wait(request, asyncio.wrap_future(answers))).result()
        except SampleError as error:
            raise self._failure(error.__cause__, error.index, len(samples)) from None
        finally:
            # At once: the loop would pass it on only after the client has its refusal.
            answers.cancel()

    async def stream(
        self, request: Request, sample: object, options: Options
    ) -> AsyncIterator[bytes]:
        """Return server-sent events with the pieces of a generated text, once there is a first one.

        Raises:
            ApiError: as of `ask`.
        """
        self._check_size([sample])
        loop, queue = asyncio.get_running_loop(), asyncio.Queue()

        def send(piece: str | Exception | None) -> None:
            try:
                loop.call_soon_threadsafe(queue.put_nowait, piece)
            except RuntimeError:  # the loop is closed: the server has ended
                stream.close()

        pieces: Iterator[str] = self.task.stream_text(sample, **dict(options.values))  # type: ignore[attr-defined]
        stream = Stream(pieces, send)
        end = loop.time() + self.settings.timeout
        try:
            self.worker.open_stream(stream)
        except (Busy, Stopped) as error:
            raise _refusal(error) from None

        async def next_piece() -> str | None:
            left = max(0.0, end - loop.time())
            piece = (await self.wait(request, asyncio.ensure_future(queue.get()), left)).result()
            if isinstance(piece, Exception):
                raise self._failure(piece, 0, 1)
            return piece

        async def events(piece: str | None) -> AsyncIterator[bytes]:
            try:
                while piece is not None:
                    yield _event({"text": piece})
                    piece = await next_piece()
                yield _event({"done": True})
            except ApiError as error:
                yield _event(error.content)
            finally:
                stream.close()

        try:
            first = await next_piece()
        except BaseException:
            stream.close()
            raise
        return events(first)

    def _predict(self, samples: list[Any], options: Options) -> Sequence[Any]:
        rows = self.settings.max_batch
        return self.task.predict(samples, rows, progress=False, **dict(options.values))

    def _check_size(self, samples: Sequence[Any]) -> None:
        texts = sum(_texts(sample) for sample in samples)
        if texts > self.settings.max_texts:
            raise ApiError(
                413,
                f"the request has {texts} texts; at most {self.settings.max_texts} are allowed.",
            )
        if any(map(has_lone_surrogate, samples)):
            raise ApiError(422, "a text has half of a surrogate pair, which is no character.")
        length = sum(map(characters, samples))
        if length > self.settings.max_characters:
            raise ApiError(
                413,
                f"the texts have {length} characters together; at most "
                f"{self.settings.max_characters} are allowed in a request.",
            )

    async def wait(
        self, request: Request, future: asyncio.Future, timeout: float | None = None
    ) -> asyncio.Future:
        """Wait for a future; cancel it when the time is over or the client leaves."""
        left = asyncio.ensure_future(_disconnected(request))
        timeout = self.settings.timeout if timeout is None else timeout
        try:
            done, _ = await asyncio.wait(
                {future, left}, timeout=timeout, return_when=asyncio.FIRST_COMPLETED
            )
        finally:
            left.cancel()
            if not future.done():
                future.cancel()
        if future in done:
            return future
        if left in done:
            raise ApiError(CLIENT_LEFT, "the client has left.")
        raise ApiError(
            504,
            f"there was no answer within {self.settings.timeout:g} s. Send fewer or shorter texts.",
        )

    def _failure(self, error: BaseException | None, index: int, count: int) -> ApiError:
        place = f"{self.body.many}[{index}]: " if count > 1 else ""
        if isinstance(error, (TaskError, TokenizerError)):
            return ApiError(422, f"{place}{error}")
        LOG.error("%s failed on a sample", self.name, exc_info=error)
        return ApiError(500, f"{place}the model failed on this; the server's log has the reason.")


def _refusal(error: Busy | Stopped) -> ApiError:
    if isinstance(error, Busy):
        message = f"the server is busy: {error}. Try again a little later."
        return ApiError(429, message, headers={"Retry-After": "1"})
    return ApiError(503, f"{error}.", headers={"Retry-After": "10"})


def _texts(sample: Any) -> int:
    """Return the number of texts that the model reads for a sample: passages, documents, or one."""
    last = sample[-1] if isinstance(sample, tuple) else None
    return max(1, len(last)) if isinstance(last, list) else 1


async def _disconnected(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass


def _event(content: dict[str, Any]) -> bytes:
    return f"data: {json.dumps(content, ensure_ascii=False)}\n\n".encode()
