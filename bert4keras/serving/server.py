"""Running the app: uvicorn with a graceful stop and a limit on idle connections."""

from __future__ import annotations

import asyncio
import ipaddress
import signal
from collections.abc import Mapping
from types import FrameType
from typing import Any

import uvicorn
from fastapi import FastAPI
from uvicorn.protocols.http.h11_impl import H11Protocol

from ..tasks import Task
from .app import State, create_app
from .batching import LOG
from .settings import ServerSettings

_GRACE = 5.0  # seconds beyond the time of a request until connections are closed by force


def run(
    tasks: Mapping[str, Task],
    host: str = "127.0.0.1",
    port: int = 8000,
    settings: ServerSettings | None = None,
    log_level: str = "info",
) -> None:
    """Serve tasks until SIGTERM or SIGINT; then finish what has begun, and return.

    Args:
        tasks: tasks by name, as for `create_app`.
        host, port: address to listen at; "127.0.0.1" is reached from this machine only. Port 0 is
            any free one, which the log names.
        settings: limits and times.
        log_level: "critical", "error", "warning", "info", "debug" or "trace"; with the last two,
            each request is logged.

    Raises:
        SystemExit: the address is in use, or the app does not start.
    """
    settings = settings or ServerSettings()
    if settings.key is None and not _is_loopback(host):
        LOG.warning("%s is reached from other machines, and requests need no key.", host)
    app = create_app(tasks, settings)
    # After its stop uvicorn raises the signal again, which would end the process with an error.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: None)
    server = make_server(app, host, port, settings, log_level)
    server.run()
    if not server.started:
        raise SystemExit(1)


def make_server(
    app: FastAPI,
    host: str = "127.0.0.1",
    port: int = 8000,
    settings: ServerSettings | None = None,
    log_level: str = "info",
) -> uvicorn.Server:
    """Return the server that `run` runs."""
    settings = settings or ServerSettings()
    config = uvicorn.Config(
        app,
        host=host,
        port=port,
        log_level=log_level,
        http=_limited_protocol(settings.body_timeout),
        ws="none",
        server_header=False,
        access_log=log_level in ("debug", "trace"),
        backlog=2048,
        timeout_graceful_shutdown=int(settings.timeout + _GRACE),
    )
    return _Server(config, app.state.server)


class _Server(uvicorn.Server):
    """Server that is not ready any longer from the moment of the signal."""

    def __init__(self, config: uvicorn.Config, state: State):
        super().__init__(config)
        self._state = state

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        self._state.is_stopping = True
        super().handle_exit(sig, frame)


def _limited_protocol(seconds: float) -> type[H11Protocol]:
    """Return uvicorn's protocol with a limit on connections that send no request, or half a head.

    uvicorn has such a limit only for connections that had a request before.
    """

    class Protocol(H11Protocol):
        def connection_made(  # type: ignore[override]
            self, transport: asyncio.Transport
        ) -> None:
            super().connection_made(transport)
            self._seen: Any = None
            self._timer = self.loop.call_later(seconds, self._check)

        def connection_lost(self, exc: Exception | None) -> None:
            self._timer.cancel()
            super().connection_lost(exc)

        def _check(self) -> None:
            idle = self.cycle is None or self.cycle.response_complete
            if idle and self.cycle is self._seen:
                self.transport.close()
                return
            self._seen = self.cycle
            self._timer = self.loop.call_later(seconds, self._check)

    return Protocol


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
