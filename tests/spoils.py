"""Data sets spoiled in their files, each in one way that people spoil theirs."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import imageio.v3 as imageio
import numpy as np

from sdfrepar.datasets.projections import decompose

FLIP = np.diag([1.0, -1.0, -1.0])
Poses = tuple[np.ndarray, np.ndarray, np.ndarray]
"""K (N, 3, 3), camera-to-world rotations (N, 3, 3) with the format's own axes, positions (N, 3)."""


def axes_flipped(poses: Poses) -> Poses:
    k, rotation, position = poses
    return k, rotation @ FLIP, position


def transposed(poses: Poses) -> Poses:
    k, rotation, position = poses
    return k, rotation.transpose(0, 2, 1), position


def inverse(poses: Poses) -> Poses:
    k, rotation, position = poses
    return k, rotation.transpose(0, 2, 1), -np.einsum("nji,nj->ni", rotation, position)


def focal_halved(poses: Poses) -> Poses:
    k, rotation, position = poses
    return k * np.array([[0.5, 1, 1], [1, 0.5, 1], [1, 1, 1]]), rotation, position


def ten_times(poses: Poses) -> Poses:
    k, rotation, position = poses
    return k, rotation, 10.0 * position


def elsewhere(poses: Poses) -> Poses:
    """The object three times the cameras' distance away."""
    k, rotation, position = poses
    return k, rotation, position + 3.0 * np.array([0.6, 0.64, 0.48]) * np.ptp(position, axis=0).max() / 2


GEOMETRIC: dict[str, Callable[[Poses], Poses]] = {
    "axes": axes_flipped,
    "transposed": transposed,
    "inverse": inverse,
    "focal": focal_halved,
    "scale": ten_times,
    "outside": elsewhere,
}
OF_FILES = ("shuffled", "missing", "truncated", "inverted masks")


def spoil(source: Path, target: Path, way: str) -> list[str]:
    """Copy a set, spoil the copy, and return the flags that its command needs."""
    shutil.copytree(source, target, ignore=shutil.ignore_patterns("fullres_sample"))
    if way in GEOMETRIC:
        return respoken(target, GEOMETRIC[way])
    if way == "shuffled":
        shuffle(target)
    elif way == "missing":
        photographs(target)[3].unlink()
    elif way == "truncated":
        path = photographs(target)[-2]
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    elif way == "inverted masks":
        invert(target)
    return []


def photographs(folder: Path) -> list[Path]:
    for place in ("image", "images", "train"):
        if (folder / place).is_dir():
            return sorted((folder / place).iterdir())
    return sorted(folder.glob("*.png"))


def shuffle(folder: Path) -> None:
    """Exchange the names of the pictures, their masks (where these are files) staying where they are."""
    paths = photographs(folder)
    order = np.random.default_rng(1).permutation(len(paths))
    kept = [path.read_bytes() for path in paths]
    for path, index in zip(paths, order, strict=True):
        path.write_bytes(kept[index])


def invert(folder: Path) -> None:
    if (folder / "mask").is_dir():
        for path in (folder / "mask").iterdir():
            imageio.imwrite(path, 255 - imageio.imread(path))
        return
    for path in [*(folder / "train").iterdir(), *(folder / "test").iterdir()]:
        picture = imageio.imread(path)
        picture[..., 3] = 255 - picture[..., 3]
        imageio.imwrite(path, picture)


def respoken(folder: Path, change: Callable[[Poses], Poses]) -> list[str]:
    if (folder / "cameras_sphere.npz").is_file():
        return _npz(folder / "cameras_sphere.npz", change)
    par = list(folder.glob("*_par.txt"))
    if par:
        return _par(par[0], change)
    for path in folder.glob("transforms*.json"):
        _json(path, change)
    # Nor has nerfstudio's: this is the sphere that the sound cameras look at.
    is_free = (folder / "transforms.json").is_file() and change in (ten_times, elsewhere)
    return ["--data.radius=3.93", "--data.centre=0.054,-0.102,-0.079"] if is_free else []


def _npz(path: Path, change: Callable[[Poses], Poses]) -> list[str]:
    stored = dict(np.load(path))
    count = sum(key.startswith("world_mat_") and key[10:].isdecimal() for key in stored)
    world = np.array([stored[f"world_mat_{i}"] for i in range(count)], np.float64)
    if change in (ten_times, elsewhere):
        scale = stored["scale_mat_0"].astype(np.float64)
        if change is ten_times:
            scale[:3, :3] *= 10
        else:
            scale[:3, 3] += 3.0 * np.array([0.6, 0.64, 0.48]) * scale[0, 0]
        for i in range(count):
            stored[f"scale_mat_{i}"] = scale
    else:
        k, turn, position = decompose(world[:, :3], [str(i) for i in range(count)])
        k, rotation, position = change((k, turn.transpose(0, 2, 1), position))
        for i in range(count):
            matrix = np.eye(4)
            back = rotation[i].T
            matrix[:3] = k[i] @ np.concatenate([back, -back @ position[i][:, None]], axis=1)
            stored[f"world_mat_{i}"] = matrix
    np.savez(path, **stored)
    return []


def _par(path: Path, change: Callable[[Poses], Poses]) -> list[str]:
    # The format has no sphere: its scale and its place are the user's own.
    if change is ten_times:
        return ["--data.radius=0.8", "--data.centre=-0.025,0.025,-0.02"]
    if change is elsewhere:
        return ["--data.radius=0.08", "--data.centre=0.2,0.2,0.1"]
    head, *lines = [line.split() for line in path.read_text().splitlines() if line.strip()]
    numbers = np.array([[float(word) for word in line[1:]] for line in lines])
    k, turn = numbers[:, :9].reshape(-1, 3, 3), numbers[:, 9:18].reshape(-1, 3, 3)
    position = -np.einsum("nji,nj->ni", turn, numbers[:, 18:])
    k, rotation, position = change((k, turn.transpose(0, 2, 1), position))
    back = rotation.transpose(0, 2, 1)
    shift = -np.einsum("nij,nj->ni", back, position)
    table = np.concatenate([k.reshape(-1, 9), back.reshape(-1, 9), shift], axis=1)
    words = [" ".join([line[0], *(repr(float(v)) for v in row)]) for line, row in zip(lines, table, strict=True)]
    path.write_text("\n".join([head[0], *words]) + "\n")
    return []


def _json(path: Path, change: Callable[[Poses], Poses]) -> None:
    content = json.loads(path.read_text())
    poses = np.array([frame["transform_matrix"] for frame in content["frames"]])
    k = np.tile(np.eye(3), (len(poses), 1, 1))
    if change is focal_halved:
        content["camera_angle_x"] = 2 * float(np.arctan(2 * np.tan(content["camera_angle_x"] / 2)))
        for name in ("fl_x", "fl_y"):
            if name in content:
                content[name] *= 0.5
    _, poses[:, :3, :3], poses[:, :3, 3] = change((k, poses[:, :3, :3], poses[:, :3, 3]))
    for frame, pose in zip(content["frames"], poses, strict=True):
        frame["transform_matrix"] = pose.tolist()
    path.write_text(json.dumps(content))
