"""Signed distances at points near a surface and all around it, as [P19] samples them."""

from collections.abc import Callable
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np

from experiments.priors.families import Family
from sdfrepar import evaluation, fields, grids, meshing

# Standard deviations of the two halves of the points near the surface, and the share of points anywhere [P19].
_NEAR, _ANYWHERE = (0.05, 0.016), 0.1

# Grid points a side of the mesh on which the surface of a procedural solid is sampled.
_RESOLUTION = 128


class Samples(NamedTuple):
    """Distances of one shape, or with a leading axis of several."""

    points: np.ndarray  # (N, 3) float32, scene units
    distances: np.ndarray  # (N,) float32, scene units


class Shape(NamedTuple):
    """A closed surface in the unit sphere, and the distances to it."""

    vertices: np.ndarray  # (V, 3) scene units
    faces: np.ndarray  # (F, 3)
    distances: Callable[[np.ndarray], np.ndarray]
    """points (N, 3) -> (N,)"""


def of_mesh(vertices: np.ndarray, faces: np.ndarray) -> Shape:
    """A closed mesh in the unit sphere; needs libigl."""
    return Shape(vertices, faces, lambda points: grids.mesh_distances(vertices, faces, points))


def of_family(family: Family, rng: np.random.Generator) -> Shape:
    """A random member of a family."""
    params = family.draw(rng)
    mesh = meshing.extract(family.distance, params, _RESOLUTION)

    def distances(points: np.ndarray) -> np.ndarray:
        return np.asarray(fields.values(family.distance, params, jnp.asarray(points)))

    return Shape(mesh.vertices, mesh.faces, distances)


def sample(shape: Shape, count: int, rng: np.random.Generator) -> Samples:
    """So many points, most of them next to the surface, in random order."""
    anywhere = round(_ANYWHERE * count)
    on_surface = evaluation.sample_surface(
        shape.vertices, shape.faces, count - anywhere, seed=int(rng.integers(1 << 31))
    )
    deviation = np.where(rng.random(len(on_surface)) < 0.5, *_NEAR)
    near = on_surface + deviation[:, None] * rng.standard_normal(on_surface.shape)
    points = np.concatenate([near, _in_ball(anywhere, rng)])[rng.permutation(count)].astype(np.float32)
    return Samples(points, shape.distances(points).astype(np.float32))


def _in_ball(count: int, rng: np.random.Generator) -> np.ndarray:
    direction = rng.standard_normal((count, 3))
    return direction / np.linalg.norm(direction, axis=1, keepdims=True) * rng.random((count, 1)) ** (1.0 / 3.0)
