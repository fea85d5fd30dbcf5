#!/usr/bin/env python
"""Measure the server: parallel clients against one request at a time, in turns.

    python scripts/benchmark_serving.py minilm-l6 --seconds 15 --rounds 2

It starts `bert4keras serve`, and asks /v1/embeddings for the vector of one text a request.
Prints requests a second, times of answers, errors, batch sizes, and the server's memory after some
seconds and at the end. With --connections, that many clients that send half a request and wait are
connected at once, while one goes on asking. More options, such as --max-wait 0, are passed to
`serve`.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import dataclasses
import json
import re
import signal
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
TEXTS = ROOT / "examples" / "datasets" / "reviews" / "train.tsv"
MEMORY = "process_resident_memory_bytes"


@dataclasses.dataclass
class Run:
    """Figures of a number of clients over some time."""

    clients: int
    seconds: float = 0.0
    times: list[float] = dataclasses.field(default_factory=list)
    errors: int = 0

    @property
    def throughput(self) -> float:
        """Requests a second."""
        return len(self.times) / self.seconds

    def quantile(self, q: float) -> float:
        """Milliseconds within which a share `q` of the requests was answered."""
        ordered = sorted(self.times)
        return 1000 * ordered[min(len(ordered) - 1, int(q * len(ordered)))]

    def row(self) -> str:
        cells = (self.clients, f"{self.throughput:.1f}", f"{self.quantile(0.5):.0f}")
        cells += (f"{self.quantile(0.99):.0f}", len(self.times), self.errors)
        return f"| {' | '.join(map(str, cells))} |"


async def client(port: int, requests: list[bytes], end: float, first: int, run: Run) -> None:
    """Send one request after the other over a connection, each when the last is answered."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    number = first
    while time.perf_counter() < end:
        start = time.perf_counter()
        writer.write(requests[number % len(requests)])
        number += 1
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).lower()
            await reader.readexactly(int(re.search(rb"content-length: (\d+)", head)[1]))
        except (OSError, asyncio.IncompleteReadError):
            run.errors += 1
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            continue
        run.times.append(time.perf_counter() - start)
        run.errors += b" 200 " not in head.split(b"\r\n")[0]
    writer.close()


async def measure(port: int, requests: list[bytes], run: Run, seconds: float) -> None:
    """Let the clients of a run ask for some time."""
    start = time.perf_counter()
    step = len(requests) // run.clients
    await asyncio.gather(
        *(client(port, requests, start + seconds, k * step, run) for k in range(run.clients))
    )
    run.seconds += time.perf_counter() - start


async def silent_client(port: int, opened: asyncio.Semaphore) -> float | None:
    """Send half a request, wait until the server ends the connection, and return after how long.

    Returns:
        Seconds from the connection to its end; None if it was refused.
    """
    async with opened:  # a client has to share the queue of connections that are not yet accepted
        start = time.perf_counter()
        try:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
        except OSError:
            return None
        writer.write(b"POST /v1/embeddings HTTP/1.1\r\nHost: a\r\nContent-Length: 50\r\n\r\n{")
    with contextlib.suppress(OSError):
        await reader.read()
    writer.close()
    return time.perf_counter() - start


async def measure_silent(port: int, requests: list[bytes], count: int) -> str:
    """Return what happens to `count` silent clients, and to one that asks."""
    opened, asking = asyncio.Semaphore(256), Run(1)
    task = asyncio.create_task(client(port, requests, float("inf"), 0, asking))
    ends = await asyncio.gather(*(silent_client(port, opened) for _ in range(count)))
    task.cancel()
    times = [seconds for seconds in ends if seconds is not None]
    return (
        f"{count} silent clients: {len(times)} accepted and ended after {min(times):.1f} to "
        f"{max(times):.1f} s, {count - len(times)} refused; meanwhile {len(asking.times)} answers "
        f"to another, {asking.errors} errors, the longest after {asking.quantile(1):.0f} ms"
    )


def encoded_requests(texts: list[str], model: str) -> list[bytes]:
    """Return the requests for the vectors of texts as they are sent."""
    bodies = [
        json.dumps({"model": model, "input": text, "encoding_format": "base64"}).encode()
        for text in texts
    ]
    head = "POST /v1/embeddings HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n"
    return [f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body for body in bodies]


def figure(address: str, name: str) -> float:
    """Return a figure of /metrics."""
    with urllib.request.urlopen(f"{address}/metrics") as response:
        lines = response.read().decode().splitlines()
    return next(float(line.split()[-1]) for line in lines if line.startswith(f"{name} "))


def batch_figures(address: str) -> tuple[float, float]:
    """Return the number of batches, and of texts in them."""
    names = ("count", "sum")
    count, total = (figure(address, f'bert4keras_batch_size_{n}{{task="model"}}') for n in names)
    return count, total


def wait_until_ready(server: subprocess.Popen) -> str:
    """Return the address of the server once it is warm."""
    for line in server.stderr:
        if found := re.search(r"running on (\S+)", line):
            break
    else:
        sys.exit("the server did not start.")
    while True:
        try:
            urllib.request.urlopen(f"{found[1]}/ready").close()
            return found[1]
        except OSError:
            time.sleep(0.2)


def parse() -> tuple[argparse.Namespace, list[str]]:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("model", help="a sentence encoder: anything that `serve` takes")
    parser.add_argument("--clients", type=int, default=8)
    parser.add_argument("--seconds", type=float, default=15.0, help="of each part of a round")
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--connections", type=int, help="silent clients, at the end")
    parser.add_argument(
        "--texts", type=Path, default=TEXTS, help="one a line; a tab and what follows is left out"
    )
    return parser.parse_known_args()


def main() -> None:
    arguments, further = parse()
    lines = arguments.texts.read_text(encoding="utf-8").splitlines()
    texts = [line.split("\t")[0] for line in lines if line]
    requests = encoded_requests(texts, "model")
    command = [sys.executable, "-m", "bert4keras", "serve", f"model={arguments.model}"]
    server = subprocess.Popen(
        [*command, "--port", "0", *further], stderr=subprocess.PIPE, text=True
    )
    try:
        address = wait_until_ready(server)
        one, many = Run(1), Run(arguments.clients)
        port = int(address.rpartition(":")[2])
        asyncio.run(measure(port, requests, Run(arguments.clients), 5.0))  # not counted
        before, batches = figure(address, MEMORY), batch_figures(address)
        for _ in range(arguments.rounds):
            for run in (one, many):
                asyncio.run(measure(port, requests, run, arguments.seconds))
        after, (count, texts_read) = figure(address, MEMORY), batch_figures(address)
        silent = ""
        if arguments.connections:
            work = figure(address, "process_cpu_seconds_total")
            silent = asyncio.run(measure_silent(port, requests, arguments.connections))
            work = figure(address, "process_cpu_seconds_total") - work
            memory = figure(address, MEMORY) / 2**20
            silent += f"; memory {memory:.0f} MB, {work:.1f} s of processor time"
        server.send_signal(signal.SIGTERM)
        status = server.wait(60)
    finally:
        server.kill()
    print("| clients | requests/s | p50, ms | p99, ms | requests | errors |\n" + "|---" * 6 + "|")
    print(one.row(), many.row(), sep="\n")
    mean = (texts_read - batches[1]) / (count - batches[0])
    print(
        f"\n{many.throughput / one.throughput:.2f} times as many; {mean:.1f} texts a batch in all; "
        f"memory {before / 2**20:.0f} MB after the first seconds, {after / 2**20:.0f} MB at the "
        f"end; exit status {status}"
    )
    if silent:
        print(silent)


if __name__ == "__main__":
    main()
