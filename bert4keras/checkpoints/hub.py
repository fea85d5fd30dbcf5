"""Checkpoints by name: `hf://org/name[@revision]`, through `huggingface_hub` and its cache.

Fetched are the config, the tokenizer's files, safetensors weights, and the files that
sentence-transformers adds to them. `huggingface_hub` reads its settings from the environment when
it is imported, by Keras at the latest: `HF_ENDPOINT`, `HF_HOME`, `HF_HUB_OFFLINE`, `HF_TOKEN`,
`HF_HUB_DISABLE_PROGRESS_BARS`.
"""

from __future__ import annotations

import errno
import os
import re
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from fnmatch import fnmatchcase
from pathlib import Path, PurePath
from types import ModuleType
from typing import NamedTuple, TypeGuard

from .directories import ADAPTER_FILE, MODULE_FILES, WEIGHTS, WEIGHTS_INDEX, read_shard_index
from .errors import CheckpointError

SCHEME = "hf://"
TOKENIZER_PATTERNS = (
    "tokenizer*.json",
    "vocab.*",
    "merges.txt",
    "*.model",
    "special_tokens_map.json",
    "added_tokens.json",
)
_UNSAFE = ("*.bin", "*.pt", "*.pth", "*.pkl", "*.h5", "*.msgpack", "*.ot")
_PAUSES = (1.0, 4.0)  # seconds before the second and the third attempt


class Address(NamedTuple):
    """A repository and its branch, tag or commit."""

    repo: str
    revision: str

    def __str__(self) -> str:
        return SCHEME + self.repo + ("" if self.revision == "main" else f"@{self.revision}")


def is_address(path: object) -> TypeGuard[str | PurePath]:
    """Return whether a path is the address of a repository, not that of a local file."""
    return isinstance(path, str | PurePath) and _as_text(path).startswith(SCHEME)


def resolve(path: str | os.PathLike, weights: bool = True) -> Path:
    """Return the local path of a checkpoint; a repository is downloaded if it is not in the cache.

    Args:
        path: `hf://org/name`, `hf://org/name@revision`, or a local path.
        weights: download the weights too, not only config and tokenizer.

    Returns:
        A local path unchanged; for a repository its directory in the cache of `huggingface_hub`.

    Raises:
        CheckpointError: `huggingface_hub` is not installed; the repository, revision or file does
            not exist; access is refused; only pickled weights exist; or the download failed.
    """
    if not is_address(path):
        return Path(path)
    address = _parse(_as_text(path))
    hub = _library(address)
    with _explained(address, hub):
        for pause in (*_PAUSES, None):
            try:
                return _fetch(address, hub, weights)
            except Exception as error:
                if pause is None or not _may_pass(error):
                    raise
                time.sleep(pause)
    raise AssertionError("the last attempt returns or raises")


def _as_text(path: str | PurePath) -> str:
    """Return an address as text; a `Path` has dropped one slash of its `hf://`."""
    if isinstance(path, PurePath):
        return re.sub(r"^hf:/(?!/)", SCHEME, path.as_posix())
    return path


def _parse(text: str) -> Address:
    """Split an address into repository and revision."""
    found = re.fullmatch(r"hf://([\w.-]+(?:/[\w.-]+)?)(?:@([\w./-]+))?/?", text)
    if not found:
        raise CheckpointError(
            f"{text!r} is no address of a repository; write hf://org/name or "
            "hf://org/name@revision, where the revision is a branch, a tag or a commit."
        )
    return Address(found[1], found[2] or "main")


def _library(address: Address) -> ModuleType:
    """Import `huggingface_hub`."""
    try:
        import huggingface_hub
        import huggingface_hub.constants
        import huggingface_hub.errors
    except ImportError as error:
        raise CheckpointError(
            f"{address} needs huggingface_hub: pip install bert4keras[hub]. Or download the files "
            "of the repository yourself and pass their directory."
        ) from error
    return huggingface_hub


def _fetch(address: Address, hub: ModuleType, weights: bool) -> Path:
    """Return the snapshot in the cache, after an update if the server can be reached."""
    repo, revision = address
    try:
        info = hub.HfApi().model_info(
            repo, revision=revision, timeout=hub.constants.HF_HUB_ETAG_TIMEOUT
        )
    except Exception as error:
        cached = None if _is_answer(error, hub) else _cached(address, hub, weights)
        if cached is None:
            raise
        return cached
    present = {entry.rfilename for entry in info.siblings or ()}
    files = [name for name in present if _matches(name, "config.json", *TOKENIZER_PATTERNS)]
    files = [name for name in files if not _matches(name, *_UNSAFE)]
    files += [name for name in present if MODULE_FILES.fullmatch(name)]
    if weights:
        files += _weights(address, hub, present)
    # By branch and not by commit, so that the cache knows the branch without a network.
    folder = hub.snapshot_download(repo, revision=revision, allow_patterns=sorted(files))
    return Path(folder)


def _cached(address: Address, hub: ModuleType, weights: bool) -> Path | None:
    """Return the snapshot of an earlier download if it is complete, or None."""
    try:
        folder = hub.snapshot_download(
            address.repo,
            revision=address.revision,
            allow_patterns=["config.json"],
            local_files_only=True,
        )
    except hub.errors.LocalEntryNotFoundError:
        return None
    return Path(folder) if not weights or _has_weights(Path(folder)) else None


def _has_weights(folder: Path) -> bool:
    """Return whether a snapshot has all its weights."""
    if (folder / WEIGHTS).is_file():
        return True
    index = folder / WEIGHTS_INDEX
    return index.is_file() and all((folder / shard).is_file() for shard in _shard_files(index))


def _matches(name: str, *patterns: str) -> bool:
    """Return whether a file in the root of a repository matches any fnmatch pattern."""
    return "/" not in name and any(fnmatchcase(name, pattern) for pattern in patterns)


def _weights(address: Address, hub: ModuleType, present: set[str]) -> list[str]:
    """Return which of the files in a repository are the weights."""
    if WEIGHTS in present:
        return [WEIGHTS]
    if WEIGHTS_INDEX in present:
        index = hub.hf_hub_download(address.repo, WEIGHTS_INDEX, revision=address.revision)
        shards = _shard_files(Path(index))
        wrong = sorted(s for s in shards if s not in present or not _matches(s, "*.safetensors"))
        if wrong:
            raise CheckpointError(
                f"{address}: {WEIGHTS_INDEX} names {wrong[0]!r}, which is no safetensors file of "
                "the repository. Choose another revision, or tell its author."
            )
        return [WEIGHTS_INDEX, *shards]
    if ADAPTER_FILE in present:
        raise CheckpointError(
            f"{address} holds an adapter of PEFT, not a model: its {ADAPTER_FILE} names the model "
            "that it changes. Merge the two where PEFT is installed (merge_and_unload, then "
            "save_pretrained), and pass the directory of the result."
        )
    unsafe = sorted(name for name in present if any(fnmatchcase(name, p) for p in _UNSAFE))
    if unsafe:
        raise CheckpointError(
            f"{address} has no {WEIGHTS}, only {', '.join(unsafe[:5])}. Such files are not "
            "fetched: unpickling one runs any code its author put there. Many repositories have "
            f"converted weights as a pull request ({SCHEME}{address.repo}@refs/pr/1), or "
            "convert them where you trust them: torch.load(file, map_location='cpu', "
            "weights_only=True), then safetensors.torch.save_file, and pass that directory."
        )
    listed = ", ".join(sorted(present)[:12]) or "nothing"
    raise CheckpointError(
        f"{address} has neither {WEIGHTS} nor {WEIGHTS_INDEX}; it holds {listed}. Choose another "
        "repository, or pass a local directory."
    )


def _shard_files(index: Path) -> set[str]:
    """Return the file names in an index of shards."""
    return {str(file) for file in read_shard_index(index).values()}


def _is_answer(error: Exception, hub: ModuleType) -> bool:
    """Return whether the server answered and refused, so that the cache must not be used."""
    kinds = (
        hub.errors.RepositoryNotFoundError,
        hub.errors.RevisionNotFoundError,
        hub.errors.HFValidationError,
    )
    return isinstance(error, kinds) or _status(error) in (400, 401, 403, 404)


def _status(error: Exception) -> int | None:
    """Return the HTTP status behind an error, or None."""
    for cause in _causes(error):
        status = getattr(getattr(cause, "response", None), "status_code", None)
        if status is not None:
            return status
    return None


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    """Yield an error and the chain of its causes."""
    while error is not None:
        yield error
        error = error.__cause__


def _may_pass(error: Exception) -> bool:
    """Return whether another attempt may succeed: the server failed or the connection broke."""
    if isinstance(error, CheckpointError) or _refers(error, "OfflineModeIsEnabled"):
        return False
    status = _status(error)
    if status is not None:
        return status >= 500 or status in (408, 429)
    broken = ("RemoteProtocolError", "ReadError", "ChunkedEncodingError", "ReadTimeout")
    return _refers(error, *broken) or "Consistency check failed" in str(error)


def _refers(error: Exception, *names: str) -> bool:
    """Return whether an error, or one of its causes, is of a class with one of the names.

    The classes are not imported: versions of huggingface_hub use different HTTP libraries.
    """
    return any(cls.__name__ in names for cause in _causes(error) for cls in type(cause).__mro__)


@contextmanager
def _explained(address: Address, hub: ModuleType) -> Iterator[None]:
    """Turn an error of huggingface_hub into a CheckpointError that says what to do."""
    try:
        yield
    except CheckpointError:
        raise
    except Exception as error:
        raise CheckpointError(f"{address}: {_explain(error, address, hub)}") from error


def _explain(error: Exception, address: Address, hub: ModuleType) -> str:
    """Return a sentence on an error of huggingface_hub, and what to do about it."""
    errors = hub.errors
    endpoint = hub.constants.ENDPOINT
    page = f"{endpoint}/{address.repo}"
    status = _status(error)
    if isinstance(error, errors.GatedRepoError):
        return f"access is granted on request only. Ask for it at {page}, then set HF_TOKEN."
    if isinstance(error, errors.RevisionNotFoundError):
        return f"there is no revision {address.revision!r}. See {page}/tree/main for its branches."
    if isinstance(error, errors.EntryNotFoundError) and status == 404:
        return (
            f"a file that the repository lists is missing ({_brief(error)}). Try again later, or "
            "choose another revision: hf://org/name@revision."
        )
    if isinstance(error, errors.RepositoryNotFoundError) or status in (401, 403, 404):
        return (
            f"{endpoint} has no such repository or file, or it is private. Check the spelling; for "
            "a private one set HF_TOKEN to a token that may read it."
        )
    if isinstance(error, errors.HFValidationError):
        return f"this is not the name of a repository: {_brief(error)}"
    if any(getattr(cause, "errno", None) == errno.ENOSPC for cause in _causes(error)):
        return (
            f"the disk of the cache {hub.constants.HF_HUB_CACHE} is full. Make room there, or set "
            "HF_HOME to a directory on another disk."
        )
    if _refers(error, "OfflineModeIsEnabled"):
        return (
            f"the cache {hub.constants.HF_HUB_CACHE} does not hold all files, and HF_HUB_OFFLINE "
            "forbids downloads. Unset that variable, or pass a local directory."
        )
    if isinstance(error, PermissionError):
        return f"the cache cannot be written: {_brief(error)}. Set HF_HOME to another directory."
    return (
        f"could not be downloaded from {endpoint} ({_brief(error)}), and the cache does not hold "
        "all files. Complete files are kept: try again later, set HF_ENDPOINT to a mirror, or pass "
        "a local directory."
    )


def _brief(error: BaseException) -> str:
    """Return the class of an error and the first line of its message."""
    lines: Iterable[str] = (line.strip() for line in str(error).splitlines())
    return f"{type(error).__name__}: {next((line for line in lines if line), 'no message')}"
