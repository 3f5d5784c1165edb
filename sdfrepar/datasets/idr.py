"""IDR (`cameras.npz`) and NeuS (`cameras_sphere.npz`): pictures in `image/`, masks, where there are any, in `mask/`.

`world_mat_i` (4x4) takes world points to pixels: OpenCV axes, pixel centres at whole numbers. `scale_mat_i`, the same
for all i, takes the unit sphere to the sphere of the world that holds the object. The i-th matrix belongs to the i-th
picture and the i-th mask by file name. The format has no split of its own.
"""

from collections.abc import Mapping
from io import BytesIO
from pathlib import Path

import numpy as np

from sdfrepar import files
from sdfrepar.datasets import listing, pictures
from sdfrepar.datasets.listing import Listing
from sdfrepar.datasets.projections import decompose, require_no_skew
from sdfrepar.datasets.writing import Taken

# NeuS's file before IDR's: a folder with both was made for NeuS.
_CAMERA_FILES = ("cameras_sphere.npz", "cameras.npz")

# Relative; the matrices are often stored in float32.
_SIMILARITY_TOLERANCE = 1e-4


def read(folder: Path) -> Listing:
    """What the folder says; the unit sphere is that of `scale_mat`.

    Raises:
        FileNotFoundError: no camera file, or no pictures.
        ValueError: a camera file that is not of this form, skewed pixels, or not one mask for each picture.
    """
    path = _camera_file(folder)
    paths = _listed(folder / "image")
    matrices = files.read_arrays(path)
    world = _numbered(path, matrices, "world_mat", len(paths))
    names = tuple(picture.stem for picture in paths)
    intrinsics, rotation, position = decompose(world[:, :3], names)
    require_no_skew(intrinsics, names)
    return Listing(
        pictures=paths,
        names=names,
        focal=intrinsics[:, [0, 1], [0, 1]],
        principal=intrinsics[:, :2, 2],
        first_centre=listing.CENTRE,
        rotation=rotation.transpose(0, 2, 1),
        position=position,
        masks=_masks(folder / "mask", len(paths)),
        sizes=_stated_sizes(matrices, len(paths)),
        world_from_scene=_similarity(path, _numbered(path, matrices, "scale_mat", len(paths))),
    )


def write(folder: Path, taken: Taken, file: str = "cameras.npz") -> None:
    """Write the folder of IDR; the unit sphere of scene space is that of `scale_mat`.

    Args:
        folder: created where absent.
        taken: what is written; alpha becomes masks.
        file: `cameras.npz`, or `cameras_sphere.npz` for NeuS.
    """
    taken.write_pictures(folder / "image", masks=folder / "mask")
    taken.write_split(folder)
    matrices = {}
    for i, (film, pose) in enumerate(zip(taken.intrinsics(listing.CENTRE), taken.world_to_camera, strict=True)):
        whole = np.eye(4)
        whole[:3, :3] = film
        matrices |= {f"world_mat_{i}": whole @ pose, f"scale_mat_{i}": np.eye(4)}
    written = BytesIO()
    np.savez(written, **matrices)
    files.write_bytes(folder / file, written.getvalue())


def write_neus(folder: Path, taken: Taken) -> None:
    """Write the folder of NeuS, see `write`."""
    write(folder, taken, "cameras_sphere.npz")


def _camera_file(folder: Path) -> Path:
    for name in _CAMERA_FILES:
        if (folder / name).is_file():
            return folder / name
    raise FileNotFoundError(f"{folder} holds neither {' nor '.join(_CAMERA_FILES)}; point to the folder that does.")


def _masks(folder: Path, count: int) -> tuple[Path, ...] | None:
    if not folder.is_dir():
        return None
    paths = _listed(folder)
    if len(paths) != count:
        raise ValueError(
            f"{folder} holds {len(paths)} masks for {count} pictures; expected one each, in the order of the names, or "
            "no such folder."
        )
    return paths


def _listed(folder: Path) -> tuple[Path, ...]:
    found = sorted(path for path in folder.glob("[!.]*") if path.suffix.lower() in pictures.SUFFIXES)
    if not found:
        raise FileNotFoundError(f"There are no pictures in {folder}; expected {', '.join(pictures.SUFFIXES)} files.")
    return tuple(found)


def _numbered(path: Path, matrices: Mapping[str, np.ndarray], name: str, count: int) -> np.ndarray:
    """`name_0`, `name_1`, ... as (count, 4, 4) float64."""
    wanted = [f"{name}_{index}" for index in range(count)]
    given = {key for key in matrices if key.startswith(f"{name}_") and key.removeprefix(f"{name}_").isdecimal()}
    if given != set(wanted):
        raise ValueError(
            f"{path} has {len(given)} matrices {name}_i for {count} pictures; expected {wanted[0]} to {wanted[-1]}: do "
            "the pictures in image/ belong to this file?"
        )
    for key in wanted:
        if matrices[key].shape != (4, 4) or matrices[key].dtype.kind == "U" or not np.isfinite(matrices[key]).all():
            raise ValueError(
                f"{path}: {key} of shape {matrices[key].shape} is not 4x4 finite numbers; mend that entry."
            )
    return np.array([matrices[key] for key in wanted], np.float64)


def _similarity(path: Path, scales: np.ndarray) -> np.ndarray:
    """The one matrix of all `scale_mat`."""
    first = scales[0]
    spread = np.abs(scales - first).max(axis=(1, 2)) > _SIMILARITY_TOLERANCE * np.abs(first).max()
    if spread.any():
        raise ValueError(
            f"{path}: scale_mat_{int(np.argmax(spread))} differs from scale_mat_0; expected one sphere for all "
            "pictures, so write the same matrix everywhere."
        )
    linear = first[:3, :3]
    size = np.cbrt(np.linalg.det(linear))
    even = np.allclose(linear.T @ linear, size**2 * np.eye(3), rtol=0, atol=_SIMILARITY_TOLERANCE * size**2)
    if not (size > 0 and even and np.allclose(first[3], (0, 0, 0, 1))):
        raise ValueError(
            f"{path}: scale_mat_0 is no similarity; expected a rotation times one positive length, a shift, and the "
            "last row 0 0 0 1."
        )
    return first


def _stated_sizes(matrices: Mapping[str, np.ndarray], count: int) -> np.ndarray | None:
    """The (height, width) of the pictures that the file was made for, which may have been shrunk since.

    IDR's own files say it in `camera_mat_0` = [[2/W, 0, -1, 0], [0, 2/H, -1, 0], ...]; others lack it or keep something
    else under that name, and then it is the size of the pictures.
    """
    film = matrices.get("camera_mat_0", np.eye(4))
    if (
        film.dtype.kind == "U"
        or film.shape != (4, 4)
        or not np.allclose(film[:2, 2], -1.0)
        or not np.all(np.diag(film)[:2] > 0)
    ):
        return None
    width, height = 2.0 / np.diag(film)[:2]
    return np.tile([height, width], (count, 1))
