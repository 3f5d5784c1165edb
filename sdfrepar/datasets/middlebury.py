"""Middlebury multi-view stereo: `*_par.txt` and pictures beside it.

The first line counts the pictures; each further one is `name K(9) R(9) t(3)`, row by row, with P = K [R | t] from world
to pixel: OpenCV axes, x right, y down. The format has no split of its own and no bounding sphere.
"""

from pathlib import Path

import numpy as np

from sdfrepar.datasets import pictures, posed
from sdfrepar.datasets.check import require_sound_cameras
from sdfrepar.datasets.config import DataConfig
from sdfrepar.datasets.normalisation import sphere_of_cameras, to_unit_sphere
from sdfrepar.datasets.projections import require_no_skew
from sdfrepar.records import Views


def read(folder: Path, config: DataConfig) -> tuple[Views, Views]:
    """The training and the test views, split by `config.holdout`, normalised by the cameras of both.

    Raises:
        FileNotFoundError: a picture is missing.
        ValueError: a camera file that is not of this form, skewed pixels, or pictures of several sizes.
    """
    path = _camera_file(folder)
    names, intrinsics, rotation, translation = _parse(path)
    loaded = pictures.load_pictures(
        [folder / name for name in names], backdrop=config.backdrop, downscale=config.downscale
    )
    cameras = posed.cameras_of(
        focal=intrinsics[:, [0, 1], [0, 1]],
        # The file states no pixel convention. Its calibration comes from tools that put pixel centres at whole numbers;
        # ours are at halves.
        principal=intrinsics[:, :2, 2] + 0.5,
        rotation=rotation.transpose(0, 2, 1),
        position=-np.einsum("nji,nj->ni", rotation, translation),
        resolution=loaded.size,
    )
    require_sound_cameras(cameras, names)
    centre, radius = config.centre, config.radius
    if centre is None or radius is None:
        centre, found = sphere_of_cameras(cameras, centre)
        radius = found if radius is None else radius
    views = Views(
        images=loaded.images,
        cameras=posed.downscaled(cameras, config.downscale),
        names=tuple(Path(name).stem for name in names),
        world_from_scene=np.eye(4),
    )
    return posed.split(to_unit_sphere(views, centre, radius), config.holdout)


def _camera_file(folder: Path) -> Path:
    found = sorted(folder.glob("*_par.txt"))
    if len(found) != 1:
        raise ValueError(
            f"{folder} has {len(found)} files named *_par.txt ({', '.join(path.name for path in found)}); "
            "expected one, so keep each set in a folder of its own."
        )
    return found[0]


def _parse(path: Path) -> tuple[list[str], np.ndarray, np.ndarray, np.ndarray]:
    """Names, K (N, 3, 3), R (N, 3, 3) and t (N, 3) of a camera file, sorted by name."""
    lines = [line.split() for line in path.read_text().splitlines() if line.strip()]
    if not lines or len(lines[0]) != 1 or not lines[0][0].isdecimal():
        raise ValueError(f"{path} does not begin with the number of its pictures; expected a Middlebury camera file.")
    entries = sorted(lines[1:])
    if len(entries) != int(lines[0][0]) or not entries:
        raise ValueError(
            f"{path} promises {lines[0][0]} pictures and lists {len(entries)}; expected as many lines: is it complete?"
        )
    numbers = np.array([_numbers(path, entry) for entry in entries])
    names = [entry[0] for entry in entries]
    intrinsics = numbers[:, :9].reshape(-1, 3, 3)
    _require_intrinsics(path, names, intrinsics)
    require_no_skew(intrinsics, names)
    return names, intrinsics, numbers[:, 9:18].reshape(-1, 3, 3), numbers[:, 18:]


def _numbers(path: Path, entry: list[str]) -> list[float]:
    try:
        values = [float(word) for word in entry[1:]]
    except ValueError:
        values = []
    if len(values) != 21:
        raise ValueError(
            f"{path}: the line of {entry[0]} is not a name and 21 numbers; expected K (9), R (9) and t (3), row by row."
        )
    return values


def _require_intrinsics(path: Path, names: list[str], intrinsics: np.ndarray) -> None:
    for name, matrix in zip(names, intrinsics, strict=True):
        if not np.allclose(matrix[[1, 2, 2, 2], [0, 0, 1, 2]], [0, 0, 0, 1]):
            raise ValueError(
                f"{path}: K of {name} is not upper triangular with a last 1; expected row-major intrinsics."
            )
