"""Scores of cameras: up to a similarity, or beside an object that is known."""

from typing import NamedTuple

import numpy as np

from sdfrepar.records import Camera

# Squared spread over squared distance; below it positions differ by round-off alone.
_COINCIDENT = 1e-12


class PoseError(NamedTuple):
    """What is wrong with each of N poses."""

    rotation: np.ndarray  # (N,) degrees
    position: np.ndarray  # (N,) units of the true positions


def alignment(estimated: Camera, true: Camera) -> np.ndarray:
    """The similarity (4, 4), true frame from estimated frame, that brings estimated poses nearest to the true ones.

    Its rotation is the mean, in the Frobenius norm, of the rotations that take each estimated orientation to the true
    one; scale, not negative, and shift are then those of least squares between the positions (Umeyama 1991, with the
    rotation given).

    Args:
        estimated: leading axis N.
        true: leading axis N, the same views in the same order.

    Raises:
        ValueError: unlike numbers of cameras, poses that are not finite, or estimated positions that all coincide.
    """
    return _alignment(*_pose(estimated, "estimated"), *_pose(true, "true"))[1]


def pose_error(estimated: Camera, true: Camera) -> PoseError:
    """Errors of estimated poses; intrinsics are not looked at.

    Protocol: the angle and the distance that remain after the best similarity, `alignment`.

    Args:
        estimated: leading axis N.
        true: leading axis N, the same views in the same order.

    Raises:
        ValueError: as `alignment`.
    """
    rotation, position = _pose(estimated, "estimated")
    true_rotation, true_position = _pose(true, "true")
    turn, similarity = _alignment(rotation, position, true_rotation, true_position)
    return PoseError(
        rotation=_angle(true_rotation.transpose(0, 2, 1) @ turn @ rotation),
        position=np.linalg.norm(position @ similarity[:3, :3].T + similarity[:3, 3] - true_position, axis=1),
    )


def object_error(estimated: Camera, true: Camera) -> PoseError:
    """Errors of how a known object lies before each camera; intrinsics are not looked at.

    Protocol: nothing is aligned. The angle between the two rotations, and the distance between the places of the
    scene's origin, both in the camera's frame. Turning about the object is rotation alone.

    Args:
        estimated: leading axis N.
        true: leading axis N, the same views in the same order.

    Raises:
        ValueError: unlike numbers of cameras, or poses that are not finite.
    """
    rotation, position = _pose(estimated, "estimated")
    true_rotation, true_position = _pose(true, "true")
    _require_as_many(position, true_position)
    return PoseError(
        rotation=_angle(true_rotation.transpose(0, 2, 1) @ rotation),
        position=np.linalg.norm(_origin_seen(rotation, position) - _origin_seen(true_rotation, true_position), axis=1),
    )


def _origin_seen(rotation: np.ndarray, position: np.ndarray) -> np.ndarray:
    """Where the scene's origin lies in the frames of cameras, (N, 3)."""
    return -np.einsum("nji,nj->ni", rotation, position)


def _alignment(
    rotation: np.ndarray, position: np.ndarray, true_rotation: np.ndarray, true_position: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """The rotation (3, 3) of the best similarity, which a scale of zero would hide, and the similarity (4, 4)."""
    _require_as_many(position, true_position)
    turn = _mean_rotation(true_rotation @ rotation.transpose(0, 2, 1))
    centred, true_centred = (position - position.mean(axis=0)) @ turn.T, true_position - true_position.mean(axis=0)
    spread = np.sum(centred**2)
    if not spread > _COINCIDENT * np.sum(position**2):
        raise ValueError(
            f"The {len(position)} estimated cameras stand in one place, which leaves the scale open; expected at least "
            "two places, so score more views."
        )
    similarity = np.eye(4)
    similarity[:3, :3] = max(np.sum(centred * true_centred) / spread, 0.0) * turn
    similarity[:3, 3] = true_position.mean(axis=0) - similarity[:3, :3] @ position.mean(axis=0)
    return turn, similarity


def _pose(rig: Camera, name: str) -> tuple[np.ndarray, np.ndarray]:
    """Rotations (N, 3, 3) and positions (N, 3), float64."""
    rotation, position = np.asarray(rig.rotation, np.float64), np.asarray(rig.position, np.float64)
    if position.ndim != 2:
        raise ValueError(
            f"The {name} cameras have positions of shape {position.shape}, expected (N, 3); stack them along a first "
            "axis."
        )
    if not (np.isfinite(rotation).all() and np.isfinite(position).all()):
        raise ValueError(f"The {name} cameras hold poses that are not finite, expected finite ones; leave them out.")
    return rotation, position


def _require_as_many(position: np.ndarray, true_position: np.ndarray) -> None:
    if len(position) != len(true_position):
        raise ValueError(
            f"There are {len(position)} estimated and {len(true_position)} true cameras, expected the same views in "
            "the same order; leave out those that one side lacks."
        )


def _mean_rotation(rotations: np.ndarray) -> np.ndarray:
    """The rotation (3, 3) with the least sum of squared Frobenius distances to rotations (N, 3, 3)."""
    left, _, right = np.linalg.svd(rotations.sum(axis=0))
    return left @ np.diag([1.0, 1.0, np.sign(np.linalg.det(left @ right))]) @ right


def _angle(rotations: np.ndarray) -> np.ndarray:
    """Angles (N,) of rotations (N, 3, 3), degrees; by sine and cosine, exact at small angles."""
    axis = rotations[:, [2, 0, 1], [1, 2, 0]] - rotations[:, [1, 2, 0], [2, 0, 1]]
    trace = np.einsum("nii->n", rotations)
    return np.degrees(np.arctan2(np.linalg.norm(axis, axis=1), trace - 1.0))
