"""Arrays in `.npz` files: plain numbers and texts, of the shapes that were expected, no more than likely.

No pickle in them is loaded.
"""

import io
import zipfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from sdfrepar.files.raw import reason, require_file

# Numbers hardly shrink when they are compressed. What shrinks this much is meant to fill the memory.
_MOST_SHRINKAGE = 100
_SMALL_FILE = 2**20  # bytes, below which an archive of zeros is no danger

Shape = tuple[int | None, ...]
"""Of an array; None for an axis of any length."""


def read_arrays(path: str | Path, shapes: Mapping[str, Shape] | None = None) -> dict[str, np.ndarray]:
    """The arrays of an `.npz` file, by name.

    Args:
        path: the file.
        shapes: of the arrays that must be there, as finite numbers; what else the file holds comes along.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is no whole archive, would fill the memory, or lacks such an array.
    """
    path = require_file(path)
    try:
        arrays = arrays_of(path.read_bytes())
    except ValueError as error:
        raise ValueError(f"{path} cannot be read as arrays: {error}.") from error
    for name, shape in (shapes or {}).items():
        if name not in arrays:
            held = ", ".join(list(arrays)[:6]) or "none"
            raise ValueError(f"{path} holds the arrays {held}; expected {', '.join(shapes or {})}.")
        _require(path, name, arrays[name], shape)
    return arrays


def arrays_of(data: bytes) -> dict[str, np.ndarray]:
    """The arrays in the bytes of an `.npz` file, by name, any shape.

    Raises:
        ValueError: as `read_arrays`; the sentence has no subject yet.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            size = sum(entry.file_size for entry in archive.infolist())
    except Exception as error:
        raise ValueError(
            f"it is no whole archive ({reason(error)}); expected an .npz, so fetch or write it again"
        ) from error
    if size > _MOST_SHRINKAGE * max(len(data), _SMALL_FILE):
        raise ValueError(f"it would grow from {len(data)} to {size} bytes; expected numbers, which hardly compress")
    with np.load(io.BytesIO(data), allow_pickle=False) as stored:
        return {name: _array(stored, name) for name in stored.files}


def _array(stored: np.lib.npyio.NpzFile, name: str) -> np.ndarray:
    try:
        array = stored[name]
    except Exception as error:
        raise ValueError(f"its array {name!r} cannot be read ({reason(error)}); expected plain numbers") from error
    # What is no array's file comes as it is.
    if not isinstance(array, np.ndarray) or array.dtype.kind not in "biufU":
        kind = getattr(array, "dtype", "bytes")
        raise ValueError(f"its array {name!r} is of {kind}; expected real numbers")
    return array


def _require(path: Path, name: str, array: np.ndarray, shape: Shape) -> None:
    fits = len(array.shape) == len(shape) and all(
        wanted in (None, found) for wanted, found in zip(shape, array.shape, strict=True)
    )
    if array.dtype.kind == "U" or not fits or not np.isfinite(array).all():
        wanted = "x".join("N" if length is None else str(length) for length in shape) or "one"
        raise ValueError(
            f"{path}: {name} is an array of {array.dtype} and of shape {array.shape}; expected {wanted} finite "
            "numbers, so write the file again."
        )
