"""Whether the cameras of a data set can be right: cheap checks that catch flipped axes and wrong scales."""

from collections.abc import Sequence

import numpy as np

from sdfrepar.records import Camera, Views

_ROTATION_TOLERANCE = 1e-3


def require_sound_cameras(cameras: Camera, names: Sequence[str]) -> None:
    """Refuse cameras (leading axis N) whose numbers cannot be those of cameras.

    Raises:
        ValueError: a pose or an intrinsic that is not finite, a focal length that is not positive, a matrix that is no
            rotation, or one that mirrors.
    """
    leaves = (cameras.focal, cameras.principal, cameras.rotation, cameras.position)
    flat = np.concatenate([np.asarray(leaf).reshape(len(names), -1) for leaf in leaves], axis=1)
    _refuse(
        np.any(~np.isfinite(flat), axis=1),
        names,
        "has a camera with NaN or infinity; expected finite numbers, so mend or remove its entry in the camera file.",
    )
    _refuse(
        np.any(np.asarray(cameras.focal) <= 0, axis=1),
        names,
        "has a focal length that is not positive; expected pixels, so check the intrinsics in the camera file.",
    )
    rotation = np.asarray(cameras.rotation, np.float64)
    with np.errstate(over="ignore", invalid="ignore"):
        gram = rotation.transpose(0, 2, 1) @ rotation
    _refuse(
        ~(np.abs(gram - np.eye(3)).max(axis=(1, 2)) <= _ROTATION_TOLERANCE),
        names,
        "has a pose whose 3x3 part is no rotation; expected orthonormal columns: check that no scale is left in the "
        "matrix and that it is read row by row.",
    )
    _refuse(
        np.linalg.det(rotation) < 0,
        names,
        "has a pose that mirrors (determinant -1); expected a rotation: check which axes are negated.",
    )


def require_sphere_in_view(views: Views) -> None:
    """Refuse views that do not see the unit sphere: its centre before the camera, its outline over the picture.

    A camera may be inside the sphere.

    Raises:
        ValueError: as `require_sound_cameras`, or a view that does not see the sphere.
    """
    require_sound_cameras(views.cameras, views.names)
    cameras = views.cameras
    centre = -np.einsum("nij,ni->nj", np.asarray(cameras.rotation), np.asarray(cameras.position))
    _refuse(
        centre[:, 2] <= 0,
        views.names,
        "has the centre of the unit sphere behind its camera; expected it in front: the camera axes may be flipped "
        "(OpenGL read as OpenCV) or the centre wrong, then set --data.centre and --data.radius.",
    )
    _refuse(
        np.any(_inside_sides(cameras, centre) < -1.0, axis=1),
        views.names,
        "does not show the unit sphere; expected the sphere to overlap the picture: the scale or the centre may be "
        "wrong, then set --data.centre and --data.radius, or the camera axes flipped.",
    )


def _inside_sides(cameras: Camera, point: np.ndarray) -> np.ndarray:
    """Signed distances (N, 4) of points (N, 3), camera frame, to the sides of the frusta; positive inside."""
    height, width = cameras.resolution
    principal, focal = np.asarray(cameras.principal), np.asarray(cameras.focal)
    low = -principal / focal
    high = (np.array([width, height]) - principal) / focal
    sides = []
    for axis in (0, 1):
        for bound, sign in ((low[:, axis], 1.0), (high[:, axis], -1.0)):
            sides.append(sign * (point[:, axis] - bound * point[:, 2]) / np.sqrt(1 + bound**2))
    return np.stack(sides, axis=1)


def _refuse(wrong: np.ndarray, names: Sequence[str], complaint: str) -> None:
    """Raise where a view is wrong, naming it and how many share its fault."""
    faulty = np.flatnonzero(wrong)
    if len(faulty):
        others = f" (and {len(faulty) - 1} of {len(names) - 1} others)" if len(faulty) > 1 else ""
        raise ValueError(f"View {names[faulty[0]]}{others} {complaint}")
