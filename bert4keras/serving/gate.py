"""First layer of the app: the key, the size and time of a request's body, and the metrics.

It is written for ASGI itself: what it refuses never reaches the routes, and a body is counted
while it arrives.
"""

from __future__ import annotations

import asyncio
import contextlib
import hmac
import time
from collections.abc import Callable, Collection

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from .errors import CLIENT_LEFT, ApiError
from .metrics import Metrics
from .settings import ServerSettings

_WITHOUT_KEY = {"/", "/docs", "/openapi.json", "/health", "/ready"}
_LINGER = 2.0  # seconds in which the rest of a refused body is read


class Gate:
    """Middleware in front of all routes.

    Args:
        app: the app behind it.
        settings: limits and key.
        metrics: counts every request.
        routes: returns the paths that the metrics name; others are counted together.
    """

    def __init__(
        self,
        app: ASGIApp,
        settings: ServerSettings,
        metrics: Metrics,
        routes: Callable[[], Collection[str]],
    ):
        self.app, self.settings, self.metrics, self.routes = app, settings, metrics, routes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or pass it on."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        start, status = time.monotonic(), CLIENT_LEFT

        async def watched(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._answer(scope, receive, watched)
        finally:
            path = scope["path"]
            route = path if path in self.routes() else "other"
            self.metrics.request(route, status, time.monotonic() - start)

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            self._check_key(scope)
            body = await self._read(scope, receive)
        except ApiError as error:
            await _send_refusal(error, receive, send)
            return
        if body is None:
            return
        message: Message | None = {"type": "http.request", "body": body, "more_body": False}

        async def replay() -> Message:
            nonlocal message
            first, message = message, None
            return await receive() if first is None else first

        await self.app(scope, replay, send)

    def _check_key(self, scope: Scope) -> None:
        """Raise an error unless the request has the key, or needs none."""
        key = self.settings.key
        if key is None or scope["path"] in _WITHOUT_KEY:
            return
        given = dict(scope["headers"]).get(b"authorization", b"")
        # The comparison takes as long for a wrong key as for one that is right up to its end.
        if not hmac.compare_digest(given, b"Bearer " + key.encode()):
            reason = "this needs the header 'Authorization: Bearer KEY' with the server's key."
            raise ApiError(401, reason, headers={"WWW-Authenticate": "Bearer"})

    async def _read(self, scope: Scope, receive: Receive) -> bytes | None:
        """Return the body of a request; None if the client has left."""
        most, seconds = self.settings.max_body, self.settings.body_timeout
        too_long = ApiError(413, f"the body has more than {most} bytes. Send fewer texts at once.")
        length = dict(scope["headers"]).get(b"content-length", b"")
        if length.isdigit() and int(length) > most:
            raise too_long
        parts, count = [], 0
        end = time.monotonic() + seconds
        while True:
            try:
                message = await asyncio.wait_for(receive(), max(0.0, end - time.monotonic()))
            except (TimeoutError, asyncio.TimeoutError):
                raise ApiError(408, f"the body did not arrive within {seconds:g} s.") from None
            if message["type"] == "http.disconnect":
                return None
            parts.append(message.get("body", b""))
            count += len(parts[-1])
            if count > most:
                raise too_long
            if not message.get("more_body"):
                return b"".join(parts)


async def _send_refusal(error: ApiError, receive: Receive, send: Send) -> None:
    """Send an error, and read on for a moment before the connection is closed.

    A connection that is closed while the client still sends is reset, and the client would see
    this in place of the answer.
    """
    content = error.encoded()
    headers = {
        "content-type": "application/json",
        "content-length": str(len(content)),
        "connection": "close",
        **error.headers,
    }
    pairs = [(name.lower().encode(), value.encode()) for name, value in headers.items()]
    await send({"type": "http.response.start", "status": error.status, "headers": pairs})
    await send({"type": "http.response.body", "body": content, "more_body": True})

    async def drain() -> None:
        while True:
            message = await receive()
            if message["type"] == "http.disconnect" or not message.get("more_body"):
                return

    with contextlib.suppress(TimeoutError, asyncio.TimeoutError):
        await asyncio.wait_for(drain(), _LINGER)
    await send({"type": "http.response.body", "body": b"", "more_body": False})
