"""NeRF-synthetic (Blender): `transforms_train.json`, `transforms_test.json` and RGBA pictures.

Poses are camera-to-world with OpenGL axes (x right, y up, looking along -z). One horizontal opening angle serves all
pictures of a file, pixels are square and the principal point is the middle. Alpha lays the object over the backdrop
and, where every picture has it, is kept as the mask. Scene space is the world unless the config says otherwise.
"""

from pathlib import Path
from typing import Any

import numpy as np

from sdfrepar import files
from sdfrepar.datasets import listing, pictures
from sdfrepar.datasets.listing import Listing
from sdfrepar.datasets.opengl import OPENCV_FROM_OPENGL, opengl_poses, picture_path, require_pose
from sdfrepar.datasets.writing import Taken
from sdfrepar.records import Camera


def read(folder: Path) -> Listing:
    """What the folder says; with a test file its views are held out.

    Raises:
        FileNotFoundError: a camera file is missing.
        ValueError: a camera file that is not of this form.
    """
    splits = [path for path in (folder / f"transforms_{split}.json" for split in ("train", "test")) if path.is_file()]
    paths, focal, middle, poses, counts = [], [], [], [], []
    for path in splits:
        angle, frames = _parse(path)
        found = [picture_path(folder, frame["file_path"]) for frame in frames]
        height, width = pictures.kinds_of(found)[0].size
        paths += found
        focal += len(found) * [[0.5 * width / np.tan(0.5 * angle)] * 2]
        middle += len(found) * [[0.5 * width, 0.5 * height]]
        poses += [frame["transform_matrix"] for frame in frames]
        counts.append(len(found))
    poses = np.array(poses, np.float64)
    return Listing(
        pictures=tuple(paths),
        names=tuple(path.stem for path in paths),
        focal=np.array(focal),
        principal=np.array(middle),
        first_centre=listing.CORNER,
        rotation=poses[:, :3, :3] @ OPENCV_FROM_OPENGL,
        position=poses[:, :3, 3],
        test=tuple(range(counts[0], sum(counts))) if len(counts) == 2 else None,
        world_from_scene=np.eye(4),
    )


def write(folder: Path, taken: Taken) -> None:
    """Write `transforms_train.json`, and where views are held out `transforms_test.json`, with pictures in folders.

    Raises:
        ValueError: cameras that the format cannot state.
    """
    angle, poses = _opening_angle(taken.cameras), opengl_poses(taken.cameras)
    train = [i for i in range(len(taken.names)) if i not in set(taken.test)]
    for split, views in (("train", train), ("test", list(taken.test))):
        if not views:
            continue
        frames = [{"file_path": f"./{split}/{taken.names[i]}", "transform_matrix": poses[i].tolist()} for i in views]
        for i in views:
            files.write_image(folder / split / f"{taken.names[i]}.png", taken.images_srgb[i])
        # Last, so that a folder with a camera file has all its pictures.
        files.write_json(folder / f"transforms_{split}.json", {"camera_angle_x": angle, "frames": frames})


def _parse(path: Path) -> tuple[float, list[dict[str, Any]]]:
    """The opening angle and the frames of a camera file, in order."""
    content = files.read_json(path)
    angle = content.get("camera_angle_x") if isinstance(content, dict) else None
    if not isinstance(angle, int | float) or not 0 < angle < np.pi:
        raise ValueError(
            f"{path} has camera_angle_x {files.shown(angle)}; expected the horizontal opening angle in radians, "
            "between 0 and pi (files that give fl_x and fl_y instead are called transforms.json)."
        )
    frames = content.get("frames")
    if not isinstance(frames, list) or not frames:
        raise ValueError(f"{path} lists no frames; expected one entry with file_path and transform_matrix per picture.")
    for number, frame in enumerate(frames):
        require_pose(path, number, frame)
    return float(angle), frames


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
