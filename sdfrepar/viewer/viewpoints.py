"""Where somebody looks from, as a camera."""

import math
from collections.abc import Iterator
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from sdfrepar.records import Camera


class Viewpoint(NamedTuple):
    """A camera of a browser's window, whose picture fills it; on the host."""

    rotation: np.ndarray  # (3, 3) scene from camera, OpenCV
    position: np.ndarray  # (3,) scene units
    field_of_view: float  # from top to bottom, radians
    aspect: float  # width of the window over its height

    def is_like(self, other: "Viewpoint", within: float = 1e-6) -> bool:
        """Whether both show the same picture; no number is off by more than `within`."""
        return all(np.allclose(mine, its, rtol=0.0, atol=within) for mine, its in zip(self, other, strict=True))


def film_of(viewpoint: Viewpoint, side: int) -> Camera:
    """The camera of a square film of `side`² pixels, which are stretched to fill the window; NumPy leaves.

    Whatever the window, the film is of the same shape, and needs no other program.
    """
    focal = 0.5 * side / math.tan(0.5 * viewpoint.field_of_view)
    return Camera(
        focal=np.array([focal / viewpoint.aspect, focal], np.float32),  # pyright: ignore[reportArgumentType]
        principal=np.full(2, 0.5 * side, np.float32),  # pyright: ignore[reportArgumentType]
        rotation=np.asarray(viewpoint.rotation, np.float32),  # pyright: ignore[reportArgumentType]
        position=np.asarray(viewpoint.position, np.float32),  # pyright: ignore[reportArgumentType]
        resolution=(side, side),
    )


def tiles_of(film: Camera, side: int) -> Iterator[tuple[slice, slice, Camera]]:
    """The squares of a film of so many pixels a side, which divides its own: rows, columns, and the camera of each."""
    height, width = film.resolution
    for row in range(0, height, side):
        for column in range(0, width, side):
            corner = np.array([column, row], np.float32)
            camera = replace(film, principal=film.principal - corner, resolution=(side, side))
            yield slice(row, row + side), slice(column, column + side), camera


def at_camera(camera: Camera, aspect: float) -> Viewpoint:
    """The viewpoint of a camera, wide enough for all of its picture in a window of this aspect; NumPy leaves."""
    height, width = camera.resolution
    focal = np.asarray(camera.focal, np.float64)
    half_height = max(0.5 * height / focal[1], 0.5 * width / focal[0] / aspect)
    return Viewpoint(
        rotation=np.asarray(camera.rotation, np.float64),
        position=np.asarray(camera.position, np.float64),
        field_of_view=2.0 * math.atan(half_height),
        aspect=aspect,
    )


def nearest(rig: Camera, viewpoint: Viewpoint) -> int:
    """The index of that of N cameras which is nearest to a viewpoint, and looks the same way if some are as near."""
    away = np.linalg.norm(np.asarray(rig.position) - viewpoint.position, axis=1)
    aside = 1.0 - np.asarray(rig.rotation)[:, :, 2] @ viewpoint.rotation[:, 2]
    return int(np.argmin(away + 0.5 * aside))
