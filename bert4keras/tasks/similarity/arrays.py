"""Arrays of vectors, and `.npz` files of them that may have come from anywhere."""

from __future__ import annotations

import os
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import IO, Any

import numpy as np

from ..._files import atomic_file

ROWS = 8192  # vectors of a corpus that are worked on at a time
_LONGEST = 1000  # bytes of a header, and of a text


class VectorFileError(ValueError):
    """A file of vectors that cannot be used; the message names the file, the array and the fault.

    Args:
        path: the file.
        name: the array in it.
        fault: description of the error.
    """

    def __init__(self, path: str | os.PathLike, name: str, fault: str):
        super().__init__(
            f"{os.fspath(path)} cannot be used: its `{name}` {fault}. It is damaged, or save() of "
            "this class did not write it: build the index again."
        )


def read_arrays(
    path: str | os.PathLike,
    needed: Mapping[str, tuple[str, int]],
    optional: Mapping[str, tuple[str, int]] | None = None,
) -> dict[str, np.ndarray]:
    """Read the arrays of an `.npz` file that `numpy.savez` wrote; nothing is unpickled.

    No more memory is taken than the file is large, whatever its headers say.

    Args:
        path: the file.
        needed: dtype ("str" for text of any length) and number of axes of arrays, by name.
        optional: as `needed`, of arrays that may be absent.

    Raises:
        FileNotFoundError: there is no such file.
        VectorFileError: no `.npz` file, a damaged one, or one with other arrays.
    """
    if os.path.exists(path) and not Path(path).is_file():
        raise ValueError(f"{os.fspath(path)} is not a regular file.")
    found = {}
    with open(path, "rb") as file:
        try:
            archive = zipfile.ZipFile(file)
            members = {info.filename.removesuffix(".npy"): info for info in archive.infolist()}
        except Exception as error:  # zipfile raises a dozen kinds for damaged directories
            raise VectorFileError(path, "content", f"is no archive of arrays: {error}") from error
        for name, kind in {**needed, **(optional or {})}.items():
            if name in members:
                found[name] = _read(path, archive, members[name], name, *kind)
            elif name in needed:
                raise VectorFileError(path, name, "is missing")
    return found


def _read(
    path: str | os.PathLike,
    archive: zipfile.ZipFile,
    member: zipfile.ZipInfo,
    name: str,
    dtype: str,
    axes: int,
) -> np.ndarray:
    try:
        if member.compress_type != zipfile.ZIP_STORED or member.file_size != member.compress_size:
            raise VectorFileError(path, name, "is compressed, which savez does not do")
        with archive.open(member) as file:
            shape, ordered, found = _read_header(file)
            wanted = f"must be {dtype} with {axes} axes"
            fits = found == np.dtype(dtype) or (dtype == "str" and found.kind == "U")
            if not fits or len(shape) != axes:
                raise VectorFileError(path, name, f"{wanted}, not {found} {shape}"[:200])
            data = file.read()  # whose checksum the archive verifies
    except VectorFileError:
        raise
    except Exception as error:
        raise VectorFileError(path, name, f"cannot be read: {error}"[:200]) from error
    count = 1
    for size in shape:
        if size < 0:
            raise VectorFileError(path, name, f"has the shape {shape}"[:200])
        count *= size
    if count * found.itemsize != len(data):
        fault = f"has {len(data)} bytes, too few or many for {shape}"
        raise VectorFileError(path, name, fault[:200])
    if not found.itemsize or (dtype == "str" and len(data) > _LONGEST):
        raise VectorFileError(path, name, f"is text of {len(data)} bytes")
    return np.frombuffer(data, found).reshape(shape, order="F" if ordered else "C")


def _read_header(file: IO[bytes]) -> tuple[tuple[int, ...], bool, np.dtype]:
    version = np.lib.format.read_magic(file)
    read = {
        (1, 0): np.lib.format.read_array_header_1_0,
        (2, 0): np.lib.format.read_array_header_2_0,
    }
    if version not in read:
        raise ValueError(f"version {version} of the format")
    shape, ordered, dtype = read[version](file, max_header_size=_LONGEST)
    return tuple(int(size) for size in shape), bool(ordered), dtype


def matrix(vectors: Any, name: str) -> np.ndarray:
    """Return vectors (N, D) unchanged; ValueError if they are not finite numbers."""
    vectors = np.asanyarray(vectors)
    if vectors.ndim != 2 or vectors.dtype.kind not in "fiu":
        raise ValueError(
            f"{name} must be numbers of shape (N, D), not {vectors.dtype} {vectors.shape}."
        )
    for start in range(0, len(vectors), ROWS):
        finite = np.isfinite(vectors[start : start + ROWS]).all(axis=1)
        if not finite.all():
            raise ValueError(f"{name}[{start + int(finite.argmin())}] is not finite.")
    return vectors


def parts(vectors: np.ndarray) -> Iterator[np.ndarray]:
    """Return vectors in parts that fit into memory, float64."""
    for start in range(0, len(vectors), ROWS):
        yield vectors[start : start + ROWS].astype("float64")


def save_arrays(path: str | os.PathLike, arrays: Mapping[str, np.ndarray]) -> None:
    """Write an `.npz` file, replacing an old one atomically."""
    with atomic_file(path) as new, open(new, "wb") as file:
        np.savez(file, **arrays)  # type: ignore[arg-type]  # its stub takes all for allow_pickle
