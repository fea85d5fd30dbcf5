"""A server in a thread of the test, and tasks without a model that are slow or fail when told."""

from __future__ import annotations

import contextlib
import threading
import time
import types
from collections.abc import Iterator, Mapping

import httpx

from bert4keras.serving import ServerSettings, create_app, make_server
from bert4keras.tasks import Task, TaskError
from bert4keras.tasks.classification import Classification


class Counting(Task):
    """A task that answers the number of characters, and remembers its batches.

    Args:
        delay: seconds that a batch takes.
    """

    def __init__(self, delay: float = 0.0):
        self.delay, self.batches_seen = delay, []
        self.tokenizer = types.SimpleNamespace(vocab={"a": 0})
        self.may_answer = threading.Event()
        self.may_answer.set()

    def get_config(self):
        return {}

    def predict(self, samples, batch_size=64, progress=None):
        self.batches_seen.append(list(samples))
        self.may_answer.wait()
        time.sleep(self.delay)
        if "broken" in samples:
            raise RuntimeError("secret of the model")
        for sample in samples:
            if sample == "odd":
                raise TaskError("the text 'odd' makes no sense.")
        return [Classification(float(len(sample)), None, {}) for sample in samples]


@contextlib.contextmanager
def serving(tasks: Mapping[str, Task], wait: bool = True, **settings) -> Iterator[httpx.Client]:
    """Run a server on a free port until it is ready; give a client for it."""
    settings = ServerSettings(**settings)
    app = create_app(tasks, settings)
    server = make_server(app, port=0, settings=settings, log_level="error")
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        wait_until(lambda: server.started)
        (listener,) = server.servers[0].sockets
        address = f"http://127.0.0.1:{listener.getsockname()[1]}"
        with httpx.Client(base_url=address, trust_env=False, timeout=30) as client:
            wait_until(lambda: not wait or client.get("/ready").status_code == 200)
            yield client
    finally:
        server.should_exit = True
        thread.join()


def wait_until(condition, seconds: float = 30.0) -> None:
    """Wait until a condition holds."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it took too long"
        time.sleep(0.01)


def port_of(client: httpx.Client) -> int:
    return client.base_url.port
