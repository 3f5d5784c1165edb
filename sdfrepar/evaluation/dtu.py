"""The DTU benchmark's scores, as IDR, NeuS and their successors report them; in the world frame, millimetres.

Not here: the benchmark's own thinning of points to 0.2 mm, its observation masks and its table plane, whose files come
with its scans; apply them before, where published numbers are to be met.
"""

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from sdfrepar import cameras
from sdfrepar.evaluation.inputs import finite_points
from sdfrepar.evaluation.surfaces import nearest_distances
from sdfrepar.records import Camera

# Share of the masks' width; the public protocol widens by 50 of 1600 pixels.
_DILATION = 50 / 1600

# Millimetres; distances from here on are left out of the means.
_MAX_DISTANCE = 20.0


class DtuChamfer(NamedTuple):
    """DTU's distances, in the unit of the points."""

    accuracy: float  # from what was recovered to what was scanned
    completeness: float  # from what was scanned to what was recovered
    mean: float  # of the two


def dtu_culled(points: np.ndarray, masks: np.ndarray, rig: Camera, dilation: float = _DILATION) -> np.ndarray:
    """The points that no silhouette rules out.

    Protocol: NeuS's cleaning of surfaces fitted without masks. Each mask is widened by a disc; a point goes when any
    view has it within the picture and outside the widened mask. A point that no picture shows stays, and so does what a
    view has behind it.

    Args:
        points: (M, 3), in the frame and unit of the cameras.
        masks: (N, H, W), boolean or the share of the pixel that the object covers, inside above a half.
        rig: leading axis N.
        dilation: radius of the disc, as a share of W.

    Returns:
        (K, 3) float64, in their order.

    Raises:
        ValueError: points that are not finite 3-vectors, masks that do not fit the cameras, or a negative dilation.
    """
    points, masks = finite_points(points, "points"), np.asarray(masks)
    count, (height, width) = len(np.asarray(rig.position)), rig.resolution
    if masks.shape != (count, height, width):
        raise ValueError(
            f"The masks have shape {masks.shape}, expected {(count, height, width)} as the cameras; pass those of the "
            "same views."
        )
    if not dilation >= 0:
        raise ValueError(f"dilation is {dilation}, expected a share of the width from 0 up; the protocol has 50/1600.")
    stays = np.ones(len(points), bool)
    for index in range(count):
        camera = jax.tree.map(lambda leaf, index=index: leaf[index], rig)
        stays &= _not_outside(points, _widened(masks[index] > 0.5, dilation * width), camera)
    return points[stays]


def dtu_chamfer(points: np.ndarray, truth: np.ndarray, max_distance: float = _MAX_DISTANCE) -> DtuChamfer:
    """DTU's accuracy, completeness and their mean; lower is better.

    Protocol: accuracy is the mean distance from the points to the truth, completeness that from the truth to the
    points; distances of `max_distance` or more are left out of either mean.

    Args:
        points: (N, 3) of the surface that is scored, in millimetres for the protocol's distance.
        truth: (M, 3), same frame and unit.
        max_distance: same unit; the protocol's is 20 mm.

    Raises:
        ValueError: sets that are empty or not of finite 3-vectors, or that are nowhere nearer than `max_distance`.
    """
    to_truth, to_points = nearest_distances(points, truth)
    near = [distances[distances < max_distance] for distances in (to_truth, to_points)]
    if not all(len(distances) for distances in near):
        raise ValueError(
            f"The points come no nearer to the truth than {to_truth.min():g}, expected below {max_distance:g}; bring "
            "both into one frame and unit."
        )
    accuracy, completeness = (float(np.mean(distances)) for distances in near)
    return DtuChamfer(accuracy, completeness, 0.5 * (accuracy + completeness))


def _widened(mask: np.ndarray, radius: float) -> np.ndarray:
    """The pixels whose centre is at most `radius` pixels from one of the mask."""
    from scipy.ndimage import distance_transform_edt

    return np.asarray(distance_transform_edt(~mask)) <= radius if mask.any() else mask


def _not_outside(points: np.ndarray, mask: np.ndarray, camera: Camera) -> np.ndarray:
    """Whether a view has each point (M, 3) in its mask, beside its picture, or behind it."""
    height, width = mask.shape
    film, depth = map(np.asarray, jax.vmap(partial(cameras.project, camera))(jnp.asarray(points)))
    seen = (depth > 0) & np.all((film >= 0) & (film < [width, height]), axis=1)
    column, row = np.where(seen[:, None], film, 0).astype(int).T
    return ~seen | mask[row, column]
