"""What range scanners leave in files: points, depth pictures, and poses."""

from pathlib import Path

import numpy as np
from scipy.spatial.transform import Rotation

from experiments.numbers import numbers_of
from experiments.priors.scans import read_pinhole
from sdfrepar import files


def measured(path: Path, camera: Path | None) -> tuple[np.ndarray, np.ndarray | None]:
    """The points (N, 3) of a scan in the scanner's axes, and its pose (4, 4) if the file has it.

    Args:
        path: PLY, .npz, or a depth picture if there is a camera.
        camera: JSON file of the pinhole that took the depth picture.

    Raises:
        FileNotFoundError: a file is missing.
        ValueError: it is not what it should be.
    """
    if camera is not None:
        return _from_depth(path, camera), None
    if path.suffix.lower() != ".npz":
        return files.read_points(path), None
    if not path.is_file():
        raise FileNotFoundError(f"There is no file {path}; check --scans.")
    arrays = files.read_arrays(path, {"points": (None, 3)})
    if not {"translation", "quaternion_xyzw"} <= set(arrays):
        return np.asarray(arrays["points"], np.float64), None
    translation, quaternion = (
        numbers_of(path, name, arrays[name], (length,)) for name, length in (("translation", 3), ("quaternion_xyzw", 4))
    )
    return np.asarray(arrays["points"], np.float64), _pose(str(path), translation, quaternion)


def _from_depth(path: Path, camera: Path) -> np.ndarray:
    """The points (N, 3) of a depth picture, in its camera's axes."""
    stored, values = read_pinhole(camera), files.read_image(path)
    if values.shape[:2] != (stored["height"], stored["width"]):
        raise ValueError(f"{path} has {values.shape[1]} x {values.shape[0]} pixels, and --camera others; correct it.")
    unit = float(numbers_of(camera, "depth_unit_m", stored.get("depth_unit_m", 0.001), ()))
    z = unit * 65535.0 * np.asarray(values[..., 0], np.float64)
    row, column = np.nonzero(z)
    z = z[row, column]
    return np.stack([z * (column - stored["cx"]) / stored["fx"], z * (row - stored["cy"]) / stored["fy"], z], axis=1)


def poses(path: Path) -> dict[str, np.ndarray]:
    """Poses (4, 4), scanner to world, by names: of a JSON file, or of lines `bmesh FILE tx ty tz qx qy qz qw`.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it holds something else.
    """
    if not path.is_file():
        raise FileNotFoundError(f"There is no file {path}; check --poses.")
    if path.suffix == ".json":
        return {name: numbers_of(path, name, pose, (4, 4)) for name, pose in files.read_json_object(path).items()}
    found = {}
    for number, line in enumerate(files.read_text(path).split("\n"), start=1):
        kind, *rest = line.split() or [""]
        if kind == "bmesh":
            where = f"{path}, line {number}"
            values = _seven(where, rest)
            found[Path(rest[0]).stem] = _pose(where, values[:3], values[3:])
    return found


def _seven(where: str, words: list[str]) -> np.ndarray:
    """The numbers (7,) after the name."""
    try:
        values = np.array([float(word) for word in words[1:]])
    except ValueError:
        values = np.zeros(0)
    if values.shape != (7,) or not np.isfinite(values).all():
        came = repr(" ".join(words))[:200]
        raise ValueError(f"{where}: 'bmesh' and then {came}; expected 'bmesh FILE tx ty tz qx qy qz qw'.")
    return values


def _pose(where: str, translation: np.ndarray, quaternion: np.ndarray) -> np.ndarray:
    """The pose (4, 4) that turns by the inverse of a quaternion (x, y, z, w), as the Stanford repository has it."""
    if not quaternion.any():
        raise ValueError(f"{where}: the quaternion is zero; expected a rotation, so mend the file.")
    pose = np.eye(4)
    pose[:3, :3] = Rotation.from_quat(quaternion / np.abs(quaternion).max()).inv().as_matrix()
    pose[:3, 3] = translation
    return pose
