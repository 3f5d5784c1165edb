"""COLMAP: a sparse model, binary or text, and the pictures that it was made from.

Read by COLMAP's own library, pycolmap (`pip install sdfrepar[colmap]`). Poses are from world to camera with OpenCV
axes; a pixel's centre is half a pixel from its corner; the points of the model say where the object is.
"""

from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from sdfrepar import files
from sdfrepar.datasets import listing, pictures
from sdfrepar.datasets.colmap_files import require_whole
from sdfrepar.datasets.lenses import PINHOLE, Lens
from sdfrepar.datasets.listing import Listing
from sdfrepar.datasets.paths import path_below
from sdfrepar.datasets.writing import Taken

# Where models are kept, the first with cameras in it is read.
_PLACES = ("sparse/0", "sparse", "colmap/sparse/0", ".")
# Points that fewer pictures agree on are often false.
_SEEN_BY = 3


@dataclass(frozen=True)
class ColmapLens:
    """A lens as COLMAP states it: the name of a camera model, and its parameters."""

    model: str
    size: tuple[int, int]  # (height, width), pixels
    params: tuple[float, ...]  # in COLMAP's order for this model, lengths in pixels

    def distort(self, ideal: np.ndarray) -> np.ndarray:
        """As `lenses.Lens.distort`: points (M, 2) to points (M, 2)."""
        camera = self._camera()
        ahead = np.concatenate([ideal, np.ones((len(ideal), 1))], axis=1)
        pixels = camera.img_from_cam(ahead)
        return (pixels - _middle(camera)) / _lengths(camera)

    def _camera(self) -> Any:
        height, width = self.size
        return _pycolmap().Camera(model=self.model, width=width, height=height, params=self.params)


def read(folder: Path) -> Listing:
    """What the model says of the pictures that have a pose, in the order of their names.

    Raises:
        ImportError: pycolmap is missing.
        FileNotFoundError: no model, or a picture that is not there.
        ValueError: a model that cannot be read or has no poses, or a spherical camera.
    """
    place = model_of(folder)
    if place is None:
        raise FileNotFoundError(f"{folder} holds no COLMAP model; looked for cameras.bin and .txt in {_PLACES}.")
    model = _load(place)
    images = sorted((image for image in model.images.values() if image.has_pose), key=lambda image: image.name)
    if not images:
        raise ValueError(f"The COLMAP model in {place} has no picture with a pose; expected a finished mapping.")
    cameras = [model.cameras[image.camera_id] for image in images]
    # First: the library ends the process where a spherical camera is asked for its focal length.
    lenses = tuple(_lens(place, camera) for camera in cameras)
    poses = np.stack([image.cam_from_world().matrix() for image in images])
    return Listing(
        pictures=tuple(path_below(folder, _picture_folder(folder) + image.name) for image in images),
        names=_names(images),
        focal=np.stack([_lengths(camera) for camera in cameras]),
        principal=np.stack([_middle(camera) for camera in cameras]),
        first_centre=listing.CORNER,
        rotation=poses[:, :, :3].transpose(0, 2, 1),
        position=-np.einsum("nji,nj->ni", poses[:, :, :3], poses[:, :, 3]),
        masks=_masks(folder / "masks", [image.name for image in images]),
        sizes=np.array([(camera.height, camera.width) for camera in cameras], np.float64),
        lenses=lenses,
        points=_points(model),
    )


def write(folder: Path, taken: Taken) -> None:
    """Write the folder: pictures in `images/`, masks of alpha in `masks/`, and a binary model without points.

    Raises:
        ImportError: pycolmap is missing.
    """
    pycolmap = _pycolmap()
    place = folder / "sparse" / "0"
    place.mkdir(parents=True, exist_ok=True)
    taken.write_pictures(folder / "images", masks=folder / "masks")
    taken.write_split(folder)
    height, width = taken.cameras.resolution
    model = pycolmap.Reconstruction()
    for i, (film, pose) in enumerate(
        zip(taken.intrinsics(listing.CORNER), taken.world_to_camera, strict=True), start=1
    ):
        params = [film[0, 0], film[1, 1], film[0, 2], film[1, 2]]
        camera = pycolmap.Camera(model="PINHOLE", width=width, height=height, params=params, camera_id=i)
        model.add_camera_with_trivial_rig(camera)
        image = pycolmap.Image(name=f"{taken.names[i - 1]}.png", camera_id=i, image_id=i)
        model.add_image_with_trivial_frame(image, pycolmap.Rigid3d(pose[:3]))
    model.write_binary(str(place))


def model_of(folder: Path) -> Path | None:
    """The folder of the model that belongs to the pictures in `folder`, if there is one."""
    for place in _PLACES:
        if any((folder / place / f"cameras.{kind}").is_file() for kind in ("bin", "txt")):
            return folder / place
    return None


@cache
def _pycolmap() -> Any:
    try:
        import pycolmap
    except ImportError as error:
        raise ImportError(
            "A COLMAP model needs pycolmap, which is not installed; pip install 'sdfrepar[colmap]'."
        ) from error
    # It speaks by exceptions already.
    pycolmap.logging.minloglevel = pycolmap.logging.FATAL.value
    return pycolmap


def _load(place: Path) -> Any:
    require_whole(place, _params_of)
    try:
        model = _pycolmap().Reconstruction(str(place))
        # A name that is no text fails only when it is asked for.
        [image.name for image in model.images.values()]
        return model
    except (RuntimeError, ValueError, IndexError, KeyError, MemoryError) as error:
        raise ValueError(
            f"The COLMAP model in {place} cannot be read ({files.reason(error)}); expected cameras, images and "
            "points3D, all .bin or all .txt."
        ) from error


def _params_of(kind: int) -> int:
    """How many parameters a camera of this kind has."""
    pycolmap = _pycolmap()
    return len(pycolmap.Camera.create_from_model_id(1, pycolmap.CameraModelId(kind), 1.0, 1, 1).params)


def _picture_folder(folder: Path) -> str:
    return "images/" if (folder / "images").is_dir() else ""


def _names(images: list[Any]) -> tuple[str, ...]:
    """Stems of the pictures; their whole names where stems repeat, as in folders of several cameras."""
    stems = tuple(Path(image.name).stem for image in images)
    return stems if len(set(stems)) == len(stems) else tuple(image.name for image in images)


def _lens(place: Path, camera: Any) -> Lens:
    if camera.is_spherical():
        raise ValueError(
            f"The COLMAP model in {place} has a camera {camera.model_name}, which no pinhole camera can stand for; "
            "expected pictures of lenses, so cut the panorama into such pictures first."
        )
    if camera.is_undistorted():
        return PINHOLE
    return ColmapLens(camera.model_name, (camera.height, camera.width), tuple(float(p) for p in camera.params))


def _lengths(camera: Any) -> np.ndarray:
    """Focal lengths (2,), pixels."""
    return np.array([camera.focal_length_x, camera.focal_length_y])


def _middle(camera: Any) -> np.ndarray:
    """The principal point (2,), pixels, corner convention."""
    return np.array([camera.principal_point_x, camera.principal_point_y])


def _masks(folder: Path, names: list[str]) -> tuple[Path, ...] | None:
    """COLMAP's `masks/<name>.png`, or masks called like the pictures; None unless every picture has one."""
    found = []
    for name in names:
        places = [folder / f"{name}.png", *((folder / name).with_suffix(suffix) for suffix in pictures.SUFFIXES)]
        found += [place for place in places if place.is_file()][:1]
    return tuple(found) if len(found) == len(names) else None


def _points(model: Any) -> np.ndarray | None:
    points = [point.xyz for point in model.points3D.values() if point.track.length() >= _SEEN_BY]
    return np.array(points) if points else None
