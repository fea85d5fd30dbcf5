"""Opening of checkpoints: names and shapes are read at once, tensors one at a time.

Every reader returns new arrays (never a view of a file or of the caller's array) and converts
float16 and bfloat16 to float32, which is exact. Nothing is ever unpickled.
"""

from __future__ import annotations

import glob
import logging
import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np

from .._json import require_regular_file
from .base import CheckpointReader, returned_dtype, to_returned_dtype
from .directories import WEIGHTS, WEIGHTS_INDEX, indexed_files, list_files, model_directory
from .errors import CheckpointError, require_finite
from .presets import local_path
from .safetensors_reader import SafetensorsReader, ShardedReader

logger = logging.getLogger(__name__)

# A path or address, arrays by name, or a checkpoint that is already open.
CheckpointSource: TypeAlias = str | os.PathLike | Mapping[str, Any] | CheckpointReader

_ACCEPTED = (
    "Accepted are a directory, a .safetensors file, a .safetensors.index.json of shards, "
    "a TensorFlow checkpoint prefix such as bert_model.ckpt, hf://org/name, a name of PRESETS, or "
    "a dict of arrays."
)
_OBJECT_GRAPH, _SLOT = "_CHECKPOINTABLE_OBJECT_GRAPH", ".OPTIMIZER_SLOT"
_PICKLE_SUFFIXES = (".bin", ".pt", ".pth", ".pkl", ".pickle")
_KERAS_SUFFIXES = (".h5", ".hdf5", ".keras")


def open_checkpoint(source: CheckpointSource) -> CheckpointReader:
    """Open a checkpoint in any of the formats that can be read.

    Args:
        source: a directory, a TensorFlow prefix (with or without `.index`), a `.safetensors`
            file, a `.safetensors.index.json`, a name of `PRESETS`, `hf://org/name[@revision]`, or
            a mapping from names to arrays.

    Returns:
        A `CheckpointReader`.

    Raises:
        CheckpointError: no checkpoint or several, a format that is not read, or a damaged file.
    """
    if isinstance(source, CheckpointReader):
        return source
    if isinstance(source, Mapping):
        return _DictReader(source)
    if not isinstance(source, str | os.PathLike):
        raise CheckpointError(
            f"cannot read a checkpoint from a {type(source).__name__}. {_ACCEPTED}"
        )
    path = local_path(source)
    return _open_file(_find_in(model_directory(path)) if path.is_dir() else path)


def _open_file(path: Path) -> CheckpointReader:
    _refuse_unsafe(path)
    if path.name.endswith(".index.json"):
        return ShardedReader(path)
    if path.suffix == ".safetensors":
        return SafetensorsReader(path)
    prefix = re.sub(r"\.(index|meta|data-\d{5}-of-\d{5})$", "", str(path))
    index = Path(f"{prefix}.index")
    if index.exists():
        for file in (index, *index.parent.glob(f"{glob.escape(Path(prefix).name)}.data-*")):
            require_regular_file(file, CheckpointError)
        return _TensorFlowReader(prefix)
    if path.exists():
        raise CheckpointError(f"{path} is no checkpoint in a known format. {_ACCEPTED}")
    beside = list_files(path.parent) if path.parent.is_dir() else "no such directory"
    raise CheckpointError(f"{path} does not exist. In {path.parent}: {beside}. {_ACCEPTED}")


def _refuse_unsafe(path: Path) -> None:
    """Refuse pickles, and files that Keras itself loads."""
    if path.suffix in _PICKLE_SUFFIXES and path.exists():
        raise CheckpointError(
            f"{path} is a torch pickle, and unpickling a file runs any code its author put there. "
            "Convert it where you trust it:\n"
            f'    state = torch.load("{path.name}", map_location="cpu", weights_only=True)\n'
            "    safetensors.torch.save_file({k: v.clone().contiguous() for k, v in state.items()},"
            ' "model.safetensors")'
        )
    if path.suffix in _KERAS_SUFFIXES and path.exists():
        raise CheckpointError(
            f"{path} is a Keras file. Load a whole model with keras.models.load_model, or weights "
            "into a built model with model.load_weights; bert4keras.save writes a checkpoint that "
            "this function reads."
        )


def _find_in(directory: Path) -> Path:
    """Return the path of the only checkpoint in a directory."""
    standard = [directory / WEIGHTS, directory / WEIGHTS_INDEX]
    found = [path for path in standard if path.exists()]
    if len(found) == 2 and _same_weights(*found):
        found = found[:1]
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
            _refuse_unsafe(path)
    raise CheckpointError(
        f"no checkpoint in {directory}; it holds {list_files(directory)}. Looked for "
        f"{WEIGHTS}, {WEIGHTS_INDEX} and *.ckpt.index."
    )


def _same_weights(file: Path, index: Path) -> bool:
    """Return whether a file and the shards of an index hold the same tensors.

    Then the file is read, as transformers does.
    """
    shards = {index.with_name(name) for name in indexed_files(index).values()}
    if shards == {file} or not any(shard.exists() for shard in shards):
        logger.warning("%s names no shards of its own; %s is read", index, file.name)
        return True
    with SafetensorsReader(file) as one, ShardedReader(index) as other:
        return set(one.names) == set(other.names) and all(
            one.shape(name) == other.shape(name)
            and np.array_equal(one.read(name), other.read(name))
            for name in one.names
        )


class _DictReader(CheckpointReader):
    """Reader of a mapping from names to arrays."""

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

    def dtype(self, name: str) -> np.dtype:
        return returned_dtype(self._arrays[name].dtype)

    def read(self, name: str) -> np.ndarray:
        array = to_returned_dtype(np.array(self._arrays[name]))
        require_finite(name, array, self.source)
        return array


class _TensorFlowReader(CheckpointReader):
    """Reader of a TensorFlow checkpoint, given by its prefix.

    The names are those of variables. An object-based checkpoint (TF2) names its tensors after
    Python attributes; the names of the variables are then read from its object graph.
    """

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
            self._dtypes = self._reader.get_variable_to_dtype_map()
        self._keys = {name: name for name in self._shapes}  # name of the variable -> of the tensor
        if _OBJECT_GRAPH in self._shapes:
            self._keys = self._variables()

    def _variables(self) -> dict[str, str]:
        """Return variable name -> tensor name, from the object graph."""
        from tensorflow.core.protobuf.trackable_object_graph_pb2 import TrackableObjectGraph

        with self._readable("the object graph"):
            graph = TrackableObjectGraph.FromString(self._reader.get_tensor(_OBJECT_GRAPH))
        attributes = [a for node in graph.nodes for a in node.attributes if a.full_name]
        stored = {
            a.checkpoint_key: a.full_name for a in attributes if a.checkpoint_key in self._shapes
        }
        if not stored or len(set(stored.values())) < len(stored):
            raise CheckpointError(
                f"{self.source} is an object-based TensorFlow 2 checkpoint: its tensors are named "
                "after Python attributes, and it has no unique names of variables. Restore it in "
                "the program that wrote it, and save it name-based (tf.compat.v1.train.Saver) or "
                "as safetensors."
            )
        return {name: key for key, name in stored.items() if _SLOT not in key}

    @contextmanager
    def _readable(self, what: str) -> Iterator[None]:
        """Turn an error of TensorFlow into a CheckpointError that names `what`."""
        try:
            yield
        except Exception as error:  # TensorFlow raises OpError, IndexError, ValueError and others
            raise CheckpointError(f"{self.source}: cannot read {what}: {error}") from error

    @property
    def names(self) -> list[str]:
        return sorted(self._keys)

    def shape(self, name: str) -> tuple[int, ...]:
        return tuple(self._shapes[self._keys[name]])

    def dtype(self, name: str) -> np.dtype:
        return returned_dtype(np.dtype(self._dtypes[self._keys[name]].as_numpy_dtype))

    def read(self, name: str) -> np.ndarray:
        with self._readable(f"tensor `{name}`"):
            array = to_returned_dtype(np.asarray(self._reader.get_tensor(self._keys[name])))
        require_finite(name, array, self.source)
        return array

    def close(self) -> None:
        self._reader = None
