"""Middlebury multi-view stereo: `*_par.txt` and pictures beside it.

The first line counts the pictures; each further one is `name K(9) R(9) t(3)`, row by row, with P = K [R | t] from world
to pixel: OpenCV axes, x right, y down. The format has no split of its own and no bounding sphere.
"""

import re
from pathlib import Path

import numpy as np

from sdfrepar import files
from sdfrepar.datasets import listing
from sdfrepar.datasets.listing import Listing
from sdfrepar.datasets.paths import path_below
from sdfrepar.datasets.projections import require_intrinsics, require_no_skew
from sdfrepar.datasets.writing import Taken

_COUNT = re.compile(r"[0-9]{1,9}")


def read(folder: Path) -> Listing:
    """What the folder says, in the order of the names.

    Raises:
        ValueError: a camera file that is not of this form, a picture out of the folder, or skewed pixels.
    """
    names, intrinsics, rotation, translation = _parse(_camera_file(folder))
    return Listing(
        pictures=tuple(path_below(folder, name) for name in names),
        names=tuple(Path(name).stem for name in names),
        focal=intrinsics[:, [0, 1], [0, 1]],
        principal=intrinsics[:, :2, 2],
        # The file states no pixel convention; its calibration comes from tools that count pixel centres so.
        first_centre=listing.CENTRE,
        rotation=rotation.transpose(0, 2, 1),
        position=-np.einsum("nji,nj->ni", rotation, translation),
    )


def write(folder: Path, taken: Taken) -> None:
    """Write the folder, and the held-out views' names beside it."""
    taken.write_pictures(folder)
    taken.write_split(folder)
    lines = [str(len(taken.names))]
    for name, film, pose in zip(taken.names, taken.intrinsics(listing.CENTRE), taken.world_to_camera, strict=True):
        numbers = np.concatenate([film.ravel(), pose[:3, :3].ravel(), pose[:3, 3]])
        lines.append(" ".join([f"{name}.png", *(repr(float(value)) for value in numbers)]))
    files.write_bytes(folder / f"{folder.resolve().name}_par.txt", "\n".join([*lines, ""]).encode())


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
    lines = [line.split() for line in files.read_text(path).splitlines() if line.strip()]
    if not lines or len(lines[0]) != 1 or not _COUNT.fullmatch(lines[0][0]):
        raise ValueError(f"{path} does not begin with the number of its pictures; expected a Middlebury camera file.")
    entries = sorted(lines[1:])
    if len(entries) != int(lines[0][0]) or not entries:
        raise ValueError(
            f"{path} promises {lines[0][0]} pictures and lists {len(entries)}; expected as many lines: is it complete?"
        )
    numbers = np.array([_numbers(path, entry) for entry in entries])
    names = [entry[0] for entry in entries]
    intrinsics = numbers[:, :9].reshape(-1, 3, 3)
    require_intrinsics(path, names, intrinsics)
    require_no_skew(intrinsics, names)
    return names, intrinsics, numbers[:, 9:18].reshape(-1, 3, 3), numbers[:, 18:]


def _numbers(path: Path, entry: list[str]) -> list[float]:
    try:
        values = [float(word) for word in entry[1:]]
    except ValueError:
        values = []
    if len(values) != 21:
        raise ValueError(
            f"{path}: the line of {files.shown(entry[0])} is not a name and 21 numbers; expected K (9), R (9) and "
            "t (3), row by row."
        )
    return values
