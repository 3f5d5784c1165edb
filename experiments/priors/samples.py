"""Signed distances at points near a surface and all around it, as [P19] samples them."""

import io
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np

from experiments.priors.families import Family
from experiments.synthetic.meshes import MeshSurface
from experiments.synthetic.surfaces import FieldSurface, Surface
from sdfrepar import fields, files, grids

RESOLUTION = 128
"""Grid points a side of the mesh by which points on the surface of a procedural solid are found."""

# Standard deviations of the two halves of the points near the surface, and the share of points anywhere [P19].
_NEAR, _ANYWHERE = (0.05, 0.016), 0.1


class Samples(NamedTuple):
    """Distances of one shape, or with a leading axis of several."""

    points: np.ndarray  # (N, 3) float32, scene units
    distances: np.ndarray  # (N,) float32, scene units


class Shape(NamedTuple):
    """A solid in the unit sphere."""

    surface: Surface
    distances: Callable[[np.ndarray], np.ndarray]
    """points (N, 3) -> (N,)"""


def of_mesh(vertices: np.ndarray, faces: np.ndarray) -> Shape:
    """A closed mesh in the unit sphere; needs libigl."""
    return Shape(MeshSurface(vertices, faces, _white), lambda points: grids.mesh_distances(vertices, faces, points))


def of_family(family: Family, rng: np.random.Generator) -> Shape:
    """A random member of a family."""
    params = family.draw(rng)

    def distances(points: np.ndarray) -> np.ndarray:
        return np.asarray(fields.values(family.distance, params, jnp.asarray(points)))

    return Shape(FieldSurface(family.distance, params, _white), distances)


def sample(shape: Shape, count: int, rng: np.random.Generator) -> Samples:
    """So many points, most of them next to the surface, in random order."""
    anywhere = round(_ANYWHERE * count)
    on_surface = shape.surface.points(count - anywhere, RESOLUTION)
    deviation = np.where(rng.random(len(on_surface)) < 0.5, *_NEAR)
    near = on_surface + deviation[:, None] * rng.standard_normal(on_surface.shape)
    points = np.concatenate([near, _in_ball(anywhere, rng)])[rng.permutation(count)].astype(np.float32)
    return Samples(points, shape.distances(points).astype(np.float32))


def kept(path: Path, about: str, make: Callable[[], Samples]) -> Samples:
    """The samples in a file, if it says the same about them; else they are made, and left there."""
    if path.is_file():
        with np.load(path) as arrays:
            if str(arrays["about"]) == about:
                return Samples(arrays["points"], arrays["distances"])
    made, memory = make(), io.BytesIO()
    np.savez(memory, about=about, **made._asdict())
    files.write_bytes(path, memory.getvalue())
    return made


def _in_ball(count: int, rng: np.random.Generator) -> np.ndarray:
    direction = rng.standard_normal((count, 3))
    return direction / np.linalg.norm(direction, axis=1, keepdims=True) * rng.random((count, 1)) ** (1.0 / 3.0)


def _white(points: np.ndarray) -> np.ndarray:
    return np.ones_like(points)
