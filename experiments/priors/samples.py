"""Signed distances at points near a surface and all around it, as [P19] samples them, and near other shapes' surfaces.

Without the last, a shape grows what others have and it lacks: a wing's end is so thin that hardly a point of those all
around lies in it.
"""

import io
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from scipy.spatial import KDTree

from experiments.priors import families
from experiments.priors.families import Family
from experiments.synthetic.meshes import MeshSurface
from experiments.synthetic.surfaces import Albedo, FieldSurface, Surface
from sdfrepar import fields, files, grids
from sdfrepar.reports import Progress

RESOLUTION = 128
"""Grid points a side of the mesh by which points on the surface of a procedural solid are found."""

# Standard deviations of the two halves of the points near a surface, and the share of points anywhere [P19].
_NEAR, _ANYWHERE = (0.05, 0.016), 0.1

# Share of the points that lie near other shapes' surfaces.
_ELSEWHERE = 0.15


class Samples(NamedTuple):
    """Distances of one shape, or with a leading axis of several."""

    points: np.ndarray  # (N, 3) float32, scene units
    distances: np.ndarray  # (N,) float32, scene units
    colours: np.ndarray  # (N, C) float32, linear; C is 0 where they are not learnt


class Shape(NamedTuple):
    """A solid in the unit sphere."""

    surface: Surface
    distances: Callable[[np.ndarray], np.ndarray]
    """points (N, 3) -> (N,)"""


def of_mesh(vertices: np.ndarray, faces: np.ndarray, colours: np.ndarray | None = None) -> Shape:
    """A closed mesh in the unit sphere, with linear colours (V, 3) or white; needs libigl."""
    albedo = _white if colours is None else _of_nearest(vertices, colours)
    return Shape(MeshSurface(vertices, faces, albedo), lambda points: grids.mesh_distances(vertices, faces, points))


def of_family(family: Family, rng: np.random.Generator) -> Shape:
    """A random member of a family."""
    params, albedo = family.draw(rng), families.texture(rng)

    def distances(points: np.ndarray) -> np.ndarray:
        return np.asarray(fields.values(family.distance, params, jnp.asarray(points)))

    return Shape(FieldSurface(family.distance, params, albedo), distances)


def sample_all(shapes: Sequence[Callable[[], Shape]], count: int, seed: int, coloured: bool) -> Samples:
    """So many points for each shape, leading axis S, with colours or without, and with a line of progress.

    Raises:
        ImportError, ValueError: a mesh that cannot be used.
    """
    made = [shape() for shape in shapes]
    anywhere, elsewhere = round(_ANYWHERE * count), round(_ELSEWHERE * count)
    with Progress(len(made), unit="shape") as progress:
        surfaces = np.stack([shape.surface.points(count - anywhere - elsewhere, RESOLUTION) for shape in made])
        each = []
        for number, (shape, own) in enumerate(zip(made, surfaces, strict=True)):
            rng = np.random.default_rng([seed, number])
            others = surfaces[rng.integers(len(made), size=elsewhere), rng.integers(len(own), size=elsewhere)]
            near = np.concatenate([own, others])
            each.append(_sampled(shape, _beside(near, rng), anywhere, rng, coloured))
            progress.update(number + 1, {"inside": float(np.mean(each[-1].distances < 0))})
    return Samples(*(np.stack(part) for part in zip(*each, strict=True)))


def kept(path: Path, about: str, make: Callable[[], Samples]) -> Samples:
    """The samples in a file, if it says the same about them; else they are made, and left there."""
    if path.is_file():
        arrays = files.read_arrays(path, {"points": (None, None, 3), "distances": (None, None), "colours": 3 * (None,)})
        found = Samples(*(arrays[name] for name in Samples._fields))
        if not found.points.shape[:2] == found.distances.shape == found.colours.shape[:2]:
            raise ValueError(f"{path} has samples of different numbers; remove it, and it is made again.")
        if str(arrays.get("about")) == about:
            return found
    made, memory = make(), io.BytesIO()
    np.savez(memory, about=about, **made._asdict())
    files.write_bytes(path, memory.getvalue())
    return made


def _sampled(shape: Shape, near: np.ndarray, anywhere: int, rng: np.random.Generator, coloured: bool) -> Samples:
    """Distances of a shape, and its colours, at points near surfaces (M, 3) and at others, in random order."""
    points = rng.permutation(np.concatenate([near, _in_ball(anywhere, rng)])).astype(np.float32)
    colours = shape.surface.albedo(points) if coloured else np.zeros((len(points), 0))
    return Samples(points, shape.distances(points).astype(np.float32), colours.astype(np.float32))


def _beside(points: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Points near those (M, 3) on a surface."""
    deviation = np.where(rng.random(len(points)) < 0.5, *_NEAR)
    return points + deviation[:, None] * rng.standard_normal(points.shape)


def _in_ball(count: int, rng: np.random.Generator) -> np.ndarray:
    direction = rng.standard_normal((count, 3))
    return direction / np.linalg.norm(direction, axis=1, keepdims=True) * rng.random((count, 1)) ** (1.0 / 3.0)


def _of_nearest(vertices: np.ndarray, colours: np.ndarray) -> Albedo:
    """The colours of three vertices next to a point, the nearer the more."""
    tree = KDTree(vertices)

    def albedo(points: np.ndarray) -> np.ndarray:
        distances, nearest = tree.query(points, k=3)
        weights = 1.0 / (distances + 1e-9)
        return np.einsum("nk,nkc->nc", weights / weights.sum(axis=1, keepdims=True), colours[nearest])

    return albedo


def _white(points: np.ndarray) -> np.ndarray:
    return np.ones_like(points)
