"""What one depth camera tells of a shape: some depths, and where there is nothing; rendered, or from files."""

from pathlib import Path
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np

from experiments.numbers import numbers_of
from experiments.priors.samples import Shape
from experiments.synthetic import photography
from sdfrepar import cameras, files, fitting
from sdfrepar.fitting import Maps
from sdfrepar.records import Camera

DENSE = "dense"

# What a camera's file says in any case.
_INTRINSICS = ("width", "height", "fx", "fy", "cx", "cy")

# Pixels a side of a picture.
_WIDEST = 100_000

# Lengths whose squares float32 can hold.
_FARTHEST = 1e18


class Scan(NamedTuple):
    """One view."""

    camera: Camera
    maps: Maps
    noise: float = 0.0
    """Standard deviation of the depths, scene units."""


def chosen(density: str, mask: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Which pixels (H, W) of a mask are measured: all if "dense", a share like "10%", or a number like "50".

    Raises:
        ValueError: none of these, or none is left.
    """
    pixels = np.flatnonzero(mask)
    if density == DENSE:
        return mask
    number = density.removesuffix("%")
    if not number.isdigit() or (density.endswith("%") and int(number) > 100):
        raise ValueError(f"The density is {density!r}; expected {DENSE}, a share like 10%, or a number like 50.")
    count = round(0.01 * int(number) * len(pixels)) if density.endswith("%") else min(int(number), len(pixels))
    if not count:
        raise ValueError(f"The density {density!r} leaves none of the {len(pixels)} pixels; choose a greater one.")
    some = np.zeros(mask.shape, bool)
    some.flat[rng.choice(pixels, count, replace=False)] = True
    return some


def of_shape(shape: Shape, camera: Camera, density: str, noise: float, seed: int) -> Scan:
    """A view of a shape, exact but for noise in the depth.

    Args:
        shape: of which.
        camera: from where.
        density: as for `chosen`.
        noise: standard deviation, share of the depth.
        seed: of the noise and of the choice.

    Raises:
        ValueError: the camera sees nothing, or a density that leaves nothing.
    """
    exact, rng = photography.survey(shape.surface, camera), np.random.default_rng(seed)
    if not exact.mask.any():
        at = np.asarray(camera.position).round(2)
        raise ValueError(f"The camera at {at} sees nothing of the shape; choose another --position.")
    depth = exact.depth * (1.0 + noise * rng.standard_normal(exact.depth.shape))
    whole = fitting.whole_maps(depth.astype(np.float32), exact.normal, exact.mask)
    maps = whole._replace(measured=jnp.asarray(chosen(density, exact.mask, rng)))
    return Scan(camera, maps, float(noise * exact.depth[exact.mask].mean()))


def without_mask(scan: Scan) -> Scan:
    """The scan that knows of no pixel but those with a depth whether there is a surface."""
    return scan._replace(maps=scan.maps._replace(outlined=scan.maps.measured))


def from_depth(depth: Path, camera: Path, mask: Path | None, unit: float, resolution: int, noise: float = 0.0) -> Scan:
    """A depth picture of 16 bits, 0 where nothing was measured.

    Args:
        depth: PNG, z in units.
        camera: as for `read_camera`.
        mask: a picture, bright where the object is; depths elsewhere are not used. If None there is no outline.
        unit: metres, or whatever the camera's pose is in.
        resolution: pixels that a side may have; every second, or every n-th pixel of a larger picture is taken.
        noise: standard deviation of the depths, share of them.

    Raises:
        FileNotFoundError, ValueError: files that are missing or not what they should be.
    """
    taken, scale = read_camera(camera)
    values = files.read_image(depth)
    _require_size(depth, values, taken)
    z = scale * unit * 65535.0 * values[..., 0]
    measured = covered = z > 0
    outlined = measured
    if mask is not None:
        picture = files.read_image(mask)
        _require_size(mask, picture, taken)
        covered, outlined = picture[..., :3].mean(axis=-1) > 0.5, np.ones_like(measured)
        measured = measured & covered
    if not measured.any():
        raise ValueError(f"{depth} has no depth, or none within the mask; expected 16 bits, 0 where nothing is known.")
    seen = fitting.strided(taken, _maps(z, covered, measured, outlined), _stride(taken, resolution))
    return Scan(*seen, float(noise * z[measured].mean()))


def from_points(points: Path, camera: Path, resolution: int, noise: float = 0.0) -> Scan:
    """Points (x, y, z) of a PLY file in the camera's axes, each the depth of the pixel it falls into, the nearest if
    several do.

    Raises:
        FileNotFoundError, ValueError: files that are missing or not what they should be, or no point before the camera.
    """
    taken, scale = read_camera(camera)
    taken = cameras.strided(taken, _stride(taken, resolution))
    height, width = taken.resolution
    x = files.read_points(points)
    x = x[x[:, 2] > 0]
    focal, principal = np.asarray(taken.focal), np.asarray(taken.principal)
    column, row = np.floor(x[:, :2] / x[:, 2:] * focal + principal).astype(int).T
    seen = (column >= 0) & (column < width) & (row >= 0) & (row < height)
    if not seen.any():
        raise ValueError(
            f"No point of {points} falls into the picture of {camera}; expected them in its axes, z ahead."
        )
    depth = np.full((height, width), np.inf)
    np.minimum.at(depth, (row[seen], column[seen]), scale * x[seen, 2])
    measured = np.isfinite(depth)
    maps = _maps(np.where(measured, depth, 0.0), measured, measured, measured)
    return Scan(taken, maps, float(noise * depth[measured].mean()))


def read_pinhole(path: Path, *more: str) -> dict[str, Any]:
    """What the JSON file of a pinhole holds: width, height, fx, fy, cx, cy, all finite, and what more it must.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: an entry is missing, or not the number that it should be.
    """
    stored, names = files.read_json_object(path), (*_INTRINSICS, *more)
    if missing := [name for name in names if name not in stored]:
        raise ValueError(f"{path} has no {', '.join(missing)}; expected {', '.join(names)}.")
    values = {name: float(numbers_of(path, name, stored[name], ())) for name in _INTRINSICS}
    for name in ("width", "height"):
        if values[name] != round(values[name]) or not 0 < values[name] <= _WIDEST:
            raise ValueError(f"{path}: {name} is {values[name]:g}; expected pixels, from 1 to {_WIDEST}.")
    for name in ("fx", "fy"):
        if not 0 < values[name] < _FARTHEST:
            raise ValueError(f"{path}: {name} is {values[name]:g}; expected a positive focal length, pixels.")
    return stored | values


def read_camera(path: Path) -> tuple[Camera, float]:
    """A pinhole and the scale of its pose, from a JSON file: width, height, fx, fy, cx, cy, pixels, and
    scene_from_camera, 4 x 4, a rotation times a scale and a translation; x right, y down, z ahead, and whole numbers
    are centres of pixels, as OpenCV has it.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: an entry is missing, or no similarity.
    """
    stored = read_pinhole(path, "scene_from_camera")
    pose = numbers_of(path, "scene_from_camera", stored["scene_from_camera"], (4, 4))
    # Of float32: what is larger has no square.
    scale = float(np.cbrt(np.linalg.det(pose[:3, :3]))) if np.abs(pose).max() < _FARTHEST else 0.0
    if not (scale > 0 and np.allclose(pose[:3, :3] @ pose[:3, :3].T, scale**2 * np.eye(3), atol=1e-3 * scale**2)):
        raise ValueError(f"{path}: scene_from_camera is no similarity; expected 4 x 4, a rotation times a scale.")
    width, height, fx, fy, cx, cy = (stored[name] for name in _INTRINSICS)
    camera = Camera(
        rotation=jnp.asarray(pose[:3, :3] / scale, jnp.float32),
        position=jnp.asarray(pose[:3, 3], jnp.float32),
        focal=jnp.array([fx, fy], jnp.float32),
        principal=jnp.array([cx + 0.5, cy + 0.5], jnp.float32),
        resolution=(int(height), int(width)),
    )
    return camera, scale


def _maps(depth: np.ndarray, mask: np.ndarray, measured: np.ndarray, outlined: np.ndarray) -> Maps:
    """Maps without normals."""
    normal = jnp.zeros((*depth.shape, 3))
    return Maps(jnp.asarray(depth, jnp.float32), normal, *map(jnp.asarray, (mask, measured, outlined)))


def _stride(camera: Camera, resolution: int) -> int:
    return -(-max(camera.resolution) // resolution)


def _require_size(path: Path, picture: np.ndarray, camera: Camera) -> None:
    if picture.shape[:2] != tuple(camera.resolution):
        height, width = camera.resolution
        raise ValueError(
            f"{path} has {picture.shape[1]} x {picture.shape[0]} pixels, and its camera {width} x {height}; correct it."
        )
