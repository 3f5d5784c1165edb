"""Scene space: which sphere of the world becomes the unit sphere."""

import dataclasses
from collections.abc import Sequence

import numpy as np

from sdfrepar.records import Camera, Views


def sphere_of_cameras(cameras: Camera, centre: Sequence[float] | None = None) -> tuple[np.ndarray, float]:
    """The sphere that the cameras look at, from their poses and intrinsics alone.

    The centre is the point closest, in least squares, to the lines through the middles of the pictures. The radius is
    the median over the cameras of half the picture's diagonal at the depth of the centre, so that the sphere holds what
    a typical picture shows around the centre.

    Args:
        cameras: leading axis N; world units.
        centre: (3,) world units, when it is already known.

    Returns:
        (3,) and a length, world units.

    Raises:
        ValueError: the lines of sight are parallel, or the cameras look away from the centre.
    """
    middle = np.stack(_lines_of_sight(cameras)) if centre is None else None
    point = np.asarray(centre, np.float64) if middle is None else _closest_point(*middle)
    depth = np.einsum("ni,ni->n", np.asarray(cameras.rotation)[:, :, 2], point - np.asarray(cameras.position))
    height, width = cameras.resolution
    half_diagonal = 0.5 * np.linalg.norm(np.array([width, height]) / np.asarray(cameras.focal), axis=1)
    radius = float(np.median(half_diagonal * depth))
    if not radius > 0:
        raise ValueError(
            f"Most cameras look away from {_point(point)}, the point nearest to all their lines of sight; expected it "
            "before them: check the camera axes (OpenGL read as OpenCV?) or set --data.centre and --data.radius."
        )
    return point, radius


def to_unit_sphere(views: Views, centre: Sequence[float] | np.ndarray, radius: float) -> Views:
    """The same views in a frame where the sphere (centre, radius) is the unit sphere; cameras rounded to float32.

    Args:
        views: in any frame; `world_from_scene` leads from it to the world.
        centre: (3,) in the frame of `views`.
        radius: a length in the frame of `views`.

    Raises:
        ValueError: a centre or a radius that is not finite, or a radius that is not positive.
    """
    centre = np.asarray(centre, np.float64)
    if centre.shape != (3,) or not np.isfinite(centre).all() or not 0 < radius < np.inf:
        raise ValueError(
            f"Cannot make a unit sphere of centre {centre.tolist()} and radius {radius}; "
            "expected three finite coordinates and a positive length: set --data.centre and --data.radius."
        )
    similarity = np.diag([radius, radius, radius, 1.0])
    similarity[:3, 3] = centre
    return in_frame(views, similarity)


def in_frame(views: Views, similarity: np.ndarray) -> Views:
    """The same views in another frame; cameras rounded to float32.

    Args:
        views: in any frame; `world_from_scene` leads from it to the world.
        similarity: (4, 4) from the other frame to that of `views`: rotation times scale, and translation.
    """
    scale = np.cbrt(np.linalg.det(similarity[:3, :3]))
    turn = similarity[:3, :3] / scale
    cameras = dataclasses.replace(
        views.cameras,
        focal=np.asarray(views.cameras.focal, np.float32),
        principal=np.asarray(views.cameras.principal, np.float32),
        rotation=(turn.T @ np.asarray(views.cameras.rotation)).astype(np.float32),
        position=((np.asarray(views.cameras.position) - similarity[:3, 3]) @ turn / scale).astype(np.float32),
    )
    return dataclasses.replace(views, cameras=cameras, world_from_scene=views.world_from_scene @ similarity)


def _lines_of_sight(cameras: Camera) -> tuple[np.ndarray, np.ndarray]:
    """Origins and unit directions (N, 3) of the lines through the middles of the pictures.

    Not through the principal points: in a cropped picture the object is in the middle, not on the optical axis.
    """
    height, width = cameras.resolution
    on_plane = (np.array([0.5 * width, 0.5 * height]) - np.asarray(cameras.principal)) / np.asarray(cameras.focal)
    in_camera = np.concatenate([on_plane, np.ones((len(on_plane), 1))], axis=1)
    directions = np.einsum("nij,nj->ni", np.asarray(cameras.rotation), in_camera)
    return np.asarray(cameras.position), directions / np.linalg.norm(directions, axis=1, keepdims=True)


def _closest_point(origins: np.ndarray, directions: np.ndarray) -> np.ndarray:
    """The point (3,) with the least sum of squared distances to the lines (N, 3)."""
    across = np.eye(3) - directions[:, :, None] * directions[:, None, :]
    normal = across.sum(axis=0)
    # Its smallest eigenvalue is the sum of squared sines to the common direction: zero for parallel lines.
    if np.linalg.eigvalsh(normal)[0] < 1e-6 * len(origins):
        raise ValueError(
            f"The {len(origins)} cameras look in one direction, which says nothing about where the object is; expected "
            "views from around it, so set --data.centre and --data.radius."
        )
    return np.linalg.solve(normal, np.einsum("nij,nj->i", across, origins))


def _point(point: np.ndarray) -> str:
    return "(" + ", ".join(f"{value:.4g}" for value in point) + ")"
