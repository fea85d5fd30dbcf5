"""The command `serve`: which tasks it finds, and how it stops."""

from __future__ import annotations

import concurrent.futures
import dataclasses
import json
import os
import re
import signal
import subprocess
import sys
import threading
from pathlib import Path

import httpx
import pytest
from click.testing import CliRunner

from bert4keras.cli import main, serve
from bert4keras.serving import ServerSettings, open_tasks
from bert4keras.tasks import TaskError
from helpers.http_server import wait_until

# The command with tasks that need some time for each batch, in place of loaded ones.
SLOW = """
import sys
from bert4keras.serving import directories
from helpers.http_server import Counting
directories.load_task = lambda place: Counting(0.4)
from bert4keras.cli import main
main(sys.argv[1:])
"""


def test_tasks_of_directories(models, tmp_path):
    models["mood"].save(tmp_path / "all" / "Mood 1")
    models["mood"].save(tmp_path / "all" / "二")
    (tmp_path / "all" / "empty").mkdir()
    found = open_tasks([str(tmp_path / "all"), f"other={tmp_path / 'all' / '二'}"])
    assert list(found) == ["Mood-1", "task", "other"]
    answer = models["mood"]("the cat")
    assert found["other"]("the cat").score == pytest.approx(answer.score, abs=1e-5)
    with pytest.raises(TaskError, match=r"two tasks have the name 'Mood-1': .* Give one another"):
        open_tasks([str(tmp_path / "all"), str(tmp_path / "all" / "Mood 1")])
    with pytest.raises(TaskError, match=r"empty holds no task: it has none of task\.json"):
        open_tasks([str(tmp_path / "all" / "empty")])
    with pytest.raises(TaskError, match="is no directory"):
        open_tasks([str(tmp_path / "missing")])


def test_options_are_those_of_the_settings(monkeypatch):
    defaults = {field.name: field.default for field in dataclasses.fields(ServerSettings)}
    for name, default, kind, _ in serve._LIMITS:
        assert (default, kind) == (defaults[name.replace("-", "_")], type(default))
    called = []
    monkeypatch.setattr("bert4keras.serving.run", lambda *arguments: called.append(arguments))
    monkeypatch.setattr("bert4keras.serving.open_tasks", lambda sources: {"a": sources})
    arguments = ["serve", "x", "n=y", "--port", "80", "--timeout", "3", "--log-level", "error"]
    done = CliRunner().invoke(main, arguments, env={"BERT4KERAS_KEY": "sesame"})
    assert done.exit_code == 0, done.output
    settings = ServerSettings(timeout=3.0, key="sesame")
    assert called == [({"a": ("x", "n=y")}, "127.0.0.1", 80, settings, "error")]
    wrong = CliRunner().invoke(main, ["serve", "x", "--max-batch", "0"])
    assert (wrong.exit_code, wrong.stderr) == (1, "error: max_batch=0 must be at least 1.\n")


@pytest.fixture
def process(tmp_path):
    """The command in its own process: the process, its log and its address."""
    (tmp_path / "slow").mkdir()
    (tmp_path / "slow" / "task.json").touch()
    command = [sys.executable, "-c", SLOW, "serve", str(tmp_path / "slow"), "--port", "0"]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=environment)
    log: list[str] = []
    reader = threading.Thread(target=lambda: log.extend(process.stderr))
    reader.start()
    try:
        wait_until(lambda: re.search(r"running on (\S+)", "".join(log)), 120)
        yield process, log, re.search(r"running on (\S+)", "".join(log))[1]
    finally:
        process.kill()
        process.wait()
        reader.join()
        process.stderr.close()


def test_a_stop_answers_what_is_in_the_queue(process):
    process, log, address = process
    with httpx.Client(base_url=address, trust_env=False, timeout=60) as client:
        wait_until(lambda: client.get("/ready").status_code == 200)
        batches = '_batch_size_count{task="slow"} %d.0'
        known = next(n for n in range(9) if batches % n in client.get("/metrics").text)
        ask = lambda text: client.post("/v1/tasks/slow", json={"text": text})  # noqa: E731
        with concurrent.futures.ThreadPoolExecutor(2) as pool:
            first = pool.submit(ask, "a")
            wait_until(lambda: batches % (known + 1) in client.get("/metrics").text)
            second = pool.submit(ask, "ab")
            wait_until(lambda: 'queue_length{task="slow"} 1.0' in client.get("/metrics").text)
            process.send_signal(signal.SIGTERM)
            assert [one.result().json()["answer"]["label"] for one in (first, second)] == [1, 2]
    assert process.wait(30) == 0
    assert "Traceback" not in "".join(log)
    assert "/v1/tasks/slow: Counting\n" in log


def test_containerfile():
    path = Path(__file__).parents[2] / "scripts" / "Containerfile"
    if not path.is_file():
        pytest.skip("the scripts are not part of this tree")
    text = path.read_text(encoding="utf-8")
    assert re.search(r"^USER (?!root|0)", text, re.MULTILINE)
    assert "HEALTHCHECK" in text
    copied = re.findall(r"^COPY (.+) \S+$", text, re.MULTILINE)
    assert all((path.parents[1] / name).exists() for names in copied for name in names.split())
    command = json.loads(re.search(r"^CMD (\[.*\])$", text, re.MULTILINE)[1])
    assert command[:2] == ["bert4keras", "serve"]
    given = serve.command.make_context("serve", command[2:]).params
    assert (given["sources"], given["host"]) == (("/models",), "0.0.0.0")
