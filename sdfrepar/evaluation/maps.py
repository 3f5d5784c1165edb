"""Scores of depth and of normals, pixel by pixel."""

import numpy as np

from sdfrepar.evaluation.inputs import alike, chosen


def depth_error(a: np.ndarray, b: np.ndarray, mask: np.ndarray) -> float:
    """Mean absolute difference of two depths, in their unit.

    Protocol: the mean over the pixels of the mask; neither scale nor shift is fitted first.

    Args:
        a: (...) depth along the optical axis.
        b: same shape and unit.
        mask: (...) boolean, the pixels where both have a surface.

    Raises:
        ValueError: maps of unlike shapes, not finite within the mask, or a mask that is not boolean or chooses nothing.
    """
    a, b = alike(a, b, "depths")
    a, b = chosen(a, mask, "depths"), chosen(b, mask, "depths")
    return float(np.mean(np.abs(a - b)))


def normal_error(a: np.ndarray, b: np.ndarray, mask: np.ndarray) -> float:
    """Mean angle between two maps of normals, degrees in [0, 180].

    Protocol: the mean, over the pixels of the mask, of the angle between the directions; their lengths do not matter.

    Args:
        a: (..., 3) of any length but zero, in one frame with `b`.
        b: same shape.
        mask: (...) boolean, the pixels where both have a surface.

    Raises:
        ValueError: maps of unlike shapes, normals that vanish or are not finite within the mask, or a mask that is not
            boolean or chooses nothing.
    """
    a, b = alike(a, b, "normals")
    if a.ndim == 0 or a.shape[-1] != 3:
        raise ValueError(f"The normals have shape {a.shape}, expected (..., 3); put the components last.")
    a, b = chosen(a, mask, "normals"), chosen(b, mask, "normals")
    if not (a.any(axis=-1).all() and b.any(axis=-1).all()):
        raise ValueError("A normal within the mask is zero, expected a direction; leave pixels without surface out.")
    # Exact at small angles, where the arc cosine is not.
    angle = np.arctan2(np.linalg.norm(np.cross(a, b), axis=-1), np.sum(a * b, axis=-1))
    return float(np.degrees(np.mean(angle)))
