"""MVSNet and BlendedMVS: pictures in `blended_images/` or `images/`, and a text file for each camera in `cams/`.

`<name>_cam.txt` holds `extrinsic`, 4x4 from world to camera with OpenCV axes, `intrinsic`, 3x3, and a line of depths
that is not needed here. The pixel centre is not documented; the calibration comes from tools that put it at half a
pixel from the corner.
"""

from pathlib import Path

import numpy as np

from sdfrepar import files
from sdfrepar.datasets import listing, pictures
from sdfrepar.datasets.listing import Listing
from sdfrepar.datasets.projections import require_intrinsics, require_no_skew
from sdfrepar.datasets.writing import Taken

_FOLDERS = ("blended_images", "images")


def read(folder: Path) -> Listing:
    """What the folder says, in the order of the names.

    Raises:
        FileNotFoundError: a camera without a picture.
        ValueError: a camera file that is not of this form, or skewed pixels.
    """
    cameras = sorted((folder / "cams").glob("*_cam.txt"))
    names = tuple(path.name.removesuffix("_cam.txt") for path in cameras)
    matrices = [_parse(path) for path in cameras]
    extrinsic, intrinsic = (np.stack(part) for part in zip(*matrices, strict=True))
    require_intrinsics(folder / "cams", names, intrinsic)
    require_no_skew(intrinsic, names)
    rotation = extrinsic[:, :3, :3]
    return Listing(
        pictures=tuple(_picture(folder, name) for name in names),
        names=names,
        focal=intrinsic[:, [0, 1], [0, 1]],
        principal=intrinsic[:, :2, 2],
        first_centre=listing.CORNER,
        rotation=rotation.transpose(0, 2, 1),
        position=-np.einsum("nji,nj->ni", rotation, extrinsic[:, :3, 3]),
    )


def write(folder: Path, taken: Taken) -> None:
    """Write the folder, with depths that hold the unit sphere, and the held-out views' names beside it."""
    taken.write_pictures(folder / _FOLDERS[0])
    taken.write_split(folder)
    for name, film, pose in zip(taken.names, taken.intrinsics(listing.CORNER), taken.world_to_camera, strict=True):
        extrinsic, intrinsic = (_rows(matrix) for matrix in (pose, film))
        nearest = max(float(np.linalg.norm(pose[:3, 3])) - 1.0, 0.01)
        text = f"extrinsic\n{extrinsic}\n\nintrinsic\n{intrinsic}\n\n{nearest!r} {2.0 / 127!r} 128 {nearest + 2.0!r}\n"
        files.write_bytes(folder / "cams" / f"{name}_cam.txt", text.encode())


def _rows(matrix: np.ndarray) -> str:
    return "\n".join(" ".join(repr(float(value)) for value in row) for row in matrix)


def _picture(folder: Path, name: str) -> Path:
    for place in _FOLDERS:
        for suffix in pictures.SUFFIXES:
            if (path := folder / place / f"{name}{suffix}").is_file():
                return path
    raise FileNotFoundError(
        f"{folder} has cams/{name}_cam.txt but no picture {name} in {' or '.join(_FOLDERS)}; is the download complete?"
    )


def _parse(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """The extrinsic (4, 4) and the intrinsic (3, 3) matrix."""
    words = files.read_text(path).split()
    try:
        pose, film = words.index("extrinsic") + 1, words.index("intrinsic") + 1
        extrinsic = np.array(words[pose : pose + 16], np.float64).reshape(4, 4)
        return extrinsic, np.array(words[film : film + 9], np.float64).reshape(3, 3)
    except ValueError as error:
        raise ValueError(
            f"{path} is no camera of MVSNet; expected 'extrinsic' and 16 numbers, then 'intrinsic' and 9 numbers."
        ) from error
