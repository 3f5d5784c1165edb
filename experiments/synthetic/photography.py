"""Pictures of a surface, and what is exactly known of the same views: depth, normals, masks. Plain NumPy."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from experiments.synthetic.surfaces import Surface
from sdfrepar import cameras
from sdfrepar.records import Camera

BACKGROUND = 0.6
"""Linear grey behind the object."""
RIG_RADIUS = 3.0
"""Of the sphere that the cameras stand on, scene units."""
FIELD_OF_VIEW = 0.66
"""Horizontal, radians."""

_LIGHT = np.array([0.4, 0.8, -0.45]) / np.linalg.norm([0.4, 0.8, -0.45])
_AMBIENT = 0.35


class ExactView(NamedTuple):
    """What the rays through the pixel centres meet."""

    depth: np.ndarray  # (H, W) float32, z seen from the camera, scene units; 0 where nothing is met
    normal: np.ndarray  # (H, W, 3) float32, unit, outward, scene frame; 0 where nothing is met
    mask: np.ndarray  # (H, W) bool


def photograph(
    surface: Surface, camera: Camera, supersampling: int, ambient: float = _AMBIENT
) -> tuple[np.ndarray, np.ndarray]:
    """A picture before the background, of box pixels: a regular grid of supersampling² rays each.

    Args:
        surface: of what.
        camera: from where.
        supersampling: rays along a side of a pixel.
        ambient: share of the light that comes from all around; the rest comes from one side.

    Returns:
        The picture (H, W, 3), linear, and the share (H, W) of each pixel that the object covers.
    """
    height, width = camera.resolution
    origin, directions = _rays(camera, supersampling)
    met = surface.cast(origin, directions)
    radiance = np.full(directions.shape, BACKGROUND)
    lit = ambient + (1.0 - ambient) * np.maximum(met.normals @ _LIGHT, 0.0)
    radiance[met.hit] = surface.albedo(met.points) * lit[:, None]
    return radiance.mean(axis=1).reshape(height, width, 3), met.hit.mean(axis=1).reshape(height, width)


def survey(surface: Surface, camera: Camera) -> ExactView:
    """Depth, normal and mask at the pixel centres."""
    origin, directions = _rays(camera, 1)
    met = surface.cast(origin, directions)
    depth, normal = np.zeros(met.hit.shape, np.float32), np.zeros(directions.shape, np.float32)
    depth[met.hit] = (met.points - origin) @ np.asarray(camera.rotation, np.float64)[:, 2]
    normal[met.hit] = met.normals
    shape = camera.resolution
    return ExactView(depth.reshape(shape), normal.reshape(*shape, 3), met.hit.reshape(shape))


def cameras_around(count: int, turn: float, resolution: int) -> Camera:
    """Cameras on a sphere around the object, evenly spread by the golden angle; leading axis `count`, NumPy leaves.

    Args:
        count: how many.
        turn: shifts all along the spiral, in cameras.
        resolution: of the square pictures, pixels.
    """
    height = 1.0 - 2.0 * (np.arange(count) + 0.5) / count
    azimuth = (np.arange(count) + turn) * np.pi * (3.0 - np.sqrt(5.0))
    ring = np.sqrt(1.0 - height**2)
    positions = RIG_RADIUS * np.stack([ring * np.cos(azimuth), height, ring * np.sin(azimuth)], axis=1)
    rig = [
        cameras.look_at(
            jnp.asarray(position, jnp.float32),
            jnp.zeros(3),
            jnp.array([0.0, 1.0, 0.0]),
            field_of_view=FIELD_OF_VIEW,
            resolution=(resolution, resolution),
        )
        for position in positions
    ]
    return jax.tree.map(lambda *leaves: np.stack([np.asarray(leaf) for leaf in leaves]), *rig)


def _rays(camera: Camera, side: int) -> tuple[np.ndarray, np.ndarray]:
    """The origin (3,) of all rays and their unit directions (H W, side², 3), a grid of `side` by `side` in a pixel."""
    height, width = camera.resolution
    columns, rows = (np.arange(width * side) + 0.5) / side, (np.arange(height * side) + 0.5) / side
    u = np.stack(np.meshgrid(columns, rows), -1).reshape(height, side, width, side, 2).swapaxes(1, 2)
    on_plane = (u.reshape(height * width, side**2, 2) - np.asarray(camera.principal)) / np.asarray(camera.focal)
    directions = np.concatenate([on_plane, np.ones((*on_plane.shape[:2], 1))], -1) @ np.asarray(camera.rotation).T
    directions /= np.linalg.norm(directions, axis=-1, keepdims=True)
    return np.asarray(camera.position, np.float64), directions
