"""Projection matrices: taken apart, and refused where no pinhole camera of ours can have made them."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

# Pixels; skew moves the film by at most this much per focal length of height, and the renderer has none.
_SKEW_TOLERANCE = 1e-2

# |det M| over the cube of the norm of M = K R: about the inverse focal length for a camera, round-off for none.
_SINGULAR = 1e-12


def decompose(projection: np.ndarray, names: Sequence[str]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The cameras of projection matrices: P = c K [R | -R p] for some number c of either sign.

    Args:
        projection: (N, 3, 4) from a frame to pixels, OpenCV axes.
        names: of the N views, for the complaint.

    Returns:
        K (N, 3, 3), upper triangular with a positive diagonal and a last 1, pixels; R (N, 3, 3), camera from frame,
        determinant 1; and the positions p (N, 3) in the frame.

    Raises:
        ValueError: a matrix whose left 3x3 part is singular.
    """
    from scipy.linalg import rq

    projection = np.asarray(projection, np.float64)
    left = projection[:, :, :3]
    determinant = np.linalg.det(left)
    for name, value, norm in zip(names, determinant, np.linalg.norm(left, axis=(1, 2)), strict=True):
        if not abs(value) > _SINGULAR * norm**3:
            raise ValueError(
                f"View {name} has a projection matrix whose left 3x3 part is singular; expected K R of a camera, so "
                "mend or remove its entry in the camera file."
            )
    # det K and det R are positive, so c has the determinant's sign.
    parts = [rq(matrix) for matrix in left * np.sign(determinant)[:, None, None]]
    intrinsics, rotation = (np.stack(part) for part in zip(*parts, strict=True))
    signs = np.sign(np.einsum("nii->ni", intrinsics))
    intrinsics = intrinsics * signs[:, None, :]
    rotation = rotation * signs[:, :, None]
    position = -np.linalg.solve(left, projection[:, :, 3:])[:, :, 0]
    return intrinsics / intrinsics[:, 2:, 2:], rotation, position


def require_no_skew(intrinsics: np.ndarray, names: Sequence[str]) -> None:
    """Refuse intrinsics (N, 3, 3) whose pixel axes are not perpendicular.

    Raises:
        ValueError: a skew K[0, 1] above a hundredth of a pixel.
    """
    for name, skew in zip(names, intrinsics[:, 0, 1], strict=True):
        if abs(skew) > _SKEW_TOLERANCE:
            raise ValueError(
                f"View {name} has skew {skew:g} pixels; expected perpendicular pixel axes (K[0, 1] = 0), so rectify "
                "the pictures."
            )


def require_intrinsics(path: Path, names: Sequence[str], intrinsics: np.ndarray) -> None:
    """Refuse matrices (N, 3, 3) of the file or folder `path` that are no intrinsics.

    Raises:
        ValueError: a matrix that is not upper triangular, or whose last entry is not 1.
    """
    for name, matrix in zip(names, intrinsics, strict=True):
        if not np.allclose(matrix[[1, 2, 2, 2], [0, 0, 1, 2]], [0, 0, 0, 1]):
            raise ValueError(
                f"{path}: K of {name} is not upper triangular with a last 1; expected row-major intrinsics."
            )
