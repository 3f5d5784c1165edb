"""Scene space: which sphere of the world becomes the unit sphere."""

import dataclasses
from collections.abc import Sequence

import jax
import numpy as np

from sdfrepar.datasets.pictures import of_each
from sdfrepar.records import Camera, Pictures, Views

# What spheres are larger than what was found to be in them.
_MARGIN = 1.1

# With fewer points a sphere around them would say little.
_FEW_POINTS = 20

# Views and points a side that a visual hull is carved with, and the share of the views that must cover a point of it:
# a mask may be wrong here and there.
_CARVING_VIEWS, _CARVING_GRID, _AGREEMENT = 48, 40, 0.95


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
    point = np.asarray(centre, np.float64) if middle is None else closest_point(*middle)
    if point is None:
        raise ValueError(
            f"The {len(cameras.position)} cameras look in one direction, which says nothing about where the object is; "
            "expected views from around it, so set --data.centre and --data.radius."
        )
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


def sphere_of_points(points: np.ndarray, centre: np.ndarray, radius: float) -> tuple[np.ndarray, float]:
    """The sphere around those points that lie where the cameras look.

    Args:
        points: (P, 3) of a reconstruction, world units, some around the object and some false ones among them.
        centre: (3,) of the sphere that the cameras look at, world units.
        radius: of that sphere, world units.

    Returns:
        The median of the points in that sphere, and what holds all but the outermost fiftieth of them, with a margin.

    Raises:
        ValueError: hardly a point is there.
    """
    near = points[np.linalg.norm(points - centre, axis=1) < radius]
    if len(near) < _FEW_POINTS:
        raise ValueError(
            f"{len(near)} of {len(points)} points lie within {radius:.4g} of {_point(centre)}, where the cameras look; "
            "expected the object there: set --data.sphere=cameras, or --data.centre and --data.radius."
        )
    middle = np.median(near, axis=0)
    return middle, _MARGIN * float(np.quantile(np.linalg.norm(near - middle, axis=1), 0.98))


def sphere_of_masks(cameras: Camera, masks: Pictures, centre: np.ndarray, radius: float) -> tuple[np.ndarray, float]:
    """The sphere around the visual hull: what no mask rules out.

    Args:
        cameras: leading axis N.
        masks: N of (H, W), share of the pixel that the object covers.
        centre: (3,) of the sphere that the cameras look at, in whose surroundings the hull is sought, world units.
        radius: of that sphere, world units.

    Raises:
        ValueError: the masks leave nothing.
    """
    some = np.unique(np.linspace(0, len(masks) - 1, min(len(masks), _CARVING_VIEWS)).astype(int))
    solid = of_each(lambda i: np.asarray(masks[i]) > 0.5, some.tolist())
    rig = [jax.tree.map(lambda leaf, i=i: np.asarray(leaf, np.float64)[i], cameras) for i in some]
    half = 2.0 * radius
    # Coarsely at first, and then in the box of what was left.
    for _ in range(3):
        grid = np.linspace(-half, half, _CARVING_GRID)
        x = centre + np.stack(np.meshgrid(grid, grid, grid, indexing="ij"), axis=-1).reshape(-1, 3)
        left = x[_unruled(x, rig, solid)]
        if not len(left):
            raise ValueError(
                f"The masks of {len(some)} views have nothing in common within {2 * radius:.4g} of {_point(centre)}; "
                "expected one object in all of them: check that they are white on the object (else "
                "--data.inverted_masks) and that the cameras belong to them, or set --data.sphere=cameras."
            )
        low, high = left.min(axis=0), left.max(axis=0)
        centre = 0.5 * (low + high)
        cell = grid[1] - grid[0]
        half = 0.5 * float((high - low).max()) + cell
    return centre, _MARGIN * float(np.linalg.norm(left - centre, axis=1).max() + 0.5 * cell)


def in_frame(views: Views, similarity: np.ndarray) -> Views:
    """The same views in another frame; cameras rounded to float32.

    Args:
        views: in any frame; `world_from_scene` leads from it to the world.
        similarity: (4, 4) from the other frame to that of `views`: rotation times scale, and translation.
    """
    rounded = jax.tree.map(lambda leaf: leaf.astype(np.float32), cameras_in_frame(views.cameras, similarity))
    return dataclasses.replace(views, cameras=rounded, world_from_scene=views.world_from_scene @ similarity)


def cameras_in_frame(cameras: Camera, similarity: np.ndarray) -> Camera:
    """The same cameras (leading axis N) in another frame, float64.

    Args:
        cameras: in any frame.
        similarity: (4, 4) from the other frame to theirs.
    """
    scale = np.cbrt(np.linalg.det(similarity[:3, :3]))
    turn = similarity[:3, :3] / scale
    cameras = jax.tree.map(lambda leaf: np.asarray(leaf, np.float64), cameras)
    return dataclasses.replace(
        cameras,
        rotation=turn.T @ cameras.rotation,
        position=(cameras.position - similarity[:3, 3]) @ turn / scale,
    )


def closest_point(origins: np.ndarray, directions: np.ndarray) -> np.ndarray | None:
    """The point (3,) with the least sum of squared distances to lines (N, 3); None where they are parallel.

    Args:
        origins: (N, 3), a point of each.
        directions: (N, 3), unit.
    """
    across = np.eye(3) - directions[:, :, None] * directions[:, None, :]
    normal = across.sum(axis=0)
    # Its smallest eigenvalue is the sum of squared sines to the common direction: zero for parallel lines.
    if np.linalg.eigvalsh(normal)[0] < 1e-6 * len(origins):
        return None
    return np.linalg.solve(normal, np.einsum("nij,nj->i", across, origins))


def _unruled(x: np.ndarray, rig: Sequence[Camera], solid: Sequence[np.ndarray]) -> np.ndarray:
    """Which of the points (M, 3) most views see and hardly a mask rules out; others say nothing of it."""
    seen, covered = np.zeros(len(x)), np.zeros(len(x))
    for camera, mask in zip(rig, solid, strict=True):
        in_camera = (x - camera.position) @ camera.rotation
        ahead = in_camera[:, 2] > 0
        film = camera.principal + camera.focal * in_camera[:, :2] / np.where(ahead, in_camera[:, 2], 1.0)[:, None]
        column, row = np.floor(film).astype(int).T
        height, width = mask.shape
        inside = ahead & (column >= 0) & (column < width) & (row >= 0) & (row < height)
        seen += inside
        covered[inside] += mask[row[inside], column[inside]]
    return (seen >= 0.5 * len(rig)) & (covered >= _AGREEMENT * seen)


def _lines_of_sight(cameras: Camera) -> tuple[np.ndarray, np.ndarray]:
    """Origins and unit directions (N, 3) of the lines through the middles of the pictures.

    Not through the principal points: in a cropped picture the object is in the middle, not on the optical axis.
    """
    height, width = cameras.resolution
    on_plane = (np.array([0.5 * width, 0.5 * height]) - np.asarray(cameras.principal)) / np.asarray(cameras.focal)
    in_camera = np.concatenate([on_plane, np.ones((len(on_plane), 1))], axis=1)
    directions = np.einsum("nij,nj->ni", np.asarray(cameras.rotation), in_camera)
    return np.asarray(cameras.position), directions / np.linalg.norm(directions, axis=1, keepdims=True)


def _point(point: np.ndarray) -> str:
    return "(" + ", ".join(f"{value:.4g}" for value in point) + ")"
