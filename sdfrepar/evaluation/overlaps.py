"""How much two solids, or two masks, overlap."""

import numpy as np

from sdfrepar.evaluation.inputs import alike


def occupancy_iou(values_a: np.ndarray, values_b: np.ndarray) -> float:
    """Intersection over union of two solids, in volume.

    Protocol: a grid point is inside where its value is negative; every point counts the same. Two empty solids score 1.

    Args:
        values_a: (R, R, R) field on a grid, as `meshing.sample_grid` gives it; scene units.
        values_b: same shape, the other field on the same grid.

    Raises:
        ValueError: grids that are empty, of unlike shapes, or not finite.
    """
    a, b = alike(values_a, values_b, "grids")
    if not (np.isfinite(a).all() and np.isfinite(b).all()):
        raise ValueError("The grids hold values that are not finite, expected distances; look for diverged parameters.")
    return mask_iou(a < 0, b < 0)


def mask_iou(a: np.ndarray, b: np.ndarray) -> float:
    """Intersection over union of two masks; two empty masks score 1.

    Args:
        a: any shape, boolean.
        b: same shape, boolean.

    Raises:
        ValueError: masks that are empty, of unlike shapes, or not boolean.
    """
    a, b = alike(a, b, "masks")
    if a.dtype != bool or b.dtype != bool:
        raise ValueError(f"The masks are {a.dtype} and {b.dtype}, expected booleans; compare with a threshold first.")
    union = np.count_nonzero(a | b)
    return 1.0 if union == 0 else np.count_nonzero(a & b) / union
