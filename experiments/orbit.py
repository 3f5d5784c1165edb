"""Cameras on a circle around the scene, like those that took the pictures."""

import math

import jax.numpy as jnp
import numpy as np

from sdfrepar import cameras
from sdfrepar.records import Camera

# A mean of unit directions that is shorter says nothing.
_AGREEMENT = 0.2


def orbit(
    training: Camera,
    frames: int,
    *,
    elevation: float,
    radius: float | None = None,
    up: tuple[float, float, float] | None = None,
    resolution: tuple[int, int] | None = None,
) -> list[Camera]:
    """Cameras that look at the origin, evenly around the upright axis, the first on the side of the first picture.

    Args:
        training: the cameras that took the pictures, leading axis N; scene units.
        frames: how many.
        elevation: above the plane through the origin, radians.
        radius: distance from the origin, scene units; the mean of the training cameras' if not given.
        up: the upright axis, scene frame; that of the training pictures if not given.
        resolution: (height, width), pixels; that of the training pictures if not given. The shorter side sees what
            theirs does.

    Raises:
        ValueError: no upright axis, as the training pictures stand in all directions.
    """
    height, width = training.resolution if resolution is None else resolution
    position = np.asarray(training.position, np.float64)
    distance = float(np.mean(np.linalg.norm(position, axis=1))) if radius is None else radius
    relative_focal = float(np.mean(np.asarray(training.focal))) / min(training.resolution)
    axis = upright(training) if up is None else np.asarray(up, np.float64) / np.linalg.norm(up)
    ahead = _across(axis, position[0])
    aside = np.cross(axis, ahead)
    field_of_view = 2.0 * math.atan(0.5 * width / (relative_focal * min(height, width)))
    rig = []
    for turn in 2.0 * np.pi * np.arange(frames) / frames:
        level = np.cos(turn) * ahead + np.sin(turn) * aside
        place = distance * (math.cos(elevation) * level + math.sin(elevation) * axis)
        camera = cameras.look_at(
            jnp.asarray(place, jnp.float32),
            jnp.zeros(3),
            jnp.asarray(axis, jnp.float32),
            field_of_view=field_of_view,
            resolution=(height, width),
        )
        rig.append(camera)
    return rig


def upright(training: Camera) -> np.ndarray:
    """The upright axis (3,) of an object, unit, in the frame of the cameras that took its pictures (leading axis N).

    The mean upright direction of the pictures; where they have none, as they were taken on their side around the
    object, the mean of their directions to the right.

    Raises:
        ValueError: no direction in common.
    """
    rotation = np.asarray(training.rotation, np.float64)
    for mean in (-rotation[:, :, 1].mean(axis=0), rotation[:, :, 0].mean(axis=0)):
        length = np.linalg.norm(mean)
        if length > _AGREEMENT:
            return mean / length
    raise ValueError("The training pictures have no upright direction in common; state it, for example --up=0,0,1.")


def _across(axis: np.ndarray, direction: np.ndarray) -> np.ndarray:
    """The unit vector at a right angle to a unit axis that is closest to a direction; any, for one along the axis."""
    across = direction - (direction @ axis) * axis
    if np.linalg.norm(across) < 1e-3 * np.linalg.norm(direction):
        across = np.cross(axis, np.eye(3)[np.argmin(np.abs(axis))])
    return across / np.linalg.norm(across)
