"""IDR (`cameras.npz`) and NeuS (`cameras_sphere.npz`): pictures in `image/`, masks, where there are any, in `mask/`.

`world_mat_i` (4x4) takes world points to pixels: OpenCV axes, pixel centres at whole numbers. `scale_mat_i`, the same
for all i, takes the unit sphere to the sphere of the world that holds the object. The i-th matrix belongs to the i-th
picture and the i-th mask by file name. The format has no split of its own.
"""

from collections.abc import Mapping
from pathlib import Path
from zipfile import BadZipFile

import numpy as np

from sdfrepar.datasets import pictures, posed
from sdfrepar.datasets.config import DataConfig
from sdfrepar.datasets.normalisation import to_unit_sphere
from sdfrepar.datasets.projections import decompose, require_no_skew
from sdfrepar.records import Camera, Views

# NeuS's file before IDR's: a folder with both was made for NeuS.
_CAMERA_FILES = ("cameras_sphere.npz", "cameras.npz")

# Relative; the matrices are often stored in float32.
_SIMILARITY_TOLERANCE = 1e-4


def read(folder: Path, config: DataConfig) -> tuple[Views, Views]:
    """The training and the test views, split by `config.holdout`; scene space is `scale_mat`'s unit sphere.

    A centre or a radius in `config` takes the place of that sphere's.

    Raises:
        FileNotFoundError: no camera file, or no pictures.
        ValueError: a camera file that is not of this form, skewed pixels, pictures or masks of several sizes, or not
            one mask for each picture.
    """
    path = _camera_file(folder)
    paths = _listed(folder / "image")
    matrices = _load(path)
    world = _numbered(path, matrices, "world_mat", len(paths))
    world_from_scene = _similarity(path, _numbered(path, matrices, "scale_mat", len(paths)))
    loaded = pictures.load_pictures(paths, backdrop=config.backdrop, downscale=config.downscale)
    names = tuple(picture.stem for picture in paths)
    cameras = _cameras(world @ world_from_scene, names, loaded.size, _stated_size(path, matrices, loaded.size))
    views = Views(
        images=loaded.images,
        cameras=posed.downscaled(cameras, config.downscale),
        names=names,
        world_from_scene=world_from_scene,
        masks=_masks(folder / "mask", len(paths), loaded, config.downscale),
    )
    return posed.split(to_unit_sphere(views, *_sphere(world_from_scene, config)), config.holdout)


def _camera_file(folder: Path) -> Path:
    for name in _CAMERA_FILES:
        if (folder / name).is_file():
            return folder / name
    raise FileNotFoundError(f"{folder} holds neither {' nor '.join(_CAMERA_FILES)}; point to the folder that does.")


def _cameras(
    pixel_from_scene: np.ndarray, names: tuple[str, ...], size: tuple[int, int], stated: tuple[float, float]
) -> Camera:
    """The cameras of pictures of `size` from matrices (N, 4, 4) for pictures of the `stated` size; (height, width)."""
    intrinsics, rotation, position = decompose(pixel_from_scene[:, :3], names)
    require_no_skew(intrinsics, names)
    shrink = np.array([size[1] / stated[1], size[0] / stated[0]])
    return posed.cameras_of(
        focal=intrinsics[:, [0, 1], [0, 1]] * shrink,
        # The file's pixel centres are whole numbers, ours are at halves.
        principal=(intrinsics[:, :2, 2] + 0.5) * shrink,
        rotation=rotation.transpose(0, 2, 1),
        position=position,
        resolution=size,
    )


def _sphere(world_from_scene: np.ndarray, config: DataConfig) -> tuple[np.ndarray, float]:
    """The centre and the radius, scene units, that become the unit sphere; the config's are in world units."""
    centre, radius = np.zeros(3), 1.0
    if config.centre is not None:
        centre = np.linalg.solve(world_from_scene, np.append(config.centre, 1.0))[:3]
    if config.radius is not None:
        radius = config.radius / np.cbrt(np.linalg.det(world_from_scene[:3, :3]))
    return centre, radius


def _masks(folder: Path, count: int, loaded: pictures.Pictures, downscale: int) -> np.ndarray | None:
    """Those in `folder`; without one, the pictures' alpha."""
    if not folder.is_dir():
        return loaded.alpha
    paths = _listed(folder)
    if len(paths) != count:
        raise ValueError(
            f"{folder} holds {len(paths)} masks for {count} pictures; expected one each, in the order of the names, or "
            "no such folder."
        )
    return pictures.load_masks(paths, size=loaded.size, downscale=downscale)


def _listed(folder: Path) -> list[Path]:
    found = sorted(path for path in folder.glob("[!.]*") if path.suffix.lower() in pictures.SUFFIXES)
    if not found:
        raise FileNotFoundError(f"There are no pictures in {folder}; expected {', '.join(pictures.SUFFIXES)} files.")
    return found


def _load(path: Path) -> Mapping[str, np.ndarray]:
    try:
        with np.load(path) as stored:
            return dict(stored)
    except (OSError, ValueError, BadZipFile) as error:
        raise ValueError(f"{path} cannot be read ({error}); expected an .npz of 4x4 matrices.") from error


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
        if matrices[key].shape != (4, 4) or not np.isfinite(matrices[key]).all():
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


def _stated_size(path: Path, matrices: Mapping[str, np.ndarray], size: tuple[int, int]) -> tuple[float, float]:
    """The (height, width) of the pictures that the file was made for, which may have been shrunk since.

    IDR's own files say it in `camera_mat_0` = [[2/W, 0, -1, 0], [0, 2/H, -1, 0], ...]; others lack it or keep something
    else under that name, and then it is the `size` of the pictures.
    """
    film = np.asarray(matrices.get("camera_mat_0", np.eye(4)), np.float64)
    if film.shape != (4, 4) or not np.allclose(film[:2, 2], -1.0) or not np.all(np.diag(film)[:2] > 0):
        return size
    width, height = 2.0 / np.diag(film)[:2]
    if abs(size[1] * height / width - size[0]) > 1:
        raise ValueError(
            f"{path} was made for pictures of {width:g}x{height:g} pixels, those in image/ are {size[1]}x{size[0]}; "
            "expected the same shape, so shrink the originals without cropping."
        )
    return height, width
