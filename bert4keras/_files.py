"""Replace files as a whole: the old ones stay until the new ones are complete and on the disk.

Files are written in a hidden directory `.bert4keras-*` beside their destination, flushed, and moved
into place. When anything fails, a full disk or Ctrl-C included, what was there before is there
again, and the error names the destination. A single file is old or new at every moment, even if the
process is killed or the machine stops. Of several files a process killed between the moves may
leave new and old ones side by side.

A killed process leaves its hidden directory behind; the next save to the same destination removes
it. The lock which a running save holds inside tells the two apart: the system releases it when the
process ends, however it ends. Where the file system has no locks nothing is removed.

A destination that is a symbolic link is replaced by a file; what it pointed to stays as it is.
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

PREFIX = ".bert4keras-"
LOCK = "lock"


@contextmanager
def atomic_file(path: str | os.PathLike) -> Iterator[Path]:
    """Write one file under the yielded path; on leaving, it replaces `path`.

    Args:
        path: destination; directories are made if absent. The yielded path has the same name.

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
    """Write files in the yielded directory; on leaving, all move to `directory`, or none.

    Args:
        directory: destination; made if absent.
        owner: name of what is written, by which the next save of it finds what a killed one left.
        outdated: whether an old file of `directory` that has no successor is removed.
        last: whether a file moves after the others, which move in the order of their names.
        named_path: the path that the message of a failure names; by default `directory`.

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
                flush_directory(directory)
    except BaseException:
        for path in absent:
            with suppress(OSError):
                path.rmdir()
        raise


@contextmanager
def atomic_directory(path: str | os.PathLike) -> Iterator[Path]:
    """Write the files of a directory under the yielded path; on leaving, it becomes `path`.

    What was there goes as a whole. A process that is killed in the moment between the two names
    leaves the old directory hidden beside; `recover_directory`, and the next save, put it back.

    Args:
        path: destination, a directory if it exists.

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
            flush_directory(path.parent)


def recover_directory(path: Path) -> None:
    """Put back a directory that a killed `atomic_directory` has moved aside."""
    if path.exists() or not path.parent.is_dir():
        return
    for staging in path.parent.glob(_prefix(path.name) + "*"):
        with suppress(OSError):
            os.rename(staging / "old", path)


def flush_directory(directory: Path) -> None:
    """Have the names of a directory reach the disk, where the system can."""
    with suppress(OSError):  # Windows opens no directories, and some file systems flush none
        handle = os.open(directory, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


@contextmanager
def _errors_name(named_path: str | os.PathLike) -> Iterator[None]:
    """Have an OSError name the path that the caller knows, not the hidden one."""
    try:
        yield
    except OSError as error:
        if error.filename is not None and PREFIX not in str(error):
            raise
        if error.errno is None:
            text = re.sub(re.escape(PREFIX) + r"[^/\\]*[/\\](new[/\\])?", "", str(error))
            raise OSError(f"could not write {named_path}: {text}") from error
        raise OSError(error.errno, os.strerror(error.errno), os.fspath(named_path)) from error


@contextmanager
def _staging(directory: Path, owner: str) -> Iterator[Path]:
    """A locked directory of our own in `directory`, cleared of what killed saves left there."""
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
    """How the hidden directories of one owner begin; a checksum, since its name may be long."""
    return f"{PREFIX}{zlib.crc32(os.fsencode(owner)):08x}-"


def _claim(directory: Path, prefix: str) -> tuple[Path, int]:
    while True:
        staging = Path(tempfile.mkdtemp(prefix=prefix, dir=directory))
        try:
            lock = os.open(staging / LOCK, os.O_RDWR | os.O_CREAT)
        except FileNotFoundError:  # another save took the empty directory for an abandoned one
            continue
        # It may have done so after the lock was made, too; then the file is gone.
        if _acquire(lock) is not False and os.fstat(lock).st_nlink:
            return staging, lock
        os.close(lock)


def _remove_abandoned(staging: Path) -> None:
    try:
        lock = os.open(staging / LOCK, os.O_RDWR)
    except OSError:
        with suppress(OSError):
            staging.rmdir()  # killed before there was a lock: empty
        return
    if _acquire(lock):
        _remove(staging, lock)
    else:
        os.close(lock)


def _remove(staging: Path, lock: int) -> None:
    """Remove a directory whose lock we hold. The lock goes last, so that a kill leaves it."""
    with suppress(OSError):
        for entry in list(os.scandir(staging)):
            if entry.is_dir(follow_symlinks=False):
                shutil.rmtree(entry.path, ignore_errors=True)
            elif entry.name != LOCK:
                os.unlink(entry.path)
    if os.name == "nt":  # which removes no open file
        os.close(lock)
    with suppress(OSError):
        (staging / LOCK).unlink()
        staging.rmdir()
    if os.name != "nt":
        os.close(lock)


def _acquire(lock: int) -> bool | None:
    """Whether we hold the lock now; None where the file system has none."""
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
    """Flush files to the disk; they get the permissions of the old ones, or the usual ones."""
    usual.touch()  # some libraries write files that only their owner may read
    for path in files:
        with open(path, "rb+") as file:
            os.fsync(file.fileno())
        old = directory / path.name
        with suppress(OSError):
            path.chmod((old if old.exists() else usual).stat().st_mode & 0o777)


def _move_all(moves: list[tuple[Path | None, Path]], backups: Path) -> None:
    """Move files onto targets; a target of None goes away. All or nothing."""
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
    try:
        os.link(target, backup)  # costs nothing, and the target never vanishes
    except OSError:
        shutil.copy2(target, backup)
