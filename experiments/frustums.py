"""Cameras as pyramids, for whoever draws them."""

from typing import NamedTuple

import jax
import numpy as np

from sdfrepar.records import Camera, Views

# How long the drawn cameras are, of their distance from the centre of the scene.
_LENGTH = 0.12


class Frustum(NamedTuple):
    """A camera as it is drawn."""

    corners: np.ndarray  # (5, 3) its centre, and the corners of its picture before it, clockwise from the top left
    held_out: bool


def pyramid(camera: Camera) -> np.ndarray:
    """A camera's centre, and the corners of its picture before it: (5, 3), in its frame's units."""
    height, width = camera.resolution
    film = np.array([[0, 0], [width, 0], [width, height], [0, height]], float)
    corners = np.concatenate([(film - camera.principal) / camera.focal, np.ones((4, 1))], axis=1)
    length = _LENGTH * max(float(np.linalg.norm(camera.position)), 0.5)
    return np.concatenate([[camera.position], camera.position + length * corners @ np.asarray(camera.rotation).T])


def of_rig(rig: Camera) -> list[np.ndarray]:
    """The pyramids of N cameras."""

    def one(index: int) -> Camera:
        return jax.tree.map(lambda leaf: np.asarray(leaf, np.float64)[index], rig)

    return [pyramid(one(index)) for index in range(len(rig.position))]


def in_world(corners: np.ndarray, world_from_scene: np.ndarray) -> np.ndarray:
    """Points (..., 3) of scene space in the world frame."""
    return corners @ world_from_scene[:3, :3].T + world_from_scene[:3, 3]


def of_run(training: Camera, test: Views) -> list[Frustum]:
    """The cameras that a run was fitted to and the held-out ones, in the world frame."""
    of_each = [(corners, False) for corners in of_rig(training)] + [(corners, True) for corners in of_rig(test.cameras)]
    return [Frustum(in_world(corners, test.world_from_scene), held_out) for corners, held_out in of_each]
