"""A server on loopback that speaks the routes which `huggingface_hub` uses to read a repository."""

from __future__ import annotations

import hashlib
import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import NamedTuple
from urllib.parse import unquote, urlsplit


class Request(NamedTuple):
    method: str
    path: str
    range: str | None
    token: str | None


class Hub(ThreadingHTTPServer):
    """Serves `repos[name][revision] = {file: bytes}` and fails where it is told to.

    Attributes:
        repos: content; a revision is found by its name and by its commit.
        gated: repositories that only this token may read.
        faults: path -> what happens to the next requests for it: an int is an HTTP status, a float
            that part of the body before the connection is cut.
        always: the same for every request for a path.
        requests: what was asked for.
    """

    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.repos: dict[str, dict[str, dict[str, bytes]]] = {}
        self.gated: dict[str, str] = {}
        self.faults: dict[str, list[int | float]] = {}
        self.always: dict[str, int | float] = {}
        self.requests: list[Request] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    @property
    def store(self) -> str:
        """Address of large files: another host, as on the real server."""
        return f"http://localhost:{self.server_port}"

    def asked(self, part: str, method: str = "GET") -> list[Request]:
        return [r for r in self.requests if part in r.path and r.method == method]

    def handle_error(self, request, client_address):
        """A client that hangs up is no news."""


def commit(repo: str, files: dict[str, bytes]) -> str:
    digest = hashlib.sha1(repo.encode())
    for name, content in sorted(files.items()):
        digest.update(name.encode() + b"\0" + content)
    return digest.hexdigest()


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Hub

    def do_HEAD(self):
        self.answer()

    def do_GET(self):
        self.answer()

    def answer(self):
        path = unquote(urlsplit(self.path).path)
        token = (self.headers.get("Authorization") or "").removeprefix("Bearer ") or None
        request = Request(self.command, path, self.headers.get("Range"), token)
        self.server.requests.append(request)
        pending = self.server.faults.get(path, []) if self.command == "GET" else []
        fault = pending.pop(0) if pending else self.server.always.get(path)
        if isinstance(fault, int):
            self.reply(fault, b"out of order")
            return
        api = re.fullmatch(r"/api/models/(.+?)(?:/(revision|tree)/(.+))?", path)
        file = re.fullmatch(r"/(.+)/resolve/((?:refs/\w+/)?[^/]+)/(.+)", path)
        blob = re.fullmatch(r"/blobs/([0-9a-f]+)", path)
        if blob:
            self.reply(200, self.blob(blob[1]), fault, ETag=f'"{blob[1]}"')
        elif api:
            self.describe(api[1], api[2], api[3] or "main", token)
        elif file:
            self.serve(file[1], file[2], file[3], fault, token)
        else:
            self.reply(404, b"no such route")

    def describe(self, repo: str, what: str | None, revision: str, token: str | None):
        files = self.find(repo, revision, token, listing=True)
        if files is None:
            return
        if what == "tree":
            body = [
                {"type": "file", "path": n, "size": len(c), "oid": hashlib.sha1(c).hexdigest()}
                for n, c in sorted(files.items())
            ]
        else:
            siblings = [{"rfilename": name} for name in sorted(files)]
            body = {"id": repo, "modelId": repo, "sha": commit(repo, files), "siblings": siblings}
        self.reply(200, json.dumps(body).encode(), **{"Content-Type": "application/json"})

    def serve(self, repo: str, revision: str, name: str, fault, token: str | None):
        files = self.find(repo, revision, token)
        if files is None:
            return
        head = {"X-Repo-Commit": commit(repo, files)}
        if name not in files:
            self.reply(404, b"Entry not found", **head, **{"X-Error-Code": "EntryNotFound"})
            return
        content = files[name]
        etag = hashlib.sha256(content).hexdigest()
        if name.endswith(".safetensors"):  # large files lie elsewhere
            linked = {"X-Linked-Etag": f'"{etag}"', "X-Linked-Size": str(len(content))}
            self.reply(302, b"", **head, **linked, Location=f"{self.server.store}/blobs/{etag}")
        else:
            self.reply(200, content, fault, **head, ETag=f'"{etag}"')

    def find(self, repo: str, revision: str, token: str | None, listing: bool = False):
        """The files of a revision; otherwise the error has been sent.

        A gated repository shows its list of files to everyone, as on the real server.
        """
        if repo not in self.server.repos:
            # Without a token, the real server does not tell what is private from what is not there.
            self.reply(404 if token else 401, b"{}", **{"X-Error-Code": "RepoNotFound"})
            return None
        if not listing and self.server.gated.get(repo, token) != token:
            self.reply(403 if token else 401, b"{}", **{"X-Error-Code": "GatedRepo"})
            return None
        revisions = self.server.repos[repo]
        named = revisions | {commit(repo, files): files for files in revisions.values()}
        if revision not in named:
            self.reply(404, b"{}", **{"X-Error-Code": "RevisionNotFound"})
            return None
        return named[revision]

    def blob(self, etag: str) -> bytes:
        every = (f for revisions in self.server.repos.values() for f in revisions.values())
        contents = (content for files in every for content in files.values())
        return next(c for c in contents if hashlib.sha256(c).hexdigest() == etag)

    def reply(self, status: int, body: bytes, cut: float | None = None, **headers: str):
        start = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range") or "")
        if status == 200 and start:
            status, total, body = 206, len(body), body[int(start[1]) :]
            headers["Content-Range"] = f"bytes {start[1]}-{total - 1}/{total}"
        self.send_response(status)
        for name, value in {"Accept-Ranges": "bytes", **headers}.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command == "HEAD":
            return
        self.wfile.write(body if cut is None else body[: int(len(body) * cut)])
        if cut is not None:
            self.close_connection = True

    def log_message(self, format, *arguments):
        """Keep the output of the tests clean."""


@contextmanager
def serving() -> Iterator[Hub]:
    """A hub that runs in a thread until the block is left."""
    with Hub() as hub:
        thread = threading.Thread(target=hub.serve_forever, args=(0.02,), daemon=True)
        thread.start()
        try:
            yield hub
        finally:
            hub.shutdown()
            thread.join()
