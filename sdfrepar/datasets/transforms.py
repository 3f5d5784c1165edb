"""nerfstudio and instant-ngp: one `transforms.json` for all pictures.

Poses are camera-to-world with OpenGL axes. Focal lengths `fl_x`, `fl_y`, or opening angles in their place, principal
point `cx`, `cy`, size `w`, `h` and the lens's numbers stand at the top, or in a frame for that frame alone; a pixel's
centre is half a pixel from its corner. The lens is named by `camera_model`, or is a fisheye by `is_fisheye`. The points
of `ply_file_path`, in the world of the poses, say where the object is. What speaks of another program's own box
(`scale`, `offset`, `aabb_scale`) is passed over: the world is that of the poses.
"""

from collections.abc import Mapping
from pathlib import Path, PureWindowsPath
from typing import Any

import numpy as np

from sdfrepar import files
from sdfrepar.datasets import listing, pictures
from sdfrepar.datasets.lenses import PINHOLE, Fisheye, Lens, Radial
from sdfrepar.datasets.listing import Listing
from sdfrepar.datasets.opengl import OPENCV_FROM_OPENGL, opengl_poses, picture_path, require_pose
from sdfrepar.datasets.paths import path_below
from sdfrepar.datasets.writing import Taken

_RADIAL = ("SIMPLE_RADIAL", "RADIAL", "OPENCV", "FULL_OPENCV")
_PINHOLES = ("PINHOLE", "SIMPLE_PINHOLE", "PERSPECTIVE")
_FISHEYES = ("OPENCV_FISHEYE", "FISHEYE", "SIMPLE_RADIAL_FISHEYE", "RADIAL_FISHEYE")
_LARGEST = 1e12
# instant-ngp names two cameras that are no lenses before a film by what they alone have.
_FOREIGN = {"ftheta_p0": "FTHETA", "latlong": "LATLONG"}


def read(folder: Path) -> Listing:
    """What the folder says, in the order of the pictures' names; a split that the file states is kept.

    Raises:
        FileNotFoundError: a picture, or the file of points, is missing.
        ValueError: a file that is not of this form, or a camera model that is no lens before a film.
    """
    path = folder / "transforms.json"
    content = files.read_json(path)
    frames = _frames(path, content)
    settings = [{**content, **frame} for frame in frames]
    paths = tuple(picture_path(folder, frame["file_path"]) for frame in frames)
    kinds = pictures.kinds_of(paths)
    sizes = [_size(path, own, kind.size) for own, kind in zip(settings, kinds, strict=True)]
    focal, principal = (
        np.array([numbers(path, own, size) for own, size in zip(settings, sizes, strict=True)])
        for numbers in (_focal, _principal)
    )
    poses = np.array([frame["transform_matrix"] for frame in frames], np.float64)
    return Listing(
        pictures=paths,
        names=_names(frames),
        focal=focal,
        principal=principal,
        first_centre=listing.CORNER,
        rotation=poses[:, :3, :3] @ OPENCV_FROM_OPENGL,
        position=poses[:, :3, 3],
        masks=_masks(folder, frames),
        sizes=np.array(sizes),
        lenses=tuple(_lens(path, own) for own in settings),
        test=_test(path, content, frames),
        points=_points(path, content),
    )


def write(folder: Path, taken: Taken) -> None:
    """Write the folder: pictures in `images/`, intrinsics for each frame, and the split."""
    taken.write_pictures(folder / "images")
    height, width = taken.cameras.resolution
    film, poses = taken.intrinsics(listing.CORNER), opengl_poses(taken.cameras)
    frames = [
        {
            "file_path": f"images/{name}.png",
            **{"fl_x": k[0, 0], "fl_y": k[1, 1], "cx": k[0, 2], "cy": k[1, 2]},
            "transform_matrix": pose.tolist(),
        }
        for name, k, pose in zip(taken.names, film, poses, strict=True)
    ]
    content = {"camera_model": "PINHOLE", "w": width, "h": height, "frames": frames}
    if taken.test:
        held_out = set(taken.test)
        content |= {
            f"{split}_filenames": [frame["file_path"] for i, frame in enumerate(frames) if (i in held_out) == wanted]
            for split, wanted in (("train", False), ("test", True))
        }
    files.write_json(folder / "transforms.json", content)


def _frames(path: Path, content: Any) -> list[dict[str, Any]]:
    frames = content.get("frames") if isinstance(content, dict) else None
    if not isinstance(frames, list) or not frames:
        raise ValueError(f"{path} lists no frames; expected one entry with file_path and transform_matrix per picture.")
    for number, frame in enumerate(frames):
        require_pose(path, number, frame)
    return sorted(frames, key=lambda frame: frame["file_path"])


def _names(frames: list[dict[str, Any]]) -> tuple[str, ...]:
    """Stems of the pictures; their whole paths where stems repeat, as in folders of several cameras."""
    # Which knows slashes of either kind.
    stems = tuple(PureWindowsPath(frame["file_path"]).stem for frame in frames)
    return stems if len(set(stems)) == len(stems) else tuple(frame["file_path"] for frame in frames)


def _number(path: Path, own: Mapping[str, Any], name: str) -> float | None:
    value = own.get(name)
    if value is None:
        return None
    # What is larger has no place on a film, and whole numbers of JSON may be larger than a float.
    if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) < _LARGEST:
        raise ValueError(f"{path}: {name} is {files.shown(value)}; expected a number, so mend that entry.")
    return value


def _size(path: Path, own: Mapping[str, Any], found: tuple[int, int]) -> tuple[float, float]:
    """The (height, width) that the intrinsics are for."""
    height, width = _number(path, own, "h"), _number(path, own, "w")
    if height is None or width is None:
        return found
    if not (height > 0 and width > 0):
        raise ValueError(f"{path} has pictures of w={width} and h={height}; expected sizes in pixels.")
    return height, width


def _focal(path: Path, own: Mapping[str, Any], size: tuple[float, float]) -> tuple[float, float]:
    """Pixels; an opening angle is that of the whole picture, and one axis serves both where the other is silent."""
    lengths = []
    for axis, extent in (("x", size[1]), ("y", size[0])):
        length, angle = _number(path, own, f"fl_{axis}"), _number(path, own, f"camera_angle_{axis}")
        degrees = _number(path, own, f"{axis}_fov")
        angle = np.radians(degrees) if angle is None and degrees is not None else angle
        if length is None and angle is not None and 0 < angle < np.pi:
            length = 0.5 * extent / np.tan(0.5 * angle)
        lengths.append(length)
    x, y = lengths
    if x is None and y is None:
        raise ValueError(f"{path} has neither fl_x nor camera_angle_x; expected one, in pixels or radians.")
    return (x if x is not None else y, y if y is not None else x)  # pyright: ignore[reportReturnType]


def _principal(path: Path, own: Mapping[str, Any], size: tuple[float, float]) -> tuple[float, float]:
    """Pixels; the middle where the file says nothing."""
    x, y = _number(path, own, "cx"), _number(path, own, "cy")
    return 0.5 * size[1] if x is None else x, 0.5 * size[0] if y is None else y


def _lens(path: Path, own: Mapping[str, Any]) -> Lens:
    def numbers(*names: str) -> tuple[float, ...]:
        return tuple(float(_number(path, own, name) or 0.0) for name in names)

    named = own.get("camera_model", "OPENCV_FISHEYE" if own.get("is_fisheye") else "OPENCV")
    model = next((foreign for name, foreign in _FOREIGN.items() if name in own), str(named).upper())
    if model in _FISHEYES:
        return Fisheye(numbers("k1", "k2", "k3", "k4"))  # pyright: ignore[reportArgumentType]
    if model in _PINHOLES:
        return PINHOLE
    if model in _RADIAL:
        # nerfstudio's own k4 goes on in the numerator; no calibration that it imports has one.
        k = numbers("k1", "k2", "k3", "k4", "k5", "k6")
        return Radial(k, numbers("p1", "p2"))  # pyright: ignore[reportArgumentType]
    known = ", ".join((*_PINHOLES, *_RADIAL, *_FISHEYES))
    raise ValueError(
        f"{path}: the camera_model is {files.shown(model)}, which no pinhole camera can stand for; expected one of "
        f"{known}."
    )


def _masks(folder: Path, frames: list[dict[str, Any]]) -> tuple[Path, ...] | None:
    """The `mask_path` of every frame; None where some have none."""
    paths = [frame.get("mask_path") for frame in frames]
    if not all(isinstance(mask, str) for mask in paths):
        return None
    return tuple(picture_path(folder, mask) for mask in paths)  # pyright: ignore[reportArgumentType]


def _points(path: Path, content: Mapping[str, Any]) -> np.ndarray | None:
    """The points (P, 3) of the `ply_file_path`, world units; None where the file states none."""
    stated = content.get("ply_file_path")
    if stated is None:
        return None
    if not isinstance(stated, str):
        raise ValueError(
            f"{path}: ply_file_path is {files.shown(stated)}; expected the path of a PLY file, or no such entry."
        )
    points = path_below(path.parent, stated)
    if not points.is_file():
        raise FileNotFoundError(
            f"{path} has its points in {files.shown(stated)}, and there is no {points}; expected a PLY file, so copy "
            "it there or remove ply_file_path."
        )
    return files.read_points(points)


def _test(path: Path, content: Mapping[str, Any], frames: list[dict[str, Any]]) -> tuple[int, ...] | None:
    """The frames of `test_filenames`, or else of `val_filenames`."""
    wanted = content.get("test_filenames") or content.get("val_filenames")
    if not wanted:
        return None
    places = {frame["file_path"]: index for index, frame in enumerate(frames)}
    if not isinstance(wanted, list):
        raise ValueError(f"{path} holds out {files.shown(wanted)}; expected file_paths, so mend its test_filenames.")
    strays = [name for name in wanted if not isinstance(name, str) or name not in places]
    if strays:
        raise ValueError(
            f"{path} holds out {files.shown(strays[0])}, which is no frame's file_path; mend its test_filenames."
        )
    return tuple(sorted(places[name] for name in wanted))
