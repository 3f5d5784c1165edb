"""Numbers that a file of JSON holds, or a sentence about what it holds in their place."""

from pathlib import Path
from typing import Any

import numpy as np

from sdfrepar import files


def numbers_of(path: Path, name: str, value: Any, shape: tuple[int, ...]) -> np.ndarray:
    """A value as an array of finite float64 of a shape.

    Args:
        path: of the file, for the complaint.
        name: of the entry, for the complaint.
        value: what was read.
        shape: that is expected.

    Raises:
        ValueError: it is something else.
    """
    try:
        found = np.asarray(value)
        fits = found.dtype.kind in "iuf" and found.shape == shape and bool(np.isfinite(found).all())
    except (TypeError, ValueError, OverflowError):
        fits = False
    if not fits:
        wanted = "x".join(map(str, shape)) + " finite numbers" if shape else "a finite number"
        raise ValueError(f"{path}: {name} is {files.shown(value)}; expected {wanted}, so mend it.")
    return found.astype(np.float64)
