"""What the JSON formats of the NeRF family share: OpenGL axes, and frames with a picture and a pose."""

from pathlib import Path
from typing import Any

import numpy as np

from sdfrepar.datasets import pictures
from sdfrepar.datasets.paths import path_below
from sdfrepar.records import Camera

OPENCV_FROM_OPENGL = np.diag([1.0, -1.0, -1.0])
"""x right, y up, looking along -z; its own inverse."""


def require_pose(path: Path, number: int, frame: Any) -> None:
    """Refuse a frame without `file_path`, or without a `transform_matrix` of 4x4 numbers.

    Raises:
        ValueError: it is such a frame.
    """
    well_formed = isinstance(frame, dict) and isinstance(frame.get("file_path"), str)
    try:
        shape = np.array(frame["transform_matrix"], np.float64).shape if well_formed else ()
    except (KeyError, TypeError, ValueError, OverflowError):
        shape = ()
    if shape != (4, 4):
        raise ValueError(f"{path}, frame {number}: expected a file_path and a 4x4 transform_matrix; mend that entry.")


def picture_path(folder: Path, file_path: str) -> Path:
    """The picture of a `file_path`, which by custom, not always, lacks its suffix; a dot alone makes no suffix.

    Raises:
        ValueError: as `path_below`.
    """
    path = path_below(folder, file_path)
    return path if path.suffix.lower() in pictures.SUFFIXES else path.with_name(path.name + ".png")


def opengl_poses(cameras: Camera) -> np.ndarray:
    """Camera-to-world matrices (N, 4, 4), OpenGL axes, of cameras with a leading axis N."""
    position = np.asarray(cameras.position, np.float64)
    poses = np.tile(np.eye(4), (len(position), 1, 1))
    poses[:, :3, :3] = np.asarray(cameras.rotation, np.float64) @ OPENCV_FROM_OPENGL
    poses[:, :3, 3] = position
    return poses
