"""Lazy readers of checkpoint files: names and shapes at once, one tensor at a time.

Every reader hands out arrays of its own (never a view of a file or of the caller's array) and
widens float16 and bfloat16 to float32, which loses nothing. Nothing is ever unpickled.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from bert4keras.checkpoints.errors import CRC_KEY, CheckpointError, crc32, require_finite

# safetensors dtype -> how the bytes lie in the file.
DTYPES = {
    "F64": "<f8",
    "F32": "<f4",
    "F16": "<f2",
    "BF16": "<u2",
    "I64": "<i8",
    "I32": "<i4",
    "I16": "<i2",
    "I8": "i1",
    "U64": "<u8",
    "U32": "<u4",
    "U16": "<u2",
    "U8": "u1",
    "BOOL": "?",
}

ACCEPTED = (
    "Accepted are a directory, a .safetensors file, a .safetensors.index.json of shards, "
    "a TensorFlow checkpoint prefix such as bert_model.ckpt, or a dict of arrays."
)
PICKLE_SUFFIXES = (".bin", ".pt", ".pth", ".pkl", ".pickle")
KERAS_SUFFIXES = (".h5", ".hdf5", ".keras")


class Reader:
    """An open checkpoint. Use as a context manager, or call `close`.

    Attributes:
        source: where it was read from, for messages.
    """

    source: str = ""

    @property
    def names(self) -> list[str]:
        """Tensor names, as stored."""
        raise NotImplementedError

    def shape(self, name: str) -> tuple[int, ...]:
        """Shape of a tensor, without reading it."""
        raise NotImplementedError

    def read(self, name: str) -> np.ndarray:
        """Read one tensor.

        Args:
            name: one of `names`.

        Returns:
            An array that belongs to the caller; half precisions come as float32.

        Raises:
            CheckpointError: the data is damaged or not finite; names file and tensor.
        """
        raise NotImplementedError

    def close(self) -> None:
        """Give the file handles back."""

    def __enter__(self) -> Reader:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()


def open_checkpoint(source: Any) -> Reader:
    """Open a checkpoint of any accepted kind.

    Args:
        source: a directory, a TensorFlow prefix (with or without `.index`), a `.safetensors`
            file, a `.safetensors.index.json`, or a mapping from names to arrays.

    Returns:
        A `Reader`.

    Raises:
        CheckpointError: nothing there, several candidates, a refused kind, or a damaged file.
    """
    if isinstance(source, Reader):
        return source
    if isinstance(source, Mapping):
        return DictReader(source)
    if not isinstance(source, str | os.PathLike):
        raise CheckpointError(
            f"cannot read a checkpoint from a {type(source).__name__}. {ACCEPTED}"
        )
    path = Path(source)
    return _open_file(_find_in(path) if path.is_dir() else path)


def _open_file(path: Path) -> Reader:
    _refuse(path)
    if path.name.endswith(".index.json"):
        return ShardedReader(path)
    if path.suffix == ".safetensors":
        return SafetensorsReader(path)
    prefix = re.sub(r"\.(index|meta|data-\d{5}-of-\d{5})$", "", str(path))
    if Path(f"{prefix}.index").is_file():
        return TensorFlowReader(prefix)
    if path.exists():
        raise CheckpointError(f"{path} is no checkpoint that can be read. {ACCEPTED}")
    beside = _listing(path.parent) if path.parent.is_dir() else "no such directory"
    raise CheckpointError(f"{path} does not exist. In {path.parent}: {beside}. {ACCEPTED}")


def _refuse(path: Path) -> None:
    if path.suffix in PICKLE_SUFFIXES and path.exists():
        raise CheckpointError(
            f"{path} is a torch pickle, and unpickling a file runs any code its author put there. "
            "Convert it where you trust it:\n"
            f'    state = torch.load("{path.name}", map_location="cpu", weights_only=True)\n'
            "    safetensors.torch.save_file({k: v.clone().contiguous() for k, v in state.items()},"
            ' "model.safetensors")'
        )
    if path.suffix in KERAS_SUFFIXES and path.exists():
        raise CheckpointError(
            f"{path} is a Keras file. Open a whole model with keras.models.load_model, or put "
            "weights into a built model with model.load_weights; "
            "bert4keras.save writes one that this function reads."
        )


def _listing(directory: Path, limit: int = 12) -> str:
    names = sorted(entry.name for entry in directory.iterdir())
    more = f", ... ({len(names)} in all)" if len(names) > limit else ""
    return ", ".join(names[:limit]) + more if names else "nothing"


def _find_in(directory: Path) -> Path:
    """The one checkpoint of a directory."""
    standard = [directory / "model.safetensors", directory / "model.safetensors.index.json"]
    found = [path for path in standard if path.is_file()]
    if not found:
        found = sorted(directory.glob("*.safetensors.index.json"))
        found = found or sorted(directory.glob("*.safetensors"))
    found += sorted(directory.glob("*.index"))
    if len(found) == 1:
        return found[0]
    if found:
        names = ", ".join(path.name for path in found)
        raise CheckpointError(
            f"{directory} holds several checkpoints: {names}. Pass the path of one of them."
        )
    for path in sorted(directory.iterdir()):
        if path.name.startswith(("pytorch_model", "tf_model")):
            _refuse(path)
    raise CheckpointError(
        f"no checkpoint in {directory}; it holds {_listing(directory)}. Looked for "
        "model.safetensors, model.safetensors.index.json and *.ckpt.index."
    )


class DictReader(Reader):
    """Arrays in memory, by name."""

    source = "dict of arrays"

    def __init__(self, arrays: Mapping[str, Any]):
        self._arrays = {}
        for name, value in arrays.items():
            if not isinstance(name, str):
                raise CheckpointError(f"a dict of arrays needs names as keys, not {name!r}")
            try:
                array = np.asarray(value)
            except Exception as error:  # whatever a foreign array type raises
                raise CheckpointError(f"dict entry `{name}` is not an array: {error}") from error
            if array.dtype.kind not in "fiub" and array.dtype.name != "bfloat16":
                raise CheckpointError(f"dict entry `{name}` holds {array.dtype}, not numbers")
            self._arrays[name] = array

    @property
    def names(self) -> list[str]:
        return list(self._arrays)

    def shape(self, name: str) -> tuple[int, ...]:
        return self._arrays[name].shape

    def read(self, name: str) -> np.ndarray:
        array = _widened(np.array(self._arrays[name]))
        require_finite(name, array, self.source)
        return array


class SafetensorsReader(Reader):
    """One `.safetensors` file. The library checks the header; bytes are read on demand."""

    def __init__(self, path: str | Path):
        self.source = str(path)
        self._header, self._start = _safetensors_header(Path(path))
        metadata = self._header.pop("__metadata__", None) or {}
        self._checksums = _checksums(self.source, metadata, self._header)
        self._file = open(path, "rb")  # noqa: SIM115 - stays open until close()

    @property
    def names(self) -> list[str]:
        return list(self._header)

    def shape(self, name: str) -> tuple[int, ...]:
        return tuple(self._header[name]["shape"])

    def read(self, name: str) -> np.ndarray:
        entry = self._header[name]
        dtype = entry["dtype"]
        if dtype not in DTYPES:
            raise CheckpointError(
                f"{self.source}: tensor `{name}` is stored as {dtype}, which cannot be read; "
                f"known are {', '.join(DTYPES)}. Convert the file to float32 or bfloat16."
            )
        begin, end = entry["data_offsets"]
        self._file.seek(self._start + begin)
        count = (end - begin) // np.dtype(DTYPES[dtype]).itemsize
        array = np.fromfile(self._file, DTYPES[dtype], count)
        if array.nbytes != end - begin:
            raise CheckpointError(f"{self.source} is truncated: tensor `{name}` ends too early")
        array = array.reshape(entry["shape"])
        if self._checksums is not None and self._checksums.get(name) != crc32(name, array):
            raise CheckpointError(
                f"{self.source}: tensor `{name}` does not match its checksum; the file is damaged"
            )
        array = _from_bfloat16(array) if dtype == "BF16" else _widened(array)
        if self._checksums is None:
            require_finite(name, array, self.source)
        return array

    def close(self) -> None:
        self._file.close()


def _safetensors_header(path: Path) -> tuple[dict[str, Any], int]:
    """The header of a file that the library has found to be well-formed, and where data begins."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="np"):
            pass
        with open(path, "rb") as file:
            size = int.from_bytes(file.read(8), "little")
            header = json.loads(file.read(size))
    except (SafetensorError, OSError, ValueError) as error:
        raise CheckpointError(
            f"{path} is not a whole safetensors file ({error}). Fetch it again."
        ) from error
    return header, 8 + size


def _checksums(source: str, metadata: Mapping[str, str], header: Mapping) -> dict | None:
    """CRC32 by tensor name, if the file has them."""
    if CRC_KEY not in metadata:
        return None
    try:
        checksums = dict(json.loads(metadata[CRC_KEY]))
    except (ValueError, TypeError) as error:
        raise CheckpointError(f"{source}: the list of checksums is damaged ({error})") from error
    lost = sorted(set(checksums) - set(header))
    if lost:
        raise CheckpointError(f"{source} is damaged: the header lost `{lost[0]}`")
    return checksums


class ShardedReader(Reader):
    """Several `.safetensors` files under one `.index.json`."""

    def __init__(self, path: str | Path):
        path = Path(path)
        self.source = str(path)
        self._shard_of: dict[str, SafetensorsReader] = {}
        files = self._weight_map(path)
        with ExitStack() as stack:
            shards = {}
            for file in sorted(set(files.values())):
                shard = path.parent / file
                if not shard.is_file():
                    raise CheckpointError(f"{path} names the shard {file}, which is missing")
                shards[file] = stack.enter_context(SafetensorsReader(shard))
            contents = {file: set(shard.names) for file, shard in shards.items()}
            for name, file in files.items():
                if name not in contents[file]:
                    raise CheckpointError(f"{path} places `{name}` in {file}, which lacks it")
                self._shard_of[name] = shards[file]
            self._handles = stack.pop_all()

    @staticmethod
    def _weight_map(path: Path) -> dict[str, str]:
        try:
            files = json.loads(path.read_text(encoding="utf-8"))["weight_map"]
            pairs = list(files.items())
        except FileNotFoundError as error:
            raise CheckpointError(f"{path} does not exist") from error
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise CheckpointError(f"{path} is not an index of shards: {error!r}") from error
        for name, file in pairs:
            inside = isinstance(file, str) and file == Path(file).name and "\\" not in file
            if not inside or not file.endswith(".safetensors"):
                raise CheckpointError(
                    f"{path} places `{name}` in {file!r}; a shard must be a .safetensors file "
                    "beside the index"
                )
        return dict(pairs)

    @property
    def names(self) -> list[str]:
        return list(self._shard_of)

    def shape(self, name: str) -> tuple[int, ...]:
        return self._shard_of[name].shape(name)

    def read(self, name: str) -> np.ndarray:
        return self._shard_of[name].read(name)

    def close(self) -> None:
        self._handles.close()


class TensorFlowReader(Reader):
    """A name-based TensorFlow checkpoint (TF1 or TF2), given by its prefix."""

    def __init__(self, prefix: str):
        self.source = str(prefix)
        try:
            import tensorflow as tf
        except ImportError as error:
            raise CheckpointError(
                f"{prefix} is a TensorFlow checkpoint, and TensorFlow is not installed. Install "
                "it, or convert the checkpoint once on a machine that has it: "
                "scripts/convert_checkpoint SRC DST --format huggingface"
            ) from error
        with self._readable("the index"):
            self._reader = tf.train.load_checkpoint(self.source)
            self._shapes = self._reader.get_variable_to_shape_map()
        if "_CHECKPOINTABLE_OBJECT_GRAPH" in self._shapes:
            raise CheckpointError(
                f"{prefix} is an object-based TensorFlow 2 checkpoint: its tensors are named after "
                "Python attributes, not variables. Restore it in the program that wrote it and "
                "save it name-based (tf.compat.v1.train.Saver) or as safetensors."
            )

    @contextmanager
    def _readable(self, what: str) -> Iterator[None]:
        try:
            yield
        except Exception as error:  # TensorFlow raises OpError, IndexError, ValueError and others
            raise CheckpointError(f"{self.source}: cannot read {what}: {error}") from error

    @property
    def names(self) -> list[str]:
        return sorted(self._shapes)

    def shape(self, name: str) -> tuple[int, ...]:
        return tuple(self._shapes[name])

    def read(self, name: str) -> np.ndarray:
        with self._readable(f"tensor `{name}`"):
            array = _widened(np.asarray(self._reader.get_tensor(name)))
        require_finite(name, array, self.source)
        return array

    def close(self) -> None:
        self._reader = None


def _widened(array: np.ndarray) -> np.ndarray:
    half = array.dtype == np.float16 or array.dtype.name == "bfloat16"
    return array.astype(np.float32) if half else array


def _from_bfloat16(bits: np.ndarray) -> np.ndarray:
    """bfloat16 is the upper half of a float32, and numpy does not know it."""
    return (bits.astype(np.uint32) << 16).view(np.float32)
