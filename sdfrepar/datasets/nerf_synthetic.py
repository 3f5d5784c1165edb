"""NeRF-synthetic (Blender): `transforms_train.json`, `transforms_test.json` and RGBA pictures.

Poses are camera-to-world with OpenGL axes (x right, y up, looking along -z). One horizontal opening angle serves all
pictures, pixels are square and the principal point is the middle. Alpha lays the object over the backdrop and, where
every picture has it, is kept as the mask. The world frame is kept: scene space is the world unless the config says
otherwise.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from sdfrepar import files
from sdfrepar.datasets import pictures, posed
from sdfrepar.datasets.config import DataConfig
from sdfrepar.datasets.normalisation import to_unit_sphere
from sdfrepar.records import Camera, Views

_OPENCV_FROM_OPENGL = np.diag([1.0, -1.0, -1.0])
_HOLDOUT_EVERY = 8


def read(folder: Path, config: DataConfig) -> tuple[Views, Views]:
    """The training and the test views; without a test file every 8th training view is held out.

    Raises:
        FileNotFoundError: a camera file or a picture is missing.
        ValueError: a camera file that is not of this form, or pictures of several sizes.
    """
    train = _read_file(folder / "transforms_train.json", config)
    test_file = folder / "transforms_test.json"
    if test_file.is_file():
        return train, _read_file(test_file, config)
    if len(train) < 2:
        raise ValueError(
            f"{folder} has one training view and no transforms_test.json; expected a test file, or two views or more "
            f"of which every {_HOLDOUT_EVERY}th is held out."
        )
    return posed.split(train, range(0, len(train), _HOLDOUT_EVERY))


def write(folder: str | Path, split: str, images_srgb: np.ndarray, cameras: Camera, names: Sequence[str]) -> None:
    """Write `transforms_<split>.json` and `<split>/<name>.png`; the world of the file is scene space.

    Args:
        folder: created where absent.
        split: "train" or "test".
        images_srgb: (N, H, W, 3), or (N, H, W, 4) with straight alpha; sRGB in [0, 1].
        cameras: leading axis N; scene units.
        names: N file names without suffix.

    Raises:
        ValueError: numbers of views or resolutions that differ, or cameras that the format cannot state.
    """
    folder, images_srgb = Path(folder), np.asarray(images_srgb)
    if not len(images_srgb) == len(names) == len(np.asarray(cameras.position)):
        raise ValueError(
            f"Cannot write {len(images_srgb)} pictures with {len(names)} names and "
            f"{len(np.asarray(cameras.position))} cameras; expected as many of each."
        )
    if images_srgb.shape[1:3] != cameras.resolution:
        raise ValueError(
            f"Cannot write pictures of shape {images_srgb.shape[1:3]} with cameras of resolution {cameras.resolution}; "
            "expected the same (height, width)."
        )
    angle = _opening_angle(cameras)
    for name, image in zip(names, images_srgb, strict=True):
        files.write_image(folder / split / f"{name}.png", image)
    frames = [
        {"file_path": f"./{split}/{name}", "transform_matrix": pose}
        for name, pose in zip(names, _opengl_poses(cameras), strict=True)
    ]
    # Last, so that a folder with a camera file has all its pictures.
    files.write_json(folder / f"transforms_{split}.json", {"camera_angle_x": angle, "frames": frames})


def _read_file(path: Path, config: DataConfig) -> Views:
    angle, frames = _parse(path)
    paths = [_picture_path(path.parent, frame["file_path"]) for frame in frames]
    poses = np.array([frame["transform_matrix"] for frame in frames], np.float64)
    loaded = pictures.load_pictures(paths, backdrop=config.backdrop, downscale=config.downscale)
    height, width = loaded.size
    focal = 0.5 * width / np.tan(0.5 * angle)
    cameras = posed.cameras_of(
        focal=np.full((len(paths), 2), focal),
        principal=np.tile([0.5 * width, 0.5 * height], (len(paths), 1)),
        rotation=poses[:, :3, :3] @ _OPENCV_FROM_OPENGL,
        position=poses[:, :3, 3],
        resolution=(height, width),
    )
    views = Views(
        images=loaded.images,
        cameras=posed.downscaled(cameras, config.downscale),
        names=tuple(picture.stem for picture in paths),
        world_from_scene=np.eye(4),
        masks=loaded.alpha,
    )
    centre = (0.0, 0.0, 0.0) if config.centre is None else config.centre
    return to_unit_sphere(views, centre, 1.0 if config.radius is None else config.radius)


def _parse(path: Path) -> tuple[float, list[dict[str, Any]]]:
    """The opening angle and the frames of a camera file, in order."""
    content = files.read_json(path)
    angle = content.get("camera_angle_x") if isinstance(content, dict) else None
    if not isinstance(angle, int | float) or not 0 < angle < np.pi:
        raise ValueError(
            f"{path} has camera_angle_x {angle}; expected the horizontal opening angle in radians, between 0 and pi "
            "(files that give fl_x and fl_y instead are another format)."
        )
    frames = content.get("frames")
    if not isinstance(frames, list) or not frames:
        raise ValueError(f"{path} lists no frames; expected one entry with file_path and transform_matrix per picture.")
    for number, frame in enumerate(frames):
        _require_frame(path, number, frame)
    return float(angle), frames


def _require_frame(path: Path, number: int, frame: Any) -> None:
    well_formed = isinstance(frame, dict) and isinstance(frame.get("file_path"), str)
    try:
        shape = np.array(frame["transform_matrix"], np.float64).shape if well_formed else ()
    except (KeyError, TypeError, ValueError):
        shape = ()
    if shape != (4, 4):
        raise ValueError(f"{path}, frame {number}: expected a file_path and a 4x4 transform_matrix; mend that entry.")


def _picture_path(folder: Path, file_path: str) -> Path:
    """The picture of a `file_path`, which by custom, not always, lacks its suffix; a dot alone makes no suffix."""
    path = folder / file_path
    return path if path.suffix.lower() in pictures.SUFFIXES else path.with_name(path.name + ".png")


def _opengl_poses(cameras: Camera) -> np.ndarray:
    """Camera-to-world matrices (N, 4, 4), OpenGL axes."""
    position = np.asarray(cameras.position, np.float64)
    poses = np.tile(np.eye(4), (len(position), 1, 1))
    poses[:, :3, :3] = np.asarray(cameras.rotation, np.float64) @ _OPENCV_FROM_OPENGL
    poses[:, :3, 3] = position
    return poses


def _opening_angle(cameras: Camera) -> float:
    """The one horizontal opening angle of all cameras, radians."""
    height, width = cameras.resolution
    focal, principal = np.asarray(cameras.focal, np.float64), np.asarray(cameras.principal, np.float64)
    # A hundredth of a pixel, at the film or at its edge, is below what the readers of this format resolve.
    if np.abs(focal - focal[0, 0]).max() * 0.5 * max(width, height) > 0.01 * focal[0, 0]:
        raise ValueError(
            f"The focal lengths range from {focal.min():.6g} to {focal.max():.6g} pixels; NeRF-synthetic files state "
            "one opening angle for all pictures and square pixels, so resample the pictures to one focal length."
        )
    if np.abs(principal - np.array([0.5 * width, 0.5 * height])).max() > 0.01:
        raise ValueError(
            f"A principal point is at {principal[0].tolist()} in pictures of {width}x{height} pixels; NeRF-synthetic "
            "files have it in the middle, so crop the pictures around it."
        )
    return float(2 * np.arctan(0.5 * width / focal[0, 0]))
