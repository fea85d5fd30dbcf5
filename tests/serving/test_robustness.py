"""Limits, keys, bad clients: the server refuses in time, and goes on serving."""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
import socket
import time

import pytest

from bert4keras.serving.errors import ApiError
from bert4keras.serving.served import Served
from bert4keras.serving.settings import ServerSettings
from helpers.http_server import Counting, port_of, serving, wait_until

JSON = {"Content-Type": "application/json"}
HEAD = b"POST /v1/tasks/count HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n"


def ask(client, text="a", **options):
    return client.post("/v1/tasks/count", json={"text": text}, **options)


@contextlib.contextmanager
def busy(task, client):
    """Let the model of a `Counting` work until the end."""
    seen = len(task.batches_seen)
    task.may_answer.clear()
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        first = pool.submit(ask, client, "first")
        try:
            wait_until(lambda: len(task.batches_seen) > seen)
            yield first
        finally:
            task.may_answer.set()


@pytest.fixture(scope="module")
def task():
    return Counting()


@pytest.fixture(scope="module")
def client(task):
    limits = {"queue": 4, "max_texts": 4, "max_body": 10_000, "max_characters": 100}
    times = {"timeout": 1.5, "body_timeout": 0.5, "max_wait": 0.0}
    with serving({"count": task}, **limits, **times) as client:
        yield client


def message(response) -> str:
    return response.json()["error"]["message"]


def left(client) -> float:
    """Number of requests whose client left before the answer."""
    lines = client.get("/metrics").text.splitlines()
    return sum(float(line.split()[-1]) for line in lines if 'status="499"' in line)


def works(client) -> bool:
    return ask(client, "abc").json()["answer"]["label"] == 3


def test_a_full_queue_is_told_to_try_later(task, client):
    with busy(task, client), concurrent.futures.ThreadPoolExecutor(4) as pool:
        waiting = [pool.submit(ask, client, "b" * n) for n in range(1, 5)]
        wait_until(lambda: 'queue_length{task="count"} 4.0' in client.get("/metrics").text)
        refused = ask(client)
        task.may_answer.set()
        answered = [one.result().json()["answer"]["label"] for one in waiting]
    assert refused.status_code == 429
    assert refused.headers["retry-after"] == "1"
    assert refused.json()["error"]["type"] == "rate_limit_error"
    assert message(refused) == "the server is busy: 4 texts wait already. Try again a little later."
    assert answered == [1, 2, 3, 4]


def test_no_answer_in_time_and_nothing_is_done_for_it(task, client):
    with busy(task, client) as first:
        late = ask(client, "late")
        assert late.status_code == 504
        assert message(late) == "there was no answer within 1.5 s. Send fewer or shorter texts."
    assert first.result().status_code == 504
    assert works(client)
    assert not any("late" in batch for batch in task.batches_seen)


def test_the_queue_knows_of_a_refusal_before_the_client_does(monkeypatch):
    class Silent:
        async def receive(self):
            await asyncio.Event().wait()

    served = Served("count", Counting(), ServerSettings(timeout=0.01), lambda name, count: None)
    queued = concurrent.futures.Future()
    monkeypatch.setattr(served, "submit", lambda samples, options: queued)

    async def ask_late():
        with pytest.raises(ApiError, match=r"^there was no answer within 0.01 s\."):
            await served.ask(Silent(), ["late"])
        return queued.cancelled()  # before the loop runs on

    assert asyncio.run(ask_late())


def test_nothing_is_done_for_a_client_that_has_left(task, client):
    before = left(client)  # of other tests
    with busy(task, client):
        with socket.create_connection(("127.0.0.1", port_of(client))) as connection:
            body = b'{"text": "left"}'
            connection.sendall(HEAD + b"Content-Length: %d\r\n\r\n%s" % (len(body), body))
            wait_until(lambda: 'queue_length{task="count"} 1.0' in client.get("/metrics").text)
        wait_until(lambda: left(client) > before)
    assert works(client)
    assert not any("left" in batch for batch in task.batches_seen)


def test_too_much_is_refused(client):
    many = client.post("/v1/tasks/count", json={"texts": ["a"] * 5})
    assert (many.status_code, "has 5 texts; at most 4" in message(many)) == (413, True)
    long = ask(client, "a" * 101)
    assert (long.status_code, "have 101 characters together" in message(long)) == (413, True)
    large = client.post("/v1/tasks/count", content=b" " * 10_001, headers=JSON)
    assert (large.status_code, "more than 10000 bytes" in message(large)) == (413, True)
    chunks = client.post("/v1/tasks/count", content=iter([b" " * 6_000] * 2), headers=JSON)
    assert (chunks.status_code, "more than 10000 bytes" in message(chunks)) == (413, True)


def test_a_hundred_megabytes_are_refused_unread(client):
    with socket.create_connection(("127.0.0.1", port_of(client)), timeout=10) as connection:
        connection.sendall(HEAD + b"Content-Length: 100000000\r\n\r\n" + b" " * 50_000)
        assert connection.recv(100).startswith(b"HTTP/1.1 413 ")
    assert works(client)


def test_a_slow_client(client):
    """Half a body, half a head, or nothing at all: the connection ends after the time limit."""
    address = ("127.0.0.1", port_of(client))
    starts = (HEAD + b'Content-Length: 50\r\n\r\n{"te', HEAD[:30], b"")
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.create_connection(address, 10)) for _ in starts]
        for connection, start in zip(sockets, starts, strict=False):
            connection.sendall(start)
        assert works(client)
        assert sockets[0].recv(20).startswith(b"HTTP/1.1 408 ")
        assert sockets[1].recv(20) in (b"", b"HTTP/1.1 400 Bad Req")
        assert sockets[2].recv(20) == b""
    assert works(client)


def test_connections_that_are_opened_and_dropped(client):
    address = ("127.0.0.1", port_of(client))
    for start in (
        b"",
        HEAD,
        HEAD + b"Content-Length: 9\r\n\r\n{}",
        b"\x16\x03\x01 no HTTP\r\n\r\n",
    ):
        for _ in range(75):
            with socket.create_connection(address, 10) as connection:
                connection.sendall(start)
    began = time.monotonic()
    assert works(client)
    assert time.monotonic() - began < 5


def test_a_key():
    with serving({"count": Counting()}, key="open sesame") as client:
        refused = ask(client)
        assert refused.status_code == 401
        assert refused.headers["www-authenticate"] == "Bearer"
        assert refused.json()["error"]["type"] == "authentication_error"
        for wrong in ("open sesam", "open sesame!", "ÿ"):
            headers = {"Authorization": f"Bearer {wrong}".encode("latin-1")}
            assert ask(client, headers=headers).status_code == 401
        right = {"Authorization": "Bearer open sesame"}
        assert ask(client, headers=right).status_code == 200
        assert client.get("/metrics").status_code == 401
        assert client.get("/metrics", headers=right).status_code == 200
        for path in ("/", "/health", "/ready", "/docs", "/openapi.json"):
            assert client.get(path).status_code == 200


def test_a_reader_who_leaves_ends_the_generation(models):
    closed = []

    class Endless(type(models["writer"])):
        def __init__(self, writer):
            self.__dict__.update(writer.__dict__)

        def stream_text(self, sample, **options):
            try:
                while True:
                    time.sleep(0.01)
                    yield "again "
            finally:
                closed.append(True)

    with serving({"writer": Endless(models["writer"])}, timeout=1.0) as client:
        body = {"prompt": "It is", "stream": True}
        with client.stream("POST", "/v1/tasks/writer", json=body) as response:
            assert next(response.iter_lines()) == 'data: {"text": "again "}'
        wait_until(lambda: closed, 5)
        # One who stays is told that the time is over.
        assert "there was no answer within 1 s" in client.post("/v1/tasks/writer", json=body).text
        wait_until(lambda: len(closed) == 2, 5)
