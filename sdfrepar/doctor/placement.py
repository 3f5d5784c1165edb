"""Where the object is and how large, by what the pictures show of it, and whether that fits the unit sphere."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from sdfrepar.datasets.normalisation import closest_point
from sdfrepar.doctor import epipolar
from sdfrepar.doctor.features import Pair
from sdfrepar.doctor.outlines import Outline
from sdfrepar.records import Camera

# With fewer outlines, or points, nothing is said.
_FEW_OUTLINES, _FEW_POINTS = 3, 60

# Radii from which an object is on another scale than the unit sphere.
_TOO_LARGE, _TOO_SMALL = 3.0, 0.15

# An object reaches out of the unit sphere from here on, and what the sphere that takes it in has to spare.
_SNUG, _MARGIN = 1.05, 1.05


@dataclass(frozen=True)
class Place:
    """The sphere about what was seen of the object, scene space."""

    centre: np.ndarray  # (3,) scene units
    radius: float  # scene units
    is_exact: bool
    """Whether outlines tell it, which show all of the object, or points on it and around it."""

    def fault(self, world_from_scene: np.ndarray) -> str | None:
        """What is wrong with the unit sphere; None where nothing is. `world_from_scene` is a similarity (4, 4)."""
        where = (
            f"seems to have a radius of {self.radius:.2g} about {_point(self.centre)} where the unit sphere should be"
        )
        if self.radius > _TOO_LARGE or self.radius < _TOO_SMALL:
            factor = max(self.radius, 1.0 / self.radius)
            size = "large" if self.radius > 1.0 else "small"
            return (
                f"the scale is off: the object {where}, about {factor:.2g} times too {size}; set "
                f"{self.flags(world_from_scene)}"
            )
        if np.linalg.norm(self.centre) > 1.0:
            return f"the object is outside the unit sphere: it {where}; set {self.flags(world_from_scene)}"
        return None

    def advice(self, world_from_scene: np.ndarray) -> str | None:
        """What would serve the object better, if it reaches out; `world_from_scene` is a similarity (4, 4)."""
        if not self.is_exact or np.linalg.norm(self.centre) + self.radius < _SNUG:
            return None
        return (
            f"it reaches out of the unit sphere, to {np.linalg.norm(self.centre) + self.radius:.2g}; "
            f"{self.flags(world_from_scene)} takes it in"
        )

    def flags(self, world_from_scene: np.ndarray) -> str:
        """Flags that make this sphere the unit sphere; `world_from_scene` is a similarity (4, 4)."""
        centre = world_from_scene[:3, :3] @ self.centre + world_from_scene[:3, 3]
        radius = _MARGIN * self.radius * np.cbrt(np.linalg.det(world_from_scene[:3, :3]))
        return f"--data.centre={','.join(f'{value:.4g}' for value in centre)} --data.radius={radius:.3g}"


def place_of(cameras: Camera, pairs: Sequence[Pair], found: Sequence[Outline | None]) -> Place | None:
    """From outlines that the pictures hold whole, or else from points that pictures share; None with too few.

    Args:
        cameras: leading axis N, in scene space, and right.
        pairs: of pictures that share points, numbered as the cameras.
        found: the N outlines of the object, where they are known.
    """
    return _of_outlines(cameras, found) or _of_points(cameras, pairs)


def _of_outlines(cameras: Camera, found: Sequence[Outline | None]) -> Place | None:
    whole = {i: outline.film for i, outline in enumerate(found) if outline is not None and outline.is_whole}
    if len(whole) < _FEW_OUTLINES:
        return None
    views = list(whole)
    focal, rotation = (np.asarray(leaf, float)[views] for leaf in (cameras.focal, cameras.rotation))
    middles = np.stack([0.5 * (film.min(axis=0) + film.max(axis=0)) for film in whole.values()])
    lines = [epipolar.rays(cameras, view, middle[None]) for view, middle in zip(views, middles, strict=True)]
    origins = np.stack([origin for origin, _ in lines])
    centre = closest_point(origins, np.concatenate([direction for _, direction in lines]))
    if centre is None:
        return None
    depth = np.abs(np.einsum("ni,ni->n", rotation[:, :, 2], centre - origins))
    reach = [
        np.linalg.norm((film - middle) / length, axis=1).max()
        for film, middle, length in zip(whole.values(), middles, focal, strict=True)
    ]
    return Place(centre, float(np.median(depth * reach)), is_exact=True)


def _of_points(cameras: Camera, pairs: Sequence[Pair]) -> Place | None:
    if not pairs:
        return None
    points, sound = epipolar.points(cameras, pairs)
    points = points[sound]
    if len(points) < _FEW_POINTS:
        return None
    centre = np.median(points, axis=0)
    # Half of them are in it: the others may be on what is around the object.
    radius = float(np.median(np.linalg.norm(points - centre, axis=1)))
    return Place(centre, radius, is_exact=False)


def _point(point: np.ndarray) -> str:
    return "(" + ", ".join(f"{value:.2g}" for value in point) + ")"
