"""Figures of the server for Prometheus."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector
from prometheus_client.exposition import generate_latest

_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)


class Metrics:
    """Counters and histograms of one app, in their own registry.

    Args:
        queues: by task, a function that returns the number of its waiting texts.
        is_ready: tells whether the server takes requests.
    """

    def __init__(self, queues: Mapping[str, Callable[[], int]], is_ready: Callable[[], bool]):
        self.registry = registry = CollectorRegistry()
        ProcessCollector(registry=registry)
        self._requests = Counter(
            "bert4keras_requests", "Requests.", ["route", "status"], registry=registry
        )
        self._seconds = Histogram(
            "bert4keras_request_seconds",
            "Seconds from the head of a request to the end of its answer.",
            ["route"],
            buckets=_SECONDS,
            registry=registry,
        )
        self._batches = Histogram(
            "bert4keras_batch_size",
            "Texts in a batch.",
            ["task"],
            buckets=[2**k for k in range(11)],
            registry=registry,
        )
        waiting = Gauge("bert4keras_queue_length", "Texts that wait.", ["task"], registry=registry)
        for name, length in queues.items():
            waiting.labels(name).set_function(length)
        ready = Gauge("bert4keras_ready", "1 if requests are taken.", registry=registry)
        ready.set_function(lambda: float(is_ready()))

    def request(self, route: str, status: int, seconds: float) -> None:
        """Count a request."""
        self._requests.labels(route, str(status)).inc()
        self._seconds.labels(route).observe(seconds)

    def batch(self, task: str, count: int) -> None:
        """Count a batch."""
        self._batches.labels(task).observe(count)

    def text(self) -> bytes:
        """Return all figures in Prometheus' text format."""
        return generate_latest(self.registry)
