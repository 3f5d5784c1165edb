"""Write the demo's pictures: an exact solid, photographed by a plain renderer, as files that a user could have made.

    python -m experiments.demo_scene --output=runs/demo/data          (15 seconds on 2 cores)

A thick ring and a ball above its hole, textured and lit, in NeRF-synthetic form. `truth.npz` beside the pictures
holds the occupancy of the exact field and points on its surface; only evaluation reads it.

The renderer here is deliberately plain, in NumPy but for the field, and shares nothing with the package's tracer and
warp: what it makes is evidence.
"""

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from absl import flags

from experiments import flags as experiment_flags
from sdfrepar import cameras, fields, files, meshing
from sdfrepar.datasets import nerf_synthetic
from sdfrepar.evaluation import sample_surface
from sdfrepar.records import Camera

RESOLUTION = 128
TRAINING_VIEWS, TEST_VIEWS = 24, 6
SUPERSAMPLING = 4
BACKGROUND = 0.6
"""Linear grey behind the object."""
OCCUPANCY_RESOLUTION = 128
SURFACE_POINTS = 100_000

_LIGHT = np.array([0.4, 0.8, -0.45]) / np.linalg.norm([0.4, 0.8, -0.45])
_AMBIENT = 0.35


def solid() -> tuple[fields.Distance, Any]:
    """The field and its parameters: a tilted ring (genus 1) and a ball that hovers above its hole."""
    distance = fields.union(fields.placed(fields.torus), fields.placed(fields.sphere))
    ring = {
        "solid": {"major": jnp.float32(0.52), "minor": jnp.float32(0.21)},
        "position": jnp.array([0.0, -0.08, 0.0]),
        "rotation": _rotation_about_x(0.45),
    }
    ball = {
        "solid": {"radius": jnp.float32(0.3)},
        "position": jnp.array([0.1, 0.56, 0.05]),
        "rotation": jnp.eye(3),
    }
    return distance, (ring, ball)


def albedo(x: np.ndarray) -> np.ndarray:
    """A solid texture (N, 3), linear, at points (N, 3): slow waves of colour."""
    a = np.sin(6.0 * x[:, 0] + 2.0 * np.sin(4.0 * x[:, 1]))
    b = np.sin(5.0 * x[:, 2] - 3.0 * x[:, 1] + 1.0)
    c = np.sin(7.0 * x[:, 1] + 3.0 * x[:, 0] * x[:, 2])
    return 0.45 + np.stack([0.35 * a, 0.2 * a * b + 0.12 * c, 0.3 * b], axis=1)


def main(argv: Sequence[str]) -> None:
    """Write the data set."""
    del argv
    write(Path(flags.FLAGS.output))


def write(folder: Path) -> None:
    """Photograph the solid from all around and write the pictures, the cameras and the truth into `folder`."""
    distance, params = solid()
    for split, count, turn in (("train", TRAINING_VIEWS, 0.0), ("test", TEST_VIEWS, 0.35)):
        rig = _cameras_around(count, turn)
        pictures = [photograph(distance, params, jax.tree.map(lambda c, i=i: c[i], rig)) for i in range(count)]
        names = tuple(f"view_{i:02d}" for i in range(count))
        nerf_synthetic.write(folder, split, files.encode_srgb(np.stack(pictures)), rig, names)
        print(f"{folder}: {count} {split} views of {RESOLUTION} x {RESOLUTION} pixels")
    _write_truth(folder / "truth.npz", distance, params)


def photograph(distance: fields.Distance, params: Any, camera: Camera) -> np.ndarray:
    """The picture (H, W, 3), linear, of box pixels: a regular grid of SUPERSAMPLING² rays each."""
    height, width = camera.resolution
    grid = (np.stack(np.meshgrid(np.arange(width * SUPERSAMPLING), np.arange(height * SUPERSAMPLING)), -1) + 0.5) / (
        SUPERSAMPLING
    )
    on_plane = (grid.reshape(-1, 2) - np.asarray(camera.principal)) / np.asarray(camera.focal)
    direction = np.concatenate([on_plane, np.ones((len(on_plane), 1))], 1) @ np.asarray(camera.rotation).T
    direction /= np.linalg.norm(direction, axis=1, keepdims=True)
    radiance = np.full_like(direction, BACKGROUND)
    x, hit = _march(distance, params, np.asarray(camera.position, np.float64), direction)
    normal = _padded(_normals, distance, params, x[hit])
    radiance[hit] = albedo(x[hit]) * (_AMBIENT + (1.0 - _AMBIENT) * np.maximum(normal @ _LIGHT, 0.0)[:, None])
    return radiance.reshape(height, SUPERSAMPLING, width, SUPERSAMPLING, 3).mean(axis=(1, 3))


def _march(
    distance: fields.Distance, params: Any, origin: np.ndarray, direction: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Sphere tracing without any cleverness, in float64: points (N, 3) reached and whether they are on the surface."""
    leave = np.linalg.norm(origin) + 1.0
    t = np.full(len(direction), leave - 2.0)
    f = np.full(len(direction), np.inf)
    active = np.arange(len(direction))
    for _ in range(1000):
        f[active] = _padded(_values, distance, params, origin + t[active, None] * direction[active])
        t[active] += f[active]
        active = active[(np.abs(f[active]) > 2e-6) & (t[active] < leave)]
        if not active.size:
            break
    return origin + t[:, None] * direction, (np.abs(f) < 1e-4) & (t < leave)


def _padded(function: Callable, distance: fields.Distance, params: Any, x: np.ndarray) -> np.ndarray:
    """A batched function of points (N, 3), called with a power of two of them so that few shapes are compiled."""
    size = 1 << (len(x) - 1).bit_length()
    return np.asarray(function(distance, params, jnp.asarray(np.resize(x, (size, 3)), jnp.float32)))[: len(x)]


@partial(jax.jit, static_argnums=0)
def _values(distance: fields.Distance, params: Any, x: jax.Array) -> jax.Array:
    return jax.vmap(partial(distance, params))(x)


@partial(jax.jit, static_argnums=0)
def _normals(distance: fields.Distance, params: Any, x: jax.Array) -> jax.Array:
    return jax.vmap(fields.gradient, in_axes=(None, None, 0))(distance, params, x)


def _write_truth(path: Path, distance: fields.Distance, params: dict) -> None:
    """The exact occupancy on a grid of [-1, 1]³ (packed bits) and points on the surface, world frame."""
    values = meshing.sample_grid(distance, params, OCCUPANCY_RESOLUTION)
    mesh = meshing.extract(distance, params, OCCUPANCY_RESOLUTION, components="all")
    near = sample_surface(mesh.vertices, mesh.faces, SURFACE_POINTS, seed=0)
    # One Newton step brings a point of the mesh onto the exact surface.
    f, n = _padded(_values, distance, params, near), _padded(_normals, distance, params, near)
    np.savez_compressed(
        path,
        occupancy=np.packbits(values < 0),
        resolution=OCCUPANCY_RESOLUTION,
        surface_points=(near - f[:, None] * n).astype(np.float32),
    )


def _cameras_around(count: int, turn: float) -> Camera:
    """Cameras on a sphere around the object, evenly spread by the golden angle; leading axis `count`."""
    height = 1.0 - 2.0 * (np.arange(count) + 0.5) / count
    azimuth = (np.arange(count) + turn) * np.pi * (3.0 - np.sqrt(5.0))
    ring = np.sqrt(1.0 - height**2)
    positions = 3.0 * np.stack([ring * np.cos(azimuth), height, ring * np.sin(azimuth)], axis=1)
    rig = [
        cameras.look_at(
            jnp.asarray(position, jnp.float32),
            jnp.zeros(3),
            jnp.array([0.0, 1.0, 0.0]),
            field_of_view=0.66,
            resolution=(RESOLUTION, RESOLUTION),
        )
        for position in positions
    ]
    return jax.tree.map(lambda *leaves: np.stack([np.asarray(leaf) for leaf in leaves]), *rig)


def _rotation_about_x(angle: float) -> jax.Array:
    c, s = float(np.cos(angle)), float(np.sin(angle))
    return jnp.array([[1.0, 0.0, 0.0], [0.0, c, -s], [0.0, s, c]])


if __name__ == "__main__":
    flags.DEFINE_string("output", "runs/demo/data", "folder to write into")
    experiment_flags.run(main)
