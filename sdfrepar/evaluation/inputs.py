"""What the scores ask of their input, in sentences."""

import numpy as np


def alike(a: np.ndarray, b: np.ndarray, what: str) -> tuple[np.ndarray, np.ndarray]:
    """Both as arrays, of one shape, whichever (...), and not empty.

    Raises:
        ValueError: they are not.
    """
    a, b = np.asarray(a), np.asarray(b)
    if a.shape != b.shape:
        raise ValueError(f"The {what} have shapes {a.shape} and {b.shape}, expected the same; resample one of them.")
    if a.size == 0:
        raise ValueError(f"The {what} have shape {a.shape} and so no elements, expected at least one; check the input.")
    return a, b


def float_pictures(a: np.ndarray, b: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Both as float64 pictures of one shape (..., 3).

    Raises:
        ValueError: unlike shapes, no colours, or integers.
    """
    a, b = alike(a, b, "pictures")
    if a.ndim == 0 or a.shape[-1] != 3:
        raise ValueError(f"The pictures have shape {a.shape}, expected (..., 3); put the colour channels last.")
    if a.dtype.kind != "f" or b.dtype.kind != "f":
        raise ValueError(f"The pictures are {a.dtype} and {b.dtype}, expected floats in [0, 1]; divide bytes by 255.")
    return a.astype(np.float64), b.astype(np.float64)


def chosen(values: np.ndarray, mask: np.ndarray, what: str) -> np.ndarray:
    """The float64 values (M, ...), finite, where a boolean mask (...) of the leading axes of all values is true.

    Raises:
        ValueError: a mask that is not boolean, of other axes or false throughout, or values that are not finite.
    """
    mask = np.asarray(mask)
    if mask.dtype != bool:
        raise ValueError(f"The mask is {mask.dtype}, expected booleans; compare with a threshold first.")
    if mask.shape != values.shape[: mask.ndim] or not mask.any():
        raise ValueError(
            f"A mask of shape {mask.shape} chooses {np.count_nonzero(mask)} of {what} of shape {values.shape}, "
            "expected at least one by a mask of the leading axes; leave out views without any."
        )
    picked = values[mask].astype(np.float64)
    if not np.isfinite(picked).all():
        raise ValueError(f"The {what} within the mask are not all finite, expected finite ones; shrink the mask.")
    return picked


def finite_points(points: np.ndarray, name: str) -> np.ndarray:
    """As (N, 3) float64, N > 0, finite.

    Raises:
        ValueError: they are not.
    """
    points = np.asarray(points, np.float64)
    if points.ndim != 2 or points.shape[1] != 3 or len(points) == 0:
        raise ValueError(f"{name} has shape {points.shape}, expected (N, 3) with N > 0; pass one row for each point.")
    if not np.isfinite(points).all():
        raise ValueError(f"{name} holds coordinates that are not finite, expected finite ones; remove those points.")
    return points
