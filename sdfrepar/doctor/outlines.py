"""What outlines say of cameras: two pictures of one object touch it with the same planes through both cameras.

Serves objects without texture, and needs no more than masks, or a background of one colour. It takes much smaller
mistakes than matched points do to move outlines: planes through two cameras that are far apart are steep.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from sdfrepar import files
from sdfrepar.doctor import epipolar
from sdfrepar.records import Camera

# Of all pairs of views, so many are looked at.
_MOST_PAIRS = 400

# A background of one colour: how far two thirds of the border may be from its median, and how far the object must be
# from it; sRGB.
_EVEN, _UNLIKE = 0.03, 0.12

# An object must cover so much of a picture.
_LEAST_COVERED = 0.002


@dataclass(frozen=True)
class Outline:
    """The convex hull of what an object covers in one picture."""

    film: np.ndarray  # (P, 2) its corners, pixels
    is_whole: bool  # whether the border of the picture does not cut it


def of_mask(mask: np.ndarray) -> Outline | None:
    """The outline of a mask (H, W), share covered; None where it covers next to nothing."""
    from scipy.spatial import ConvexHull, QhullError

    solid = np.asarray(mask) > 0.5
    row, column = np.nonzero(solid)
    if len(row) < max(_LEAST_COVERED * solid.size, 8):
        return None
    corners = np.concatenate([np.stack([column + x, row + y], axis=1) for x in (0, 1) for y in (0, 1)]).astype(float)
    try:
        hull = corners[ConvexHull(corners).vertices]
    except QhullError:  # All on a line.
        return None
    edge = np.concatenate([solid[0], solid[-1], solid[:, 0], solid[:, -1]])
    return Outline(hull, not edge.any())


def unlike_border(picture: np.ndarray) -> np.ndarray | None:
    """Where a picture, linear (H, W, 3), differs from the colour of its border, (H, W); None where that is uneven."""
    picture_srgb = files.encode_srgb(picture)
    border = np.concatenate([picture_srgb[0], picture_srgb[-1], picture_srgb[:, 0], picture_srgb[:, -1]])
    colour = np.median(border, axis=0)
    if np.quantile(np.abs(border - colour).max(axis=1), 0.66) > _EVEN:
        return None
    return np.abs(picture_srgb - colour).max(axis=-1) > _UNLIKE


def before_even_background(picture: np.ndarray) -> Outline | None:
    """The outline of what differs from the colour of the border, linear (H, W, 3); None where the border is uneven."""
    from scipy.ndimage import binary_opening

    unlike = unlike_border(picture)
    return None if unlike is None else of_mask(binary_opening(unlike))


def error(cameras: Camera, outlines: Sequence[Outline | None]) -> tuple[float, int]:
    """How far outlines are from being touched by the same planes through two cameras.

    Args:
        cameras: leading axis N.
        outlines: of the N pictures, None where there is none; those that a border cuts are passed over.

    Returns:
        The median distance of a tangent from where the other picture has its plane, pixels, not a number without
        pairs; and the number of pairs.
    """
    usable = [i for i, outline in enumerate(outlines) if outline is not None and outline.is_whole]
    pairs = [(i, j) for place, i in enumerate(usable) for j in usable[place + 1 :]]
    pairs = [pairs[k] for k in np.unique(np.linspace(0, len(pairs) - 1, min(len(pairs), _MOST_PAIRS)).astype(int))]
    rays = {
        i: epipolar.rays(cameras, i, outline.film)[1] for i, outline in enumerate(outlines) if outline and i in usable
    }
    off = [found for i, j in pairs if (found := _mismatch(cameras, i, j, rays)) is not None]
    return (float(np.median(off)) if off else float("nan")), len(off)


def _mismatch(cameras: Camera, i: int, j: int, rays: dict[int, np.ndarray]) -> np.ndarray | None:
    """How far (4,) the two outermost planes of each picture are from the other's, pixels; None where it has none."""
    base = np.asarray(cameras.position, float)[j] - np.asarray(cameras.position, float)[i]
    length = np.linalg.norm(base)
    if not length > 0:
        return None
    across = np.linalg.svd(base[None] / length)[2][1:]
    middle = (rays[i] @ across.T).mean(axis=0)
    planes, reach = [], []
    for view in (i, j):
        flat = rays[view] @ across.T
        angle = np.arctan2(flat @ np.array([-middle[1], middle[0]]), flat @ middle)
        if np.ptp(angle) > np.pi:  # It lies across the cut of the arc tangent.
            angle = np.mod(angle, 2.0 * np.pi)
        # Around the other camera's own picture an outline has no outermost planes.
        if np.ptp(angle) > 0.5 * np.pi:
            return None
        ends = [int(np.argmin(angle)), int(np.argmax(angle))]
        planes.append(angle[ends])
        # Pixels that a point of the film moves by when its plane turns.
        reach.append(np.asarray(cameras.focal)[view].mean() * np.linalg.norm(flat[ends], axis=1))
    turn = np.abs(planes[0] - planes[1])
    turn = np.minimum(turn, 2.0 * np.pi - turn)
    return np.concatenate([turn * way for way in reach])
