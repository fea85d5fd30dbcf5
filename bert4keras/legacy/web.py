"""A small web server for functions: arguments in the query, the answer as JSON."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

# For each argument a function of the text, or None for the text itself, and whether it is needed.
_Arguments = Mapping[str, tuple[Callable[[str], Any] | None, bool]]
_MAX_BODY = 1 << 20  # bytes of a POST


class WebServing:
    """Web server for trying functions out; `bert4keras serve` is made for many users.

    Every answer is JSON: {"code": 0, "desc": "succeeded", "data": ...}; code 1: an argument is
    missing, 2: the function or the conversion of an argument failed, and "desc" says why. One
    function runs at a time.

    Args:
        host: address to listen at; "127.0.0.1" is reached from this machine only.
        port: its port; 0: any free one.
        server: kept for old calls; not used.

    Example:
        >>> web = WebServing(host="127.0.0.1", port=8864)
        >>> web.route("/similar", find_similar, {"text": (None, True), "n": (int, False)})
        >>> web.start()
    """

    def __init__(self, host: str = "0.0.0.0", port: int = 8000, server: str | None = None):
        self.host, self.port = host, port
        self.routes: dict[tuple[str, str], tuple[Callable[..., Any], _Arguments]] = {}
        self.httpd: ThreadingHTTPServer | None = None
        self._lock = threading.Lock()

    def route(
        self, path: str, func: Callable[..., Any], arguments: _Arguments, method: str = "GET"
    ) -> None:
        """Serve a function under a path.

        Args:
            path: such as "/similar".
            func: called with the arguments by name; its result must be convertible to JSON.
            arguments: name -> (conversion of the text or None, whether it is required).
            method: "GET", arguments in the address, or "POST", in a form.
        """
        self.routes[method.upper(), path] = func, arguments

    def answer(self, method: str, path: str, values: Mapping[str, str]) -> dict[str, Any] | None:
        """Return the answer to a request; None if there is no such route.

        Args:
            method: "GET" or "POST".
            path: path of the address.
            values: arguments as texts.
        """
        if (method, path) not in self.routes:
            return None
        func, arguments = self.routes[method, path]
        kwargs = {}
        try:
            for name, (convert, required) in arguments.items():
                if name in values:
                    kwargs[name] = values[name] if convert is None else convert(values[name])
                elif required:
                    return {"code": 1, "desc": f'lack of "{name}" argument', "data": {}}
            with self._lock:
                data = func(**kwargs)
            json.dumps(data)
        except Exception as error:  # whatever the function raises is the answer
            return {"code": 2, "desc": str(error), "data": {}}
        return {"code": 0, "desc": "succeeded", "data": data}

    def start(self) -> None:
        """Serve until the process is interrupted or `stop` is called from another thread."""
        self.httpd = ThreadingHTTPServer((self.host, self.port), _handler(self))
        self.port = self.httpd.server_port
        with self.httpd:
            self.httpd.serve_forever()

    def stop(self) -> None:
        """Make `start` return."""
        if self.httpd is not None:
            self.httpd.shutdown()


def _handler(web: WebServing) -> type[BaseHTTPRequestHandler]:
    """Return the class that handles the requests of a server."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.reply("GET", urlsplit(self.path).query)

        def do_POST(self) -> None:
            size = self.headers.get("Content-Length", "")
            if not size.isdigit() or int(size) > _MAX_BODY:
                self.send_error(411 if not size.isdigit() else 413)
                return
            self.reply("POST", self.rfile.read(int(size)).decode("utf-8", "replace"))

        def reply(self, method: str, query: str) -> None:
            values = {name: found[0] for name, found in parse_qs(query, True).items()}
            answer = web.answer(method, urlsplit(self.path).path, values)
            if answer is None:
                self.send_error(404)
                return
            body = json.dumps(answer, ensure_ascii=False).encode("utf-8")
            self.send_response(200)
            self.send_header("Content-Type", "application/json; charset=utf-8")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            """Write no line for each request."""

    return Handler
