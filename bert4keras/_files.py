"""Atomic replacement of files: the old ones stay until the new ones are complete and on the disk.

Files are written in a hidden staging directory `.bert4keras-*` beside their destination, flushed,
and moved into place. If anything raises (a full disk, Ctrl-C), the old files are put back and the
error names the destination. If the process is killed or the machine stops:

- `atomic_file`: one rename decides, so the file is old or new at every moment.
- `atomic_files`: the files move one by one, so old and new ones may be left side by side. The file
  without which the others are not read should move `last`.
- `atomic_directory`: two renames decide. Between them the destination is absent and the complete
  old directory lies in the staging directory; `recover_directory` and the next save put it back.

A killed process leaves its staging directory behind, and the next save to the same destination
removes it. It must not remove that of a save which is still running: each save holds a lock in its
staging directory, and the system releases the lock when the process ends, however it ends. On a
file system without locks nothing is removed.

A destination that is a symbolic link is replaced by a file; the file it points to stays as it is.
"""

from __future__ import annotations

import os
import re
import shutil
import tempfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

STAGING_PREFIX = ".bert4keras-"
LOCK = "lock"


@contextmanager
def atomic_file(path: str | os.PathLike) -> Iterator[Path]:
    """Yield a path to write; on leaving the context, that file replaces `path`.

    Args:
        path: destination; missing directories are made. The yielded path has the same file name.

    Raises:
        OSError: the file could not be written; the message names `path`, where the old file is
            intact.
    """
    path = Path(path)
    with atomic_files(path.parent, path.name, named_path=path) as staging:
        yield staging / path.name


@contextmanager
def atomic_files(
    directory: str | os.PathLike,
    owner: str,
    outdated: Callable[[Path], bool] = lambda path: False,
    last: Callable[[Path], bool] = lambda path: False,
    named_path: str | os.PathLike | None = None,
) -> Iterator[Path]:
    """Yield a directory to write in; on leaving the context, all its files or none move.

    Args:
        directory: destination; made if missing.
        owner: name of this set of files. The next save under the same name removes the staging
            directory that a killed one left.
        outdated: predicate on old files of `directory` that have no successor: True removes them.
        last: predicate on new files: True moves them after the others. Within the two groups files
            move in the order of their names.
        named_path: path that error messages name; `directory` by default.

    Raises:
        OSError: a file could not be written; the old ones are intact.
    """
    directory = Path(directory)
    absent = [path for path in (directory, *directory.parents) if not path.exists()]
    try:
        with _errors_name(directory if named_path is None else named_path):
            directory.mkdir(parents=True, exist_ok=True)
            with _staging(directory, owner) as staging:
                yield staging / "new"
                files = [path for path in (staging / "new").iterdir() if path.is_file()]
                files.sort(key=lambda path: (last(path), path.name))
                _flush(files, directory, staging / "usual")
                new = {path.name for path in files}
                old = [path for path in sorted(directory.iterdir()) if path.name not in new]
                moves = [(path, directory / path.name) for path in files]
                moves += [(None, path) for path in old if path.is_file() and outdated(path)]
                _move_all(moves, staging / "old")
                _flush_directory(directory)
    except BaseException:
        for path in absent:
            with suppress(OSError):
                path.rmdir()
        raise


@contextmanager
def atomic_directory(path: str | os.PathLike) -> Iterator[Path]:
    """Yield a directory to fill; on leaving the context, it replaces the directory `path`.

    The old directory is renamed into the staging directory, then the new one to `path`; the module
    docstring says what happens to a process killed in between.

    Args:
        path: destination; if it exists, it must be a directory.

    Raises:
        OSError: it could not be written; the old one is intact.
    """
    path = Path(path)
    with _errors_name(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        recover_directory(path)
        with _staging(path.parent, path.name) as staging:
            yield staging / "new"
            files = [file for file in sorted((staging / "new").rglob("*")) if file.is_file()]
            _flush(files, path, staging / "usual")
            if path.exists():
                os.rename(path, staging / "old")
            try:
                os.rename(staging / "new", path)
            except BaseException:
                if (staging / "old").exists():
                    os.rename(staging / "old", path)
                raise
            _flush_directory(path.parent)


def recover_directory(path: Path) -> None:
    """Put back the old directory, if a process was killed inside `atomic_directory(path)`."""
    if path.exists() or not path.parent.is_dir():
        return
    for staging in path.parent.glob(_prefix(path.name) + "*"):
        with suppress(OSError):
            os.rename(staging / "old", path)


def _flush_directory(directory: Path) -> None:
    """Flush the entries of a directory to the disk, where the system can."""
    with suppress(OSError):  # Windows cannot open directories, some file systems cannot flush them
        handle = os.open(directory, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


@contextmanager
def _errors_name(named_path: str | os.PathLike) -> Iterator[None]:
    """Make an OSError name the path that the caller gave, not the one in the staging directory."""
    try:
        yield
    except OSError as error:
        if error.filename is not None and STAGING_PREFIX not in str(error):
            raise
        if error.errno is None:
            text = re.sub(re.escape(STAGING_PREFIX) + r"[^/\\]*[/\\](new[/\\])?", "", str(error))
            raise OSError(f"could not write {named_path}: {text}") from error
        raise OSError(error.errno, os.strerror(error.errno), os.fspath(named_path)) from error


@contextmanager
def _staging(directory: Path, owner: str) -> Iterator[Path]:
    """Yield a locked staging directory in `directory`; remove what killed saves left there."""
    prefix = _prefix(owner)
    for entry in list(os.scandir(directory)):
        if entry.name.startswith(prefix) and entry.is_dir(follow_symlinks=False):
            _remove_abandoned(Path(entry.path))
    staging, lock = _claim(directory, prefix)
    try:
        (staging / "new").mkdir()
        yield staging
    finally:
        _remove(staging, lock)


def _prefix(owner: str) -> str:
    """Return how the names of an owner's staging directories begin.

    It holds a checksum of the owner's name, which may itself be too long for a file name.
    """
    return f"{STAGING_PREFIX}{zlib.crc32(os.fsencode(owner)):08x}-"


def _claim(directory: Path, prefix: str) -> tuple[Path, int]:
    """Return a new staging directory and the handle of the lock that is held in it."""
    while True:
        staging = Path(tempfile.mkdtemp(prefix=prefix, dir=directory))
        try:
            lock = os.open(staging / LOCK, os.O_RDWR | os.O_CREAT)
        except FileNotFoundError:  # another save found it without a lock and removed it
            continue
        # It may also remove it after the lock file is made and before it is locked: no links left.
        if _acquire(lock) is not False and os.fstat(lock).st_nlink:
            return staging, lock
        os.close(lock)


def _remove_abandoned(staging: Path) -> None:
    """Remove a staging directory unless a running save holds its lock."""
    try:
        lock = os.open(staging / LOCK, os.O_RDWR)
    except OSError:
        with suppress(OSError):
            staging.rmdir()  # killed before the lock was made; it is empty
        return
    if _acquire(lock):
        _remove(staging, lock)
    else:
        os.close(lock)


def _remove(staging: Path, lock: int) -> None:
    """Remove a staging directory whose lock is held.

    The lock file goes last: if the process is killed here, the next save still finds it.
    """
    with suppress(OSError):
        for entry in list(os.scandir(staging)):
            if entry.is_dir(follow_symlinks=False):
                shutil.rmtree(entry.path, ignore_errors=True)
            elif entry.name != LOCK:
                os.unlink(entry.path)
    if os.name == "nt":  # Windows cannot remove an open file
        os.close(lock)
    with suppress(OSError):
        (staging / LOCK).unlink()
        staging.rmdir()
    if os.name != "nt":
        os.close(lock)


def _acquire(lock: int) -> bool | None:
    """Try to lock an open file: True if it is locked now, None if the file system has no locks."""
    try:
        import fcntl
    except ImportError:
        import msvcrt

        try:
            msvcrt.locking(lock, msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        return True
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return None
    return True


def _flush(files: list[Path], directory: Path, usual: Path) -> None:
    """Flush files to the disk, and give them the permissions of the files they replace.

    A file that replaces none gets those of a new file, `usual`.
    """
    usual.touch()  # some libraries write files that only their owner may read
    for path in files:
        with open(path, "rb+") as file:
            os.fsync(file.fileno())
        old = directory / path.name
        with suppress(OSError):
            path.chmod((old if old.exists() else usual).stat().st_mode & 0o777)


def _move_all(moves: list[tuple[Path | None, Path]], backups: Path) -> None:
    """Move (source, target) pairs, all or none; a source of None removes the target.

    Before a target is replaced, it is linked or copied to `backups`. On an error the targets done
    so far are restored from there, and those that have no backup, the new ones, are removed.
    """
    if len(moves) == 1 and moves[0][0] is not None:
        os.replace(*moves[0])
        return
    backups.mkdir()
    done = []
    try:
        for path, target in moves:
            backup = backups / target.name
            if target.exists():
                _keep(target, backup)
            done.append((target, backup))
            if path is None:
                target.unlink()
            else:
                os.replace(path, target)
    except BaseException:
        for target, backup in done:
            if backup.exists():
                os.replace(backup, target)
            else:
                target.unlink(missing_ok=True)
        raise


def _keep(target: Path, backup: Path) -> None:
    """Link or copy a file; unlike a move, this leaves the target in its place all the time."""
    try:
        os.link(target, backup)
    except OSError:
        shutil.copy2(target, backup)
