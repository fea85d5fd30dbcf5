"""Files are replaced atomically, and the next save removes what killed ones left."""

from __future__ import annotations

import errno
import os
import subprocess
import sys

import pytest

from bert4keras import _files
from bert4keras._files import (
    STAGING_PREFIX,
    atomic_directory,
    atomic_file,
    atomic_files,
    recover_directory,
)

pytestmark = pytest.mark.spread

HANGS = """
import sys, time
from bert4keras._files import atomic_file
with atomic_file(sys.argv[1]) as new:
    new.write_text("half")
    print("writing", flush=True)
    time.sleep(600)
"""


def write(path, text="new"):
    with atomic_file(path) as new:
        new.write_text(text)


@pytest.fixture
def hanging():
    """Start a process that hangs while it writes a file; all end with the test."""
    started = []

    def start(path):
        command = [sys.executable, "-c", HANGS, str(path)]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        started.append(process)
        assert process.stdout.readline() == "writing\n"
        return process

    yield start
    for process in started:
        process.kill()
        process.wait()
        process.stdout.close()


def hidden(folder):
    return [path for path in folder.iterdir() if path.name.startswith(STAGING_PREFIX)]


def test_the_next_save_removes_what_a_killed_one_left(tmp_path, hanging):
    for _ in range(2):
        process = hanging(tmp_path / "file")
        process.kill()
        process.wait()
    empty = tmp_path / f"{hidden(tmp_path)[0].name[:-8]}12345678"
    empty.mkdir()  # killed before it made its lock
    hanging(tmp_path / "other")
    write(tmp_path / "file")
    assert (tmp_path / "file").read_text() == "new"
    assert len(hidden(tmp_path)) == 1  # of the save that is still running


def test_a_running_save_is_left_alone(tmp_path, hanging):
    hanging(tmp_path / "file")
    write(tmp_path / "file")
    assert len(hidden(tmp_path)) == 1
    assert (hidden(tmp_path)[0] / "new" / "file").read_text() == "half"


def test_nothing_of_others_is_removed(tmp_path):
    write(tmp_path / "file")
    mine = tmp_path / f"{STAGING_PREFIX}notes"
    mine.mkdir()
    (mine / "file").write_text("kept")
    write(tmp_path / "file")
    assert (mine / "file").read_text() == "kept"


def test_without_locks_nothing_is_removed(tmp_path, hanging, monkeypatch):
    process = hanging(tmp_path / "file")
    process.kill()
    process.wait()
    monkeypatch.setattr(_files, "_acquire", lambda lock: None)
    write(tmp_path / "file")
    assert (tmp_path / "file").read_text() == "new"
    assert len(hidden(tmp_path)) == 1


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_save_whose_directory_another_one_removes_takes_a_new_one(tmp_path, monkeypatch, when):
    """A staging directory that is not locked yet looks abandoned."""
    real, done = os.open, []

    def disturbed(path, *arguments, **options):
        if str(path).endswith(_files.LOCK) and not done:
            done.append(path)
            if when == "before":
                path.parent.rmdir()
                return real(path, *arguments, **options)
            handle = real(path, *arguments, **options)
            path.unlink()
            path.parent.rmdir()
            return handle
        return real(path, *arguments, **options)

    monkeypatch.setattr(os, "open", disturbed)
    write(tmp_path / "file")
    assert done
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_long_names(tmp_path):
    path = tmp_path / ("n" * 255)
    write(path)
    assert path.read_text() == "new"


@pytest.mark.skipif(sys.platform == "win32", reason="permissions are POSIX's")
def test_permissions_of_the_old_file_stay(tmp_path):
    write(tmp_path / "file")
    assert (tmp_path / "file").stat().st_mode & 0o777 == 0o666 & ~_umask()
    (tmp_path / "file").chmod(0o640)
    write(tmp_path / "file")
    assert (tmp_path / "file").stat().st_mode & 0o777 == 0o640


def _umask():
    mask = os.umask(0)
    os.umask(mask)
    return mask


def test_the_file_and_its_directory_reach_the_disk(tmp_path, monkeypatch):
    flushed, real = [], os.fsync
    monkeypatch.setattr(os, "fsync", lambda handle: flushed.append(os.fstat(handle)))
    write(tmp_path / "file")
    inodes = [status.st_ino for status in flushed]
    assert inodes == [(tmp_path / "file").stat().st_ino, tmp_path.stat().st_ino]
    monkeypatch.setattr(os, "fsync", real)


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (OSError(errno.ENOSPC, "full"), "No space left on device: '{path}'"),
        (OSError("no room under {hidden}"), "could not write {path}: no room under .*/file"),
        (OSError(errno.EIO, "bad", "{hidden}"), "error: '{path}'"),
        (OSError(errno.ENOENT, "absent", "another"), "absent: 'another'"),
    ],
)
def test_a_failure_names_the_destination(tmp_path, error, message):
    path = tmp_path / "made" / "file"

    def fail():
        with atomic_file(path) as new:
            fill = lambda value: str(value).replace("{hidden}", str(new))  # noqa: E731
            arguments = [value if isinstance(value, int) else fill(value) for value in error.args]
            if error.filename:
                arguments.append(fill(error.filename))
            raise OSError(*arguments)

    with pytest.raises(OSError, match=message.format(path=path)) as caught:
        fail()
    assert STAGING_PREFIX not in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_destinations_that_cannot_be(tmp_path):
    (tmp_path / "folder").mkdir()
    with pytest.raises(IsADirectoryError, match=f"'{tmp_path / 'folder'}'"):
        write(tmp_path / "folder")
    (tmp_path / "text").write_text("text")
    with pytest.raises(OSError, match=f"'{tmp_path / 'text'}"):
        write(tmp_path / "text" / "file")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["folder", "text"]


def test_several_files(tmp_path):
    for name in ("a1", "a2", "b"):
        (tmp_path / name).write_text("old")
    with atomic_files(tmp_path, "a", outdated=lambda path: path.name[0] == "a") as new:
        (new / "a1").write_text("new")
    texts = {path.name: path.read_text() for path in tmp_path.iterdir()}
    assert texts == {"a1": "new", "b": "old"}


def fill(path, text, *names):
    with atomic_directory(path) as new:
        for name in names:
            (new / name).parent.mkdir(exist_ok=True)
            (new / name).write_text(text)


def contents(path):
    files = (file for file in path.rglob("*") if file.is_file())
    return {file.relative_to(path).as_posix(): file.read_text() for file in files}


def test_a_directory_is_replaced_as_a_whole(tmp_path):
    fill(tmp_path / "deep" / "task", "old", "a", "part/b")
    fill(tmp_path / "deep" / "task", "new", "a", "c")
    assert contents(tmp_path / "deep" / "task") == {"a": "new", "c": "new"}
    assert [path.name for path in (tmp_path / "deep").iterdir()] == ["task"]
    with pytest.raises(OSError, match=r"'.*deep/task'"):
        fill(tmp_path / "deep" / "task", "half", "a", "b/c/d")
    assert contents(tmp_path / "deep") == {"task/a": "new", "task/c": "new"}


def test_a_directory_that_cannot_take_its_place_leaves_the_old_one(tmp_path, monkeypatch):
    fill(tmp_path / "task", "old", "a")
    rename, calls = os.rename, []

    def failing(source, target):
        calls.append(source)
        if len(calls) == 2:  # the new one onto its place
            raise OSError(errno.EIO, "broken disk")
        rename(source, target)

    monkeypatch.setattr(os, "rename", failing)
    with pytest.raises(OSError, match="task"):
        fill(tmp_path / "task", "new", "a")
    assert contents(tmp_path) == {"task/a": "old"}


KILLED = """
import os, sys
from bert4keras._files import atomic_directory
rename = os.rename
def stop(source, target):
    rename(source, target)
    os._exit(1)
with atomic_directory(sys.argv[1]) as new:
    (new / "a").write_text("new")
    os.rename = stop
"""


def test_a_kill_between_the_two_names_loses_nothing(tmp_path):
    fill(tmp_path / "task", "old", "a")
    subprocess.run([sys.executable, "-c", KILLED, str(tmp_path / "task")], check=False)
    assert not (tmp_path / "task").exists()
    recover_directory(tmp_path / "task")
    assert contents(tmp_path / "task") == {"a": "old"}
    subprocess.run([sys.executable, "-c", KILLED, str(tmp_path / "task")], check=False)
    fill(tmp_path / "task", "newer", "b")
    assert contents(tmp_path) == {"task/b": "newer"}
